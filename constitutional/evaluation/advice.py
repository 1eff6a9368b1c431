"""Which setting to use, and what to beware of. Nothing is recommended on noise.

The rule: *only a setting that agrees with people credibly more often than chance can be recommended. The baseline is, unless others of
these have a credibly lower log-loss: then the cheapest of them that is not credibly worse than the best of them; or unless a cheaper one is credibly not worse
than the baseline by more than `MARGIN`: then the cheapest of those.*

Losses are compared on the same comparisons, and a gain counts only if it stays where each comparison that the setting leaves without
a label counts as one of ½: to leave out what is hard is no gain.

Credibly means p < 0.05 after Holm's adjustment for the number of settings that could have passed the test. The log-loss decides since it
is what a reward model or policy is trained on; cost is tokens a comparison.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import Any

from constitutional.estimates import CONFIDENCE, Estimate
from constitutional.evaluation.attacks import Attacked
from constitutional.evaluation.effects import Effect, holm
from constitutional.evaluation.judged import Judged, tally, to_row
from constitutional.evaluation.measures import Measures, log_loss
from constitutional.evaluation.remarks import Remark, remarks, remarks_on_attacks
from constitutional.numbers import counted, with_interval

LEVEL = 1 - CONFIDENCE
MARGIN = 0.02
"""Of the log-loss, in nats: a cheaper setting may be worse by less. Saying 0.6 instead of ½, rightly, gains as much."""
CHEAPER = 0.95
"""A setting is cheaper from this ratio of tokens on."""
MOST_LOST = 0.1
"""Share of the baseline's labels that a recommended setting may lack."""


@dataclass(frozen=True, slots=True)
class Advice:
    """Which setting to use, why, and what to beware of.

    Attributes:
        setting: the recommended one; None where none is credibly better than chance.
        reasons: sentences.
        warnings: about the recommended setting's labels, or about the baseline's where none is recommended.
    """

    setting: str | None
    reasons: tuple[str, ...]
    warnings: tuple[Remark, ...]

    def to_row(self) -> dict[str, Any]:
        """The advice as JSON has it."""
        return dict(to_row(self))


def advise(
    measures: Mapping[str, Measures],
    effects: Mapping[str, Effect],
    judged: Mapping[str, Sequence[Judged]],
    attacked: Attacked | None = None,
) -> Advice:
    """Recommend one of the settings, or none.

    Args:
        measures: of each setting, the baseline's first.
        effects: of each setting but the baseline, by `effects`, with adjusted p-values.
        judged: the comparisons under each setting, to compare two of which neither is the baseline.
        attacked: what attacks do to the baseline's labels, if there were any.

    Raises:
        ValueError: there is no setting.
    """
    if not measures:
        raise ValueError("there is no setting to advise on")
    baseline = next(iter(measures))
    usable = _better_than_chance(measures)
    setting: str | None = None
    if not usable:
        reasons = _reasons_for_none(measures, baseline)
    else:
        usable = [name for name in usable if name == baseline or not _loses(effects[name])]
        if baseline in usable:
            setting, reasons = _beside_baseline(baseline, usable, measures, effects, judged)
        elif usable:
            setting, reasons = _instead_of_baseline(baseline, usable, measures, judged)
        else:
            reasons = ["The settings that are better than chance leave too many comparisons without a label."]
    if setting is None:
        reasons += _cheaper_with_the_same_labels(baseline, effects, judged)
    warnings = remarks(measures[setting or baseline], chance=setting is None)
    if attacked:
        warnings += remarks_on_attacks(attacked, chance=setting is None)
    return Advice(setting, tuple(reasons), warnings)


