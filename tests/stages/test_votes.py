"""From votes to labels: every number here is derived in the test from the formula, in another way than the code's where there is one."""

import math
import statistics
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from constitutional.feedback import Vote
from constitutional.records import Choice
from constitutional.stages.votes import (
    LOW_MASS,
    NO_MASS,
    NO_VOTES,
    PARTNER_DROPPED,
    aggregate,
    clamped,
    order_mean,
    orders_disagree,
    read_choice,
)


def vote(p, principle="a", order=0, sample=0, mass=0.9, reason=None):
    return Vote(principle, order, sample, p, None, mass, reason=reason)


def pair(first, second, principle="a", sample=0):
    """Both orders of one vote."""
    return [vote(first, principle, 0, sample), vote(second, principle, 1, sample)]


def choice(first, second):
    """A judge's scores from probabilities."""
    return Choice(tuple(math.log(p) if p else -math.inf for p in (first, second)), -math.inf)


def logit(p):
    return math.log(p / (1 - p))


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


# ---------------------------------------------------------------------- reading


def test_a_vote_is_the_normalised_probability_of_the_option_of_the_first_response():
    assert read_choice(choice(0.3, 0.1), 0) == (pytest.approx(0.3 / 0.4), pytest.approx(0.4))
    assert read_choice(choice(0.3, 0.1), 1) == (pytest.approx(0.1 / 0.4), pytest.approx(0.4))


def test_a_judge_that_gives_an_option_nothing_is_certain_and_one_that_gives_neither_anything_says_nothing():
    assert read_choice(choice(0.2, 0.0), 0) == (1.0, pytest.approx(0.2))
    assert read_choice(choice(0.2, 0.0), 1) == (0.0, pytest.approx(0.2))
    assert read_choice(choice(0.0, 0.0), 0) == (None, 0.0)


def test_tiny_log_probabilities_still_make_a_vote():
    assert read_choice(Choice((-2000.0, -2001.0), 0.0), 0)[0] == pytest.approx(sigmoid(1))


@given(st.floats(-800, 0), st.floats(-800, 0))
def test_the_two_orders_of_one_request_add_up_to_exactly_one(first, second):
    p, mass = read_choice(Choice((first, second), -1.0), 0)
    other, same_mass = read_choice(Choice((first, second), -1.0), 1)
    assert p + other == 1.0 and 1.0 - p == other and 1.0 - other == p
    assert mass == same_mass and 0.0 <= mass <= 1.0
    assert 0.0 <= p <= 1.0


# ---------------------------------------------------------------------- clamping


@pytest.mark.parametrize(
    ("p", "lower", "expected"),
    [(0.9, 0.4, 0.6), (0.1, 0.4, 0.4), (0.55, 0.4, 0.55), (0.97, 0.1, 0.9), (1.0, 0.0, 1.0), (0.0, 0.0, 0.0)],
)
def test_a_vote_is_moved_into_the_bounds_and_no_further(p, lower, expected):
    assert clamped(p, lower) == expected


def test_votes_are_clamped_before_anything_is_averaged():
    tally = aggregate(pair(0.9, 0.2) + pair(0.5, 0.7, sample=1), clamp=0.4)
    assert tally.probability == pytest.approx((0.6 + 0.4 + 0.5 + 0.6) / 4)
    clamped_after = min(0.6, (0.9 + 0.2 + 0.5 + 0.7) / 4)
    assert tally.probability != pytest.approx(clamped_after)
    assert [v.p for v in tally.votes] == pytest.approx([0.6, 0.4, 0.5, 0.6])
    assert [v.p_raw for v in tally.votes] == [0.9, 0.2, 0.5, 0.7]


def test_aggregating_again_with_other_settings_starts_from_the_raw_votes():
    votes = pair(0.9, 0.2)
    once = aggregate(votes, clamp=0.4, min_mass=0.95, low_mass="exclude").votes
    assert aggregate(once) == aggregate(votes)


# ---------------------------------------------------------------------- both orders


def test_the_mean_over_orders_cancels_a_bias_that_adds_to_probabilities():
    true, bias = 0.62, 0.17
    # the judge gives the response that it sees first `bias` more than it deserves
    shown_first, shown_second = true + bias, 1 - ((1 - true) + bias)
    assert order_mean([shown_first, shown_second], "mean") == pytest.approx(true, abs=1e-15)
    assert order_mean([shown_first, shown_second], "logit") != pytest.approx(true, abs=1e-4)


def test_the_mean_of_log_odds_cancels_a_bias_that_adds_to_log_odds():
    true, bias = 0.85, 1.3
    shown_first, shown_second = sigmoid(logit(true) + bias), 1 - sigmoid(logit(1 - true) + bias)
    assert order_mean([shown_first, shown_second], "logit") == pytest.approx(true, abs=1e-14)
    assert order_mean([shown_first, shown_second], "mean") != pytest.approx(true, abs=1e-3)


