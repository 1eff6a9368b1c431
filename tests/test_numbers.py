"""Numbers look the same in every command."""

import pytest

from constitutional.estimates import Estimate
from constitutional.numbers import interval, number, with_interval


@pytest.mark.parametrize(
    ("value", "form", "text"),
    [
        (-0.0001, "+.3f", "0.000"),
        (0.0001, "+.3f", "0.000"),
        (-0.0, ".2f", "0.00"),
        (-0.001, ".0%", "0%"),
        (-0.0006, "+.3f", "-0.001"),
        (0.1, "+.3f", "+0.100"),
        (-0.5, ".0%", "-50%"),
        (1807.6, ",.0f", "1,808"),
    ],
)
def test_a_zero_has_no_sign_and_minus_is_a_hyphen(value, form, text):
    assert number(value, form) == text


def test_intervals_stand_in_brackets_and_their_percent_sign_at_the_value():
    assert with_interval(Estimate(0.441, 0.386, 0.498, 299, 299), ".1%") == "44.1% [38.6, 49.8]"
    assert with_interval(Estimate(-0.2, -0.3, 0.0001, 9, 9), "+.3f") == "-0.200 [-0.300, 0.000]"
    assert with_interval(Estimate(0.5, None, None, 1, 1), ".0%") == "50%"
    assert interval(Estimate(0.5, None, None, 1, 1), ".0%") == "[unknown]"
