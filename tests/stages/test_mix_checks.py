"""Each check of a mix fails on what it guards against, passes beside it, and can be waived by its name alone."""

import pytest

from constitutional.errors import ConfigError
from constitutional.estimates import wilson
from constitutional.feedback import Comparison, Preference
from constitutional.records import Message, conversation
from constitutional.stages.mix import Facts, MixSettings, mix
from constitutional.stages.mix_checks import (
    CHECKS,
    FEWEST_TEST,
    FEWEST_TRAIN,
    LENGTH_LIMIT,
    check_mix,
    refuse_unknown,
)
from tests.stages.test_mix import facts, pair

LONG, SHORT = "Yes, and here is why I think so.", "No."


def findings(sources, **settings):
    settings = MixSettings(**settings)
    return {(f.check, f.source): f for f in check_mix(mix(sources, settings), settings)}


def state(check, sources, source=None, **settings):
    """The state of a check, which has to say something too."""
    found = findings(sources, **settings)[check, source]
    assert found.sentence and found.state in ("pass", "waived", "fail")
    return found.state


def good(name="good", count=1000):
    """A source that passes every check on one source: lengths and labels vary."""
    rows = [
        (
            f"{n}",
            [
                pair(
                    f"{n}",
                    f"{name} {n}?",
                    p=0.5 + (n % 50) / 100,
                    first=[LONG, SHORT][n % 2] + f" {n}",
                    second=f"Maybe so, {name}",
                )
            ],
        )
        for n in range(count)
    ]
    return _soft(name, rows)


def _soft(name, rows):
    found = Facts(name)
    for id, pairs in rows:
        found.add(id, pairs, soft=True, settings=MixSettings())
    return found


def test_a_good_mix_passes_every_check_and_each_check_is_made():
    found = findings([good("a"), good("b")], proportions={"a": 0.5})
    assert {finding.state for finding in found.values()} == {"pass"}, found
    assert {check for check, _ in found} == set(CHECKS)


def test_an_empty_source_and_a_missing_one_fail():
    empty, missing = Facts("empty"), Facts("missing", unusable="gone.jsonl: no such file")
    empty.skip("no_label")
    found = findings([good(), empty, missing])
    assert found["empty-source", "good"].state == "pass"
    assert "none of its 1 row can be used (no_label 1)" in found["empty-source", "empty"].sentence
    assert "no such file" in found["empty-source", "missing"].sentence
    assert {found["empty-source", name].state for name in ("empty", "missing")} == {"fail"}


@pytest.mark.parametrize(("skipped", "expected"), [(1, "pass"), (2, "fail")])
def test_more_than_a_tenth_of_bad_rows_fail(skipped, expected):
    source = facts("a", 10)
    for _ in range(skipped):
        source.skip("no_label")
    assert state("skipped-rows", [source], "a") == expected


def test_identical_responses_fail_as_rows_and_as_pairs_of_rankings():
    row, ranked, fine = facts("a", 100), facts("b", 100), facts("c", 100)
    row.skip("identical_responses")
    row.skip("no_label")
    ranked.dropped["identical_responses"] = 1
    found = findings([row, ranked, fine])
    assert [found["identical-responses", name].state for name in "abc"] == ["fail", "fail", "pass"]
    assert found["identical-responses", "a"].figures == {"rows": 1, "pairs": 0}


def lengths(longer, shorter, *, prompt=None):
    rows = [
        (
            f"{n}",
            [
                pair(
                    f"{n}",
                    prompt,
                    first=f"{LONG} {n}" if n < longer else SHORT,
                    second=SHORT if n < longer else f"{LONG} {n}",
                )
            ],
        )
        for n in range(longer + shorter)
    ]
    return facts("a", rows)


