"""The columns of `analyse`'s table, for runs of `revise` and of `label`: which there are data and room for, and what stands in them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from constitutional.estimates import Estimate
    from constitutional.workbench.analysis import Analysis
    from constitutional.workbench.label_analysis import LabelAnalysis
    from constitutional.workbench.label_stats import LabelStats
    from constitutional.workbench.principle_stats import Draws, PrincipleStats

WIDE, ROOMY = 160, 112
"""Columns of a terminal from which intervals, and all columns of the table, fit into it."""


class Stats(Protocol):
    """What is known of a principle."""

    @property
    def id(self) -> str:
        """Of the principle."""
        ...

    @property
    def remarks(self) -> tuple[str, ...]:
        """Kinds of the remarks that name it."""
        ...


S = TypeVar("S", bound=Stats)


@dataclass(frozen=True, slots=True)
class Column(Generic[S]):
    """One column.

    Attributes:
        name: its heading.
        shown: whether there are data and room for it.
        read: what stands in a principle's row.
        left: whether it is flush left.
    """

    name: str
    shown: bool
    read: Callable[[S], str]
    left: bool = False


def chain_columns(analysis: Analysis, width: int) -> list[Column[PrincipleStats]]:
    """The columns of a run of `revise`."""
    overall, wide, roomy = analysis.overall, width >= WIDE, width >= ROOMY
    critiques, revisions = overall.critiques is not None, overall.revisions is not None
    later = bool(overall.revisions and overall.revisions.changed_later)
    expected = any(stats.draws.expected is not None for stats in analysis.principles)
    return [
        Column("drawn", True, lambda stats: f"{stats.draws.rounds:,}"),
        Column("expected", roomy and expected, lambda stats: _expected(stats.draws)),
        Column(
            "found",
            analysis.found_measured,
            lambda stats: _percent(stats.critiques.found if stats.critiques else None, wide),
        ),
        Column(
            "changed",
            revisions,
            lambda stats: _percent(stats.revisions.changed_first if stats.revisions else None, wide),
        ),
        Column(
            "later",
            roomy and later,
            lambda stats: _percent(stats.revisions.changed_later if stats.revisions else None, wide),
        ),
        Column(
            "length",
            revisions,
            lambda stats: _ratio(stats.revisions.length if stats.revisions else None, wide),
        ),
        Column(
            "failed",
            revisions,
            lambda stats: _percent(stats.revisions.failed if stats.revisions else None, wide),
        ),
        Column("alike", roomy and critiques, _alike),
        Column("mostly", roomy and revisions, _mostly, left=True),
    ]


def label_columns(analysis: LabelAnalysis, width: int) -> list[Column[LabelStats]]:
    """The columns of a run of `label`."""
    overall, wide, roomy = analysis.overall, width >= WIDE, width >= ROOMY
    decisive, votes = overall.decisive, overall.votes
    together = overall.influence is not None
    orders = overall.position is not None and overall.position.orders_disagree is not None
    drawn = any(stats.draws.expected not in (None, 1.0) for stats in analysis.principles)
    lost = votes is not None and votes.counted < votes.cast
    return [
        Column("drawn", roomy or drawn, lambda stats: f"{stats.draws.rounds:,}"),
        Column("expected", roomy and drawn, lambda stats: _expected(stats.draws)),
        Column(
            "decisive",
            decisive is not None,
            lambda stats: _number(stats.decisive.raw if stats.decisive else None, wide),
        ),
        Column(
            "clamped",
            roomy and decisive is not None and decisive.clamped is not None,
            lambda stats: _number(stats.decisive.clamped if stats.decisive else None, wide),
        ),
        Column(
            "bias",
            overall.position is not None,
            lambda stats: _number(stats.position.bias if stats.position else None, wide, "+.3f"),
        ),
        Column(
            "disagree",
            roomy and orders,
            lambda stats: _percent(stats.position.orders_disagree if stats.position else None, wide),
        ),
        Column(
            "others",
            together,
            lambda stats: _number(stats.influence.correlation if stats.influence else None, wide, ".2f"),
        ),
        Column(
            "flips",
            roomy and together,
            lambda stats: _percent(stats.influence.flips if stats.influence else None, wide),
        ),
        Column(
            "moves",
            roomy and together,
            lambda stats: _number(stats.influence.moves if stats.influence else None, False),
        ),
        Column("people", overall.people is not None, lambda stats: _percent(stats.people, wide)),
        Column(
            "mass",
            roomy and votes is not None and votes.mass is not None,
            lambda stats: _number(stats.votes.mass if stats.votes else None, False, ".2f"),
        ),
        Column(
            "flagged",
            roomy and votes is not None and votes.flagged is not None and votes.flagged.value > 0,
            lambda stats: _percent(stats.votes.flagged if stats.votes else None, False),
        ),
        Column(
            "lost", roomy and lost, lambda stats: _percent(stats.votes.lost if stats.votes else None, False)
        ),
    ]


def _expected(draws: Draws) -> str:
    return "" if draws.expected is None else f"{draws.expected * draws.share.n:,.1f}"


def _alike(stats: PrincipleStats) -> str:
    critiques = stats.critiques
    return "" if critiques is None or critiques.elsewhere is None else f"{critiques.elsewhere:.2f}"


def _mostly(stats: PrincipleStats) -> str:
    checks = stats.revisions.checks if stats.revisions else {}
    return max(checks, key=lambda check: checks[check]) if checks else ""


def _percent(estimate: Estimate | None, wide: bool) -> str:
    return _number(estimate, wide, ".0%")


def _ratio(estimate: Estimate | None, wide: bool) -> str:
    return f"×{found}" if (found := _number(estimate, wide, ".2f")) else ""


def _number(estimate: Estimate | None, wide: bool, form: str = ".3f") -> str:
    from constitutional.numbers import number, with_interval

    if estimate is None:
        return ""
    return with_interval(estimate, form) if wide else number(estimate.value, form)
