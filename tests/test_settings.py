"""Settings complain when they are made, from Python as from the command line."""

import pytest

from constitutional import LabelSettings, ReviseSettings, ScoreSettings
from constitutional.errors import ConfigError
from constitutional.jobs.redteam import AcceptSettings


@pytest.mark.parametrize(
    ("settings", "given", "says"),
    [
        (LabelSettings, {"samples": 3}, "nothing is sampled: set chain_of_thought"),
        (LabelSettings, {"samples": 3, "chain_of_thought": True}, "at temperature 0 all would be the same"),
        (LabelSettings, {"votes": "sampled", "order_average": "logit"}, "cancels no position bias"),
        (ScoreSettings, {"low": 5, "high": 1}, "low has to be the smaller one"),
        (ScoreSettings, {"temperature": 1.0}, "temperature is only for written ratings"),
        (ReviseSettings, {"stop_when_clean": True, "critique": False}, "stop_when_clean .* needs critiques"),
        (AcceptSettings, {"count": 1, "min_words": 9, "max_words": 3}, "no prompt has both"),
    ],
)
def test_settings_that_do_not_go_together_are_refused_when_they_are_made(settings, given, says):
    with pytest.raises(ConfigError, match=says):
        settings(**given)
