"""From votes to a label: reading, clamping, pairing, averaging, and the label's standard error. Pure arithmetic, no engine.

A vote is P(the comparison's first response is better), whatever order was shown (Bai et al. 2022, section 4.1: the
normalised probability of the two options, clamped after a rationale; Lee et al. 2023, section 2.1.1: the mean over both orders;
Wang et al. 2022: self-consistency).

All arithmetic is on deviations from ½, in steps of 2**-53: there both p and 1 - p are exact, and every operation is
odd, so that swapping a comparison's responses turns p into exactly 1 - p.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from constitutional.errors import ConstitutionalError
from constitutional.feedback import Vote
from constitutional.records import Choice

OrderAverage = Literal["mean", "logit"]
LowMass = Literal["keep", "exclude"]

LOW_MASS = "low_mass"
NO_MASS = "no_mass"
UNREADABLE = "unreadable_answer"
PARTNER_DROPPED = "partner_dropped"
NO_VOTES = "no_votes"

_STEP = 2.0**-53
_CERTAIN = 1.0 - _STEP  # the largest number below 1: log-odds are bounded at ±54·ln 2, some 37.4


class Unlabelled(ConstitutionalError):
    """A comparison that gets no label.

    Attributes:
        status: `skipped` where there is nothing to ask, `failed` where the answers are of no use.
        reason: typed, as `identical_responses` or `unreadable_answer`.
        votes: the votes that there are, each with the reason why it does not count.
    """

    def __init__(
        self, status: Literal["skipped", "failed"], reason: str, detail: str, votes: tuple[Vote, ...] = ()
    ) -> None:
        self.status, self.reason, self.votes = status, reason, votes
        super().__init__(detail)


@dataclass(frozen=True, slots=True)
class Tally:
    """What some votes come to.

    Attributes:
        probability: P(the first response is better); None where no vote counts.
        standard_error: of it; None where it can't be known from a single unit or cluster.
        units: how many units count: both orders of a vote are one.
        votes: all votes, clamped, those that do not count with the reason.
    """

    probability: float | None
    standard_error: float | None
    units: int
    votes: tuple[Vote, ...]

    @property
    def reason(self) -> str:
        """Why no vote counts: what all of them have in common, or `no_votes`."""
        found = {vote.reason for vote in self.votes} - {PARTNER_DROPPED, None}
        return str(found.pop()) if len(found) == 1 else NO_VOTES

    @property
    def detail(self) -> str:
        """The reasons of the votes that do not count, as `low_mass × 3, partner_dropped × 1`."""
        counts = Counter(vote.reason for vote in self.votes if vote.reason)
        return ", ".join(f"{reason} × {count}" for reason, count in sorted(counts.items()))


def read_choice(choice: Choice, order: int) -> tuple[float | None, float]:
    """What a judge's scores of the two options say.

    Args:
        choice: the log-probability of the option of the response shown first, and of the other.
        order: 0 where the comparison's first response was shown first, 1 where the second was.

    Returns:
        (P(the comparison's first response is better), mass on both options). The former is None where neither option
        has any probability at all.
    """
    shown_first, shown_second = choice.logprobs
    mass = min(1.0, math.exp(min(shown_first, 0.0)) + math.exp(min(shown_second, 0.0)))
    if shown_first == shown_second == -math.inf:
        return None, 0.0
    # sigmoid(x) - ½ = ½ tanh(x / 2), and tanh is odd
    deviation = _on_grid(math.tanh((shown_first - shown_second) / 2) / 2)
    return 0.5 + (deviation if order == 0 else -deviation), mass


def clamped(probability: float, lower: float) -> float:
    """The probability, moved into [lower, 1 - lower]."""
    deviation = probability - 0.5
    most = _on_grid(0.5 - lower)
    return 0.5 + max(-most, min(most, deviation))


def order_mean(probabilities: Sequence[float], average: OrderAverage) -> float:
    """The mean over the orders of one vote.

    Args:
        probabilities: P(the first response is better) in each order.
        average: `mean` of the probabilities cancels a position bias that adds to them; `logit`, the sigmoid of the mean of their
            log-odds, one that adds to log-odds. There a probability of exactly 0 or 1 counts as 2**-54 or 1 - 2**-54.
    """
    return 0.5 + _order_mean([p - 0.5 for p in probabilities], average)


def orders_disagree(first: float, second: float) -> float:
    """1 where the two orders of one vote prefer different responses, ½ where just one of them prefers neither, else 0.

    Args:
        first: P(the first response is better) in one order, before clamping.
        second: the same in the other.
    """
    return abs(_side(first) - _side(second)) / 2


def aggregate(
    votes: Iterable[Vote],
    *,
    clamp: float = 0.0,
    order_average: OrderAverage = "mean",
    min_mass: float = 0.0,
    low_mass: LowMass = "keep",
    weights: Mapping[str, float] | None = None,
) -> Tally:
    r"""The label that some votes make.

    The votes of one principle and sample, one an order, are a unit; it counts if each of its votes does. With m_j the mean over
    the units of principle j and w_j its weight, the label is p = Σ w_j m_j / Σ w_j: a principle counts as much as its
    weight, however many of its units were dropped. With v_i = w_j / n_j, the share of unit i of the n_j of its principle, its
    standard error is

        √( K / (K - 1) · Σ_c ( Σ_{i ∈ c} v_i (p_i - p) )² ) / Σ v_i

    over K clusters c: the units of each principle where there are several (the sd of the principles' means / √K, where
    their weights are equal), since those of one are not independent; the units of a single principle are clusters of one
    each (the sd of the units / √K).

    Args:
        votes: with their raw probabilities; `p` is made anew from these, and so are the reasons given here.
        clamp: lower bound of a vote, from 0 to below ½; the upper one is 1 - clamp. Applied before anything is averaged.
        order_average: how the orders of a unit are averaged; see `order_mean`.
        min_mass: a vote whose options have less mass than this is a vote of low mass.
        low_mass: whether such a vote counts.
        weights: of the principles by id; None is 1 for each.
    """
    checked = [_checked(vote, clamp, min_mass, low_mass) for vote in votes]
    units: dict[tuple[str, int], list[int]] = {}
    for place, vote in enumerate(checked):
        units.setdefault((vote.principle, vote.sample), []).append(place)
    deviations: dict[str, list[float]] = {}
    for (principle, _), places in units.items():
        probabilities = [vote.p for vote in (checked[place] for place in places) if _counts(vote)]
        if len(probabilities) == len(places):
            counted = [p - 0.5 for p in probabilities if p is not None]
            deviations.setdefault(principle, []).append(_order_mean(counted, order_average))
            continue
        for place in places:
            if _counts(checked[place]):
                checked[place] = replace(checked[place], reason=PARTNER_DROPPED)
    count = sum(map(len, deviations.values()))
    if not count:
        return Tally(None, None, 0, tuple(checked))
    weight = {principle: (weights or {}).get(principle, 1.0) for principle in deviations}
    total = math.fsum(weight.values())
    means = {principle: math.fsum(found) / len(found) for principle, found in deviations.items()}
    label = math.fsum(weight[principle] * mean for principle, mean in means.items()) / total
    if len(deviations) > 1:
        residuals = [weight[principle] * (mean - label) for principle, mean in means.items()]
    else:
        ((principle, found),) = deviations.items()
        residuals = [weight[principle] / len(found) * (unit - label) for unit in found]
    return Tally(0.5 + _on_grid(label), _standard_error(residuals, total), count, tuple(checked))


def _standard_error(residuals: Sequence[float], total: float) -> float | None:
    """√(K / (K - 1) · Σ r²) / Σ w over the K clusters' weighted residuals r; None for one cluster."""
    clusters = len(residuals)
    if clusters < 2:
        return None
    return math.sqrt(clusters / (clusters - 1) * math.fsum(r * r for r in residuals)) / total


def _counts(vote: Vote) -> bool:
    return vote.reason is None


def _checked(vote: Vote, clamp: float, min_mass: float, low_mass: LowMass) -> Vote:
    """The vote with its clamped probability, and with the reason, if there is one, why it does not count."""
    reason = None if vote.reason in (LOW_MASS, PARTNER_DROPPED) else vote.reason
    if reason is None and vote.p_raw is None:
        reason = NO_MASS
    if reason is None and low_mass == "exclude" and is_low(vote, min_mass):
        reason = LOW_MASS
    p = None if vote.p_raw is None else clamped(vote.p_raw, clamp)
    return replace(vote, p=p, reason=reason)


def is_low(vote: Vote, min_mass: float) -> bool:
    """Whether a vote's options have too little mass; a counted answer has no mass, and never too little."""
    return vote.mass is not None and vote.mass < min_mass


def _side(p: float) -> int:
    return (p > 0.5) - (p < 0.5)


def _order_mean(deviations: Sequence[float], average: OrderAverage) -> float:
    if average == "mean" or len(deviations) == 1:
        return math.fsum(deviations) / len(deviations)
    # with d = p - ½, the log-odds are 2 atanh(2 d); atanh and tanh are odd
    halves = [math.atanh(max(-_CERTAIN, min(_CERTAIN, 2 * deviation))) for deviation in deviations]
    return math.tanh(math.fsum(halves) / len(halves)) / 2


def _on_grid(deviation: float) -> float:
    """The deviation in steps of 2**-53, half to even: then ½ + d and ½ - d are exact."""
    return round(deviation / _STEP) * _STEP