def test_the_log_odds_of_a_certain_vote_are_bounded():
    assert order_mean([1.0, 0.0], "logit") == 0.5
    assert order_mean([1.0, 0.5], "logit") == pytest.approx(sigmoid(logit(2**-54) / -2), abs=1e-15)
    assert order_mean([0.0, 0.0], "logit") == pytest.approx(0.0, abs=1e-15)
    assert order_mean([1.0, 1.0], "logit") == pytest.approx(1.0, abs=1e-15)


def test_one_order_alone_is_itself_whatever_the_average():
    assert order_mean([0.3], "logit") == order_mean([0.3], "mean") == pytest.approx(0.3, abs=1e-15)


@given(st.lists(st.integers(0, 2**53), min_size=1, max_size=3), st.sampled_from(["mean", "logit"]))
def test_a_mean_over_orders_stays_within_what_was_voted(steps, average):
    probabilities = [step / 2**53 for step in steps]
    got = order_mean(probabilities, average)
    assert min(probabilities) - 1e-15 <= got <= max(probabilities) + 1e-15


# ---------------------------------------------------------------------- units


def test_a_label_is_the_mean_over_units_and_its_error_that_of_their_mean():
    votes = pair(0.8, 0.6) + pair(0.3, 0.5, sample=1) + pair(0.9, 0.9, sample=2)  # of one principle
    units = [0.7, 0.4, 0.9]
    tally = aggregate(votes)
    assert tally.units == 3
    assert tally.probability == pytest.approx(statistics.mean(units))
    assert tally.standard_error == pytest.approx(statistics.stdev(units) / math.sqrt(3))


def test_principles_are_clusters():
    votes = [*pair(0.8, 0.6, "a"), *pair(0.5, 0.5, "a", 1), *pair(0.2, 0.4, "b"), *pair(0.1, 0.1, "b", 1)]
    means = [(0.7 + 0.5) / 2, (0.3 + 0.1) / 2]
    tally = aggregate(votes)
    assert tally.probability == pytest.approx(statistics.mean(means))
    assert tally.standard_error == pytest.approx(statistics.stdev(means) / math.sqrt(2))


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [(0.6, 0.4, 1), (0.1, 0.9, 1), (0.6, 0.9, 0), (0.5, 0.9, 0.5), (0.4, 0.5, 0.5), (0.5, 0.5, 0)],
)
def test_orders_that_disagree_count_half_where_one_prefers_neither(first, second, share):
    assert orders_disagree(first, second) == share


def test_more_samples_do_not_make_principles_that_disagree_agree():
    def votes(samples):
        return [
            v for name, p in (("a", 0.2), ("b", 0.8)) for n in range(samples) for v in pair(p, p, name, n)
        ]

    error = statistics.stdev([0.2, 0.8]) / math.sqrt(2)
    assert [aggregate(votes(n)).standard_error for n in (1, 16)] == pytest.approx([error, error])


def test_a_single_unit_has_no_standard_error():
    tally = aggregate(pair(0.8, 0.6))
    assert (tally.probability, tally.standard_error, tally.units) == (pytest.approx(0.7), None, 1)


def test_weights_count_in_the_mean_and_in_its_error():
    votes = [*pair(0.9, 0.9, "a"), *pair(0.3, 0.3, "b"), *pair(0.6, 0.6, "c")]
    weights, units = {"a": 1.0, "b": 2.0, "c": 5.0}, {"a": 0.9, "b": 0.3, "c": 0.6}
    mean = sum(weights[name] * p for name, p in units.items()) / 8
    error = math.sqrt(3 / 2 * sum((weights[name] * (p - mean)) ** 2 for name, p in units.items())) / 8
    tally = aggregate(votes, weights=weights)
    assert tally.probability == pytest.approx(mean)
    assert tally.standard_error == pytest.approx(error)
    same = aggregate(votes, weights=dict.fromkeys("abc", 7.0))
    assert same.standard_error == pytest.approx(statistics.stdev(units.values()) / math.sqrt(3))


def test_a_principle_that_lost_votes_still_counts_by_its_weight():
    votes = [
        *pair(0.9, 0.9, "a"),
        *pair(0.8, 0.8, "a", 1),
        *pair(0.2, 0.2, "b"),
        vote(None, "b", 0, 1, reason="refused"),
        vote(0.9, "b", 1, 1),
    ]
    tally = aggregate(votes, weights={"a": 1.0, "b": 3.0})
    assert tally.probability == pytest.approx((0.85 + 3 * 0.2) / 4)
    assert tally.units == 3
    residuals = [1 * (0.85 - tally.probability), 3 * (0.2 - tally.probability)]
    assert tally.standard_error == pytest.approx(math.sqrt(2 / 1 * sum(r * r for r in residuals)) / 4)


