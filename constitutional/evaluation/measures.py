"""How good one setting's labels are: agreement with people, log-loss, Brier score, calibration, position bias, cost.

A label is scored against people's P(the first response is better), soft where they are divided. Every measure stays as it is when
comparisons are swapped or rows are permuted.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from constitutional.estimates import Estimate
from constitutional.evaluation.calibration import Bin, ByChance, calibration
from constitutional.evaluation.judged import Judged, mean, ordered, proportion, tally, to_row
from constitutional.evaluation.position import Position, agrees, position

CLIP = 1e-4
"""For the log-loss, a label nearer to 0 or 1 than this is taken as this: one wrong and certain label costs 9.2, not infinity."""
_CLAMPS = (0.05, 0.1, 0.2, 0.3, 0.4, 0.45)


@dataclass(frozen=True, slots=True)
class Clamped:
    """What clamping the labels would have done on these comparisons.

    Attributes:
        lower: the clamp, that of a few with the lowest log-loss.
        log_loss: with it.
        gain: how much lower that is, with its interval; found on the same comparisons, so a little too good.
    """

    lower: float
    log_loss: float
    gain: Estimate


@dataclass(frozen=True, slots=True)
class Measures:
    """Of one setting. What can't be known, as without labels, is None.

    Attributes:
        n: comparisons.
        labelled: those with a label; all that follows is about them unless it says otherwise.
        unlabelled: those without.
        ties: labelled ones on which people are divided evenly; they don't count in agreement.
        undecided: labels of exactly ½.
        clipped: labels nearer to 0 or 1 than `CLIP`.
        agreement: share of comparisons on which people aren't divided evenly in which the label prefers what people prefer; a label
            of exactly ½ counts ½.
        log_loss: cross-entropy of the label to people's judgement, in nats; always saying ½ has ln 2 = 0.693.
        entropy: the entropy of people's judgements, the log-loss that a label can't get below; 0 where all are 0 or 1.
        brier: mean squared difference of label and judgement; always saying ½ has 0.25 where people aren't divided.
        ece: expected calibration error; see `calibration.py`.
        ece_by_chance: what it would be for a calibrated judge.
        bins: of the reliability diagram.
        overconfidence: mean of max(p, 1 - p) less how often people agree.
        clamp: what clamping would do; None where it would not lower the log-loss.
        decisiveness: mean |p - ½|.
        position: mean P(the response shown first is better) - ½.
        orders: more about the order in which responses are shown.
        mass: mean probability on both options, over votes.
        low_mass: share of votes with less than `min_mass` on them.
        prompt_tokens: mean a comparison, labelled or not.
        completion_tokens: likewise.
        tokens: both together.
    """

    n: int
    labelled: int
    unlabelled: int
    ties: int
    undecided: int
    clipped: int
    agreement: Estimate | None
    log_loss: Estimate | None
    entropy: Estimate | None
    brier: Estimate | None
    ece: Estimate | None
    ece_by_chance: ByChance | None
    bins: tuple[Bin, ...]
    overconfidence: Estimate | None
    clamp: Clamped | None
    decisiveness: Estimate | None
    position: Estimate | None
    orders: Position | None
    mass: Estimate | None
    low_mass: Estimate | None
    prompt_tokens: Estimate | None
    completion_tokens: Estimate | None
    tokens: Estimate | None

    @property
    def orders_disagree(self) -> Estimate | None:
        """Share of pairs of orders that prefer different responses; None where both were not asked."""
        return self.orders.disagree if self.orders else None

    def to_row(self) -> dict[str, Any]:
        """The measures as JSON has them, with an estimate's `value`, `low`, `high`, `n` and `clusters`."""
        return {**to_row(self), "orders_disagree": to_row(self.orders_disagree)}


