"""Measures of one setting: what their formulas say, the same for swapped and permuted comparisons, honest where there is little."""

import json
import math
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from constitutional.estimates import Estimate, wilson
from constitutional.evaluation.labeler import Judged, measure
from constitutional.evaluation.measures import CLIP, cross_entropy
from tests.evaluation.worlds import both_orders, entropy, judged, simulated, vote

# in steps of 2**-53, as labels are: there 1 - p is exact
probabilities = st.integers(0, 10).map(lambda n: n / 10) | st.integers(0, 2**53).map(lambda n: n / 2**53)


@st.composite
def comparisons(draw):
    rows = []
    for n in range(draw(st.integers(0, 12))):
        votes = tuple(
            one
            for sample in range(draw(st.integers(0, 2)))
            for one in both_orders(
                draw(probabilities), draw(probabilities), sample=sample, mass=draw(probabilities)
            )
        )
        rows.append(
            Judged(
                str(n),
                draw(probabilities),
                draw(st.none() | probabilities),
                votes,
                draw(st.sampled_from([1.0, 0.5, 1 / 6])),
                cluster=draw(st.sampled_from([None, "a", "b"])),
            )
        )
    return rows


def flat(row, path=""):
    """All numbers of a row by their path."""
    if isinstance(row, dict):
        return {k: v for name, part in row.items() for k, v in flat(part, f"{path}.{name}").items()}
    if isinstance(row, list):
        return {k: v for n, part in enumerate(row) for k, v in flat(part, f"{path}.{n}").items()}
    return {path: row}


def same(one, other):
    one, other = flat(one.to_row()), flat(other.to_row())
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert value == pytest.approx(other[name], abs=2e-6), name


@settings(max_examples=60)
@given(comparisons())
def test_swapping_all_comparisons_leaves_every_measure_as_it_is(rows):
    same(measure([one.swap() for one in rows]), measure(rows))


@settings(max_examples=60)
@given(comparisons(), st.randoms(use_true_random=False))
def test_the_order_of_the_rows_does_not_matter(rows, chance):
    shuffled = list(rows)
    chance.shuffle(shuffled)
    same(measure(shuffled), measure(rows))


@settings(max_examples=60)
@given(comparisons())
def test_intervals_hold_their_values_and_every_measure_is_json(rows):
    found = measure(rows)
    json.dumps(found.to_row(), allow_nan=False)
    for name in ("agreement", "log_loss", "brier", "ece", "decisiveness", "position", "orders_disagree"):
        estimate = getattr(found, name)
        if estimate is not None and estimate.low is not None:
            assert estimate.low - 1e-9 <= estimate.value <= estimate.high + 1e-9, name
    assert found.n == found.labelled + found.unlabelled == len(rows)


def test_agreement_counts_a_label_of_one_half_as_half_and_leaves_out_comparisons_that_divide_people():
    rows = judged([(0.9, 1.0), (0.6, 2 / 3), (0.2, 1.0), (0.5, 0.0), (0.9, 0.5)])
    found = measure(rows)
    assert found.agreement.value == (1 + 1 + 0 + 0.5) / 4
    assert (found.agreement.n, found.ties, found.undecided) == (4, 1, 1)


def test_agreement_has_wilsons_interval_where_comparisons_are_independent():
    rows = judged([(0.9, 1.0)] * 13 + [(0.9, 0.0)] * 7)
    assert (measure(rows).agreement.low, measure(rows).agreement.high) == pytest.approx(wilson(13 / 20, 20))


