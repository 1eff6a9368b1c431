"""The settings of an audit: variants that make sense for a baseline, without repeats, and the user's own."""

import shlex

import click
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from constitutional.cli import cli
from constitutional.cli.config import settings_from
from constitutional.cli.label import label
from constitutional.errors import ConfigError
from constitutional.jobs.audit_settings import VARIATIONS, all_settings, flags, read_setting
from constitutional.stages.label import LabelSettings
from constitutional.templates import load_prompt_set
from tests.helpers import PROMPT_SET
from tests.judges import rules


@pytest.fixture(scope="module")
def prompts():
    return load_prompt_set(PROMPT_SET)


def names(prompts, baseline=None, count=16, **more):
    settings = baseline if isinstance(baseline, LabelSettings) else LabelSettings(**(baseline or {}))
    return {s.name: s for s in all_settings(rules(count), prompts, settings, **more)}


def test_the_variants_of_the_default_each_change_one_thing(prompts):
    found = names(prompts)
    assert list(found) == [
        "baseline",
        "one-order",
        "logit-average",
        "principles-4",
        "principles-all",
        "no-examples",
        "clamp-0.4",
        "low-mass-exclude",
        "chain-of-thought",
        "chain-of-thought-no-clamp",
        "chain-of-thought-3-samples",
    ]
    baseline = LabelSettings()
    assert found["baseline"].changes(baseline) == {}
    assert found["one-order"].changes(baseline) == {"both_orders": False}
    assert found["no-examples"].changes(baseline) == {"examples": 0}
    assert found["chain-of-thought"].settings.lower == 0.4
    assert found["chain-of-thought-no-clamp"].settings.lower == 0.0
    assert found["chain-of-thought-3-samples"].changes(baseline) == {
        "chain_of_thought": True,
        "samples": 3,
        "temperature": 0.7,
    }


def test_the_variants_of_another_baseline_lead_away_from_it(prompts):
    baseline = {
        "chain_of_thought": True,
        "samples": 5,
        "temperature": 1.0,
        "principles": 4,
        "both_orders": False,
    }
    found = names(prompts, baseline)
    assert list(found) == [
        "baseline",
        "both-orders",
        "principles-1",
        "principles-all",
        "no-examples",
        "no-clamp",
        "low-mass-exclude",
        "direct",
        "one-sample",
        "chain-of-thought-3-samples",
    ]
    assert found["direct"].settings.samples == 1  # without reasoning nothing is sampled
    assert found["chain-of-thought-3-samples"].settings.temperature == 1.0


def test_what_can_not_be_or_makes_no_difference_is_left_out(prompts):
    assert "principles-4" not in names(prompts, count=3)
    found = names(prompts, count=4)
    assert "principles-4" in found and "principles-all" not in found  # four of four are all
    assert "low-mass-exclude" not in names(prompts, {"votes": "sampled"})  # counted answers have no mass
    bare = load_prompt_set("default")
    assert "no-examples" in names(bare)
    assert "no-examples" not in names(bare, {"examples": 0})


@given(
    st.builds(
        dict,
        principles=st.sampled_from([1, 2, 4, 16, "all"]),
        both_orders=st.booleans(),
        chain_of_thought=st.booleans(),
        clamp=st.sampled_from([None, 0.0, 0.2, 0.4]),
        order_average=st.sampled_from(["mean", "logit"]),
        votes=st.sampled_from(["logprobs", "sampled"]),
        temperature=st.sampled_from([0.0, 1.0]),
        examples=st.sampled_from([None, 0, 1]),
        low_mass=st.sampled_from(["keep", "exclude"]),
    )
)
def test_no_two_settings_do_the_same_whatever_the_baseline(prompts, baseline):
    assume(
        baseline["votes"] == "logprobs" or baseline["order_average"] == "mean" or not baseline["both_orders"]
    )  # counted answers have no log-odds
    found = names(prompts, baseline)
    alike = {
        repr(
            sorted(
                {
                    **s.settings.decisive(),
                    "principles": "all" if s.labeler.asks_all else s.settings.principles,
                }.items()
            )
        )
        for s in found.values()
    }
    assert len(alike) == len(found)


