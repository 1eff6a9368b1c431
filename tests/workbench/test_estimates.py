"""Intervals over clustered observations: what the textbook gives where it applies, honest where it does not."""

import random
from fractions import Fraction
from itertools import permutations
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, sem, t

from constitutional.assignment import draw_principles
from constitutional.workbench.estimates import Tally, draw_shares, wilson

chains_of_values = st.lists(st.lists(st.floats(0, 1), min_size=1, max_size=5), min_size=2, max_size=20)
chains_of_bits = st.lists(st.lists(st.booleans(), min_size=1, max_size=5), min_size=2, max_size=20)


def tally(chains):
    made = Tally()
    for observations in chains:
        made.add([float(value) for value in observations])
    return made


@given(st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_the_one_of_scipy_where_counts_are_whole(counts):
    hits, n = counts
    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    assert wilson(hits / n, n) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


def test_a_mean_of_one_observation_a_chain_has_the_plain_t_interval():
    values = [0.1, 0.4, 0.35, 0.8, 0.2, 0.6]
    found = tally([[value] for value in values]).mean()
    theirs = t.interval(0.95, len(values) - 1, loc=sum(values) / len(values), scale=sem(values))
    assert (found.low, found.high) == pytest.approx(theirs)
    assert (found.n, found.chains) == (6, 6)


def test_a_proportion_of_one_observation_a_chain_has_the_plain_wilson_interval():
    found = tally([[value] for value in (1, 0, 0, 1, 1, 0, 1, 1)]).proportion()
    assert (found.low, found.high) == pytest.approx(wilson(5 / 8, 8))


def test_rounds_that_only_repeat_their_chain_tell_nothing_more():
    """Four rounds that always agree give the interval of one."""
    alone = [[value] for value in (1, 0, 0, 1, 1, 0, 1, 1)]
    repeated = tally([chain * 4 for chain in alone])
    once = tally(alone)
    assert repeated.proportion().effective == pytest.approx(8)
    assert repeated.proportion().low == pytest.approx(once.proportion().low)
    assert repeated.mean().low == pytest.approx(once.mean().low)


def test_rounds_that_are_as_mixed_within_a_chain_as_between_all_count_in_full():
    found = tally([[1, 0], [0, 1], [1, 0], [0, 1], [1, 1], [0, 0]]).proportion()
    assert found.effective == pytest.approx(12)


@given(chains_of_bits)
def test_the_effective_number_is_between_one_and_the_observations(chains):
    found = tally(chains).proportion()
    assert 1 <= found.effective <= found.n + 1e-9
    assert 0 <= found.low <= found.value <= found.high <= 1


@given(chains_of_values, st.randoms(use_true_random=False))
def test_the_order_of_the_chains_changes_nothing(chains, chance):
    found = tally(chains).mean()
    chance.shuffle(chains)
    again = tally(chains).mean()
    assert again.value == pytest.approx(found.value)
    assert (again.low is None) == (found.low is None)
    if found.low is not None:
        assert (again.low, again.high) == pytest.approx((found.low, found.high), abs=1e-6)


def clustered(chance, chains, rounds=4):
    """Values in [0, 1] that have more in common within a chain than between chains."""
    for _ in range(chains):
        level = chance.betavariate(2, 2)
        yield [0.7 * level + 0.3 * chance.random() for _ in range(chance.randint(1, rounds))]


def test_the_interval_of_a_mean_agrees_with_a_bootstrap_over_chains():
    chains = list(clustered(random.Random(1), 150))
    found = tally(chains).mean()
    sums, sizes = (np.array([f(chain) for chain in chains], float) for f in (sum, len))
    theirs = bootstrap(
        (sums, sizes),
        lambda s, n, axis: s.sum(axis) / n.sum(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    width = theirs.high - theirs.low
    assert found.low == pytest.approx(theirs.low, abs=0.08 * width)
    assert found.high == pytest.approx(theirs.high, abs=0.08 * width)


def test_intervals_cover_the_truth_as_often_as_they_say():
    """In 95 of 100 samples, within what 600 samples can tell; counting rounds as independent would not."""
    chance, hits, naive, means = random.Random(2), 0, 0, 0
    for _ in range(600):
        chains = list(clustered(chance, 25, rounds=6))
        means += _covers(tally(chains).mean(), 0.5)
        bits = [[value > 0.5 for value in chain] for chain in chains]
        hits += _covers(tally(bits).proportion(), 0.5)
        alone = [bit for chain in bits for bit in chain]
        low, high = wilson(sum(alone) / len(alone), len(alone))
        naive += low <= 0.5 <= high
    assert 0.92 < means / 600 < 0.98
    assert 0.92 < hits / 600 < 0.985
    assert naive / 600 < 0.9


def test_a_few_long_chains_among_many_short_ones_count_as_few():
    """Where the rounds of a chain all agree, the long ones decide: the chains tell less than their number."""
    chance, hits, clamped = random.Random(5), 0, 0
    for _ in range(600):
        chains = [[chance.random() < 0.3] * chance.choice([1, 1, 1, 8]) for _ in range(60)]
        found = tally(chains).proportion()
        hits += _covers(found, 0.3)
        low, high = wilson(found.value, max(found.chains, found.effective))
        clamped += low <= 0.3 <= high
    assert 0.9 < hits / 600 < 0.98
    assert clamped / 600 < 0.85


def _covers(estimate, truth):
    return estimate.low <= truth <= estimate.high


def test_one_chain_has_no_interval_and_no_observation_no_estimate():
    alone = tally([[0.2, 0.8, 0.4]])
    assert (alone.mean().low, alone.mean().high, alone.mean().chains) == (None, None, 1)
    assert tally([[1, 0]]).proportion().low is None
    assert Tally().mean() is None and Tally().proportion() is None
    assert tally([[], []]).mean() is None


def test_values_that_are_all_the_same_say_nothing_of_their_spread():
    assert tally([[0.3], [0.3], [0.3, 0.3]]).mean().low is None
    everything = tally([[1], [1], [1, 1]]).proportion()
    assert everything.high == 1 and everything.low < 0.6


def test_an_interval_stops_where_the_quantity_does():
    found = tally([[0.0], [0.0], [1.0]]).mean(within=(0, 1))
    assert (found.low, found.high) == (0, 1)


def test_draws_of_one_follow_the_weights():
    assert draw_shares([1, 1, 2], 1) == [0.25, 0.25, 0.5]


@pytest.mark.parametrize(
    "weights",
    [
        *((1, 1, 1, 1), (1, 2, 3, 4), (0.01, 1, 1, 50), (5, 0.5, 0.1, 0.1), (3, 1e-5, 1e-5, 1e-5)),
        *((1e-5, 1, 1, 1), (1e-8, 1, 1, 2), (1e-200, 1e-100, 1, 1e200), (1e308, 1e308, 1e308, 1)),
    ],
)
@pytest.mark.parametrize("count", [2, 3])
def test_draws_of_several_have_the_shares_of_drawing_one_after_another(weights, count):
    fractions = [Fraction(weight) for weight in weights]
    exact = [Fraction(0)] * len(weights)
    for order in permutations(range(len(weights)), count):
        left, probability = sum(fractions), Fraction(1)
        for index in order:
            probability *= fractions[index] / left
            left -= fractions[index]
        for index in order:
            exact[index] += probability
    assert draw_shares(weights, count) == pytest.approx([float(share) for share in exact], rel=1e-12, abs=0)


def test_the_shares_are_those_that_principles_are_drawn_with():
    weights = [1, 2, 5, 1, 1]
    candidates = [SimpleNamespace(id=f"p{n}", weight=weight) for n, weight in enumerate(weights)]
    drawn = [
        principle.id
        for number in range(4000)
        for principle in draw_principles(
            candidates, seed=0, stage="revise", prompt_id=str(number), round=0, count=2
        )
    ]
    for share, candidate in zip(draw_shares(weights, 2), candidates, strict=True):
        assert drawn.count(candidate.id) / 4000 == pytest.approx(share, abs=0.025)


def test_all_are_drawn_where_as_many_are_wanted_as_there_are():
    assert draw_shares([1, 3], 2) == [1, 1] and draw_shares([], 1) == []
