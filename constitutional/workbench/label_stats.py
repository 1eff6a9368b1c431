"""What the votes of labels show about the principles that were asked, counted comparison by comparison.

Three values of p per principle and comparison, all averaged over its orders and samples as the run averages them: of each vote as it
was shown (for the position bias), before clamping (for how decisive a principle is), and as it counts in the label
(for all else). All are kept as deviations from ½.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from constitutional.estimates import Estimate, Tally, wilson
from constitutional.records import Row
from constitutional.stages.label import LabelSettings
from constitutional.stages.votes import order_mean, orders_disagree
from constitutional.workbench.correlations import Moments, same_side, side
from constitutional.workbench.principle_stats import Draws


@dataclass(frozen=True, slots=True)
class Votes:
    """A principle's votes.

    Attributes:
        cast: all of them.
        counted: those that count.
        lost: share that does not.
        not_counted: how many do not, by reason.
        flagged: share with less mass on the two answers than the run asks for; None for counted answers.
        mass: mean mass; None likewise.
        truncated: how many rationales the token limit cut off.
    """

    cast: int
    counted: int
    lost: Estimate
    not_counted: Mapping[str, int]
    flagged: Estimate | None
    mass: Estimate | None
    truncated: int


@dataclass(frozen=True, slots=True)
class Decisive:
    """How far a principle's p is from ½: from 0, it never prefers a response, to ½, it is always certain.

    Attributes:
        raw: mean of |p - ½|, p before clamping, over both orders.
        clamped: the same of p as it counts; None where nothing is clamped.
    """

    raw: Estimate
    clamped: Estimate | None


@dataclass(frozen=True, slots=True)
class Position:
    """Whether a principle's answers go by what is shown first.

    Attributes:
        bias: mean P(the response shown first is better) - ½, before clamping; above 0 it prefers what is shown first.
        prefers_first: share of votes that prefer the response shown first; ½ without a bias.
        orders_disagree: share of pairs of orders that prefer different responses, where just one prefers neither half; None where
            only one order was asked.
    """

    bias: Estimate
    prefers_first: Estimate
    orders_disagree: Estimate | None


@dataclass(frozen=True, slots=True)
class Influence:
    """What a principle does to the label, over comparisons on which others voted too.

    Attributes:
        flips: share of labels that would prefer the other response without it.
        moves: mean of |label - label without it|.
        agree: share on which it prefers the same response as the label of the others.
        correlation: of its p with that label, through ½ (`correlations.py`); None where it can't be known, and of all
            principles together.
    """

    flips: Estimate
    moves: Estimate
    agree: Estimate
    correlation: Estimate | None


@dataclass(frozen=True, slots=True)
class LabelStats:
    """What a principle did, by section; a section that the run does not have is None.

    Attributes:
        id: of the principle; of all of them together, what a person would call it.
        draws: how often it was drawn; what is called rounds there are comparisons.
        votes: None where it was never asked.
        decisive: None where no vote counts.
        position: None likewise.
        influence: None where no other principle voted on the same comparison.
        people: share of people's labels whose response it prefers too; None where there are none.
        remarks: kinds of the remarks that name it, the gravest first.
    """

    id: str
    draws: Draws
    votes: Votes | None
    decisive: Decisive | None
    position: Position | None
    influence: Influence | None
    people: Estimate | None
    remarks: tuple[str, ...] = ()


@dataclass(slots=True)
class Opinion:
    """What the votes of one principle say of one comparison.

    Attributes:
        cast: votes.
        flagged: by vote that has a mass, 1 where it is too little.
        masses: of these votes.
        truncated: rationales that were cut off.
        reasons: why votes do not count.
        shown_first: by counted vote, P(the response shown first is better) - ½.
        disagree: by vote in two orders, 1 where these prefer different responses, ½ where just one prefers neither.
        raw: deviation of p from ½ before clamping; None where no vote counts.
        used: the same as it counts in the label.
    """

    cast: int = 0
    flagged: list[float] = field(default_factory=list)
    masses: list[float] = field(default_factory=list)
    truncated: int = 0
    reasons: list[str] = field(default_factory=list)
    shown_first: list[float] = field(default_factory=list)
    disagree: list[float] = field(default_factory=list)
    raw: float | None = None
    used: float | None = None


@dataclass(frozen=True, slots=True)
class Effect:
    """What a principle does to one label.

    Attributes:
        others: label of the others, as a deviation from ½.
        flips: whether the label without it prefers the other response.
        moves: how far it is from the label.
    """

    others: float
    flips: bool
    moves: float


def read_votes(votes: Sequence[Row], settings: LabelSettings) -> dict[str, Opinion]:
    """What each principle says of one comparison.

    Args:
        votes: as they stand in a label's row.
        settings: those of the run.
    """
    opinions: dict[str, Opinion] = {}
    units: dict[str, dict[int, list[Row]]] = {}
    for vote in votes:
        opinion = opinions.setdefault(vote["principle"], Opinion())
        opinion.cast += 1
        opinion.truncated += vote["rationale_finish_reason"] == "length"
        if vote["mass"] is not None:
            opinion.masses.append(vote["mass"])
            opinion.flagged.append(float(vote["mass"] < settings.min_mass))
        if vote["reason"] is not None:
            opinion.reasons.append(vote["reason"])
            continue
        opinion.shown_first.append((0.5 - vote["p_raw"]) if vote["order"] else (vote["p_raw"] - 0.5))
        units.setdefault(vote["principle"], {}).setdefault(vote["sample"], []).append(vote)
    for id, samples in units.items():
        opinion, raw, used = opinions[id], [], []
        for unit in samples.values():
            found = [vote["p_raw"] for vote in unit]
            if len(found) > 1:
                opinion.disagree.append(orders_disagree(found[0], found[1]))
            raw.append(order_mean(found, settings.order_average) - 0.5)
            used.append(order_mean([vote["p"] for vote in unit], settings.order_average) - 0.5)
        opinion.raw, opinion.used = math.fsum(raw) / len(raw), math.fsum(used) / len(used)
    return opinions


def effects(deviations: Mapping[str, float], weights: Mapping[str, float]) -> dict[str, Effect]:
    """What each principle does to a label that is the weighted mean of several; empty where it is not of several.

    Args:
        deviations: of each principle's p from ½.
        weights: of the principles in the mean; 1 where there is none.
    """
    if len(deviations) < 2:
        return {}
    terms = {id: weights.get(id, 1.0) * deviation for id, deviation in deviations.items()}
    total = math.fsum(weights.get(id, 1.0) for id in deviations)
    whole = math.fsum(terms.values())
    found = {}
    for id, term in terms.items():
        others = (whole - term) / (total - weights.get(id, 1.0))
        found[id] = Effect(others, side(whole / total) * side(others) < 0, abs(whole / total - others))
    return found


class VoteTally:
    """Everything that is counted of the votes of one principle, or of all."""

    def __init__(self) -> None:
        names = (
            "cast", "lost", "flagged", "mass", "raw", "used", "bias", "first", "disagree", "flips", "moves", "others", "people",
        )  # fmt: skip
        self._tallies = {name: Tally() for name in names}
        self._reasons: Counter[str] = Counter()
        self._truncated = 0
        self._with_others = Moments()

    def add(
        self,
        opinions: Sequence[Opinion],
        effects: Sequence[Effect | None] = (),
        human: float | None = None,
    ) -> None:
        """Take what was said of one more comparison.

        Args:
            opinions: of one principle, or of all.
            effects: what each does to the label; None where no other voted.
            human: people's P(the first response is better) - ½; None where there is none, or they prefer neither.
        """
        known = [opinion.used for opinion in opinions if opinion.used is not None]
        seen = list(zip(opinions, effects, strict=False))
        taken: dict[str, list[float]] = {
            "cast": [1.0 for opinion in opinions for _ in range(opinion.cast)],
            "lost": [
                float(vote < len(opinion.reasons)) for opinion in opinions for vote in range(opinion.cast)
            ],
            "flagged": [flag for opinion in opinions for flag in opinion.flagged],
            "mass": [mass for opinion in opinions for mass in opinion.masses],
            "raw": [abs(opinion.raw) for opinion in opinions if opinion.raw is not None],
            "used": [abs(deviation) for deviation in known],
            "bias": [bias for opinion in opinions for bias in opinion.shown_first],
            "first": [(1 + side(bias)) / 2 for opinion in opinions for bias in opinion.shown_first],
            "disagree": [one for opinion in opinions for one in opinion.disagree],
            "flips": [float(effect.flips) for _, effect in seen if effect],
            "moves": [effect.moves for _, effect in seen if effect],
            "others": [
                same_side(opinion.used, effect.others)
                for opinion, effect in seen
                if effect and opinion.used is not None
            ],
            "people": [] if human is None else [same_side(deviation, human) for deviation in known],
        }
        for name, observations in taken.items():
            self._tallies[name].add(observations)
        if len(seen) == 1:  # its interval takes each comparison as one observation
            ((opinion, effect),) = seen
            if effect and opinion.used is not None:
                self._with_others.add(opinion.used, effect.others)
        for opinion in opinions:
            self._truncated += opinion.truncated
            self._reasons.update(opinion.reasons)

    def stats(self, id: str, comparisons: int, *, clamped: bool, expected: float | None = None) -> LabelStats:
        """What they come to.

        Args:
            id: whose votes they are.
            comparisons: those of the whole run.
            clamped: whether the run clamps votes.
            expected: see `Draws`.
        """
        tally = self._tallies
        drawn = tally["cast"].chains
        share = drawn / comparisons
        lost, raw = tally["lost"].proportion(), tally["raw"].mean(within=(0, 0.5))
        bias, first = tally["bias"].mean(within=(-0.5, 0.5)), tally["first"].proportion()
        flips, moves = tally["flips"].proportion(), tally["moves"].mean(within=(0, 1))
        others = tally["others"].proportion()
        return LabelStats(
            id,
            Draws(
                Estimate(share, *wilson(share, comparisons), comparisons, drawn, comparisons),
                drawn,
                drawn,
                expected,
            ),
            Votes(
                lost.n,
                tally["bias"].n,
                lost,
                dict(sorted(self._reasons.items())),
                tally["flagged"].proportion(),
                tally["mass"].mean(within=(0, 1)),
                self._truncated,
            )
            if lost
            else None,
            Decisive(raw, tally["used"].mean(within=(0, 0.5)) if clamped else None) if raw else None,
            Position(bias, first, tally["disagree"].proportion()) if bias and first else None,
            Influence(flips, moves, others, self._with_others.correlation())
            if flips and moves and others
            else None,
            tally["people"].proportion(),
        )
