"""What every analysis makes its remarks of: a kind, the principles it is about, and a sentence with the numbers that it rests on.

A remark is made only where the data leave little doubt: where a whole interval lies beyond a threshold, not where a mean
does. Of many principles compared, one always looks worst; for those comparisons the interval is widened, or the level of a
test lowered, by the number of principles (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from constitutional.estimates import Estimate, wilson
from constitutional.numbers import number
from constitutional.workbench.principle_stats import Draws

_LISTED = 4


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to look at.

    Attributes:
        kind: one of the analysis' kinds.
        principles: ids of those that it is about, the worst first; empty where it is about the run.
        text: a sentence for a person.
    """

    kind: str
    principles: tuple[str, ...]
    text: str


class Drawn(Protocol):
    """Something with an id that was drawn so often."""

    @property
    def id(self) -> str:
        """Of the principle."""
        ...

    @property
    def draws(self) -> Draws:
        """How often it was drawn."""
        ...


def in_order(remarks: Collection[Remark], kinds: Sequence[str]) -> tuple[Remark, ...]:
    """Remarks in the order of their kinds."""
    return tuple(sorted(remarks, key=lambda remark: kinds.index(remark.kind)))


def severity(found: Sequence[str], kinds: Sequence[str]) -> int:
    """Where something with these remarks belongs: 0 is the gravest of all kinds."""
    return min((kinds.index(kind) for kind in found), default=len(kinds))


def remarks_on_draws(
    principles: Sequence[Drawn], drawable: Collection[str] | None, unit: str, more: str
) -> Iterator[Remark]:
    """Principles that were never drawn, can't be drawn, or more or less often than their weight expects.

    Args:
        principles: each of them.
        drawable: ids of those that the constitution has to draw; None where that is not known.
        unit: what a principle is drawn for, in the plural.
        more: what gives more of them.
    """
    never = [stats.id for stats in principles if not stats.draws.rounds]
    if never:
        text = f"never drawn in {principles[0].draws.share.n:,} {unit}; run {more}, or give more weight"
        yield Remark("never-drawn", tuple(never), f"{listed(never)}: {text}.")
    strange = [stats.id for stats in principles if drawable is not None and stats.id not in drawable]
    if strange:
        text = "drawn, but the constitution has no such principle that can be"
        yield Remark("not-in-constitution", tuple(strange), f"{listed(strange)}: {text}.")
    for stats in principles:
        draws = stats.draws
        if not draws.expected or not draws.rounds:
            continue
        if _chance(draws.rounds, draws.share.n, draws.expected) < 0.01 / len(principles):
            expected = f"{draws.expected * draws.share.n:,.1f}".removesuffix(".0")
            text = (
                f"drawn in {draws.rounds:,} {unit} where its weight expects {expected}, "
                "more apart than chance explains; are these the weights that the run was made with?"
            )
            yield Remark("off-weight", (stats.id,), f"{stats.id}: {text}")


def _chance(drawn: int, of: int, expected: float) -> float:
    """How likely chance alone takes the number of draws as far from the expected share, by the exact binomial test.

    Each draw is a hash of its own, so they are independent of each other, also those of one chain. A score interval is
    too short for this: far out in the tail of a small share, it leaves out what is no rarity.
    """
    from scipy.stats import binomtest  # type: ignore[import-untyped]

    return float(binomtest(drawn, of, expected).pvalue)


def low_end(estimate: Estimate) -> float:
    """The lower end of its interval; of an estimate without one, the value."""
    return estimate.value if estimate.low is None else estimate.low


def high_end(estimate: Estimate) -> float:
    """The upper end of its interval; of an estimate without one, the value."""
    return estimate.value if estimate.high is None else estimate.high


def widened(estimate: Estimate, comparisons: int) -> tuple[float, float]:
    """The 95 % interval of a proportion that is one of so many that are looked at; (0, 1) where there is none."""
    if not estimate.effective:
        return 0.0, 1.0
    return wilson(estimate.value, estimate.effective, 1 - 0.05 / comparisons)


def value_range(values: Sequence[float], pattern: str = ".2f") -> str:
    """`0.61 to 0.74`, or one number where both would be the same."""
    low, high = (number(value, pattern) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def listed(ids: Sequence[str]) -> str:
    """The first few of them, and how many more there are."""
    if len(ids) <= _LISTED + 1:
        return ", ".join(ids)
    return f"{', '.join(ids[:_LISTED])} and {len(ids) - _LISTED} more"