def _beside_baseline(
    baseline: str,
    usable: Sequence[str],
    measures: Mapping[str, Measures],
    effects: Mapping[str, Effect],
    judged: Mapping[str, Sequence[Judged]],
) -> tuple[str, list[str]]:
    """The setting and the reasons, where the baseline itself is better than chance."""
    better = [
        name
        for name in usable
        if name != baseline
        and (found := effects[name].log_loss) is not None
        and found.value < 0
        and (found.p_adjusted if found.p_adjusted is not None else 1.0) < LEVEL
        and _survives(judged[baseline], judged[name])
    ]
    if better:
        best, setting = _cheapest_of_the_best(better, measures, judged)
        reasons = [_better(setting, effects[setting], len(effects))]
        if best != setting:
            reasons.append(_not_credibly_better(best, setting, measures, judged))
        reasons += _cheaper_too(setting, better, measures, effects)
        return setting, reasons
    cheaper = {
        name: p
        for name in usable
        if name != baseline
        and (ratio := effects[name].tokens) is not None
        and ratio.value <= CHEAPER
        and (ratio.high is None or ratio.high < 1)
        and (p := _not_worse(judged[baseline], judged[name])) is not None
    }
    as_good = [name for name, p in holm(cheaper).items() if p < LEVEL]
    if as_good:
        setting = min(as_good, key=lambda name: (_cost(measures[name]), name))
        found, ratio = effects[setting].log_loss, effects[setting].tokens
        assert found is not None and ratio is not None
        if _same(judged[baseline], judged[setting]):
            return setting, [_the_same(setting, effects[setting].n, ratio.value)]
        return setting, [
            f"{setting} costs {_times(ratio.value)} the tokens of the baseline, and its log-loss is credibly no more than "
            f"{MARGIN} above it ({with_interval(found, '+.3f')}, {counted(found.n, 'comparison')})."
        ]
    return baseline, _reasons_to_stay(effects)


def _instead_of_baseline(
    baseline: str,
    usable: Sequence[str],
    measures: Mapping[str, Measures],
    judged: Mapping[str, Sequence[Judged]],
) -> tuple[str, list[str]]:
    """The setting and the reasons, where others are better than chance but the baseline is not known to be."""
    best, setting = _cheapest_of_the_best(usable, measures, judged)
    agreement, before = measures[setting].agreement, measures[baseline].agreement
    assert agreement is not None
    reasons = [
        f"{setting} agrees with people in {with_interval(agreement, '.1%')}, credibly more often than chance; "
        + (
            f"of the baseline that is not known ({with_interval(before, '.1%')})."
            if before
            else "the baseline has no labels to measure."
        )
    ]
    if best != setting:
        reasons.append(_not_credibly_better(best, setting, measures, judged))
    return setting, reasons


def _better_than_chance(measures: Mapping[str, Measures]) -> list[str]:
    """Settings whose agreement is credibly above ½: one-sided score tests with continuity correction, by Holm."""
    p_values = {}
    for name, found in measures.items():
        agreement = found.agreement
        if agreement and agreement.effective and agreement.chains > 1:
            n = agreement.effective
            p_values[name] = NormalDist().cdf(-(agreement.value - 0.5 - 0.5 / n) * 2 * math.sqrt(n))
    credible = holm(p_values)
    return [name for name in measures if credible.get(name, 1.0) < LEVEL]


def _cheapest_of_the_best(
    names: Sequence[str], measures: Mapping[str, Measures], judged: Mapping[str, Sequence[Judged]]
) -> tuple[str, str]:
    """Of some settings, that with the lowest log-loss, and the cheapest that is not credibly worse than it.

    Losses are of the comparisons that all of them label: a setting that leaves the hard ones out has a lower loss of its own.
    """
    losses = _common_losses({name: judged[name] for name in names})
    best = min(names, key=lambda name: (losses[name], _cost(measures[name]), name))
    rivals = [name for name in names if name != best and _cost(measures[name]) < _cost(measures[best])]
    p_values = {name: _worse(judged[best], judged[name]) for name in rivals}
    worse = {name for name, p in holm(p_values).items() if p < LEVEL}
    kept = [best, *(name for name in rivals if name not in worse)]
    return best, min(kept, key=lambda name: (_cost(measures[name]), losses[name], name))


