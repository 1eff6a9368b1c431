"""Advice: the rule on simulated judges of known quality, silence on noise, and each warning where it belongs."""

import json
from dataclasses import replace

import numpy as np
import pytest

from constitutional.evaluation.labeler import Judged, advise, attack_effects, effects, measure
from constitutional.evaluation.measures import log_loss
from constitutional.evaluation.remarks import remarks
from tests.evaluation.worlds import attacked, both_orders, judged, simulated, vote


def advice(settings, attacks=None):
    """Advice on settings, the first of which is the baseline."""
    base, *others = settings
    found = effects(settings[base], {name: settings[name] for name in others})
    return advise({name: measure(rows) for name, rows in settings.items()}, found, settings, attacks)


def kinds(rows, **more):
    return [remark.kind for remark in remarks(measure(rows), **more)]


def said(rows, kind):
    (text,) = [remark.text for remark in remarks(measure(rows)) if remark.kind == kind]
    return text


def test_a_setting_that_is_credibly_better_takes_the_baselines_place():
    settings = {
        "baseline": simulated(400, 1, noise=1.2),
        "better": simulated(400, 1, noise=0.2, tokens=(3000, 0)),
        "worse": simulated(400, 1, noise=3.0),
    }
    found = advice(settings)
    assert found.setting == "better"
    assert "credibly lower log-loss than the baseline" in found.reasons[0]
    assert "3.0 times the tokens" in found.reasons[0]


def test_a_better_setting_on_few_comparisons_is_noise_and_the_baseline_stays():
    settings = {"baseline": simulated(60, 1, noise=0.5), "other": simulated(60, 1, noise=0.4)}
    found = advice(settings)
    assert found.setting == "baseline"
    assert "The baseline stays" in found.reasons[0]
    assert "differences in log-loss below" in found.reasons[0]


def nudged(rows, by, **tokens):
    """Labels moved towards people's judgement in 11 of 20 comparisons, and away from it in the others."""
    return [
        replace(
            one,
            probability=min(
                0.99, max(0.01, one.probability + (by if n % 20 < 11 else -by) * (2 * one.human - 1))
            ),
            **tokens,
        )
        for n, one in enumerate(rows)
    ]


def test_of_two_better_settings_that_can_not_be_told_apart_the_cheaper_is_recommended():
    cheap = simulated(400, 2, tokens=(2000, 0))
    settings = {
        "baseline": simulated(400, 2, noise=1.2),
        "cheap": cheap,
        "dear": nudged(cheap, 0.05, prompt_tokens=9000),
    }
    assert measure(settings["dear"]).log_loss.value < measure(cheap).log_loss.value
    found = advice(settings)
    assert found.setting == "cheap"
    assert "dear has the lowest log-loss of all, where all have labels, but not credibly" in found.reasons[1]


def test_of_two_better_settings_the_dearer_is_recommended_where_it_is_credibly_the_best():
    settings = {
        "baseline": simulated(600, 2, noise=1.6),
        "cheap": simulated(600, 2, noise=0.7, tokens=(500, 0)),
        "dear": simulated(600, 2, tokens=(9000, 0)),
    }
    found = advice(settings)
    assert found.setting == "dear"
    assert "The cheapest that is credibly better than the baseline is cheap" in found.reasons[1]


def test_a_cheaper_setting_that_is_credibly_as_good_takes_the_baselines_place():
    base = simulated(400, 3, noise=0.5, tokens=(2000, 500))
    chance = np.random.default_rng(1)
    cheap = [
        replace(
            one,
            probability=min(0.99, max(0.01, one.probability + chance.normal(0, 0.01))),
            completion_tokens=0,
        )
        for one in base
    ]
    found = advice({"baseline": base, "cheap": cheap})
    assert found.setting == "cheap"
    assert "credibly no more than 0.02 above" in found.reasons[0]


def test_a_cheaper_setting_that_is_not_known_to_be_as_good_does_not():
    base = simulated(60, 3, spread=2.5, tokens=(2000, 500))
    cheap = simulated(60, 3, spread=2.5, noise=0.3, tokens=(2000, 0))
    assert advice({"baseline": base, "cheap": cheap}).setting == "baseline"
    as_good = nudged(base, 0.01, completion_tokens=0)
    assert advice({"baseline": base, "cheap": as_good}).setting == "cheap"


def test_judges_at_chance_are_never_recommended_however_many_settings_are_tried():
    """Twelve settings that toss coins, forty audits: some setting's own interval is above one half in many, advice is given in few."""
    recommended = tempted = 0
    for seed in range(40):
        chance = np.random.default_rng(seed)
        humans = chance.integers(0, 2, 100)
        settings = {
            f"s{n}": judged([(float(p), float(h)) for p, h in zip(chance.random(100), humans, strict=True)])
            for n in range(12)
        }
        measures = {name: _quick(rows) for name, rows in settings.items()}
        base = settings["s0"]
        found = advise(measures, _no_effects(base, settings), settings)
        recommended += found.setting is not None
        tempted += any(one.agreement.low > 0.5 for one in measures.values())
    assert recommended <= 5
    assert tempted >= 6


