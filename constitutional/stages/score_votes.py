"""From ratings to a score: the expectation over a scale, the mean over principles, and its error. Pure arithmetic.

A rating is Σ i·P(i) / Σ P(i) over the ratings i of a scale (Lee et al. 2023, arXiv 2309.00267, direct RLAIF), or read
from what the judge wrote.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from constitutional.records import Row
from constitutional.stages.votes import LOW_MASS, NO_MASS, NO_VOTES, LowMass
from constitutional.templates import Scale


@dataclass(frozen=True, slots=True)
class ScoreVote:
    """One rating of a judge: one principle, one sample.

    Attributes:
        principle: id of the principle that was asked.
        sample: number of the written rating, from 0.
        rating: in the scale; None where the answer can't be read.
        mass: probability of all ratings together; None for a written one.
        justification: all that the judge wrote; None where nothing was to be written.
        reason: why the vote does not count: `low_mass`, `no_mass`, one of `rating.REASONS`, or an engine's error's; None for one
            that counts.
    """

    principle: str
    sample: int
    rating: float | None
    mass: float | None = None
    justification: str | None = None
    reason: str | None = None

    def to_row(self) -> Row:
        """The vote as it stands in a score's row."""
        return {name: getattr(self, name) for name in VOTE_FIELDS}


VOTE_FIELDS = ("principle", "sample", "rating", "mass", "justification", "reason")


@dataclass(frozen=True, slots=True)
class Score:
    """How good one response is.

    Attributes:
        id: the response's.
        score: from −1 to 1; None where no vote counts.
        rating: the same in the scale.
        standard_error: of the score: over the principles, or over the samples of a single one; None for a single
            vote.
        votes: all votes, those that do not count too.
        flagged: how many votes have little mass.
        reason: why there is no score: the reason of all votes, or `no_votes` where they differ.
        detail: how many votes have which reason; None where all count.
    """

    id: str
    score: float | None
    rating: float | None
    standard_error: float | None
    votes: tuple[ScoreVote, ...]
    flagged: int = 0
    reason: str | None = None
    detail: str | None = None


def aggregate(
    id: str,
    votes: Sequence[ScoreVote],
    scale: Scale,
    *,
    weights: Mapping[str, float] | None = None,
    min_mass: float = 0.0,
) -> Score:
    """The score that some votes make.

    With m_j the mean rating over the samples of principle j and w_j its weight, the rating is r = Σ w_j m_j / Σ w_j over the
    principles that have a vote that counts. The score is r moved from the scale to [−1, 1].

    Args:
        id: the response's.
        votes: all votes; those with a reason do not count.
        scale: of the ratings.
        weights: of the principles by id; None is 1 for each.
        min_mass: mass below which a vote is flagged.
    """
    by_principle: dict[str, list[float]] = {}
    for vote in votes:
        if vote.reason is None and vote.rating is not None:
            by_principle.setdefault(vote.principle, []).append(vote.rating)
    reasons = Counter(vote.reason for vote in votes if vote.reason)
    detail = ", ".join(f"{reason} × {count}" for reason, count in sorted(reasons.items())) or None
    flagged = sum(vote.mass is not None and vote.mass < min_mass for vote in votes)
    if not by_principle:
        reason = next(iter(reasons)) if len(reasons) == 1 else NO_VOTES
        return Score(id, None, None, None, tuple(votes), flagged, reason, detail)
    if len(by_principle) > 1:
        means = [math.fsum(ratings) / len(ratings) for ratings in by_principle.values()]
        rating, error = weighted_mean(means, [(weights or {}).get(name, 1.0) for name in by_principle])
    else:
        (ratings,) = by_principle.values()
        rating, error = weighted_mean(ratings, [1.0] * len(ratings))
    unit = 2.0 / (scale.high - scale.low)
    # rounding must not take it out of its range
    score = min(1.0, max(-1.0, (rating - scale.low) * unit - 1.0))
    return Score(
        id, score, rating, None if error is None else error * unit, tuple(votes), flagged, detail=detail
    )


def scored_vote(
    principle: str, logprobs: Sequence[float], values: Sequence[float], *, min_mass: float, low_mass: LowMass
) -> ScoreVote:
    """The vote that the log-probabilities of the ratings `values` make."""
    rating, mass = expectation(logprobs, values)
    if rating is None:
        return ScoreVote(principle, 0, None, mass, reason=NO_MASS)
    excluded = mass < min_mass and low_mass == "exclude"
    return ScoreVote(principle, 0, rating, mass, reason=LOW_MASS if excluded else None)


def expectation(logprobs: Sequence[float], values: Sequence[float]) -> tuple[float | None, float]:
    """Σ v·P(v) / Σ P(v), and Σ P(v); (None, 0.0) where no value has any probability."""
    largest = max(logprobs)
    if largest == -math.inf:
        return None, 0.0
    shares = [math.exp(logprob - largest) for logprob in logprobs]
    mean = math.fsum(share * value for share, value in zip(shares, values, strict=True)) / math.fsum(shares)
    # rounding must not take it out of its range
    mean = min(max(values), max(min(values), mean))
    return mean, min(1.0, math.fsum(shares) * math.exp(largest))


def weighted_mean(values: Sequence[float], weights: Sequence[float]) -> tuple[float, float | None]:
    """The mean x̄ = Σwx / Σw and its standard error √(n/(n−1) · Σw²(x − x̄)²) / Σw, which is s/√n for equal weights; None for n = 1."""
    count, total = len(values), math.fsum(weights)
    mean = math.fsum(w * x for w, x in zip(weights, values, strict=True)) / total
    if count < 2:
        return mean, None
    squares = math.fsum((w * (x - mean)) ** 2 for w, x in zip(weights, values, strict=True))
    return mean, math.sqrt(count / (count - 1) * squares) / total
