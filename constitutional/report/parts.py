"""Parts that the figures of every analysis are put together from: rows of estimates, bars of draws, axes, captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

from constitutional.estimates import Estimate
from constitutional.report.figures import GREY, INK, label_width
from constitutional.workbench.principle_stats import Draws

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 60
"""Principles that one figure shows at most."""
ROW = 0.24
"""Height of a principle's row, in inches."""


class Named(Protocol):
    """Something with an id."""

    @property
    def id(self) -> str:
        """Of the principle."""
        ...


def draw_draws(axes: Axes, shown: Sequence[Draws], unit: str) -> None:
    """How often each was drawn, as bars, with a tick where its weight expects it."""
    counts = [draws.rounds for draws in shown]
    axes.barh(range(len(shown)), counts, height=0.62, color="#b5c7d3")
    for place, (draws, drawn) in enumerate(zip(shown, counts, strict=True)):
        expected = None if draws.expected is None else draws.expected * draws.share.n
        if expected is not None:
            axes.plot([expected, expected], [place - 0.36, place + 0.36], color=INK, linewidth=1.6)
        at = (1, place), (0, 0), ("axes fraction", "data"), "offset points"
        axes.annotate(f"n = {drawn:,}", *at, va="center", ha="right", size=8, color=GREY)
    axes.set_title("Drawn")
    axes.set_xlabel(unit)
    axes.margins(x=0.3)
    axes.set_xlim(left=0)


def dots(
    axes: Axes,
    estimates: Sequence[Estimate | None],
    colour: str,
    marker: str,
    places: Sequence[float] | None = None,
    *,
    label: str | None = None,
    hollow: bool = False,
) -> None:
    """A row of estimates, each with its interval; one that is None leaves its row empty."""
    known = [(e, place) for e, place in zip(estimates, places or range(len(estimates)), strict=True) if e]
    axes.hlines(
        [place for e, place in known if e.low is not None],
        [e.low for e, _ in known if e.low is not None],
        [e.high for e, _ in known if e.high is not None],
        color=colour, linewidth=1.6,
    )  # fmt: skip
    axes.plot(
        [e.value for e, _ in known],
        [place for _, place in known],
        linestyle="", marker=marker, markersize=5, color=colour, label=label, clip_on=False, zorder=3,
        markerfacecolor="white" if hollow else colour,
    )  # fmt: skip


def share_axis(axes: Axes, title: str, label: str) -> None:
    """Make the x axis one of shares, from 0 to 100 %."""
    from matplotlib.ticker import PercentFormatter

    axes.set_title(title)
    axes.set_xlabel(label)
    axes.set_xlim(-0.02, 1.02)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1))


def made(amount: str, constitution: str | None, model: str | None) -> str:
    """`60 chains with the constitution harmlessness by a-model`."""
    by = (f"with the constitution {constitution}" if constitution else "", f"by {model}" if model else "")
    return " ".join(part for part in (amount, *by) if part)


def caption(about: str, total: int, shown: int, *sentences: str) -> str:
    """A caption.

    Args:
        about: what it begins with: of how much data the figure is, and what made them.
        total: principles of the run.
        shown: those in the figure.
        sentences: go on from there; empty ones are left out.
    """
    left_out = f"{shown} of {total} principles." if shown < total else ""
    return " ".join(sentence for sentence in (f"{about}.", left_out, *sentences) if sentence)


def height(count: int) -> float:
    """Height of a figure with a row for each of so many principles, in inches."""
    return 1.7 + ROW * max(count, 3)


def labels_width(shown: Sequence[Named]) -> float:
    """Width of the principles' names, in inches."""
    return max(1.2, label_width([stats.id for stats in shown]))
