"""How each two principles of a run of `label` agree, as heat maps: blue cells agree, red cells disagree."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constitutional.report.figures import describe, label_width, new_figure, short, style
from constitutional.report.heat import MOST_IN_SQUARE, MOST_NUMBERED, grouped, heat
from constitutional.report.label_principles import about_labels
from constitutional.report.parts import caption
from constitutional.workbench.label_analysis import LabelAnalysis
from constitutional.workbench.label_attention import FEW
from constitutional.workbench.remarks import value_range

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEW_TOGETHER = 3
"""Comparisons on which both voted below which a cell stays empty."""


def draw_agreement(analysis: LabelAnalysis) -> Figure | None:
    """Share of comparisons on which each two principles prefer the same response, and correlation of their p.

    None where no two principles voted on the same comparisons often enough.
    """
    import numpy as np

    ids = [stats.id for stats in analysis.principles if stats.influence][:MOST_IN_SQUARE]
    place = {id: number for number, id in enumerate(ids)}
    agree, correlation = np.full((2, len(ids), len(ids)), np.nan)
    numbers = []
    for pair in analysis.pairs:
        if pair.first in place and pair.second in place and pair.agree.n >= FEW_TOGETHER:
            one, other = place[pair.first], place[pair.second]
            agree[one, other] = agree[other, one] = pair.agree.value
            if pair.correlation:
                correlation[one, other] = correlation[other, one] = pair.correlation.value
            numbers.append((pair.agree.value, pair.first, pair.second, pair.agree.n))
    if not numbers:
        return None
    order = grouped(np.where(np.isnan(correlation), 2 * agree - 1, correlation))
    names = [ids[index] for index in order]
    cells = len(ids) * (len(ids) - 1) // 2
    with style():
        labels = label_width(names)
        side = max(2.4, (0.3 if len(ids) <= MOST_NUMBERED else 0.2) * len(ids))
        figure = new_figure(2.0 + labels + 2 * (side + 0.3), 1.7 + labels + side)
        left, right = figure.subplots(1, 2, sharey=True)
        square = np.ix_(order, order)
        maps = (
            (left, agree, "Prefer the same response", (0.0, 1.0), 0.5, "share of comparisons"),
            (right, correlation, "Correlation of p", (-1.0, 1.0), 0.0, "correlation through ½"),
        )
        for axes, values, title, ends, middle, unit in maps:
            image = heat(axes, values[square], names, diagonal=False, ends=ends, middle=middle)
            axes.set_title(title)
            bar = figure.colorbar(image, ax=axes, label=unit, shrink=0.9, aspect=30)
            bar.outline.set_visible(False)
        left.set_yticks(range(len(names)), short(names))
        shares = [share for share, _, _, _ in numbers]
        judged = [one for one in numbers if one[3] >= FEW] or numbers
        least = min(judged, key=lambda one: (one[0], one[1], one[2]))
        together = sorted(n for _, _, _, n in numbers)
        describe(
            figure,
            f"Two principles prefer the same response in {sum(shares) / len(shares):.0%} of comparisons; least: "
            f"{' and '.join(short([least[1], least[2]]))}, {least[0]:.0%}",
            caption(
                about_labels(analysis),
                len(analysis.principles),
                len(ids),
                "Cells: hundredths." if len(ids) <= MOST_NUMBERED else "−: below the middle of the scale.",
                f"Comparisons a cell: {value_range(together, ',d')}.",
                f"Grey: fewer than {FEW_TOGETHER}, or a principle that never leaves ½."
                if np.isnan(correlation).sum() > len(ids) or len(numbers) < cells
                else "",
            ),
        )
    return figure
