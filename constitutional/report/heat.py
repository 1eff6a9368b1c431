"""Heat maps of what each two principles have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from constitutional.report.figures import INK, short

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_IN_SQUARE = 40
"""Principles that a heat map shows at most."""
MOST_NUMBERED = 24
"""Principles up to which the cells of a heat map have their numbers in them."""


def heat(
    axes: Axes,
    values: Any,
    names: Sequence[str],
    *,
    diagonal: bool,
    ends: tuple[float, float] = (0, 1),
    middle: float | None = None,
) -> Any:
    """A square of numbers, the diagonal framed, or white if it means nothing; what is not known stays grey.

    Args:
        axes: where to.
        values: [principle, principle]; numbers stand in the cells in hundredths.
        names: of the principles.
        diagonal: whether it means anything.
        ends: what the numbers are between.
        middle: a number that means neither the one nor the other; what is below it is red, above it blue. None: the larger,
            the darker.
    """
    from matplotlib.patches import Rectangle

    axes.grid(False)
    axes.set_facecolor("#e4e4e4")
    axes.spines["bottom"].set_visible(False)
    image = axes.imshow(
        values, cmap="Blues" if middle is None else "RdBu", vmin=ends[0], vmax=ends[1], aspect="auto"
    )
    axes.set_xticks(range(len(names)), short(names), rotation=90, size=9)
    axes.tick_params(length=0)
    for i in range(len(names)):
        frame = {"fill": False, "edgecolor": INK, "linewidth": 0.8} if diagonal else {"facecolor": "white"}
        axes.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, **frame))
    numbered = len(names) <= MOST_NUMBERED
    for i in range(len(names)):
        for j in range(len(names)):
            value = values[i, j]
            below = middle is not None and value < middle
            if value == value and (
                numbered or below
            ):  # without numbers, a stroke tells red from blue in grey
                text = str(round(100 * value)).replace("-", "−") if numbered else "−"
                strength = value if middle is None else abs(value - middle) / (ends[1] - middle)
                colour = "white" if strength > (0.55 if middle is None else 0.65) else INK
                axes.text(j, i, text, ha="center", va="center", size=7, color=colour)
    return image


def grouped(alike: Any) -> list[int]:
    """An order in which what is alike stands together."""
    import numpy as np
    from scipy.cluster.hierarchy import leaves_list, linkage  # type: ignore[import-untyped]
    from scipy.spatial.distance import squareform  # type: ignore[import-untyped]

    if len(alike) < 3:
        return list(range(len(alike)))
    apart = 1 - np.nan_to_num(alike)
    np.fill_diagonal(apart, 0)
    tree = linkage(squareform(apart, checks=False), "average", optimal_ordering=True)
    return [int(index) for index in leaves_list(tree)]
