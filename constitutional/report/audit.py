"""How good a labeler is, in pictures; every function draws one figure, and saves nothing.

Settings stand in the order of what the figure is about. The recommended one has a bold name, in every figure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from constitutional.evaluation.attacks import Attacked
from constitutional.evaluation.effects import Effect
from constitutional.evaluation.measures import Measures
from constitutional.numbers import Value, counted
from constitutional.report.attacks import draw_attacks
from constitutional.report.beside import Named, name_points
from constitutional.report.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PALE,
    VERMILION,
    describe,
    new_figure,
    rows,
    short,
    style,
)  # fmt: skip
from constitutional.report.marks import (
    INTERVALS,
    around,
    caption,
    dots,
    height,
    names_width,
    row_notes,
)
from constitutional.report.reliability import draw_reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST = 40
"""Settings or kinds that one figure shows at most."""
CREDIBLE = 0.05


def draw_all(
    measures: Mapping[str, Measures],
    effects: Mapping[str, Effect],
    *,
    advised: str | None = None,
    attacked: Attacked | None = None,
    about: str = "",
) -> dict[str, Figure]:
    """The figures that there are data for, by the name of their files.

    Args:
        measures: of each setting, the baseline's first.
        effects: of each setting but the baseline.
        advised: the recommended setting, if there is one.
        attacked: what attacks do, if there were any.
        about: begins every caption: the model and the data, as a sentence.
    """
    figures = {
        "reliability": draw_reliability(measures, advised=advised, about=about),
        "effects": draw_effects(effects, advised=advised, about=about),
        "cost": draw_cost(measures, advised=advised, about=about),
        "attacks": draw_attacks(attacked, about=about) if attacked else None,
    }
    return {name: figure for name, figure in figures.items() if figure}


def draw_effects(
    effects: Mapping[str, Effect], *, advised: str | None = None, about: str = ""
) -> Figure | None:
    """What each setting changes beside the baseline. None where nothing can be compared."""
    known = [name for name, found in effects.items() if found.log_loss]
    if not known:
        return None
    known.sort(key=lambda name: (_number(effects[name].log_loss), name))
    shown = known[:MOST]
    panels: list[tuple[str, str, str, str, str]] = [
        ("agreement", "Agreement", "points\nmore is better →", BLUE, "o"),
        ("log_loss", "Log-loss", "nats\n← less is better", VERMILION, "s"),
        ("ece", "ECE", "\n← less is better", GREEN, "D"),
    ]
    tokens = any(effects[name].tokens for name in shown)
    with style():
        figure = new_figure(
            2.15 * (len(panels) + tokens) + 0.7 + names_width(shown), height(len(shown)) + 0.3
        )
        axes_of = figure.subplots(1, len(panels) + tokens, sharey=True, squeeze=False)[0]
        rows(axes_of[0], shown)
        for label, name in zip(axes_of[0].get_yticklabels(), shown, strict=True):
            label.set_fontweight("bold" if name == advised else "normal")
        for axes, (measure, title, unit, colour, marker) in zip(axes_of, panels, strict=False):
            found = [getattr(effects[name], measure) for name in shown]
            sure = [_credible(one) for one in found]
            scale = 100 if measure == "agreement" else 1
            dots(axes, found, colour, marker, filled=sure if measure != "ece" else None, scale=scale)
            axes.axvline(0, color=INK, linewidth=0.9)
            around(axes, [one for one in found if one], scale, least=2 if scale == 100 else 0.02)
            axes.set_title(title)
            axes.set_xlabel(unit, size=8)
        if tokens:
            _token_ratios(axes_of[-1], [effects[name].tokens for name in shown])
        row_notes(axes_of[-1], [f"n = {effects[name].n:,}" for name in shown])
        credible = sum(_credible(effects[name].log_loss) for name in known)
        describe(
            figure,
            f"{counted(len(known), 'setting')} beside the baseline: "
            f"{credible or 'none'} differ{'s' if credible == 1 else ''} credibly in log-loss"
            if len(known) > 1
            else f"{shown[0]} {'differs' if credible else 'does not differ'} credibly from the baseline in log-loss",
            caption(
                about,
                f"{len(shown)} of {len(known)} settings." if len(shown) < len(known) else "",
                "Paired differences, the setting less the baseline; n: comparisons that both label. Filled: credible "
                f"(p < {CREDIBLE}, adjusted for the number of settings by Holm); hollow: not. Strokes: not tested.",
                INTERVALS,
            ),
        )
    return figure


def draw_cost(
    measures: Mapping[str, Measures], *, advised: str | None = None, about: str = ""
) -> Figure | None:
    """Log-loss against tokens, a point a setting. None where there are not two to compare."""
    baseline = next(iter(measures), None)
    points = {
        name: (found.tokens.value, found.log_loss)
        for name, found in measures.items()
        if found.tokens and found.tokens.value > 0 and found.log_loss
    }
    if len(points) < 2:
        return None
    shown = list(points)[:MOST]
    names = dict(zip(shown, short(shown), strict=True))
    with style():
        figure = new_figure(6.6 + 0.5 * names_width(shown), max(4.2, 2.0 + 0.2 * len(shown)))
        axes = figure.subplots()
        axes.grid(axis="y", color=PALE, linewidth=0.6)
        for name in shown:
            tokens, loss = points[name]
            colour, marker = (INK, "D") if name == baseline else (BLUE, "o")
            if name == advised:
                colour, marker = VERMILION, "*"
            if loss.low is not None and loss.high is not None:
                axes.vlines(tokens, loss.low, loss.high, color=colour, linewidth=1.1, alpha=0.55)
            axes.plot(
                tokens,
                loss.value,
                marker,
                color=colour,
                markersize=11 if marker == "*" else 6,
                zorder=3 + (name == baseline),
            )
        losses = [loss for _, loss in points.values()]
        low = min(loss.value if loss.low is None else loss.low for loss in losses)
        high = max(loss.value if loss.high is None else loss.high for loss in losses)
        dashed = low < math.log(2) + 0.05
        if dashed:
            high = max(high, math.log(2))
            axes.axhline(math.log(2), color=GREY, linestyle=(0, (4, 3)), linewidth=0.9)
        pad = max(0.02, 0.08 * (high - low))
        axes.set_ylim(max(0, low - pad), high + pad)
        axes.set_xscale("log")
        _token_axis(axes, [points[name][0] for name in shown])
        axes.set_xlabel("tokens a comparison (prompt and completion)")
        axes.set_ylabel("log-loss (nats); less is better")
        entropy = measures[shown[0]].entropy
        describe(
            figure,
            f"Log-loss and cost of {counted(len(points), 'setting')}",
            caption(
                about,
                f"{len(shown)} of {len(points)} settings." if len(shown) < len(points) else "",
                "Diamond: the baseline."
                + (" Star: recommended." if advised in shown else " No setting is recommended."),
                "Dashed: saying ½ to every comparison (0.693)." if dashed else "",
                f"People are divided, so that no label gets below {entropy.value:.3f}."
                if entropy and entropy.value > 0.0005
                else "",
                f"{INTERVALS} Settings are judged on the same comparisons, so that differences are known better than the lines "
                "suggest: see the figure of effects.",
            ),
        )
        name_points(
            figure,
            axes,
            [Named(names[name], points[name][0], points[name][1], name == advised) for name in shown],
            [math.log(2)] if dashed else [],
        )
    return figure


def _token_ratios(axes: Axes, found: Sequence[Value | None]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    dots(axes, found, ORANGE, "o", filled=None)
    ends = [end for one in found if one for end in (one.value, one.low, one.high) if end is not None]
    low, high = min([*ends, 0.5]), max([*ends, 2.0])
    axes.set_xscale("log", base=2)
    axes.set_xlim(low / 1.2, high * 1.2)
    step = max(1, math.ceil(math.log2(high / low) / 5))
    ticks = [math.pow(2, power) for power in range(-step * 12, step * 12 + 1, step)]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low / 1.2 <= tick <= high * 1.2]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(1, color=INK, linewidth=0.9)
    axes.set_title("Tokens")
    axes.set_xlabel("times the baseline's\n← less is cheaper", size=8)


def _token_axis(axes: Axes, tokens: Sequence[float]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    low, high = min(tokens) / 1.35, max(tokens) * 1.35
    axes.set_xlim(low, high)
    ticks = [digit * math.pow(10, power) for power in range(9) for digit in (1, 2, 5)]
    axes.xaxis.set_major_locator(FixedLocator([tick for tick in ticks if low <= tick <= high]))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.xaxis.set_minor_locator(NullLocator())


def _credible(difference: Any) -> bool:
    return difference is not None and difference.p_adjusted is not None and difference.p_adjusted < CREDIBLE


def _number(found: Value | None) -> float:
    return math.inf if found is None else found.value