def _common_losses(judged: Mapping[str, Sequence[Judged]]) -> dict[str, float]:
    """Each setting's log-loss over the comparisons that all of them label; infinite where there are none."""
    ids = [{one.id for one in rows if one.probability is not None} for rows in judged.values()]
    common = set.intersection(*ids)
    weights = {one.id: one.weight for one in next(iter(judged.values())) if one.id in common}
    if not common:
        return dict.fromkeys(judged, math.inf)
    return {
        name: math.fsum(weights[one.id] * log_loss(one) for one in rows if one.id in common)
        / math.fsum(weights.values())
        for name, rows in judged.items()
    }


def paired(
    baseline: Sequence[Judged], other: Sequence[Judged], *, lost: float | None = None
) -> Estimate | None:
    """The mean difference in log-loss, over the comparisons that both label.

    Args:
        baseline: comparisons under one setting.
        other: the same under the other.
        lost: the log-loss of a comparison that the other does not label; None leaves it out.
    """
    losses = {one.id: log_loss(one) for one in other if one.probability is not None}
    return tally(
        (one, loss - log_loss(one))
        for one in baseline
        if one.probability is not None and (loss := losses.get(one.id, lost)) is not None
    ).mean()


def _survives(baseline: Sequence[Judged], other: Sequence[Judged]) -> bool:
    """Whether the other's gain is not made by what it leaves out: as credible where each of these counts as a label of ½."""
    labelled = {one.id for one in other if one.probability is not None}
    if all(one.probability is None or one.id in labelled for one in baseline):
        return True
    found = paired(baseline, other, lost=math.log(2))
    return found is not None and found.high is not None and found.high < 0


def _worse(best: Sequence[Judged], other: Sequence[Judged]) -> float:
    """P of: the other is no worse than the best. 1 where the labels are the same."""
    found = _t(paired(best, other), 0.0)
    return 1.0 if found is None else found


def _not_worse(baseline: Sequence[Judged], other: Sequence[Judged]) -> float | None:
    """P of: the other is worse than the baseline by `MARGIN` or more, also if what it leaves out counts as a label of ½; 0 where the
    labels are the same, None where it can't be known.
    """
    if _same(baseline, other):
        return 0.0
    found = [_t(paired(baseline, other, lost=lost), MARGIN) for lost in (None, math.log(2))]
    return None if None in found else 1.0 - min(p for p in found if p is not None)


def _same(baseline: Sequence[Judged], other: Sequence[Judged]) -> bool:
    """Whether both have the same labels, and any."""
    labels = {one.id: one.probability for one in other}
    return any(one.probability is not None for one in baseline) and all(
        one.id in labels and _alike(one.probability, labels[one.id]) for one in baseline
    )


def _alike(one: float | None, other: float | None) -> bool:
    return one is other or (one is not None and other is not None and abs(one - other) < 1e-9)


def _t(estimate: Estimate | None, least: float) -> float | None:
    """One-sided p of a mean of at most `least`."""
    if estimate is None or estimate.low is None or estimate.high is None or estimate.low == estimate.high:
        return None
    from scipy.stats import t  # type: ignore[import-untyped]

    freedom = estimate.chains - 1
    error = (estimate.high - estimate.low) / 2 / float(t.ppf((1 + CONFIDENCE) / 2, freedom))
    return float(t.sf((estimate.value - least) / error, freedom))


def _loses(found: Effect) -> bool:
    return found.lost > MOST_LOST * (found.n + found.lost)


def _cost(found: Measures) -> float:
    return math.inf if found.tokens is None else found.tokens.value


def _loss(found: Measures) -> float:
    return math.inf if found.log_loss is None else found.log_loss.value


# -------------------------------------------------------------------- sentences


