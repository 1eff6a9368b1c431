"""Calibration: golden numbers by hand, known judges recovered, and the bias of the ECE made visible."""

from dataclasses import replace

import numpy as np
import pytest

from constitutional.evaluation.calibration import HALF_BINS, calibration
from constitutional.evaluation.judged import ordered
from constitutional.evaluation.labeler import Judged, measure
from tests.evaluation.worlds import judged, simulated


def by_hand(pairs):
    """The ECE over both orientations of every comparison, in ten bins, a label of one half in both middle ones."""
    bins = {}
    for p, h in pairs:
        for label, human in ((p, h), (1 - p, 1 - h)):
            places = [4, 5] if label == 0.5 else [min(9, int(round(label * 10, 9)))]
            if label < 0.5 and label * 10 == int(label * 10):
                places = [int(label * 10) - 1]  # an edge belongs to the bin that is further from one half
            for place in places:
                bins.setdefault(place, []).append((label, human, 0.5 / len(places)))
    gaps = [abs(sum(w * (p - h) for p, h, w in inside)) for inside in bins.values()]
    return sum(gaps) / len(pairs)


def test_the_ece_is_over_both_orientations_of_every_label():
    pairs = [(0.92, 1.0), (0.97, 0.0), (0.08, 0.0), (0.63, 1.0), (0.35, 1.0), (0.5, 1.0), (0.55, 1 / 3)]
    upper = [abs((0.92 - 1) + (0.97 - 0) + (0.92 - 1)), abs((0.63 - 1) + (0.65 - 0)), abs(0 + (0.55 - 1 / 3))]
    found = measure(judged(pairs))
    assert found.ece.value == pytest.approx(sum(upper) / 7)
    assert found.ece.value == pytest.approx(by_hand(pairs))


def test_random_labels_have_the_ece_of_the_formula():
    chance = np.random.default_rng(5)
    pairs = [
        (float(round(p, 3)), float(h))
        for p, h in zip(chance.random(80), chance.integers(0, 2, 80), strict=True)
    ]
    assert measure(judged(pairs)).ece.value == pytest.approx(by_hand(pairs))


def test_bins_mirror_one_another_and_count_comparisons_not_orientations():
    bins = measure(judged([(0.92, 1.0), (0.97, 0.0), (0.08, 0.0), (0.63, 1.0)])).bins
    assert [(bin.low, bin.high) for bin in bins] == [(n / 10, (n + 1) / 10) for n in range(10)]
    assert [bin.n for bin in bins] == [3, 0, 0, 1, 0, 0, 1, 0, 0, 3]
    top, bottom = bins[9], bins[0]
    assert top.predicted == pytest.approx((0.92 + 0.97 + 0.92) / 3)
    assert top.human.value == pytest.approx(2 / 3)
    assert bottom.human.value == pytest.approx(1 / 3)
    assert (bottom.human.low, bottom.human.high) == pytest.approx((1 - top.human.high, 1 - top.human.low))
    assert (bins[1].n, bins[1].predicted, bins[1].human) == (0, None, None)


def test_a_label_of_one_half_says_nothing_for_or_against_calibration():
    found = measure(judged([(0.5, 1.0)] * 10))
    assert found.ece.value == 0
    assert [bin.n for bin in found.bins] == [0, 0, 0, 0, 10, 10, 0, 0, 0, 0]


@pytest.mark.parametrize("p", [0.1, 0.2, 0.3, 0.4, 0.6, 0.7, 0.8, 0.9])
def test_a_label_on_an_edge_is_in_the_same_bin_as_its_mirror_image(p):
    for label in (p, 1 - p, 1 - (1 - p)):
        (place,) = [
            n for n, bin in enumerate(measure([Judged("a", 1.0, label)]).bins) if n >= HALF_BINS and bin.n
        ]
        assert place == min(9, round(10 * max(p, 1 - p)))


def test_a_calibrated_judge_is_recovered_and_its_ece_is_what_chance_makes():
    shown = [measure(simulated(300, seed)) for seed in range(20)]
    assert np.mean([one.ece.value for one in shown]) == pytest.approx(
        np.mean([one.ece_by_chance.mean for one in shown]), rel=0.15
    )
    assert sum(one.ece_by_chance.p < 0.05 for one in shown) <= 4
    assert sum(one.ece.low > 0 for one in shown) <= 2
    assert np.mean([one.overconfidence.value for one in shown]) == pytest.approx(0, abs=0.02)


