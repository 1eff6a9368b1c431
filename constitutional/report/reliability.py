"""The reliability diagram: how often people agree with labels of each size, a panel a setting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from constitutional.evaluation.calibration import Bin
from constitutional.evaluation.measures import Measures
from constitutional.report.figures import BLUE, GREY, PALE, describe, new_figure, short, style
from constitutional.report.marks import INTERVALS, caption

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_PANELS = 12
_COLUMNS = 4


def draw_reliability(
    measures: Mapping[str, Measures], *, advised: str | None = None, about: str = ""
) -> Figure | None:
    """How often people agree with labels of each size; a panel a setting. None where there are no labels."""
    known = [name for name, found in measures.items() if found.ece]
    if not known:
        return None
    known.sort(key=lambda name: name not in (next(iter(measures)), advised))
    shown = known[:MOST_PANELS]
    columns = min(_COLUMNS, len(shown))
    lines = math.ceil(len(shown) / columns)
    names = dict(zip(shown, short(shown, 26), strict=True))
    with style():
        figure = new_figure(max(4.6, 2.5 * columns + 0.5), (3.2 if columns > 1 else 5) * lines + 1.3)
        grid = figure.subplots(2 * lines, columns, squeeze=False, sharex=True, height_ratios=[3.4, 1] * lines)
        for place in range(lines * columns):
            above = grid[2 * (place // columns)][place % columns]
            below = grid[2 * (place // columns) + 1][place % columns]
            if place >= len(shown):
                above.remove()
                below.remove()
                continue
            name = shown[place]
            _reliability(above, measures[name])
            above.set_title(names[name], pad=16, fontweight="bold" if name == advised else "normal")
            _counts(below, measures[name].bins)
            if place % columns == 0:
                above.set_ylabel("people: P(better)", size=8)
                below.set_ylabel("n", size=8, rotation=0, labelpad=10)
            else:
                above.tick_params(labelleft=False)
            if place + columns >= len(shown):
                below.set_xlabel("label", size=8)
                below.tick_params(labelbottom=True)
        left_out = f"{len(shown)} of {len(known)} settings." if len(shown) < len(known) else ""
        describe(
            figure,
            "How often people agree with labels of each size" if columns > 1 else "Labels against people",
            caption(
                about,
                left_out,
                "On the dashed line a label of 0.7 is right in 70% of cases. Every comparison counts in both orientations, so each panel "
                "mirrors itself. Points: mean of a bin; hollow below 10 comparisons. n: comparisons in a bin.",
                INTERVALS,
                "By chance: what a calibrated judge with these labels would show on average.",
            ),
        )
    return figure


def _reliability(axes: Axes, measures: Measures) -> None:
    known = [bin for bin in measures.bins if bin.human and bin.predicted is not None]
    axes.plot([0, 1], [0, 1], color=GREY, linestyle=(0, (4, 3)), linewidth=0.9)
    for bin in known:
        human, at = bin.human, bin.predicted
        assert human is not None and at is not None
        if human.low is not None and human.high is not None:
            axes.vlines(at, human.low, human.high, color=BLUE, linewidth=1.4, alpha=1 if bin.n >= 10 else 0.5)
        axes.plot(
            at, human.value, "o", color=BLUE, markersize=4.5, zorder=3, clip_on=False,
            markerfacecolor=BLUE if bin.n >= 10 else "white",
        )  # fmt: skip
    assert measures.ece is not None and measures.ece_by_chance is not None
    axes.annotate(
        f"ECE {measures.ece.value:.3f}, by chance {measures.ece_by_chance.mean:.3f}",
        (0, 1), (0, 5), "axes fraction", "offset points", size=8, color=GREY,
    )  # fmt: skip
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "½", "", "1"])
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "", "½", "", "1"])
    axes.grid(axis="both", color=PALE, linewidth=0.6)
    axes.tick_params(labelbottom=False, length=0)


def _counts(axes: Axes, bins: Sequence[Bin]) -> None:
    middles = [(bin.low + bin.high) / 2 for bin in bins]
    axes.bar(middles, [bin.n for bin in bins], width=0.088, color="#b5c7d3")
    for bin, middle in zip(bins, middles, strict=True):
        if bin.n:
            said = f"{bin.n}" if bin.n < 1000 else f"{bin.n / 1000:.2g}k"
            axes.annotate(
                said, (middle, bin.n), (0, 1), textcoords="offset points", ha="center", size=6, color=GREY
            )
    axes.set_ylim(0, 1.35 * max(bin.n for bin in bins))
    axes.set_yticks([])
    axes.grid(visible=False)
    axes.tick_params(length=0)
