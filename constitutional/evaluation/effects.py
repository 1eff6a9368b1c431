"""What a setting changes: paired differences to a baseline, on the comparisons that both label.

The same comparisons are hard under both settings, so differences are much better known than the two values. Means of differences have a
t interval over clusters. That of agreement is Bonett and Price's (2012) adjustment of the McNemar table, which stays honest where few
comparisons, or none, change sides: one comparison that the setting wins and one that it loses are added to each side before the interval is
computed. The tokens' ratio is one of totals, its interval made on the logarithm.

Many settings beside one baseline make it likely that some look better by chance. Intervals are each on its own; `p_adjusted` is the one to judge by, Holm's
adjustment over all settings of one audit, for each measure by itself.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from constitutional.estimates import CONFIDENCE, Estimate, Tally
from constitutional.evaluation.calibration import ece_sums, fold, resampled
from constitutional.evaluation.judged import Judged, ordered, tally, to_row
from constitutional.evaluation.measures import brier, log_loss
from constitutional.evaluation.position import agrees


@dataclass(frozen=True, slots=True)
class Difference:
    """The other setting's value less the baseline's, or by the baseline's for a ratio.

    Attributes:
        value: of the difference, or of the ratio.
        low: lower end of its interval; None where nothing can be said of the spread.
        high: its upper end; None likewise.
        n: comparisons.
        p: two-sided, that there is no difference; None where it is not tested.
        p_adjusted: by Holm, over all settings of the audit; None where no others were given.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    p: float | None = None
    p_adjusted: float | None = None

    def to_row(self) -> dict[str, Any]:
        """The difference as JSON has it."""
        return dict(to_row(self))


@dataclass(frozen=True, slots=True)
class Effect:
    """What one setting changes, beside the baseline. Lower is better, but for agreement.

    Attributes:
        n: comparisons that are labelled under both settings.
        lost: labelled under the baseline alone.
        gained: labelled under the other setting alone.
        agreement: difference in agreement.
        log_loss: difference in log-loss, in nats.
        brier: difference in the Brier score.
        ece: difference in ECE, not tested; with fewer than 200 comparisons its interval is too narrow.
        tokens: ratio of the tokens; not tested either.
    """

    n: int
    lost: int
    gained: int
    agreement: Difference | None
    log_loss: Difference | None
    brier: Difference | None
    ece: Difference | None
    tokens: Difference | None

    def to_row(self) -> dict[str, Any]:
        """The effect as JSON has it."""
        return dict(to_row(self))


TESTED = ("agreement", "log_loss", "brier")


def effect(baseline: Sequence[Judged], other: Sequence[Judged], *, seed: int = 0) -> Effect:
    """The paired differences of a setting to the baseline.

    Args:
        baseline: comparisons under the baseline.
        other: comparisons under the other setting; they are paired by id, and people's judgements and weights are the baseline's.
        seed: of the ECE's bootstrap.

    Raises:
        ValueError: an id is there twice.
    """
    base, others = ordered(baseline), {one.id: one for one in ordered(other)}
    pairs = [
        (one, replace(others[one.id], human=one.human, weight=one.weight, cluster=one.cluster))
        for one in base
        if one.id in others
    ]
    both = [(a, b) for a, b in pairs if a.probability is not None and b.probability is not None]
    decided = [(a, _agreed(b) - _agreed(a)) for a, b in both if a.human != 0.5]
    return Effect(
        n=len(both),
        lost=sum(a.probability is not None and b.probability is None for a, b in pairs),
        gained=sum(a.probability is None and b.probability is not None for a, b in pairs),
        agreement=_agreement(decided),
        log_loss=_difference(tally((a, log_loss(b) - log_loss(a)) for a, b in both)),
        brier=_difference(tally((a, brier(b) - brier(a)) for a, b in both)),
        ece=_ece([a for a, _ in both], [b for _, b in both], seed),
        tokens=_ratio(pairs),
    )


def effects(
    baseline: Sequence[Judged], others: Mapping[str, Sequence[Judged]], *, seed: int = 0
) -> dict[str, Effect]:
    """The effects of several settings, with p-values adjusted for their number.

    Args:
        baseline: comparisons under the baseline.
        others: comparisons under each of the other settings, by its name.
        seed: of the ECE's bootstrap.

    Raises:
        ValueError: an id is there twice under one setting.
    """
    return adjusted({name: effect(baseline, other, seed=seed) for name, other in others.items()})


