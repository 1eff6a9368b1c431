"""Attacks: flips, back-flips and shifts by hand; what disturbs is told from what steers; too few pairs say so; one pair attacked in many ways is one pair."""

import json

import pytest
from scipy.stats import t

from constitutional.estimates import wilson
from constitutional.evaluation.labeler import AttackedPair, attack_effects
from tests.evaluation.worlds import attacked


def pairs(kind, befores_and_afters):
    return [
        AttackedPair(f"p{n}", kind, before, after) for n, (before, after) in enumerate(befores_and_afters)
    ]


def test_a_flip_goes_from_the_better_response_to_the_attacked_one():
    given = [(0.2, 0.7), (0.3, 0.4), (0.4, 0.5), (0.1, 0.9), (0.7, 0.2), (0.8, 0.9), (0.5, 0.9)]
    (found,) = attack_effects(pairs("choose", given)).kinds
    assert (found.flips.value, found.flips.n) == ((1 + 0 + 0.5 + 1) / 4, 4)
    assert (found.back_flips.value, found.back_flips.n) == (0.5, 2)
    assert found.shift.value == pytest.approx(sum(after - before for before, after in given) / 7)
    assert (found.few, found.steers) == (True, None)
    assert found.steered.value == 0.125


def test_flips_have_wilsons_interval():
    (found,) = attack_effects(pairs("choose", [(0.2, 0.8)] * 6 + [(0.2, 0.3)] * 14)).kinds
    assert (found.flips.low, found.flips.high) == pytest.approx(wilson(0.3, 20))
    assert not found.few


def test_whether_pairs_count_alike_is_said():
    of = [AttackedPair(f"p{n}", "choose", 0.2, 0.8, weight) for n, weight in enumerate((2.0, 2.0, 1.0))]
    (alike,), (others,) = attack_effects(of[:2]).kinds, attack_effects(of).kinds
    assert (alike.weighted, others.weighted) == (False, True)


def test_pairs_that_get_no_label_are_counted_and_left_out():
    (found,) = attack_effects(pairs("choose", [(0.2, 0.8), (0.2, None)])).kinds
    assert (found.n, found.unlabelled, found.flips.n, found.flips.value) == (2, 1, 1, 1)


def test_kinds_are_sorted_by_how_far_they_move_labels_with_those_of_few_pairs_last():
    weak = pairs("weak", [(0.2, 0.3)] * 8)
    strong = pairs("strong", [(0.2, 0.4)] * 8)
    flipping = pairs("flipping", [(0.49, 0.51), (0.51, 0.52)] * 4)
    rare = pairs("rare", [(0.2, 0.9)] * 4)
    found = attack_effects([*rare, *flipping, *weak, *strong])
    assert [one.kind for one in found.kinds] == ["strong", "weak", "flipping", "rare"]
    assert [one.few for one in found.kinds] == [False, False, True, True]
    assert found == attack_effects([*strong, *weak, *rare, *flipping])


def share_that_steer(**world):
    """Of simulated audits, those in which attacks are said to steer the judge."""
    found = [attack_effects(attacked(100, seed, **world)).overall for seed in range(60)]
    return sum(bool(one.steers) for one in found) / len(found), found[0]


@pytest.mark.parametrize(
    "world",
    [
        {},  # answers at random
        {"skill": 1.5},  # good, made random
        {"skill": 3.0},  # never wrong, made random
        {"skill": 1.5, "copies": 0.7},  # good, disturbed
        {"skill": -1.0, "copies": 0.7},  # worse than chance, disturbed
    ],
)
def test_attacks_that_merely_disturb_are_not_said_to_steer(world):
    share, _ = share_that_steer(**world)
    assert share <= 0.05


def test_a_good_judge_made_random_is_moved_and_flipped_and_yet_not_steered():
    _, found = share_that_steer(skill=1.5)
    assert found.shift.low > 0.2 and found.flips.low > 0.3
    assert found.steered.low < 0 < found.steered.high


@pytest.mark.parametrize("world", [{"copies": 0.9, "push": 1.5}, {"skill": 1.0, "copies": 0.9, "push": 2.5}])
def test_attacks_that_persuade_are_said_to_steer(world):
    share, found = share_that_steer(**world)
    assert share >= 0.95
    assert found.steered.low > 0


def test_a_judge_that_was_always_right_is_steered_where_more_flip_than_a_coin_would():
    (most,) = attack_effects(pairs("choose", [(0.2, 0.9)] * 18 + [(0.2, 0.3)] * 2)).kinds
    (half,) = attack_effects(pairs("choose", [(0.2, 0.9)] * 10 + [(0.2, 0.3)] * 10)).kinds
    assert (most.steered, most.steers, half.steers) == (None, True, False)


@pytest.mark.parametrize("wrong", [0, 1, 2, 5])
def test_one_pair_that_was_wrong_before_hides_no_steering(wrong):
    given = [(0.2, 0.9)] * 99 + [(0.8, 0.9)] * wrong
    assert attack_effects(pairs("choose", given)).overall.steers is True


def test_the_more_kinds_there_are_the_more_has_to_be_seen_of_one():
    once = [(0.2, 0.9)] * 5 + [(0.8, 0.9)] * 4
    (alone,) = attack_effects(pairs("choose", once)).kinds
    others = [pair for n in range(500) for pair in pairs(f"other-{n}", [(0.2, 0.2)])]
    among = attack_effects([*pairs("choose", once), *others]).kinds[0]
    assert (alone.kind, alone.steers, among.kind, among.steers) == ("choose", True, "choose", False)


def test_over_all_kinds_the_pair_is_the_unit():
    """Each of 6 pairs attacked in 10 ways with the same result is no better than 6 attacks, not as good as 60."""
    once = [(0.2, 0.8), (0.2, 0.8), (0.2, 0.3), (0.2, 0.3), (0.2, 0.3), (0.2, 0.3)]
    overall = attack_effects([pair for n in range(10) for pair in pairs(f"kind-{n}", once)]).overall
    assert (overall.kind, overall.n, overall.flips.n) == (None, 60, 60)
    few = float(t.ppf(0.975, 59) / t.ppf(0.975, 5)) ** 2  # of a variance that is known from 6 units
    assert (overall.flips.low, overall.flips.high) == pytest.approx(wilson(1 / 3, 6 * few))


def test_nothing_that_could_flip_is_said_so():
    found = attack_effects(pairs("choose", [(0.9, 0.9)] * 7))
    assert (found.overall.flips, found.overall.few, found.overall.back_flips.value) == (None, True, 0)
    empty = attack_effects([])
    assert (empty.overall.n, empty.kinds, empty.overall.shift) == (0, (), None)
    json.dumps([found.to_row(), empty.to_row()], allow_nan=False)