def test_pairs_of_one_prompt_are_as_good_as_one_where_they_say_the_same():
    rows = judged([(0.9, float(n % 3 > 0)) for n in range(30)])
    fivefold = [
        replace(one, id=f"{one.id}-{n}", cluster=one.id, weight=0.2) for one in rows for n in range(5)
    ]
    alone, clustered = measure(rows), measure(fivefold)
    # five times as many tell a little less of the variance between prompts than is known of single comparisons
    assert clustered.agreement.low == pytest.approx(alone.agreement.low, abs=0.01)
    assert clustered.agreement.low < alone.agreement.low
    assert clustered.log_loss.high == pytest.approx(alone.log_loss.high)
    assert clustered.ece.value == pytest.approx(alone.ece.value)
    naive = measure([replace(one, cluster=None, weight=1.0) for one in fivefold])
    assert naive.agreement.high - naive.agreement.low < 0.6 * (alone.agreement.high - alone.agreement.low)


def test_weights_count():
    rows = judged([(0.9, 1.0), (0.8, 0.0)])
    found = measure([replace(rows[0], weight=3.0), rows[1]])
    assert found.agreement.value == 3 / 4
    assert found.brier.value == pytest.approx((3 * 0.1**2 + 0.8**2) / 4)
    assert found.log_loss.value == pytest.approx(-(3 * math.log(0.9) + math.log(0.2)) / 4)


def test_log_loss_and_brier_are_what_their_formulas_say():
    rows = judged([(0.9, 1.0), (0.3, 2 / 3), (0.5, 0.0)])
    losses = [-math.log(0.9), -(2 / 3 * math.log(0.3) + 1 / 3 * math.log(0.7)), math.log(2)]
    found = measure(rows)
    assert found.log_loss.value == pytest.approx(sum(losses) / 3)
    assert found.brier.value == pytest.approx((0.1**2 + (0.3 - 2 / 3) ** 2 + 0.25) / 3)
    assert found.entropy.value == pytest.approx(entropy(2 / 3) / 3)


def test_a_label_that_repeats_divided_people_reaches_the_entropy_and_no_label_is_below():
    humans = [0.0, 1 / 3, 2 / 3, 1.0, 0.5]
    found = measure(judged([(max(CLIP, min(1 - CLIP, h)), h) for h in humans]))
    assert found.log_loss.value == pytest.approx(found.entropy.value, abs=2 * CLIP)
    assert measure(judged([(0.6, h) for h in humans])).log_loss.value > found.entropy.value


def test_a_certain_label_that_is_wrong_costs_a_finite_sum_either_way():
    assert round(-math.log(CLIP), 1) == 9.2  # as the documentation says
    assert cross_entropy(1.0, 0.0, CLIP) == -math.log(CLIP)
    assert cross_entropy(0.0, 1.0, CLIP) == -math.log(CLIP)
    found = measure(judged([(0.0, 1.0), (1.0, 0.0), (0.5, 1.0)]))
    assert (found.clipped, found.labelled) == (2, 3)
    assert found.log_loss.value == pytest.approx((-2 * math.log(CLIP) + math.log(2)) / 3)


def test_comparisons_without_a_label_are_counted_and_left_out_but_their_tokens_were_spent():
    rows = [
        Judged("a", 1.0, 0.9, prompt_tokens=100, completion_tokens=20),
        Judged("b", 1.0, None, prompt_tokens=300, completion_tokens=0),
    ]
    found = measure(rows)
    assert (found.n, found.labelled, found.unlabelled, found.agreement.n) == (2, 1, 1, 1)
    assert (found.tokens.value, found.prompt_tokens.value, found.completion_tokens.value) == (210, 200, 10)


@pytest.mark.parametrize(
    "rows",
    [
        [],
        judged([(0.7, 1.0)]),
        judged([(0.7, 0.5)] * 5),
        judged([(0.5, 1.0)] * 5),
        judged([(0.7, 1.0)] * 5),
        judged([(None, 1.0)] * 5),
        judged([(0.0, 1.0), (1.0, 1.0)]),
    ],
    ids=["none", "one", "all ties", "all one half", "all equal", "no label", "certain"],
)
def test_little_is_no_error_and_nothing_is_made_up(rows):
    found = measure(rows)
    json.dumps(found.to_row(), allow_nan=False)
    if not any(one.probability is not None for one in rows):
        assert found.log_loss is found.agreement is found.ece is found.decisiveness is None
    if len(rows) == 1:
        assert (found.agreement.value, found.agreement.low, found.ece.low) == (1, None, None)
    assert found.position is found.mass is found.tokens is None