def _quick(rows):
    from constitutional.evaluation.judged import proportion
    from constitutional.evaluation.position import agrees

    return replace(_EMPTY, n=len(rows), labelled=len(rows), agreement=proportion(rows, agrees))


_EMPTY = measure([])


def _no_effects(base, settings):
    nothing = effects([], {name: [] for name in settings if name != "s0"})
    return {name: replace(one, n=len(base)) for name, one in nothing.items()}


def test_where_no_setting_beats_chance_none_is_recommended_and_it_says_not_to_train():
    chance = np.random.default_rng(7)
    rows = judged(
        [(float(p), float(h)) for p, h in zip(chance.random(150), chance.integers(0, 2, 150), strict=True)]
    )
    found = advice({"baseline": rows})
    assert found.setting is None
    assert "more often than chance" in found.reasons[0]
    assert found.warnings[0].kind == "chance"
    assert "do not train" in found.warnings[0].text
    assert not any("clamp" in one.text for one in found.warnings)


def test_a_judge_that_prefers_the_worse_response_is_told_to_look_for_a_swap():
    rows = [one.swap() for one in simulated(200, 5)]
    inverted = [replace(one, human=1 - one.human) for one in rows]
    found = advice({"baseline": inverted})
    assert found.setting is None
    assert "less often than chance" in found.reasons[1]


def test_where_only_another_setting_beats_chance_it_is_recommended_instead():
    chance = np.random.default_rng(3)
    good = simulated(200, 6)
    coin = [replace(one, probability=float(p)) for one, p in zip(good, chance.random(200), strict=True)]
    found = advice({"baseline": coin, "good": good})
    assert found.setting == "good"
    assert "of the baseline that is not known" in found.reasons[0]


def test_a_setting_that_leaves_many_comparisons_without_a_label_is_not_recommended():
    base, good = simulated(400, 1, noise=1.2), simulated(400, 1, noise=0.1)
    picky = [replace(one, probability=None if n % 4 == 0 else one.probability) for n, one in enumerate(good)]
    assert advice({"baseline": base, "picky": good}).setting == "picky"
    assert advice({"baseline": base, "picky": picky}).setting == "baseline"


def choosy(best, lost):
    """A judge that says 0.8 of comparisons that are right in 80 %, and one that says 0.7, and leaves `lost` of the others out."""
    humans = [float(n % 5 > 0) for n in range(600)]
    hard = [n for n, human in enumerate(humans) if not human][:lost]
    return {
        "baseline": judged([(0.55, human) for human in humans], **TOKENS),
        "steady": judged([(best, human) for human in humans], **TOKENS),
        "choosy": [
            replace(one, probability=None if n in hard else 0.7)
            for n, one in enumerate(judged([(0.7, human) for human in humans], **TOKENS))
        ],
    }


TOKENS = {"prompt_tokens": 100, "completion_tokens": 0}


def test_a_setting_does_not_look_better_by_leaving_out_what_is_hard():
    settings = choosy(0.78, 50)
    losses = {name: measure(rows).log_loss.value for name, rows in settings.items()}
    assert losses["choosy"] < losses["steady"] < losses["baseline"]
    found = advice(settings)
    assert found.setting == "steady"
    assert not any("choosy" in reason for reason in found.reasons)