def test_variants_are_chosen_by_name(prompts):
    assert list(names(prompts, vary=["none"])) == ["baseline"]
    assert list(names(prompts, vary=["one-order", "chain-of-thought"])) == [
        "baseline",
        "one-order",
        "chain-of-thought",
    ]


@pytest.mark.parametrize(
    ("vary", "complaint"),
    [
        (["one-ordr"], "did you mean 'one-order'"),
        (["none", "one-order"], "can't be combined"),
        (["both-orders"], "another of the settings does already"),
        (["principles-4"], "has only 3"),
    ],
)
def test_a_variant_that_can_not_be_is_refused_where_it_is_named(prompts, vary, complaint):
    with pytest.raises(ConfigError, match=complaint):
        names(prompts, count=3, vary=vary)


def test_a_setting_of_the_users_own_changes_the_baseline(prompts):
    found = names(
        prompts,
        {"order_average": "logit"},
        vary=["none"],
        own={"four": {"principles": 4, "chain_of_thought": True}},
    )
    assert found["four"].settings == LabelSettings(principles=4, chain_of_thought=True, order_average="logit")


@pytest.mark.parametrize(
    ("own", "complaint"),
    [
        ({"x": {"principle": 4}}, "did you mean 'principles'"),
        ({"x": {"principles": 99}}, "has only 16"),
        ({"x": {"clamp": 0.7}}, "clamp: .*less than 0.5"),
        ({"x": {"samples": 3}}, "nothing is sampled"),
        ({"yes": {"principles": True}}, "principles: .*, not True"),
        ({"yes": {"samples": True}}, "samples: .*, not True"),
        ({"baseline": {"principles": 2}}, "choose another"),
        ({"one-order": {"principles": 2}}, "choose another"),
    ],
)
def test_a_wrong_setting_is_named(prompts, own, complaint):
    with pytest.raises(ConfigError, match=complaint) as raised:
        names(prompts, own=own)
    said = str(raised.value)  # which a user of Python understands too
    assert said.startswith(f"setting {next(iter(own))}: ") and "--setting" not in said
    assert said.count(f"setting {next(iter(own))}: ") == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("four: principles=4, chain_of_thought=true", ("four", {"principles": 4, "chain_of_thought": True})),
        (" a.b : clamp = 0.1 ", ("a.b", {"clamp": 0.1})),
        ("x: low-mass=exclude, principles=all", ("x", {"low_mass": "exclude", "principles": "all"})),
        ("x: examples=null", ("x", {"examples": None})),
        ("same:", ("same", {})),
        (
            'four={"principles": 4, "chain-of-thought": true}',
            ("four", {"principles": 4, "chain_of_thought": True}),
        ),
        ('four="principles=4, clamp=0"', ("four", {"principles": 4, "clamp": 0})),
    ],
)
def test_settings_are_read_as_they_are_written(text, expected):
    assert read_setting(text) == expected


@pytest.mark.parametrize(
    "text", ["", "four", "four: principles", "four: =4", ": principles=4", "a b: principles=4", "x: clamp=1, clamp=2",
             "x: clamp=[", "x={", "../x: clamp=0", "x: clamp=2024-13-45", "x: clamp=" + "[" * 3000,
             'x={"clamp": ' + "[" * 100_000]
)  # fmt: skip
def test_a_setting_that_is_written_wrong_is_refused(text):
    with pytest.raises(ConfigError, match="--setting"):
        read_setting(text)


@pytest.mark.parametrize("name", VARIATIONS)
def test_the_flags_of_a_setting_give_that_setting(prompts, name):
    for baseline in (
        LabelSettings(),
        LabelSettings(both_orders=False, chain_of_thought=True, clamp=0.1, low_mass="exclude"),
    ):
        setting = names(prompts, baseline).get(name)
        if setting is None:
            continue
        context = label.make_context(
            "label",
            ["x", "-c", "y", "-o", "z", *shlex.split(flags(setting.settings))],
            parent=click.Context(
                cli, **cli.context_settings
            ),  # click keeps what it makes of a command for the first
        )
        given_back = {key: context.params[key] for key in LabelSettings.model_fields}
        assert settings_from(LabelSettings, given_back) == setting.settings
