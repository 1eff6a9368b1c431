"""What the figures of an audit are put together from: rows of values with their intervals, limits, captions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from constitutional.numbers import Value
from constitutional.report.figures import GREY, label_width

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INTERVALS = "Lines: 95% intervals."
ROW = 0.27
"""Height of a row, in inches."""


def dots(
    axes: Axes,
    found: Sequence[Value | None],
    colour: str,
    marker: str,
    *,
    filled: Sequence[bool] | None,
    scale: float = 1,
    above: float = 0,
) -> None:
    """A row of values, each with its interval; one that is None leaves its row empty.

    Args:
        axes: where to.
        found: the values.
        colour: of them all.
        marker: of those that are tested.
        filled: whether each has passed its test; None where nothing is tested, and each is a stroke across its interval.
        scale: what they are multiplied by.
        above: how much higher than its row each stands, in rows.
    """
    for row, one in enumerate(found):
        if one is None:
            continue
        place = row - above
        if one.low is not None and one.high is not None:
            axes.hlines(place, scale * one.low, scale * one.high, color=colour, linewidth=1.6)
        axes.plot(
            scale * one.value, place, "|" if filled is None else marker, color=colour, clip_on=False, zorder=3,
            markersize=9 if filled is None else 5, markeredgewidth=2 if filled is None else 1,
            markerfacecolor=colour if filled is None or filled[row] else "white",
        )  # fmt: skip


def around(axes: Axes, found: Sequence[Value], scale: float, least: float) -> None:
    """Limits that hold all intervals and 0, and are at least so far from it."""
    ends = [scale * end for one in found for end in (one.value, one.low, one.high) if end is not None]
    low, high = min([*ends, -least]), max([*ends, least])
    pad = 0.06 * (high - low)
    axes.set_xlim(low - pad, high + pad)
    axes.locator_params(axis="x", nbins=5)


def row_notes(axes: Axes, notes: Sequence[str]) -> None:
    """A note at the right of each row."""
    for place, note in enumerate(notes):
        axes.annotate(
            note,
            (1, place),
            (6, 0),
            ("axes fraction", "data"),
            "offset points",
            va="center",
            size=8,
            color=GREY,
        )


def caption(*sentences: str) -> str:
    """Those of the sentences that are not empty."""
    return " ".join(sentence for sentence in sentences if sentence)


def height(rows: int) -> float:
    """Height of a figure with so many rows, in inches."""
    return 1.7 + ROW * max(rows, 3)


def names_width(names: Sequence[str]) -> float:
    """Width of the names, in inches."""
    return max(1.0, label_width(names))