@pytest.mark.parametrize(
    ("longer", "shorter", "expected"),
    [(50, 50, "pass"), (89, 11, "pass"), (90, 10, "fail"), (100, 0, "fail"), (10, 90, "fail"), (0, 100, "fail"),
     (5, 0, "fail"), (3, 0, "pass")],
)  # fmt: skip
def test_a_side_that_is_nearly_always_longer_fails_if_it_is_not_by_chance(longer, shorter, expected):
    found = findings([lengths(longer, shorter)])["length-bias", "a"]
    share, n = longer / (longer + shorter), longer + shorter
    low, high = wilson(share, n)
    assert (found.figures["value"], found.figures["n"]) == (pytest.approx(share), n)
    assert (found.figures["low"], found.figures["high"]) == (
        pytest.approx(low, abs=1e-6),
        pytest.approx(high, abs=1e-6),
    )
    one_sided = max(longer, shorter) >= LENGTH_LIMIT * n
    assert found.state == expected == ("fail" if one_sided and not low <= 0.5 <= high else "pass")


def test_a_hundred_pairs_of_one_prompt_are_no_evidence_of_a_length_bias():
    assert state("length-bias", [lengths(100, 0, prompt="The same?")], "a") == "pass"


def test_ties_and_equal_lengths_say_nothing_of_length():
    rows = [(f"{n}", [pair(f"{n}", p=0.5, first=LONG)]) for n in range(20)]
    rows += [(f"={n}", [pair(f"={n}", first="abc", second="abd")]) for n in range(20)]
    found = findings([facts("a", rows)])["length-bias", "a"]
    assert (found.state, found.figures) == ("pass", {"pairs": 0})


def labels(*probabilities, soft=True):
    rows = [(f"{n}", [pair(f"{n}", p=p)]) for n, p in enumerate(probabilities)]
    return _soft("a", rows) if soft else facts("a", rows)


@pytest.mark.parametrize(
    ("source", "expected", "words"),
    [
        (labels(*[1.0] * 100), "fail", "none says how sure"),
        (labels(*[0.9995 + n / 1e6 for n in range(100)]), "fail", "none says how sure"),
        (labels(*[0.5] * 100), "fail", "nothing of which response"),
        (labels(*[0.5] * 100, soft=False), "fail", "nothing of which response"),
        (labels(*[0.6, 0.4] * 50), "fail", "100.0% of them 0.6, as after a clamp"),
        (labels(*[1.0] * 98, 0.7, 0.8), "pass", "98.0% certain"),
        (labels(*[0.5] * 98, 0.7, 0.8), "pass", "98.0% exactly ½"),
        (labels(*[1.0] * 100, soft=False), "pass", "hard labels"),
        (labels(*[1.0] * 4), "pass", "100.0% certain"),
    ],
)
def test_labels_without_information_fail(source, expected, words):
    found = findings([source])["label-distribution", "a"]
    assert found.state == expected and words in found.sentence


def test_a_pair_of_two_sources_fails_in_any_order_of_its_responses_and_contradictions_are_counted():
    def source(name, *rows):
        return facts(
            name,
            [
                (f"{n}", [pair(f"{name}{n}", prompt, first=a, second=b)])
                for n, (prompt, a, b) in enumerate(rows)
            ],
        )

    one = source("one", ("Q1?", "a", "b"), ("Q2?", "c", "d"), ("Q3?", "e", "f"))
    other = source("other", ("q1? ", "A", "b"), ("Q2?", "d", "c"), ("Q3?", "e", "other"), ("Q4?", "a", "b"))
    found = findings([one, other])["duplicates", None]
    assert (found.state, found.figures["shared"], found.figures["at_odds"]) == ("fail", 2, 1)
    assert "one row " in found.sentence and "other row " in found.sentence
    assert state("duplicates", [one, source("third", ("Q1?", "a", "c"))]) == "pass"


def test_a_pair_repeated_within_a_source_is_counted_and_no_failure():
    rows = [("1", [pair("1", "Q?")]), ("2", [pair("2", "Q?")]), ("3", [pair("3", "Other?")])]
    found = findings([facts("a", rows)])["duplicates", None]
    assert found.state == "pass" and found.figures["repeated"] == {"a": 1} and "a 1" in found.sentence


