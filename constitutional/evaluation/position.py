"""Does a judge prefer a response for where it stands? Read from votes, before clamping, since clamping hides it.

Where both orders of a vote were asked, what is preferred for its own sake cancels: the mean of P(the response shown first is better)
over both orders is ½ unless the place itself counts (Lee et al. 2023, section 2.1.1 and appendix B). Where only one was, a hash drew which (`stages/label.py`),
so that the mean over comparisons is ½ too without a bias, but each comparison adds the noise of its own answer.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from constitutional.estimates import Estimate
from constitutional.evaluation.judged import Judged, mean, prefers, proportion
from constitutional.stages.votes import orders_disagree


@dataclass(frozen=True, slots=True)
class Position:
    """How a judge's votes depend on the order in which responses are shown.

    Attributes:
        bias: mean P(the response shown first is better) - ½, over comparisons.
        paired: whether it is over pairs of votes that differ in their order alone; if not, it is over votes in one order.
        disagree: share of such pairs in which the other order prefers the other response; where one order prefers neither, half.
        first: share in which both orders prefer the response shown first.
        second: share in which both orders prefer the response shown second.
        consistent: agreement with people where the means of both orders prefer the same response.
        inconsistent: agreement where they don't.
    """

    bias: Estimate
    paired: bool
    disagree: Estimate | None = None
    first: Estimate | None = None
    second: Estimate | None = None
    consistent: Estimate | None = None
    inconsistent: Estimate | None = None


def position(judged: Sequence[Judged]) -> Position | None:
    """The position bias of the votes that count; None where there is none."""
    pairs = {one.id: found for one in judged if (found := _pairs(one))}
    if not pairs:
        bias = mean(judged, _shown_first, within=(-0.5, 0.5))
        return None if bias is None else Position(bias, paired=False)
    asked = [one for one in judged if one.id in pairs]
    bias = mean(asked, lambda one: fmean((p - q) / 2 for p, q in pairs[one.id]), within=(-0.5, 0.5))
    assert bias is not None
    same = {one.id for one in asked if _same(pairs[one.id])}
    decided = [one for one in asked if one.probability is not None and one.human != 0.5]
    return Position(
        bias,
        paired=True,
        disagree=proportion(asked, lambda one: fmean(orders_disagree(p, q) for p, q in pairs[one.id])),
        first=proportion(asked, lambda one: fmean(p > 0.5 > q for p, q in pairs[one.id])),
        second=proportion(asked, lambda one: fmean(p < 0.5 < q for p, q in pairs[one.id])),
        consistent=proportion([one for one in decided if one.id in same], agrees),
        inconsistent=proportion([one for one in decided if one.id not in same], agrees),
    )


def agrees(one: Judged) -> float | None:
    """1 where the label prefers what people prefer, ½ where it prefers neither; None without a label or where people are divided."""
    if one.probability is None or one.human == 0.5:
        return None
    return 1.0 - abs(prefers(one.probability) - prefers(one.human))


def _pairs(one: Judged) -> list[tuple[float, float]]:
    """P(the first response is better) of votes that differ in their order alone: shown first, and shown second."""
    found: dict[tuple[str, int], dict[int, float]] = {}
    for vote in one.votes:
        if vote.reason is None and vote.p_raw is not None:
            found.setdefault((vote.principle, vote.sample), {})[vote.order] = vote.p_raw
    return [(orders[0], orders[1]) for _, orders in sorted(found.items()) if len(orders) == 2]


def _same(pairs: Sequence[tuple[float, float]]) -> bool:
    return prefers(fmean(p for p, _ in pairs)) == prefers(fmean(q for _, q in pairs))


def _shown_first(one: Judged) -> float | None:
    found = [
        vote.p_raw - 0.5 if vote.order == 0 else 0.5 - vote.p_raw
        for vote in one.votes
        if vote.reason is None and vote.p_raw is not None
    ]
    return fmean(found) if found else None
