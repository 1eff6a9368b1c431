"""How alike the critiques of a run's principles are, as heat maps: dark cells are critiques that say the same."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constitutional.report.figures import describe, label_width, new_figure, short, style
from constitutional.report.heat import MOST_IN_SQUARE, MOST_NUMBERED, grouped, heat
from constitutional.report.parts import caption
from constitutional.report.principles import about
from constitutional.workbench.analysis import Analysis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

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
    order = grouped(elsewhere)
    names = [ids[index] for index in order]
    with style():
        side = max(2.4, (0.3 if len(ids) <= MOST_NUMBERED else 0.2) * len(ids))
        labels = label_width(names)
        figure = new_figure(1.2 + labels + (side + 0.1) * len(panels), 1.7 + labels + side)
        drawn = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
        for axes, (title, values) in zip(drawn, panels, strict=True):
            image = heat(axes, values[np.ix_(order, order)], names, diagonal=values is elsewhere)
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
                about(analysis),
                len(analysis.principles),
                len(ids),
                "Dark: two principles say the same. Dark in a frame: one principle says the same of every response.",
                f"Pairs of critiques a cell: {'; '.join(f'{min(n):,} to {max(n):,} on {kind}' for kind, n in pairs.items())}.",
                missing,
            ),
        )
    return figure