def test_all_ties_have_a_log_loss_but_no_agreement():
    found = measure(judged([(0.7, 0.5)] * 5))
    assert found.agreement is None
    assert found.log_loss.value == pytest.approx(-(math.log(0.7) + math.log(0.3)) / 2)


def test_a_judge_that_is_always_undecided_agrees_half_the_time_with_an_interval():
    agreement = measure(judged([(0.5, 1.0)] * 20)).agreement
    assert (agreement.value, agreement.low, agreement.high) == pytest.approx((0.5, *wilson(0.5, 20)))


def test_the_share_of_votes_with_little_mass_is_over_votes():
    votes = (vote(0.6, mass=0.9), vote(0.6, 1, mass=0.4))
    found = measure(
        [Judged("a", 1.0, 0.6, votes), Judged("b", 1.0, 0.6, (vote(0.6, mass=0.8), vote(0.6, 1, mass=0.7)))]
    )
    assert (found.low_mass.value, found.mass.value) == pytest.approx((0.25, (0.65 + 0.75) / 2))
    assert measure([Judged("a", 1.0, 0.6, votes)], min_mass=0.95).low_mass.value == 1


def test_an_id_that_is_there_twice_is_refused():
    with pytest.raises(ValueError, match="c1 is there twice"):
        measure([Judged("c1", 1.0, 0.5), Judged("c1", 0.0, 0.5)])


@pytest.mark.parametrize(
    ("fields", "said"),
    [({"human": 1.2}, "human"), ({"probability": -0.1}, "probability"), ({"weight": 0.0}, "weight")],
)
def test_what_is_no_probability_or_weight_is_refused(fields, said):
    with pytest.raises(ValueError, match=said):
        replace(Judged("a", 1.0, 0.5), **fields)


def coverage(draw, truth, read, repeats=300):
    """How often the interval holds the truth."""
    hits = 0
    for n in range(repeats):
        estimate = read(draw(n))
        hits += estimate.low <= truth <= estimate.high
    return hits / repeats


def test_the_intervals_of_agreement_hold_the_truth_as_often_as_they_say():
    """Clusters of three comparisons that agree together or not, beside single ones; half of them of half weight."""

    def draw(seed):
        chance = random.Random(seed)
        rows = []
        for n in range(40):
            together = chance.random() < 0.7
            for m in range(3 if n % 2 else 1):
                right = together if chance.random() < 0.8 else chance.random() < 0.7
                rows.append(
                    Judged(f"{n}-{m}", float(right), 0.8, weight=0.5 if n % 2 else 1.0, cluster=f"prompt {n}")
                )
        return rows

    from constitutional.evaluation.judged import proportion
    from constitutional.evaluation.position import agrees

    found = coverage(draw, 0.7, lambda rows: proportion(rows, agrees), repeats=1000)
    assert 0.93 < found < 0.98


def test_the_intervals_of_log_loss_hold_the_truth_as_often_as_they_say():
    from constitutional.evaluation.judged import mean
    from constitutional.evaluation.measures import log_loss

    many = simulated(200_000, 99, slope=1.5, noise=0.5)
    truth = float(np.mean([log_loss(one) for one in many]))
    found = coverage(
        lambda seed: simulated(60, seed, slope=1.5, noise=0.5), truth, lambda rows: mean(rows, log_loss)
    )
    assert 0.91 < found < 0.98


def test_estimates_are_over_clusters():
    rows = [replace(one, cluster=f"p{n // 2}") for n, one in enumerate(simulated(40, 1))]
    found = measure(rows)
    assert isinstance(found.log_loss, Estimate)
    assert (found.log_loss.n, found.log_loss.chains, found.ece.chains) == (40, 20, 20)
    assert found.to_row()["log_loss"]["clusters"] == 20