def measure(judged: Sequence[Judged], *, seed: int = 0, min_mass: float = 0.5) -> Measures:
    """Measure one setting's labels against people.

    Args:
        judged: comparisons under one setting, in any order, no id twice.
        seed: of the bootstrap and of the simulated calibrated judge.
        min_mass: below this, a vote's options have little mass.

    Raises:
        ValueError: an id is there twice.
    """
    rows = ordered(judged)
    labelled = [one for one in rows if one.probability is not None]
    calibrated = calibration(labelled, seed)
    orders = position(rows)
    return Measures(
        n=len(rows),
        labelled=len(labelled),
        unlabelled=len(rows) - len(labelled),
        ties=sum(one.human == 0.5 for one in labelled),
        undecided=sum(one.probability == 0.5 for one in labelled),
        clipped=sum(abs(_labelled(one) - 0.5) > 0.5 - CLIP for one in labelled),
        agreement=proportion(labelled, agrees),
        log_loss=mean(labelled, log_loss, within=(0.0, math.inf)),
        entropy=mean(labelled, lambda one: cross_entropy(one.human, one.human), within=(0.0, math.log(2))),
        brier=mean(labelled, brier, within=(0.0, 1.0)),
        ece=calibrated.ece if calibrated else None,
        ece_by_chance=calibrated.by_chance if calibrated else None,
        bins=calibrated.bins if calibrated else (),
        overconfidence=calibrated.overconfidence if calibrated else None,
        clamp=_best_clamp(labelled),
        decisiveness=mean(labelled, lambda one: abs(_labelled(one) - 0.5), within=(0.0, 0.5)),
        position=orders.bias if orders else None,
        orders=orders,
        mass=mean(rows, _mass, within=(0.0, 1.0)),
        low_mass=proportion(rows, lambda one: _low_mass(one, min_mass)),
        prompt_tokens=mean(rows, lambda one: one.prompt_tokens, within=(0.0, math.inf)),
        completion_tokens=mean(rows, lambda one: one.completion_tokens, within=(0.0, math.inf)),
        tokens=mean(rows, lambda one: one.tokens, within=(0.0, math.inf)),
    )


def cross_entropy(human: float, probability: float, clip: float = 0.0) -> float:
    """-h ln p - (1 - h) ln(1 - p), in nats, with 0 ln 0 = 0.

    Args:
        human: h, in [0, 1].
        probability: p, in [0, 1].
        clip: p is moved into [clip, 1 - clip].
    """
    # both sides are clipped at the bottom: 1 - (1 - clip) is not quite clip
    terms = ((human, max(clip, probability)), (1.0 - human, max(clip, 1.0 - probability)))
    return -sum(h * math.log(min(1.0 - clip, p)) for h, p in terms if h > 0)


def log_loss(one: Judged) -> float:
    """The log-loss of a comparison with a label."""
    return cross_entropy(one.human, _labelled(one), CLIP)


def brier(one: Judged) -> float:
    """The squared error of a comparison with a label."""
    return (_labelled(one) - one.human) ** 2


def _best_clamp(labelled: Sequence[Judged]) -> Clamped | None:
    """The clamp with the lowest log-loss, if that is credibly lower than without."""
    best: Clamped | None = None
    for lower in _CLAMPS:
        losses = {
            one.id: cross_entropy(one.human, min(1.0 - lower, max(lower, _labelled(one))), CLIP)
            for one in labelled
        }
        gain = tally((one, log_loss(one) - losses[one.id]) for one in labelled).mean()
        after = mean(labelled, lambda one, losses=losses: losses[one.id])  # type: ignore[misc]
        if gain is None or after is None or gain.low is None or gain.low <= 0:
            continue
        if best is None or gain.value > best.gain.value:
            best = Clamped(lower, after.value, gain)
    return best


def _labelled(one: Judged) -> float:
    assert one.probability is not None
    return one.probability


def _mass(one: Judged) -> float | None:
    found = [vote.mass for vote in one.votes if vote.mass is not None]
    return fmean(found) if found else None


def _low_mass(one: Judged, min_mass: float) -> float | None:
    found = [vote.mass < min_mass for vote in one.votes if vote.mass is not None]
    return fmean(found) if found else None
