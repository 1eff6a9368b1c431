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
from constitutional.estimates import Tally, draw_shares, wilson

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


def test_the_standard_error_is_the_plain_one_of_single_observations_and_over_chains_otherwise():
    values = [0.1, 0.5, -0.3, 0.7, 0.2]
    assert tally([[value] for value in values]).standard_error() == pytest.approx(sem(values))
    assert tally([[value] * 5 for value in values]).standard_error() == pytest.approx(sem(values))
    assert tally([values]).standard_error() is None and Tally().standard_error() is None


def test_a_proportion_of_one_observation_a_chain_has_the_plain_wilson_interval():
    found = tally([[value] for value in (1, 0, 0, 1, 1, 0, 1, 1)]).proportion()
    assert (found.low, found.high) == pytest.approx(wilson(5 / 8, 8))


@given(st.lists(st.tuples(st.floats(0, 1), st.integers(0, 6)), max_size=30), chains_of_values)
def test_many_chains_at_once_are_as_one_after_another(pairs, before):
    """Whatever their order; numbers without an observation are no chains."""
    at_once = tally(before)
    at_once.add_chains(np.array([value for value, _ in pairs]), np.array([chain for _, chain in pairs], int))
    by_chain = [[value for value, chain in pairs if chain == number] for number in range(7)]
    one_by_one = tally([*before, *by_chain])
    for name in Tally.__dataclass_fields__:
        assert getattr(at_once, name) == pytest.approx(getattr(one_by_one, name)), name


def test_rounds_that_only_repeat_their_chain_tell_nothing_more():
    """Four rounds that always agree give the interval of one, or wider: that they agree is known from eight chains only."""
    alone = [[value] for value in (1, 0, 0, 1, 1, 0, 1, 1)]
    repeated = tally([chain * 4 for chain in alone])
    once = tally(alone)
    assert repeated.proportion().effective == pytest.approx(8 * few_chains(32, 8))
    assert repeated.proportion().low < once.proportion().low
    assert repeated.mean().low == pytest.approx(once.mean().low)


def test_rounds_that_are_as_mixed_within_a_chain_as_between_all_count_in_full():
    found = tally([[1, 0], [0, 1], [1, 0], [0, 1], [1, 1], [0, 0]]).proportion()
    assert found.effective == pytest.approx(12 * few_chains(12, 6))


def few_chains(n, chains):
    """Korn and Graubard's factor for a variance that is known from few chains."""
    return float(t.ppf(0.975, n - 1) / t.ppf(0.975, chains - 1)) ** 2


@pytest.mark.parametrize("chains", [2, 3, 5])
def test_a_proportion_of_few_long_chains_covers_the_truth_as_often_as_it_says(chains):
    """Without the factor, in 77 % for two chains, 86 % for three, 87 % for five."""
    chance, hits = random.Random(chains), 0
    for _ in range(300):
        levels = [chance.betavariate(4, 4) for _ in range(chains)]
        found = tally([[chance.random() < level for _ in range(40)] for level in levels]).proportion()
        hits += _covers(found, 0.5)
    assert hits / 300 > 0.92


def test_chains_of_the_same_mean_say_nothing_of_their_spread():
    """Though their values differ: the variance is 0, or what the arithmetic leaves of it."""
    for observations in ([0.1, 0.7], [1e6 + 0.1, 3e6]):
        found = tally([observations] * 3).mean()
        assert (found.low, found.high, found.chains) == (None, None, 3)
    assert tally([[0.1, 0.7], [0.1, 0.7001]]).mean().low is not None


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


def weighted(chains):
    made = Tally()
    for observations in chains:
        made.add([value for value, _ in observations], [weight for _, weight in observations])
    return made


weighted_chains = st.lists(
    st.lists(
        st.tuples(st.sampled_from([0.0, 1.0]), st.sampled_from([0.25, 1.0, 3.0])), min_size=1, max_size=4
    ),
    min_size=2,
    max_size=12,
)


@given(weighted_chains)
def test_equal_weights_are_no_weights_and_only_their_ratios_count(chains):
    plain = tally([[value for value, _ in chain] for chain in chains])
    same = weighted([[(value, 7.0) for value, _ in chain] for chain in chains])
    once, twice = (
        weighted(chains),
        weighted([[(value, 2 * weight) for value, weight in chain] for chain in chains]),
    )
    for one, other in ((plain, same), (once, twice)):
        for read in (Tally.mean, Tally.proportion):
            a, b = read(one), read(other)
            assert (a.value, a.n, a.chains) == pytest.approx((b.value, b.n, b.chains))
            assert (a.low is None) == (b.low is None)
            assert a.low is None or (a.low, a.high) == pytest.approx((b.low, b.high), abs=1e-9)


def test_a_weighted_mean_has_the_linearised_interval():
    """Five chains of one observation: variance k / (k - 1) * sum (w (x - mean))^2 / (sum w)^2."""
    values, weights = [0.1, 0.9, 0.4, 0.6, 0.2], [1, 2, 0.5, 1, 3]
    found = weighted([[(value, weight)] for value, weight in zip(values, weights, strict=True)]).mean()
    total = sum(weights)
    mean = sum(w * x for w, x in zip(weights, values, strict=True)) / total
    variance = 5 / 4 * sum((w * (x - mean)) ** 2 for w, x in zip(weights, values, strict=True)) / total**2
    half = t.ppf(0.975, 4) * variance**0.5
    assert (found.value, found.low, found.high) == pytest.approx((mean, mean - half, mean + half))


def test_unequal_weights_leave_fewer_effective_observations():
    """Kish: (sum w)^2 / sum w^2, where nothing else is known, as for a share of 1."""
    weights = [1, 1, 4]
    found = weighted([[(1.0, weight)] for weight in weights]).proportion()
    assert (found.value, found.effective) == (1, pytest.approx(6**2 / 18))
    assert (found.low, found.high) == pytest.approx(wilson(1, 2))