def test_a_pair_that_was_not_drawn_is_no_duplicate():
    rows = [(f"{n}", [pair(f"{n}")]) for n in range(50)]
    only_first = facts("b", rows[:1])
    drawn = mix([facts("a", rows)], MixSettings(counts={"a": 10}))[0].taken[0]
    expected = "fail" if drawn else "pass"
    assert state("duplicates", [facts("a", rows), only_first], counts={"a": 10}) == expected
    assert state("duplicates", [facts("a", rows), only_first], counts={"a": 50}) == "fail"


def test_the_same_responses_under_another_prompt_are_on_one_side_and_leak_where_that_is_allowed():
    rows = [(f"{n}", [pair(f"{n}", f"Question {n}?", first=f"Answer {n // 2}.")]) for n in range(200)]
    assert state("leakage", [facts("a", rows)], test=0.5) == "pass"
    allowed = {"test": 0.5, "allow": ("leakage",)}
    found = findings([facts("a", rows)], **allowed)["leakage", None]
    part = mix([facts("a", rows)], MixSettings(**allowed))[0]
    apart = int((part.test[::2] != part.test[1::2]).sum())
    assert apart > 0 and (found.state, found.figures["same_responses"]) == ("waived", apart)
    first = min(n for n in range(200) if part.test[n] and not part.test[n ^ 1])
    assert f"a row {first + 1} in test and a row {(first ^ 1) + 1} in train" in found.sentence


def test_an_opening_on_both_sides_leaks_where_the_split_is_by_prompt():
    opening = Message("user", "Tell me a story.")
    rows = [
        (
            f"{n}",
            [
                pair(
                    f"{n}",
                    (opening, Message("assistant", "Yes?"), Message("user", f"Of {n}.")),
                    first=f"Once {n}",
                    second=f"No {n}",
                )
            ],
        )
        for n in range(40)
    ]
    settings = {"split_by": "prompt", "test": 0.5}
    found = findings([facts("a", rows, MixSettings(**settings))], **settings)["leakage", None]
    assert found.state == "fail" and found.figures["same_opening"] == found.figures["test"] > 0
    assert "--split-by opening" in found.sentence
    assert state("leakage", [facts("a", rows)], test=0.5) == "pass"


def test_without_a_test_split_there_is_nothing_to_leak():
    assert ("leakage", None) not in findings([good()], test=0)


@pytest.mark.parametrize(
    ("settings", "expected", "words"),
    [
        ({"counts": {"a": 100}}, "pass", "by weight"),
        ({"counts": {"a": 101}}, "fail", "a has 100 of the 101 rows asked for"),
        ({"proportions": {"a": 0.5}, "total": 200}, "pass", "a 50.0%, b 50.0%"),
        ({"proportions": {"a": 0.5}, "total": 202}, "fail", "a has 100 of the 101 rows asked for"),
        ({"proportions": {"a": 0.05}, "total": 10}, "fail", "a is 0.0% of the mix instead of 5.0%"),
        ({}, "pass", "a 33.3%, b 66.7%"),
    ],
)
def test_amounts_that_are_not_there_or_not_reached_fail(settings, expected, words):
    found = findings([facts("a", 100), facts("b", 200)], test=0, **settings)["proportions", None]
    assert found.state == expected and words in found.sentence


def test_a_source_whose_share_is_lost_is_missed_by_the_proportions():
    assert state("proportions", [facts("a", 100), Facts("b")], proportions={"a": 0.5}) == "fail"


def test_proportions_that_the_split_moves_in_train_fail():
    """All of b's rows are one conversation, so that they are on one side together."""

    def sources(question):
        rows = [(f"{n}", [pair(f"{n}", question, first=f"Answer {n}")]) for n in range(100)]
        return [facts("a", 100), facts("b", rows)]

    held_out = [
        q for q in map("Question {}?!".format, range(20)) if mix(sources(q), MixSettings(test=0.5))[1].test[0]
    ]
    found = findings(sources(held_out[0]), proportions={"a": 0.5}, test=0.5)
    assert found["proportions", None].state == "fail"
    assert "100.0% of the train split instead of 50.0%" in found["proportions", None].sentence
    assert "none of b's 100 rows is in the train split" in found["few-rows", None].sentence


