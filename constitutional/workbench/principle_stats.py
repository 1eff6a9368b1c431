"""What rounds show about the principles that they drew, counted chain by chain."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from constitutional.estimates import Estimate, Tally, wilson
from constitutional.records import Row
from constitutional.stages.checks import CHECKS
from constitutional.workbench.critiques import finds_nothing

SEVERAL = "several"
"""What a revision counts under, in `causes`, that failed two checks or more."""


@dataclass(frozen=True, slots=True)
class Draws:
    """How often a principle was drawn.

    Attributes:
        share: of all rounds, with Wilson's interval: rounds are drawn independently, within a chain too.
        rounds: rounds that drew it.
        chains: different chains that these belong to.
        expected: the share that its weight expects; None where the weights are not known.
    """

    share: Estimate
    rounds: int
    chains: int
    expected: float | None


@dataclass(frozen=True, slots=True)
class Critiques:
    """What a principle's critiques said.

    Attributes:
        count: how many there are.
        found: share that found something.
        truncated: how many the token limit cut off.
        elsewhere: likeness of its critiques of different chains, see `critiques.Likeness`; None where it has fewer than two
            that found something.
        pairs: how many pairs that is the mean of.
    """

    count: int
    found: Estimate
    truncated: int
    elsewhere: float | None
    pairs: int


@dataclass(frozen=True, slots=True)
class Revisions:
    """What a principle's revisions did to the texts that they revised.

    Attributes:
        count: how many there are.
        changed: word-level edit distance ÷ the longer text's words: 0 is unchanged, 1 is all new. Of revisions with text.
        changed_first: the same, of first rounds alone.
        changed_later: the same, of later rounds alone.
        changed_good: the same, of revisions alone that failed no check.
        length: words of the revision ÷ words of what it revises; the geometric mean.
        failed: share that failed a check.
        checks: how many failed which check; a revision can fail several.
        causes: how many failed that check alone, or `several`: each failed revision counts once.
    """

    count: int
    changed: Estimate | None
    changed_first: Estimate | None
    changed_later: Estimate | None
    changed_good: Estimate | None
    length: Estimate | None
    failed: Estimate
    checks: Mapping[str, int]
    causes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PrincipleStats:
    """What a principle did, by section; a section that the run does not have is None.

    Attributes:
        id: of the principle; of all of them together, or of a round, what a person would call it.
        draws: how often it was drawn.
        critiques: None where there are none: revisions were asked for directly, or it was never drawn.
        revisions: None where it has none.
        remarks: kinds of the remarks that name it, the gravest first.
    """

    id: str
    draws: Draws
    critiques: Critiques | None
    revisions: Revisions | None
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Seen:
    """What one round shows; None is what it does not have.

    Attributes:
        number: of the round, from 1.
        marked: whether its critique found something, going by the marker that ends a chain.
        phrased: the same, going by what its last sentence says.
        truncated: whether the token limit cut the critique off.
        changed: edit distance of the revision.
        log_length: logarithm of its length ratio.
        checks: those that it failed.
    """

    number: int
    marked: bool | None
    phrased: bool | None
    truncated: bool
    changed: float | None
    log_length: float | None
    checks: tuple[str, ...] | None


def see(number: int, round: Row, before: list[str], after: list[str] | None) -> Seen:
    """What a round shows.

    Args:
        number: of the round, from 1.
        round: as it stands in a chain's row.
        before: words of the text that was to be revised.
        after: words of the revision; None where there is none, since the critique found nothing.
    """
    from rapidfuzz.distance import Levenshtein

    critique: str | None = round["critique"]
    truncated = round["critique_finish_reason"] == "length"
    said = critique is not None and not truncated and finds_nothing(critique)
    return Seen(
        number,
        None if critique is None else after is not None,
        None if critique is None else after is not None and not said,
        truncated,
        Levenshtein.normalized_distance(before, after) if after else None,
        math.log(len(after) / len(before)) if after and before else None,
        None if after is None else tuple(round["checks"]),
    )


class RoundTally:
    """Everything that is counted of some rounds: those of one principle, of one number, or all."""

    def __init__(self) -> None:
        names = ("rounds", "marked", "phrased", "changed", "first", "later", "good", "log_length", "failed")
        self._tallies = {name: Tally() for name in names}
        self._checks: Counter[str] = Counter()
        self._causes: Counter[str] = Counter()
        self._truncated = 0

    @property
    def critiques(self) -> int:
        """How many there are."""
        return self._tallies["marked"].n

    def add(self, seen: Sequence[Seen]) -> None:
        """Take those rounds of one more chain."""
        changed = [(s.changed, s) for s in seen if s.changed is not None]
        taken = {
            "rounds": [1.0 for _ in seen],
            "marked": [float(s.marked) for s in seen if s.marked is not None],
            "phrased": [float(s.phrased) for s in seen if s.phrased is not None],
            "changed": [distance for distance, _ in changed],
            "first": [distance for distance, s in changed if s.number == 1],
            "later": [distance for distance, s in changed if s.number > 1],
            "good": [distance for distance, s in changed if not s.checks],
            "log_length": [s.log_length for s in seen if s.log_length is not None],
            "failed": [float(bool(s.checks)) for s in seen if s.checks is not None],
        }
        for name, observations in taken.items():
            self._tallies[name].add(observations)
        for s in seen:
            self._truncated += s.truncated
            if s.checks:
                self._checks.update(s.checks)
                self._causes[s.checks[0] if len(s.checks) == 1 else SEVERAL] += 1

    def stats(
        self,
        id: str,
        rounds: int,
        *,
        found_by: str | None,
        expected: float | None = None,
        elsewhere: tuple[float | None, int] = (None, 0),
    ) -> PrincipleStats:
        """What they come to.

        Args:
            id: whose rounds they are.
            rounds: those of the whole run.
            found_by: `marker`, `phrases`, or None where the run has no critiques.
            expected: see `Draws`.
            elsewhere: likeness of their critiques on different chains, and how many pairs; see `Critiques`.
        """
        tally = self._tallies
        drawn = tally["rounds"]
        share = drawn.n / rounds
        found = tally["marked" if found_by == "marker" else "phrased"].proportion()
        failed = tally["failed"].proportion()
        length = tally["log_length"].mean()
        return PrincipleStats(
            id,
            Draws(
                Estimate(share, *wilson(share, rounds), rounds, drawn.chains, rounds),
                drawn.n,
                drawn.chains,
                expected,
            ),
            Critiques(found.n, found, self._truncated, *elsewhere) if found else None,
            Revisions(
                failed.n,
                tally["changed"].mean(within=(0, 1)),
                tally["first"].mean(within=(0, 1)),
                tally["later"].mean(within=(0, 1)),
                tally["good"].mean(within=(0, 1)),
                length.transformed(math.exp) if length else None,
                failed,
                _in_order(self._checks),
                _in_order(self._causes),
            )
            if failed
            else None,
        )


def _in_order(counts: Mapping[str, int]) -> dict[str, int]:
    """By check, in the order in which they are made; what is unknown here comes last."""
    order = {check: number for number, check in enumerate((*CHECKS, SEVERAL))}
    return dict(sorted(counts.items(), key=lambda item: (order.get(item[0], len(order)), item[0])))
