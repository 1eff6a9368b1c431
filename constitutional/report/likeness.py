"""How alike the critiques of a run's principles are, as heat maps: dark cells are critiques that say the same."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from constitutional.report.figures import INK, describe, label_width, new_figure, short, style
from constitutional.report.principles import caption
from constitutional.workbench.analysis import Analysis

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_IN_SQUARE = 40
"""Principles that a heat map shows at most."""
MOST_NUMBERED = 24
"""Principles up to which the cells of a heat map have their numbers in them."""
FEW_PAIRS = 3
"""Pairs of critiques below which a cell of a heat map stays empty."""


def draw_likeness(analysis: Analysis) -> Figure | None:
    """How alike the critiques of each two principles are, as heat maps. None with fewer than two to compare."""
    import numpy as np

    ids = [stats.id for stats in analysis.principles if stats.critiques][:MOST_IN_SQUARE]
    elsewhere, same = np.full((2, len(ids), len(ids)), np.nan)
    place = {id: number for number, id in enumerate(ids)}
    pairs: dict[str, list[int]] = {"different chains": [], "the same chain": []}
    for like in analysis.likenesses:
        if like.first not in place or like.second not in place:
            continue
        one, other = place[like.first], place[like.second]
        if like.elsewhere is not None:
            elsewhere[one, other] = elsewhere[other, one] = like.elsewhere
            pairs["different chains"].append(like.pairs)
        if not like.itself and like.same_chain and like.same_chain.n >= FEW_PAIRS:
            same[one, other] = same[other, one] = like.same_chain.value
            pairs["the same chain"].append(like.same_chain.n)
    apart = np.triu(np.ones_like(elsewhere, dtype=bool), 1)
    if not np.isfinite(elsewhere[apart]).any():
        return None
    panels, missing = [("On different chains", elsewhere)], ""
    filled, cells = int(np.isfinite(same[apart]).sum()), int(apart.sum())
    if filled >= cells / 2:
        panels.append(("On the same chain", same))
        missing = f"Grey: fewer than {FEW_PAIRS} pairs." if filled < cells else ""
    else:
        missing = (
            f"On the same chain, only {filled} of {cells} pairs of principles have {FEW_PAIRS} pairs of critiques or more, "
            "too few for a map; more rounds or prompts give more."
        )
        del pairs["the same chain"]
    order = _grouped(elsewhere)
    names = [ids[index] for index in order]
    with style():
        side = max(2.4, (0.3 if len(ids) <= MOST_NUMBERED else 0.2) * len(ids))
        labels = label_width(names)
        figure = new_figure(1.2 + labels + (side + 0.1) * len(panels), 1.7 + labels + side)
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, values) in zip(drawn, panels, strict=True):
            image = _heat(axes, values[np.ix_(order, order)], names, diagonal=values is elsewhere)
            axes.set_title(title)
        drawn[0].set_yticks(range(len(names)), short(names))
        bar = figure.colorbar(
            image, ax=list(drawn), label="likeness: words in common ÷ words of both", shrink=0.9, aspect=30
        )
        bar.outline.set_visible(False)
        where, values = panels[-1]
        first, second = np.unravel_index(np.nanargmax(np.where(apart, values, np.nan)), values.shape)
        describe(
            figure,
            f"{where}, critiques of two principles share {np.nanmean(values[apart]):.0%} of their words; most: "
            f"{' and '.join(short([ids[first], ids[second]]))}, {values[first, second]:.0%}",
            caption(
                analysis,
                len(ids),
                "Dark: two principles say the same. Dark in a frame: one principle says the same of every response.",
                f"Pairs of critiques a cell: {'; '.join(f'{min(n):,} to {max(n):,} on {kind}' for kind, n in pairs.items())}.",
                missing,
            ),
        )
    return figure


def _heat(axes: Axes, values: Any, names: Sequence[str], *, diagonal: bool) -> Any:
    """A square of numbers between 0 and 1, its diagonal framed, or white if it means nothing; what is not known stays grey."""
    from matplotlib.patches import Rectangle

    axes.grid(False)
    axes.set_facecolor("#e4e4e4")
    axes.spines["bottom"].set_visible(False)
    image = axes.imshow(values, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    axes.set_xticks(range(len(names)), short(names), rotation=90, size=9)
    axes.tick_params(length=0)
    for i in range(len(names)):
        frame = {"fill": False, "edgecolor": INK, "linewidth": 0.8} if diagonal else {"facecolor": "white"}
        axes.add_patch(Rectangle((i - 0.5, i - 0.5), 1, 1, **frame))
    if len(names) <= MOST_NUMBERED:
        for i in range(len(names)):
            for j in range(len(names)):
                if values[i, j] == values[i, j]:
                    dark = values[i, j] > 0.55
                    axes.text(
                        j, i, f"{100 * values[i, j]:.0f}", ha="center", va="center", size=7,
                        color="white" if dark else INK,
                    )  # fmt: skip
    return image


def _grouped(alike: Any) -> list[int]:
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