@pytest.mark.parametrize(
    ("count", "settings", "expected"),
    [
        (FEWEST_TRAIN, {"test": 0}, "pass"),
        (FEWEST_TRAIN - 1, {"test": 0}, "fail"),
        (1000, {"test": 0.2}, "pass"),
        (FEWEST_TRAIN + 20, {"test": 0.001}, "fail"),
    ],
)
def test_too_few_rows_to_train_on_or_to_test_with_fail(count, settings, expected):
    assert state("few-rows", [facts("a", count)], **settings) == expected


def test_how_far_off_a_small_test_split_is_is_said():
    """The interval of a proportion is at most 1.96 √(¼ ÷ n) to either side."""
    found = findings([facts("a", 150)], test=0.05)["few-rows", None]
    test = found.figures["test"]
    assert 0 < test < FEWEST_TEST and f"off by up to {1.96 * (0.25 / test) ** 0.5:.0%}" in found.sentence


def test_where_most_pairs_have_the_same_two_responses_the_way_to_part_them_is_named():
    canned = [
        (f"{n}", [Preference.from_probability(Comparison(f"{n}", conversation(f"Number {n}?"), ("Yes.", "No!!")), n % 2, "a")])
        for n in range(600)
    ]  # fmt: skip
    found = findings([facts("a", canned)], test=0.3)["few-rows", None]
    assert found.figures["test"] == 0 and "--allow leakage parts them" in found.sentence
    assert state("few-rows", [facts("a", canned)], test=0.3, allow=("leakage",)) == "pass"


@pytest.mark.parametrize("check", CHECKS)
def test_every_check_can_be_waived_by_its_name_and_waives_no_other(check):
    """A mix that fails all of them."""
    opening = Message("user", "Hello.")
    rows = [
        (f"{n}", [Preference.from_probability(Comparison(f"{n}", (opening, Message("assistant", "Yes?"), Message("user", f"{n}?")), (f"{LONG} {n}", SHORT)), 1.0, "x")])
        for n in range(60)
    ]  # fmt: skip
    settings = MixSettings(split_by="prompt", test=0.1, counts={"a": 99}, allow=(check,))
    sources = []
    for name in ("a", "b"):
        source = Facts(name)
        for id, pairs in rows:
            source.add(id, pairs, soft=True, settings=settings)
        for _ in range(30):
            source.skip("identical_responses")
        sources.append(source)
    states = {}
    for finding in check_mix(mix([*sources, Facts("c", unusable="gone")], settings), settings):
        states.setdefault(finding.check, set()).add(finding.state)
    assert set(states) == set(CHECKS)
    for name, found in states.items():
        assert ("waived" if name == check else "fail") in found, (name, found)
        assert ("fail" if name == check else "waived") not in found


def test_a_check_that_is_none_can_not_be_waived():
    with pytest.raises(ConfigError, match="no such check; did you mean 'length-bias'"):
        refuse_unknown(["lenght-bias"])


def test_a_finding_is_a_row_that_json_can_hold():
    import json

    for finding in findings([good("a"), good("b"), Facts("c")], counts={"a": 10}).values():
        assert json.loads(json.dumps(finding.to_row()))["check"] == finding.check


def test_the_prompt_of_a_pair_may_be_any_conversation():
    rows = [("x", [Preference.from_probability(Comparison("x", conversation("Q?"), ("a", "b")), 0.5, "x")])]
    assert findings([facts("a", rows)])["label-distribution", "a"].figures["ties"] == 1


def test_every_check_is_documented():
    from tests.helpers import REPOSITORY

    page = (REPOSITORY / "docs" / "mix.md").read_text(encoding="utf-8")
    assert all(f"| `{check}` | " in page for check in CHECKS)
