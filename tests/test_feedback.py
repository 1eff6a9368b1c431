"""Comparisons, labels and the preferences they imply."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.feedback import Comparison, Label, Preference, Vote
from constitutional.records import Message

PAIR = Comparison("c", (Message("user", "Hello?"),), ("first", "second"))


def test_swapping_a_label_swaps_its_votes_and_turns_its_probability_round():
    label = Label("c", 0.75, 0.1, 1, (Vote("a", 0, 0, 0.875, 0.75, 0.9), Vote("a", 1, 0, None, None, None)))
    swapped = label.swap()
    assert (swapped.probability, swapped.standard_error, swapped.units) == (0.25, 0.1, 1)
    assert [(v.order, v.p_raw, v.p) for v in swapped.votes] == [(1, 0.125, 0.25), (0, None, None)]
    assert swapped.swap() == label


@given(st.floats(0, 1), st.text(min_size=1), st.text(min_size=1))
def test_the_chosen_response_is_never_the_less_likely_one_and_order_does_not_matter(p, first, second):
    pair = Comparison("c", PAIR.prompt, (first, second))
    preference = Preference.from_probability(pair, p, "test")
    assert preference.chosen_probability >= 0.5
    assert {preference.chosen, preference.rejected} == {first, second}
    swapped = Preference.from_probability(pair.swap(), 1 - p, "test")
    assert swapped.chosen_probability == pytest.approx(preference.chosen_probability)
    if abs(p - 0.5) > 1e-9 or p == 0.5:
        assert swapped.chosen == preference.chosen


@pytest.mark.parametrize("p", [-0.1, 1.1, float("nan")])
def test_what_is_no_probability_makes_no_preference(p):
    with pytest.raises(ValueError, match="from 0 to 1"):
        Preference.from_probability(PAIR, p, "test")


def test_a_preference_is_conversational_with_an_explicit_prompt():
    row = Preference.from_probability(PAIR, 0.2, "harmlessness").to_row()
    assert row["chosen"] == [{"role": "assistant", "content": "second"}]
    assert row["prompt"] == [{"role": "user", "content": "Hello?"}]
    assert row["chosen_probability"] == 0.8 and "label" not in row