def _better(setting: str, found: Effect, settings: int) -> str:
    difference = found.log_loss
    assert difference is not None and difference.p_adjusted is not None
    adjusted = f", adjusted for {settings} settings" if settings > 1 else ""
    tokens = f", at {_times(found.tokens.value)} the tokens" if found.tokens else ""
    lost = f"; it leaves {found.lost:,} others without a label" if found.lost else ""
    return (
        f"{setting} has a credibly lower log-loss than the baseline: "
        f"{with_interval(difference, '+.3f')}, {_p(difference.p_adjusted)}{adjusted}{tokens} ({counted(difference.n, 'comparison')}{lost})."
    )


def _cheaper_too(
    setting: str, better: Sequence[str], measures: Mapping[str, Measures], effects: Mapping[str, Effect]
) -> list[str]:
    """Names the cheapest setting that is better than the baseline too, where that is not the recommended one."""
    name = min(better, key=lambda name: (_cost(measures[name]), _loss(measures[name]), name))
    found, ratio = effects[name].log_loss, effects[name].tokens
    if _cost(measures[name]) >= _cost(measures[setting]) or found is None or ratio is None:
        return []
    return [
        f"The cheapest that is credibly better than the baseline is {name}: {with_interval(found, '+.3f')}, at "
        f"{_times(ratio.value)} the tokens."
    ]


def _cheaper_with_the_same_labels(
    baseline: str, effects: Mapping[str, Effect], judged: Mapping[str, Sequence[Judged]]
) -> list[str]:
    return [
        _the_same(name, found.n, found.tokens.value)
        for name, found in effects.items()
        if found.tokens and found.tokens.value <= CHEAPER and _same(judged[baseline], judged[name])
    ]


def _the_same(setting: str, n: int, ratio: float) -> str:
    return f"{setting} gives the same labels as the baseline in all of {n:,} comparisons, at {ratio:.0%} of the tokens."


def _not_credibly_better(
    best: str, setting: str, measures: Mapping[str, Measures], judged: Mapping[str, Sequence[Judged]]
) -> str:
    found = paired(judged[setting], judged[best])
    by = f" ({with_interval(found, '+.3f')})" if found else ""
    ratio = _cost(measures[best]) / _cost(measures[setting])
    return f"{best} has the lowest log-loss of all, where all have labels, but not credibly lower than {setting}{by}, and costs {_times(ratio)} the tokens."


def _reasons_to_stay(effects: Mapping[str, Effect]) -> list[str]:
    if not effects:
        return [
            "The baseline agrees with people credibly more often than chance; no other setting was measured."
        ]
    halves = [
        (found.high - found.low) / 2
        for one in effects.values()
        if (found := one.log_loss) and found.low is not None and found.high is not None
    ]
    most = max((one.n for one in effects.values()), default=0)
    seen = (
        f" With {most:,} comparisons, differences in log-loss below about {median(halves):.2g} can't be seen."
        if halves
        else ""
    )
    return [
        "The baseline stays: no other setting has a credibly lower log-loss, and none that is cheaper is known to be as good."
        + seen
    ]


def _reasons_for_none(measures: Mapping[str, Measures], baseline: str) -> list[str]:
    agreement = measures[baseline].agreement
    known = (
        f" (the baseline: {with_interval(agreement, '.1%')}, {counted(agreement.n, 'comparison')})"
        if agreement
        else ""
    )
    subject = "No setting agrees" if len(measures) > 1 else "The baseline does not agree"
    found = [f"{subject} with people credibly more often than chance{known}."]
    if agreement and agreement.high is not None and agreement.high < 0.5:
        found.append(
            "It agrees credibly less often than chance: check that the file does not have the worse response in the place of the "
            "better one, and that the principles ask for the better one."
        )
    else:
        found.append(
            "None can be recommended: use a stronger judge, other principles or examples, or more comparisons."
        )
    return found


def _times(ratio: float) -> str:
    return f"{ratio:.1f} times" if 0.1 <= ratio < 100 else f"{ratio:.2g} times"


def _p(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"