def test_a_gain_that_is_lost_where_missing_labels_count_as_one_half_is_none():
    """On what both label it is a little better, by less than what its missing labels cost."""
    base = simulated(400, 1, noise=0.3)
    better = [replace(one, probability=0.98 * one.probability + 0.02 * one.human) for one in base]
    easy = set(sorted((one.id for one in base), key=lambda id: log_loss(base[int(id[1:])]))[:36])
    picky = [replace(one, probability=None if one.id in easy else one.probability) for one in better]
    assert advice({"baseline": base, "better": better}).setting == "better"
    assert effects(base, {"picky": picky})["picky"].log_loss.p_adjusted < 0.05
    assert advice({"baseline": base, "picky": picky}).setting == "baseline"
    cheap = [replace(one, prompt_tokens=one.prompt_tokens // 2) for one in base]
    near = [
        replace(one, probability=one.probability + (0.001 if n % 2 else -0.001) * (one.probability < 0.9))
        for n, one in enumerate(cheap)
    ]
    assert advice({"baseline": base, "cheap": near}).setting == "cheap"
    few = [replace(one, probability=None if one.id in easy else one.probability) for one in near]
    assert advice({"baseline": base, "cheap": few}).setting == "baseline"


def test_a_single_setting_that_works_is_recommended():
    found = advice({"only": simulated(300, 1)})
    assert found.setting == "only"
    assert found.warnings == ()
    assert json.loads(json.dumps(found.to_row())) == {
        "setting": "only",
        "reasons": list(found.reasons),
        "warnings": [],
    }


def test_without_settings_or_comparisons():
    with pytest.raises(ValueError, match="no setting"):
        advise({}, {}, {})
    found = advice({"baseline": [], "other": []})
    assert found.setting is None
    assert [one.kind for one in found.warnings] == ["chance", "few"]


def test_a_handful_of_hits_is_luck():
    """All right: of 4 by chance in 1/16, of 6 in 1/64; a score test without continuity correction would take the former."""
    assert advice({"baseline": judged([(0.9, 1.0)] * 4)}).setting is None
    assert advice({"baseline": judged([(0.9, 1.0)] * 6)}).setting == "baseline"


def test_few_comparisons_are_named():
    assert "few" in kinds(simulated(40, 1))
    assert "few" not in kinds(simulated(140, 1))
    assert said(simulated(40, 1), "few").startswith("40 comparisons")


def test_labels_that_are_too_sure_are_told_to_clamp_and_those_of_a_clamp_to_do_without():
    sure = simulated(400, 4, slope=4)
    assert "too sure" in said(sure, "calibration")
    assert "--clamp" in said(sure, "calibration")
    timid = simulated(400, 4, slope=0.1)
    assert "not sure enough" in said(timid, "calibration")
    assert "calibration" not in kinds(simulated(400, 4))


def test_labels_that_are_worse_than_one_half_say_so():
    assert "above 0.693" in said(simulated(300, 4, slope=8, noise=1.0), "half")


def test_position_bias_is_named_with_what_helps():
    def rows(bias, both=True):
        return [
            replace(one, votes=both_orders(0.5 + bias, 0.5 - bias) if both else (vote(0.5 + bias, 0),))
            for one in simulated(200, 1)
        ]

    assert "shown first" in said([*rows(0.1)[:100], *rows(0.12)[100:]], "position")
    assert "Keep asking in both orders" in said([*rows(0.1)[:100], *rows(0.12)[100:]], "position")
    assert "shown second" in said([*rows(-0.1)[:100], *rows(-0.12)[100:]], "position")
    assert "Ask in both orders" in said(
        [*rows(0.1, both=False)[:100], *rows(0.2, both=False)[100:]], "position"
    )
    assert "position" not in kinds([*rows(0.01)[:100], *rows(0.02)[100:]])
    assert "orders" in kinds(rows(0.1))
    assert "orders" not in kinds([replace(one, votes=both_orders(0.8, 0.7)) for one in simulated(200, 1)])


def test_low_mass_missing_labels_and_certain_labels_are_named():
    low = [replace(one, votes=(vote(0.6, mass=0.1),)) for one in simulated(200, 1)]
    assert "something else" in said(low, "low-mass")
    lost = simulated(200, 1, lost=0.3)
    assert "got no label" in said(lost, "unlabelled")
    certain = [Judged(one.id, one.human, float(one.probability > 0.5)) for one in simulated(200, 1)]
    assert "200 of 200 labels" in said(certain, "clipped")
    assert kinds(simulated(200, 1)) == []


# ---------------------------------------------------------------------- the same labels, and attacks


@pytest.mark.parametrize("noise", [0.2, 50.0])
def test_a_cheaper_setting_with_the_same_labels_is_said_to_be_and_recommended_if_any_is(noise):
    base = simulated(200, 1, noise=noise)
    half = [replace(one, prompt_tokens=one.prompt_tokens // 2) for one in base]
    found = advice({"baseline": base, "half": half})
    assert found.setting == ("half" if noise < 1 else None)
    assert (
        "half gives the same labels as the baseline in all of 200 comparisons, at 50% of the tokens."
        in found.reasons
    )
    other = [replace(half[0], probability=0.5), *half[1:]]
    assert not any("same labels" in reason for reason in advice({"baseline": base, "half": other}).reasons)


def warned(rows, pairs):
    """What the advice warns of attacks."""
    found = advice({"baseline": rows}, attack_effects(pairs)).warnings
    return [remark.text for remark in found if remark.kind == "attacks"]


def test_the_advice_says_whether_attacks_steer_or_disturb():
    good, random = simulated(200, 1, noise=0.2), simulated(200, 1, noise=50.0)
    pushed = attacked(100, 1, copies=0.9, push=1.5)
    (steered,) = warned(good, pushed)
    assert "Attacks by the worse response steer this judge" in steered and "most of all choose (+" in steered
    (disturbed,) = warned(good, attacked(100, 1, skill=1.5))
    assert "disturb labels, and are not known to steer them" in disturbed
    assert warned(random, attacked(100, 1)) == []  # flips of labels that are worth nothing
    assert "steer this judge" in warned(random, pushed)[0]
    assert warned(good, attacked(100, 1, skill=3.0, copies=1.0)) == []


def test_the_kinds_that_steer_are_named_where_all_together_do_not():
    still = [pair for n in range(8) for pair in attacked(40, n, copies=1.0, kind=f"still-{n}")]
    (text,) = warned(
        simulated(200, 1, noise=0.2), [*still, *attacked(40, 9, copies=1.0, push=1.5, kind="threat")]
    )
    assert "threat (+" in text and "still" not in text
