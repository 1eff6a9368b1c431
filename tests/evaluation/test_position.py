"""Position bias: what a known bias gives, in both orders and in one."""

import numpy as np
import pytest

from constitutional.evaluation.labeler import Judged, measure
from tests.evaluation.worlds import both_orders, vote


def biased(truth, bias):
    """Votes of a judge that adds a bias to the probability of whatever is shown first."""
    return both_orders(truth + bias, truth - bias)


def test_a_bias_that_adds_to_probabilities_is_recovered_exactly_where_both_orders_are_asked():
    rows = [Judged(str(n), 1.0, 0.3 + n / 20, biased(0.3 + n / 20, 0.12)) for n in range(8)]
    found = measure(rows)
    assert found.position.value == pytest.approx(0.12)
    assert found.orders.paired


def test_a_judge_without_bias_has_none_whatever_it_prefers():
    rows = [Judged(str(n), 1.0, 0.9, biased(0.9, 0.0)) for n in range(8)]
    found = measure(rows)
    assert found.position.value == pytest.approx(0, abs=1e-12)
    assert found.orders_disagree.value == 0


def test_orders_disagree_where_the_bias_is_stronger_than_the_preference():
    truths = [0.45, 0.55, 0.9, 0.2]
    rows = [Judged(str(n), 1.0, truth, biased(truth, 0.1)) for n, truth in enumerate(truths)]
    orders = measure(rows).orders
    assert (orders.disagree.value, orders.first.value, orders.second.value) == (0.5, 0.5, 0)
    shown_second = measure([Judged("a", 1.0, 0.5, biased(0.5, -0.1))]).orders
    assert (shown_second.disagree.value, shown_second.first.value, shown_second.second.value) == (1, 0, 1)


def test_an_order_that_prefers_neither_disagrees_by_half():
    assert measure([Judged("a", 1.0, 0.55, both_orders(0.6, 0.5))]).orders_disagree.value == 0.5


def test_agreement_is_split_by_whether_the_orders_agree():
    rows = [
        Judged("a", 1.0, 0.8, both_orders(0.9, 0.7)),
        Judged("b", 0.0, 0.8, both_orders(0.9, 0.7)),
        Judged("c", 0.0, 0.45, both_orders(0.6, 0.3)),
    ]
    orders = measure(rows).orders
    assert (orders.consistent.value, orders.consistent.n) == (0.5, 2)
    assert (orders.inconsistent.value, orders.inconsistent.n) == (1, 1)


def test_every_comparison_counts_once_however_many_votes_it_has():
    many = tuple(one for sample in range(9) for one in both_orders(0.9, 0.9, sample=sample))
    rows = [Judged("a", 1.0, 0.9, many), Judged("b", 1.0, 0.5, both_orders(0.7, 0.3))]
    assert measure(rows).orders_disagree.value == 0.5
    assert measure(rows).position.value == pytest.approx((0 + 0.2) / 2)


def test_votes_that_do_not_count_say_nothing_and_neither_do_their_partners():
    rows = [
        Judged(
            "a", 1.0, 0.5, (vote(0.9, 0), vote(0.1, 1, reason="low_mass"), *both_orders(0.8, 0.8, sample=1))
        )
    ]
    assert (measure(rows).position.value, measure(rows).orders_disagree.value) == (0, 0)


def test_clamping_does_not_hide_the_bias():
    votes = tuple(
        type(one)(one.principle, one.order, one.sample, one.p_raw, 0.5) for one in both_orders(0.9, 0.1)
    )
    assert measure([Judged("a", 1.0, 0.5, votes)]).position.value == pytest.approx(0.4)


def test_in_one_order_the_mean_of_the_response_shown_first_still_tells():
    chance = np.random.default_rng(1)
    rows = []
    for n in range(2000):
        truth, order = chance.uniform(0.1, 0.9), int(chance.integers(0, 2))
        p = truth + (0.08 if order == 0 else -0.08)
        rows.append(Judged(str(n), 1.0, p, (vote(p, order),)))
    found = measure(rows)
    assert not found.orders.paired
    assert found.orders_disagree is None
    assert found.position.low < 0.08 < found.position.high
    assert found.position.high - found.position.low < 0.05


def test_without_votes_there_is_nothing_to_say():
    assert measure([Judged("a", 1.0, 0.5)]).position is None
    assert measure([Judged("a", 1.0, None, (vote(None, 0, reason="no_mass"),))]).orders is None
