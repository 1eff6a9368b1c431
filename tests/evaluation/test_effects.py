"""Paired effects: hand-computed differences, honest where nothing changes, adjusted for how many settings there are."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import false_discovery_control, ttest_rel

from constitutional.evaluation.effects import holm
from constitutional.evaluation.labeler import Judged, effect, effects
from constitutional.evaluation.measures import log_loss
from tests.evaluation.worlds import judged, simulated


def test_differences_are_of_the_other_setting_less_the_baseline_on_the_same_comparisons():
    found = effect(judged([(0.8, 1.0), (0.6, 0.0)]), judged([(0.9, 1.0), (0.3, 0.0)]))
    assert found.log_loss.value == pytest.approx((math.log(0.8 / 0.9) + math.log(0.4 / 0.7)) / 2)
    assert found.brier.value == pytest.approx((0.1**2 - 0.2**2 + 0.3**2 - 0.6**2) / 2)
    assert found.agreement.value == 0.5
    # right at 0.8 and wrong at 0.6, in two bins; then right at 0.9 and at 0.7
    assert found.ece.value == pytest.approx((0.1 + 0.3) / 2 - (0.2 + 0.6) / 2)


def test_the_interval_and_p_of_a_mean_difference_are_those_of_the_paired_t_test():
    base, other = simulated(60, 1), simulated(60, 1, noise=1.0)
    found = effect(base, other).log_loss
    theirs = ttest_rel([log_loss(one) for one in other], [log_loss(one) for one in base])
    interval = theirs.confidence_interval(0.95)
    assert (found.value, found.low, found.high, found.p) == pytest.approx(
        (theirs.statistic * theirs._standard_error, interval.low, interval.high, theirs.pvalue)
    )


def test_pairs_are_matched_by_id_and_only_those_with_both_labels_count():
    base = [Judged("a", 1.0, 0.6), Judged("b", 1.0, None), Judged("c", 1.0, 0.7), Judged("d", 1.0, 0.8)]
    other = [Judged("d", 1.0, 0.9), Judged("c", 1.0, None), Judged("b", 1.0, 0.5), Judged("e", 1.0, 0.1)]
    found = effect(base, other)
    assert (found.n, found.lost, found.gained) == (1, 1, 1)
    assert found.brier.value == pytest.approx(0.1**2 - 0.2**2)
    assert (found.brier.low, found.brier.p) == (None, None)


def test_agreement_has_bonett_and_prices_interval():
    """20 comparisons: the other setting wins 5 that the baseline loses, and loses 2."""
    base = judged([(0.4, 1.0)] * 5 + [(0.6, 1.0)] * 15)
    other = judged([(0.6, 1.0)] * 5 + [(0.4, 1.0)] * 2 + [(0.6, 1.0)] * 13)
    found = effect(base, other).agreement
    wins, losses, n = 5 + 1, 2 + 1, 20 + 2
    middle = (wins - losses) / n
    # their formula, with a t quantile, since the variance is estimated
    from scipy.stats import t

    error = math.sqrt(((wins + losses) / n - middle**2) / (n - 1))
    half = float(t.ppf(0.975, n - 1)) * error
    assert found.value == 3 / 20
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half))


def test_settings_that_never_disagree_are_not_known_to_be_the_same():
    base = judged([(0.7, 1.0), (0.4, 1.0)] * 20)
    found = effect(base, [replace(one, probability=one.probability + 0.01) for one in base])
    assert found.agreement.value == 0
    assert found.agreement.low < 0 < found.agreement.high
    assert found.agreement.p == pytest.approx(1)
    same = effect(base, base)
    assert (same.log_loss.value, same.log_loss.low, same.log_loss.p) == (0, None, 1)


def test_the_ratio_of_tokens_is_one_of_totals():
    base = [Judged(str(n), 1.0, 0.5, prompt_tokens=100 + n, completion_tokens=0) for n in range(10)]
    other = [Judged(str(n), 1.0, 0.5, prompt_tokens=300, completion_tokens=n) for n in range(10)]
    found = effect(base, other).tokens
    assert found.value == pytest.approx((300 * 10 + 45) / (100 * 10 + 45))
    assert found.low < found.value < found.high
    threefold = [replace(one, prompt_tokens=3 * one.prompt_tokens) for one in base]
    exact = effect(base, threefold).tokens
    assert (exact.value, exact.low, exact.high) == pytest.approx((3, 3, 3))
    assert effect(base, [replace(one, prompt_tokens=None) for one in base]).tokens is None


def test_clusters_make_intervals_wider_not_values_different():
    base, other = simulated(40, 2), simulated(40, 2, noise=1.0)
    four = [
        [replace(one, id=f"{one.id}-{n}", cluster=one.id) for one in rows for n in range(4)]
        for rows in (base, other)
    ]
    alone, clustered = effect(base, other), effect(*four)
    assert clustered.log_loss.value == pytest.approx(alone.log_loss.value)
    assert clustered.log_loss.p == pytest.approx(alone.log_loss.p)
    assert clustered.ece.low == pytest.approx(alone.ece.low, abs=0.02)


# in steps of 2**-53, as labels are: there 1 - p is exact
probabilities = st.integers(0, 2**53).map(lambda n: n / 2**53)


@settings(max_examples=30)
@given(st.lists(st.tuples(probabilities, probabilities, probabilities), max_size=10))
def test_swapping_both_settings_and_permuting_rows_changes_no_effect(rows):
    base, other = judged([(p, h) for p, _, h in rows]), judged([(q, h) for _, q, h in rows])
    found = effect(base, other).to_row()
    swapped = effect([one.swap() for one in base[::-1]], [one.swap() for one in other]).to_row()
    json.dumps(found, allow_nan=False)
    for name, difference in found.items():
        if isinstance(difference, dict):
            for key in ("value", "low", "high"):
                assert difference[key] == pytest.approx(swapped[name][key], abs=1e-5), (name, key)
        else:
            assert difference == swapped[name]


@given(st.dictionaries(st.text(min_size=1, max_size=3), st.floats(0, 1), max_size=8))
def test_holm_lies_between_the_p_value_and_bonferroni_and_keeps_the_order(p_values):
    found = holm(p_values)
    assert list(found) == list(p_values)
    for name, p in p_values.items():
        assert p <= found[name] <= min(1, p * len(p_values))
        assert all(found[name] <= found[other] for other in p_values if p < p_values[other])
    if p_values:  # and never below the adjustment for false discoveries, which allows more
        names = list(p_values)
        theirs = false_discovery_control([p_values[name] for name in names])
        assert all(found[name] >= fdr - 1e-12 for name, fdr in zip(names, theirs, strict=True))


def test_holm_by_hand():
    assert holm({"a": 0.01, "b": 0.04, "c": 0.03}) == pytest.approx({"a": 0.03, "b": 0.06, "c": 0.06})


def test_many_settings_that_change_nothing_rarely_look_as_if_one_did(monkeypatch):
    """Twelve settings that are no better than the baseline, nor worse: unadjusted, half of the audits would find something."""
    monkeypatch.setattr("constitutional.evaluation.calibration.RESAMPLES", 2)
    alarms = plain = 0
    for seed in range(40):
        chance = np.random.default_rng(seed)
        humans = chance.integers(0, 2, 100).astype(float).tolist()
        base, *others = (
            judged(list(zip(chance.uniform(0.2, 0.8, 100).tolist(), humans, strict=True))) for _ in range(13)
        )
        found = effects(base, {str(n): other for n, other in enumerate(others)})
        alarms += any(one.log_loss.p_adjusted < 0.05 for one in found.values())
        plain += any(one.log_loss.p < 0.05 for one in found.values())
    assert alarms <= 6
    assert plain >= 10


def test_effects_of_several_settings_are_those_of_each_with_adjusted_p_values():
    base = simulated(80, 3)
    others = {"noisy": simulated(80, 3, noise=2.0), "sure": simulated(80, 3, slope=3)}
    found = effects(base, others)
    for name, other in others.items():
        one = effect(base, other)
        assert replace(found[name].log_loss, p_adjusted=None) == one.log_loss
        assert found[name].log_loss.p_adjusted >= one.log_loss.p
        assert found[name].ece == one.ece


def test_the_interval_of_a_difference_in_ece_holds_the_truth_in_most_cases():
    """All labels in one bin: 0.8, and 0.9 or 0.99, right in 60 %, so that the errors are 0.2 and 0.345."""
    chance = np.random.default_rng(0)
    hits = 0
    for _ in range(60):
        humans = (chance.random(100) < 0.6).astype(float).tolist()
        # half of them surer, so that the difference varies
        other = [0.9 + 0.09 * (chance.random() < 0.5) for _ in humans]
        truth = 0.9 + 0.045 - 0.6 - 0.2
        found = effect(judged([(0.8, h) for h in humans]), judged(list(zip(other, humans, strict=True)))).ece
        hits += found.low <= truth <= found.high
        assert found.low < found.value < found.high
    assert hits >= 50


def test_nothing_in_common_is_no_error():
    found = effect([Judged("a", 1.0, 0.5)], [Judged("b", 1.0, 0.5)])
    assert (found.n, found.log_loss, found.agreement, found.ece, found.tokens) == (0, None, None, None, None)
    assert effects([], {"a": []})["a"].n == 0


def test_prompts_that_all_differ_by_the_same_on_average_have_no_interval_and_no_p():
    """The differences within each prompt vary; those between prompts do not, so the standard error is 0."""

    def rows(*labels):
        return [
            Judged(f"{prompt}{n}", 1.0, p, cluster=prompt, prompt_tokens=10, completion_tokens=0)
            for prompt in "ab"
            for n, p in enumerate(labels)
        ]

    found = effects(rows(0.5, 0.5), {"x": rows(0.75, 0.25)})["x"]
    assert found.log_loss.value > 0 and (found.log_loss.low, found.log_loss.p) == (None, None)