def test_a_judge_that_is_too_sure_is_found_out():
    """With labels of 0.8 that are right in 60 %, the error is 0.2 in its one bin."""
    chance = np.random.default_rng(1)
    found = measure(judged([(0.8, float(chance.random() < 0.6)) for _ in range(1000)]))
    assert found.ece.value == pytest.approx(0.2, abs=0.04)
    assert found.ece.low < 0.2 < found.ece.high
    assert found.overconfidence.value == pytest.approx(0.2, abs=0.04)
    assert found.ece_by_chance.p < 0.001
    assert found.clamp.lower == 0.4
    assert found.clamp.log_loss == pytest.approx(-(0.6 * np.log(0.6) + 0.4 * np.log(0.4)), abs=0.03)


def test_chance_alone_makes_an_ece_that_shrinks_with_the_root_of_n():
    small, large = (measure(simulated(n, 3)).ece_by_chance.mean for n in (100, 1600))
    assert small / large == pytest.approx(4, rel=0.25)


def test_by_chance_is_exact_where_it_can_be_computed():
    """n labels of p in one bin: E|p - mean| of a binomial, by its probabilities."""
    from scipy.stats import binom

    n, p = 25, 0.7
    exact = sum(binom.pmf(k, n, p) * abs(p - k / n) for k in range(n + 1))
    found = measure(judged([(p, 1.0)] * n)).ece_by_chance
    assert found.mean == pytest.approx(exact, rel=0.05)
    assert found.p == pytest.approx(float(binom.cdf(n * (2 * p - 1), n, p) + binom.sf(n - 1, n, p)), abs=0.02)


def test_votes_of_several_people_are_less_noisy_and_so_is_chance():
    chance = np.random.default_rng(4)
    truth = chance.uniform(0.3, 0.95, 400)
    one = [(float(p), float(chance.random() < p)) for p in truth]
    nine = [(float(p), float((chance.random(9) < p).mean())) for p in truth]
    hard, soft = measure(judged(one)), measure(judged(nine))
    assert soft.ece_by_chance.mean == pytest.approx(hard.ece_by_chance.mean / 3, rel=0.25)
    assert soft.ece_by_chance.p > 0.01


def test_the_interval_of_the_ece_holds_the_truth_at_least_as_often_as_it_says(monkeypatch):
    """For a calibrated judge the truth is 0, where the percentile bootstrap would always fail; for labels of 0.8 right in 60 %, 0.2."""
    monkeypatch.setattr("constitutional.evaluation.calibration.RESAMPLES", 400)
    chance = np.random.default_rng(2)
    calibrated = sum(calibration(ordered(simulated(80, seed)), 0).ece.low == 0 for seed in range(120))
    assert calibrated >= 0.92 * 120
    sure = 0
    for _ in range(120):
        ece = calibration(judged([(0.8, float(chance.random() < 0.6)) for _ in range(80)]), 0).ece
        sure += ece.low <= 0.2 <= ece.high
    assert sure >= 0.92 * 120


def test_another_seed_gives_other_simulations_and_the_same_seed_the_same():
    rows = simulated(50, 0)
    assert measure(rows, seed=1) == measure(rows, seed=1)
    assert measure(rows, seed=1).ece_by_chance != measure(rows, seed=2).ece_by_chance


def test_nothing_global_is_seeded_or_drawn_from():
    np.random.seed(0)
    before = np.random.get_state()[1].tolist()
    measure(simulated(20, 0))
    assert np.random.get_state()[1].tolist() == before


def test_a_clamp_is_suggested_only_where_it_credibly_helps():
    assert measure(simulated(300, 8)).clamp is None
    found = measure(simulated(300, 8, slope=4)).clamp
    assert found.gain.low > 0


def test_simulating_in_parts_changes_nothing(monkeypatch):
    rows = simulated(60, 0)
    whole = measure(rows)
    monkeypatch.setattr("constitutional.evaluation.calibration._CELLS", 7000)
    assert measure(rows) == whole


def test_comparisons_that_share_their_luck_do_not_make_a_calibrated_judge_look_miscalibrated():
    """Pairs of a prompt are right or wrong together; simulated each by itself, one audit in three would warn."""
    chance, alarms, alone = np.random.default_rng(0), 0, 0
    for _ in range(20):
        rows = []
        for prompt in range(60):
            q = chance.uniform(0.5, 0.95)
            p = chance.beta(2 * q, 2 * (1 - q))
            rows += [
                Judged(f"{prompt}-{n}", float(chance.random() < p), float(q), cluster=str(prompt))
                for n in range(8)
            ]
        alarms += calibration(ordered(rows), 0).by_chance.p < 0.01
        single = [replace(one, cluster=None) for one in rows]
        alone += calibration(ordered(single), 0).by_chance.p < 0.01
    assert alarms <= 1
    assert alone >= 4