def adjusted(found: Mapping[str, Effect]) -> dict[str, Effect]:
    """Effects with `p_adjusted`: Holm (1979), over these settings, for each tested measure by itself."""
    made = dict(found)
    for measure in TESTED:
        tested: dict[str, Difference] = {
            name: difference
            for name, one in made.items()
            if (difference := getattr(one, measure)) is not None and difference.p is not None
        }
        p_values = holm({name: difference.p or 0.0 for name, difference in tested.items()})
        for name, p in p_values.items():
            changed: dict[str, Any] = {measure: replace(tested[name], p_adjusted=p)}
            made[name] = replace(made[name], **changed)
    return made


def holm(p_values: Mapping[str, float]) -> dict[str, float]:
    """Holm's adjusted p-values: the i-th smallest of k times k - i + 1, never below a smaller one's, at most 1."""
    made: dict[str, float] = {}
    reached = 0.0
    for place, name in enumerate(sorted(p_values, key=lambda name: (p_values[name], name))):
        reached = max(reached, min(1.0, p_values[name] * (len(p_values) - place)))
        made[name] = reached
    return {name: made[name] for name in p_values}


def _agreed(one: Judged) -> float:
    found = agrees(one)
    assert found is not None
    return found


def _difference(found: Tally) -> Difference | None:
    estimate = found.mean()
    if estimate is None:
        return None
    return Difference(estimate.value, estimate.low, estimate.high, estimate.n, _p(estimate))


def _p(estimate: Estimate) -> float | None:
    """Two-sided p of a mean of 0, the one that fits its t interval; 1 where no value differs from 0."""
    from scipy.stats import t  # type: ignore[import-untyped]

    if estimate.low is None or estimate.high is None or estimate.low == estimate.high:
        return 1.0 if abs(estimate.value) < 1e-12 and estimate.chains > 1 else None
    freedom = estimate.chains - 1
    error = (estimate.high - estimate.low) / 2 / float(t.ppf((1 + CONFIDENCE) / 2, freedom))
    return float(2 * t.sf(abs(estimate.value) / error, freedom))


def _agreement(differences: Sequence[tuple[Judged, float]]) -> Difference | None:
    """The mean difference, its interval with one win and one loss more."""
    found = tally(differences)
    plain = found.mean()
    if plain is None or plain.chains < 2:
        return None if plain is None else Difference(plain.value, None, None, plain.n)
    average = sum(one.weight for one, _ in differences) / len(differences)
    found.add([1.0], [average])
    found.add([-1.0], [average])
    wider = found.mean()
    assert wider is not None and wider.low is not None and wider.high is not None
    low, high = max(-1.0, min(plain.value, wider.low)), min(1.0, max(plain.value, wider.high))
    return Difference(plain.value, low, high, plain.n, _p(wider))


def _ece(baseline: Sequence[Judged], other: Sequence[Judged], seed: int) -> Difference | None:
    """The difference, with the reverse percentile ("basic") interval, in which most of the two ECEs' upward bias cancels."""
    import numpy as np

    if not baseline:
        return None
    before, sums, sizes = ece_sums(fold(baseline))
    after, other_sums, _ = ece_sums(fold(other))
    value = after - before
    if len(sums) < 2:
        return Difference(value, None, None, len(baseline))
    drawn = np.concatenate(
        [
            (np.abs(counts @ other_sums).sum(axis=1) - np.abs(counts @ sums).sum(axis=1)) / (counts @ sizes)
            for counts in resampled(len(sums), seed)
        ]
    )
    quantiles = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    low, high = 2 * value - float(quantiles[1]), 2 * value - float(quantiles[0])
    return Difference(value, min(low, value), max(high, value), len(baseline))


def _ratio(pairs: Sequence[tuple[Judged, Judged]]) -> Difference | None:
    """Tokens of all comparisons under the other setting by those under the baseline."""
    known = [
        (a, float(a.tokens), float(b.tokens))
        for a, b in pairs
        if a.tokens is not None and b.tokens is not None
    ]
    before, after = (sum(a.weight * row for a, row in column) for column in _columns(known))
    if not known or before <= 0 or after <= 0:
        return None
    # of the logarithm of a ratio of totals, to first order: the mean of n (after_i / after - before_i / before)
    n = sum(a.weight for a, _, _ in known)
    spread = tally((a, n * (new / after - old / before)) for a, old, new in known).mean()
    value = after / before
    if spread is None or spread.low is None or spread.high is None:
        same = spread is not None and spread.chains > 1  # the same ratio for every cluster
        return Difference(value, value if same else None, value if same else None, len(known))
    return Difference(value, value * math.exp(spread.low), value * math.exp(spread.high), len(known))


def _columns(known: Sequence[tuple[Judged, float, float]]) -> tuple[list[tuple[Judged, float]], ...]:
    return [(a, old) for a, old, _ in known], [(a, new) for a, _, new in known]
