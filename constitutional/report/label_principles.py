"""What each principle of a run of `label` did, in pictures; every function draws one figure of a `LabelAnalysis`, and saves nothing.

As for runs of `revise` (`principles.py`): lists are sorted by what the figure is about, and at most `MOST` principles are drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from constitutional.estimates import Estimate
from constitutional.numbers import counted
from constitutional.report.figures import (
    BLUE,
    GREEN,
    INK,
    ORANGE,
    PURPLE,
    VERMILION,
    describe,
    new_figure,
    rows,
    short,
    style,
)
from constitutional.report.parts import (
    MOST,
    caption,
    dots,
    draw_draws,
    height,
    labels_width,
    made,
    share_axis,
)
from constitutional.workbench.label_analysis import LabelAnalysis
from constitutional.workbench.label_stats import LabelStats

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INTERVALS = "Lines: 95% intervals over comparisons."
_TOGETHER = "Dashed: all principles together."


@dataclass(frozen=True, slots=True)
class _Panel:
    """A row of estimates: of what, in which unit, how it looks and is read, and how its axis is made."""

    name: str
    unit: str
    colour: str
    marker: str
    read: Callable[[LabelStats], Estimate | None]
    axis: Callable[[Axes, _Panel, Sequence[Estimate]], None]
    middle: float | None = None


def draw_label_overview(analysis: LabelAnalysis) -> Figure:
    """How often each principle was drawn, how decisive it is, whether it goes by position, and whether people agree: aligned."""
    shown = sorted(analysis.principles, key=lambda stats: (-_value(_decisive(stats)), stats.id))[:MOST]
    panels = [
        _Panel("How decisive", "mean |p − ½|, both orders", BLUE, "o", _decisive, _from_zero),
        _Panel("Position bias", "mean P(shown first) − ½", VERMILION, "s", _bias, _around_zero, 0.0),
    ]
    if analysis.overall.people:
        panels.append(
            _Panel("Agrees with people", "share of their labels", GREEN, "D", lambda s: s.people, _share, 0.5)
        )
    overall = analysis.overall
    findings = []
    if overall.decisive and overall.position:
        findings.append(f"p is {overall.decisive.raw.value:.3f} from ½ on average")
        findings.append(f"what is shown first gets {overall.position.bias.value + 0.5:.2f}")
    if analysis.people:
        findings.append(f"labels agree with people in {analysis.people.value:.0%}")
    title = f"{counted(analysis.analysed, 'comparison')}, {counted(len(analysis.principles), 'principle')}"
    title = f"{title}: {', '.join(findings)}" if findings else f"{title}: no vote counts"
    ticks = "n: comparisons that drew it. Black ticks: what its weight expects."
    return _figure(analysis, shown, panels, title, ticks, draws=True)


def draw_influence(analysis: LabelAnalysis) -> Figure | None:
    """What each principle does to the label: how often it flips it, how far it moves it, and whether the others agree with it.

    None where every label asked one principle.
    """
    shown = [stats for stats in analysis.principles if stats.influence]
    shown = sorted(shown, key=lambda stats: (-_value(_flips(stats)), -_value(_moves(stats)), stats.id))[:MOST]
    if not shown:
        return None
    panels = [
        _Panel("Labels flip without it", "share of labels", VERMILION, "o", _flips, _share),
        _Panel("Labels move without it", "mean |difference in p|", ORANGE, "s", _moves, _from_zero),
        _Panel("With the others' label", "correlation through ½", PURPLE, "D", _others, _signed, 0.0),
    ]
    flips = _flips(shown[0])
    assert flips
    title = (
        f"Without {short([stats.id for stats in shown])[0]}, {flips.value:.0%} of labels would prefer the other response"
        if flips.value
        else "There is no principle without which a label would prefer the other response"
    )
    return _figure(analysis, shown, panels, title, "Over comparisons on which another principle voted too.")


def about_labels(analysis: LabelAnalysis) -> str:
    """What a caption begins with: the comparisons and what made their labels."""
    return made(counted(analysis.analysed, "comparison"), analysis.run.constitution, analysis.run.model)


def _figure(
    analysis: LabelAnalysis,
    shown: Sequence[LabelStats],
    panels: Sequence[_Panel],
    title: str,
    sentence: str,
    *,
    draws: bool = False,
) -> Figure:
    """A row a principle and a column a panel, the first that of the draws if it is wanted; the sentence is for the caption."""
    together = len(analysis.principles) > 1
    with style():
        figure = new_figure(
            0.6 + (1.7 if draws else 0) + 2.3 * len(panels) + labels_width(shown), height(len(shown))
        )
        columns = len(panels) + draws
        widths = [0.8] * draws + [1.0] * len(panels)
        drawn = list(figure.subplots(1, columns, sharey=True, squeeze=False, width_ratios=widths)[0])
        if draws:
            draw_draws(drawn[0], [stats.draws for stats in shown], "comparisons")
        for axes, panel in zip(drawn[draws:], panels, strict=True):
            estimates = [panel.read(stats) for stats in shown]
            usual = panel.read(analysis.overall)
            if panel.middle is not None:
                axes.axvline(panel.middle, color=INK, linewidth=0.9)
            if usual and together:
                axes.axvline(usual.value, color=INK, linestyle=(0, (4, 3)), linewidth=0.9)
            dots(axes, estimates, panel.colour, panel.marker)
            panel.axis(axes, panel, [estimate for estimate in (*estimates, usual) if estimate])
        rows(drawn[0], [stats.id for stats in shown])
        total = len(analysis.principles)
        sentences = (sentence, _INTERVALS, _TOGETHER if together else "")
        describe(figure, title, caption(about_labels(analysis), total, len(shown), *sentences))
    return figure


def _share(axes: Axes, panel: _Panel, estimates: Sequence[Estimate]) -> None:
    share_axis(axes, panel.name, panel.unit)


def _from_zero(axes: Axes, panel: _Panel, estimates: Sequence[Estimate]) -> None:
    """From 0 to what there is: decisive judges and timid ones are both to be told apart."""
    most = max((estimate.high or estimate.value for estimate in estimates), default=0.0) or 0.01
    axes.set_xlim(-0.03 * most, 1.08 * most)
    _named(axes, panel)


def _around_zero(axes: Axes, panel: _Panel, estimates: Sequence[Estimate]) -> None:
    ends = [abs(end) for e in estimates for end in (e.value, e.low, e.high) if end is not None]
    most = 1.08 * max([0.05, *ends])
    axes.set_xlim(-most, most)
    _named(axes, panel)


def _signed(axes: Axes, panel: _Panel, estimates: Sequence[Estimate]) -> None:
    axes.set_xlim(-1.05, 1.05)
    axes.set_xticks([-1, -0.5, 0, 0.5, 1])
    axes.set_title(panel.name)
    axes.set_xlabel(panel.unit)


def _named(axes: Axes, panel: _Panel) -> None:
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_title(panel.name)
    axes.set_xlabel(panel.unit)


def _decisive(stats: LabelStats) -> Estimate | None:
    return stats.decisive.raw if stats.decisive else None


def _bias(stats: LabelStats) -> Estimate | None:
    return stats.position.bias if stats.position else None


def _flips(stats: LabelStats) -> Estimate | None:
    return stats.influence.flips if stats.influence else None


def _moves(stats: LabelStats) -> Estimate | None:
    return stats.influence.moves if stats.influence else None


def _others(stats: LabelStats) -> Estimate | None:
    return stats.influence.correlation if stats.influence else None


def _value(estimate: Estimate | None) -> float:
    return -1.0 if estimate is None else estimate.value
