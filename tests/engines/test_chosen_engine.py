"""Choosing an engine in Python: by the name of its kind, by settings, or as an engine."""

import pytest

from constitutional.engines import EngineSettings, chosen_engine
from constitutional.engines.scripted import ScriptedEngine
from constitutional.errors import ConfigError


def test_an_engine_can_be_chosen_by_its_name_by_settings_or_be_given():
    mine = ScriptedEngine()
    assert chosen_engine(mine, None) is mine
    assert isinstance(chosen_engine("scripted", "smollm2-135m"), ScriptedEngine)
    settings = EngineSettings(engine="scripted", slots=3)
    assert chosen_engine(settings, None).slots == chosen_engine(settings, "smollm2-135m").slots == 3


@pytest.mark.parametrize(
    ("engine", "model", "says"),
    [
        ("vlm", None, "there is no engine 'vlm'; did you mean 'vllm'?"),
        ("smollm2-135m", None, "the name of a model is for `model`"),
        (None, None, "no model given"),
        (ScriptedEngine(), "smollm2-135m", "leave model='smollm2-135m' out"),
        (EngineSettings(engine="scripted", model="one"), "other", "leave model='other' out"),
    ],
)
def test_a_choice_that_can_not_be_is_an_error_that_says_what_to_do(engine, model, says):
    with pytest.raises(ConfigError) as caught:
        chosen_engine(engine, model)
    assert says in str(caught.value)