# ---------------------------------------------------------------------- votes that do not count


def test_the_partner_of_a_vote_that_does_not_count_is_dropped_and_both_are_kept_on_the_row():
    votes = [vote(0.9), vote(None, order=1, reason="refused"), *pair(0.4, 0.2, sample=1)]
    tally = aggregate(votes)
    assert tally.probability == pytest.approx(0.3) and tally.units == 1
    assert [v.reason for v in tally.votes] == [PARTNER_DROPPED, "refused", None, None]
    assert tally.votes[0].p_raw == 0.9


def test_low_mass_is_kept_unless_it_is_to_be_excluded():
    votes = [vote(0.9, mass=0.2), vote(0.7, order=1, mass=0.8), *pair(0.4, 0.2, sample=1)]
    kept = aggregate(votes, min_mass=0.5)
    assert kept.units == 2 and all(v.reason is None for v in kept.votes)
    excluded = aggregate(votes, min_mass=0.5, low_mass="exclude")
    assert excluded.probability == pytest.approx(0.3)
    assert [v.reason for v in excluded.votes] == [LOW_MASS, PARTNER_DROPPED, None, None]


def test_a_mass_of_just_the_minimum_is_enough_and_a_counted_answer_has_none():
    votes = [vote(0.9, mass=0.5), vote(1.0, order=1, mass=None)]
    assert aggregate(votes, min_mass=0.5, low_mass="exclude").units == 1


def test_without_a_unit_there_is_no_label_but_a_reason():
    nothing = aggregate([vote(None), vote(0.5, order=1)])
    assert (nothing.probability, nothing.standard_error, nothing.units) == (None, None, 0)
    assert nothing.reason == NO_MASS and nothing.detail == "no_mass × 1, partner_dropped × 1"
    mixed = aggregate([vote(None, reason="refused"), vote(None, sample=1, reason="bad_answer")])
    assert mixed.reason == NO_VOTES
    assert aggregate([]).probability is None


# ---------------------------------------------------------------------- the swap

grid = st.integers(0, 2**53).map(lambda step: step / 2**53)


@st.composite
def tables(draw):
    """Votes of several principles, orders and samples, some of which do not count."""
    votes = []
    for principle in "abc"[: draw(st.integers(1, 3))]:
        for sample in range(draw(st.integers(1, 3))):
            for order in range(draw(st.integers(1, 2))):
                p = draw(st.none() | grid)
                votes.append(vote(p, principle, order, sample, mass=draw(st.floats(0, 1))))
    return votes


@given(
    tables(),
    st.sampled_from(["mean", "logit"]),
    st.sampled_from([0.0, 0.1, 0.4]),
    st.sampled_from([None, {"a": 0.3, "b": 2.0, "c": 0.7}]),
)
def test_swapping_every_vote_gives_exactly_the_complement(votes, average, clamp, weights):
    options = {"clamp": clamp, "order_average": average, "weights": weights}
    options |= {"min_mass": 0.3, "low_mass": "exclude"}
    tally, swapped = aggregate(votes, **options), aggregate([v.swap() for v in votes], **options)
    assert swapped.votes == tuple(v.swap() for v in tally.votes)
    assert (swapped.units, swapped.standard_error) == (tally.units, tally.standard_error)
    if tally.probability is not None:
        assert swapped.probability == 1.0 - tally.probability
        assert tally.probability == 1.0 - swapped.probability


@given(st.lists(grid, min_size=1, max_size=40))
def test_a_mean_is_the_exact_mean_to_the_last_step(probabilities):
    votes = [vote(p, sample=number) for number, p in enumerate(probabilities)]
    exact = sum(map(Fraction, probabilities)) / len(probabilities)
    # the sum and the last step are each off by half a step of 2**-53 at most, their quotient by a quarter
    assert abs(Fraction(aggregate(votes).probability) - exact) <= Fraction(5, 4 * 2**53)


@given(tables())
def test_a_label_never_leaves_the_range_of_its_votes(votes):
    tally = aggregate(votes)
    counted = [v.p for v in tally.votes if v.reason is None]
    if tally.probability is not None:
        assert min(counted) - 1e-15 <= tally.probability <= max(counted) + 1e-15


def test_votes_are_not_changed_but_made_anew():
    votes = pair(0.9, 0.1)
    before = [replace(v) for v in votes]
    aggregate(votes, clamp=0.4)
    assert votes == before
