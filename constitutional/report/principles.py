"""What each principle of a run did, in pictures; every function draws one figure of an `Analysis`, and saves nothing.

Lists of principles are sorted by what the figure is about, so that the eye finds the ends. More than `MOST` principles can't
be read, so only those that stand first are drawn, and the caption says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from constitutional.estimates import Estimate
from constitutional.numbers import counted
from constitutional.report.figures import (
    BLUE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    describe,
    legend,
    new_figure,
    rows,
    short,
    style,
)  # fmt: skip
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
from constitutional.stages.checks import CHECKS
from constitutional.workbench.analysis import Analysis
from constitutional.workbench.principle_stats import SEVERAL, PrincipleStats, Revisions

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INTERVALS = "Lines: 95% intervals over chains."


def draw_overview(analysis: Analysis) -> Figure:
    """How often each principle was drawn, its critiques found something, and its revisions failed: aligned, with intervals."""
    shown = sorted(
        analysis.principles, key=lambda stats: (-_value(_failed(stats)), -_value(_found(stats)), stats.id)
    )[:MOST]
    overall = analysis.overall
    shares: list[tuple[str, str, str, Callable[[PrincipleStats], Estimate | None]]] = []
    title = f"{counted(analysis.rounds, 'round')} of {counted(len(analysis.principles), 'principle')}"
    findings = []
    if overall.critiques and analysis.found_measured:
        shares.append(("Critique found something", "share of its critiques", BLUE, _found))
        findings.append(f"critiques found something in {overall.critiques.found.value:.0%}")
    if overall.revisions:
        shares.append(("Revision failed a check", "share of its revisions", VERMILION, _failed))
        findings.append(f"{overall.revisions.failed.value:.0%} of revisions failed a check")
    with style():
        figure = new_figure(2.1 + 2.7 * len(shares) + labels_width(shown), height(len(shown)))
        panels = figure.subplots(1, 1 + len(shares), sharey=True, squeeze=False)[0]
        draw_draws(panels[0], [stats.draws for stats in shown], "rounds")
        rows(panels[0], [stats.id for stats in shown])
        for axes, (name, unit, colour, read) in zip(panels[1:], shares, strict=True):
            dots(axes, [read(stats) for stats in shown], colour, "o")
            usual = read(overall)
            assert usual is not None
            axes.axvline(usual.value, color=INK, linestyle=(0, (4, 3)), linewidth=0.9)
            share_axis(axes, name, unit)
        known = any(stats.draws.expected is not None for stats in shown)
        describe(
            figure,
            f"{title}: {', '.join(findings)}",
            caption(
                about(analysis),
                len(analysis.principles),
                len(shown),
                "n: rounds that drew it." + (" Black ticks: what its weight expects." if known else ""),
                f"{_INTERVALS} Dashed: all principles together." if shares else "",
            ),
        )
    return figure


def draw_changes(analysis: Analysis) -> Figure | None:
    """How much revisions change, by round and by principle: edit distance and length. None where there are no revisions."""
    overall = analysis.overall.revisions
    if not overall or not overall.changed:
        return None
    shown = [stats for stats in analysis.principles if stats.revisions and stats.revisions.changed]
    shown = sorted(shown, key=lambda stats: (-_value(_changed(stats)), stats.id))[:MOST]
    rounds = [stats for stats in analysis.by_round if stats.revisions and stats.revisions.changed]
    if len(rounds) > 8:  # what happens, happens first; the last says where it has come to
        rounds = [*rounds[:7], rounds[-1]]
    later = overall.changed_later
    everything = [*rounds, *shown]
    with style():
        figure = new_figure(7.5 + labels_width(shown), height(len(everything) + 1))
        left, right = figure.subplots(1, 2, sharey=True, width_ratios=[1.25, 1])
        places = [*range(len(rounds)), *(len(rounds) + 0.6 + place for place in range(len(shown)))]
        above, below = places[: len(rounds)], places[len(rounds) :]
        dots(left, [_changed(stats) for stats in rounds], INK, "D", above)
        shift = 0.16 if later else 0.0
        dots(
            left,
            [_revisions(stats).changed_first for stats in shown],
            BLUE, "o", [place - shift for place in below], label="first round",
        )  # fmt: skip
        if later:
            dots(
                left,
                [_revisions(stats).changed_later for stats in shown],
                VERMILION, "s", [place + shift for place in below], label="later rounds", hollow=True,
            )  # fmt: skip
            legend(left, 2)
        share_axis(left, "Words changed", "edit distance in words ÷ words of the longer text")
        dots(right, [_revisions(stats).length for stats in rounds], INK, "D", above)
        dots(right, [_revisions(stats).length for stats in shown], GREEN, "o", below)
        _ratio_axis(right, "Length", "words of the revision ÷ words before", everything)
        for stats, row in zip(everything, places, strict=True):
            changed = _changed(stats)
            n = f"n = {changed.n if changed else 0:,}"
            right.annotate(
                n,
                (1, row),
                (4, 0),
                ("axes fraction", "data"),
                "offset points",
                va="center",
                size=8,
                color=GREY,
            )
        names = [f"all, {stats.id}" for stats in rounds] + short([stats.id for stats in shown])
        left.set_yticks(places, names)
        left.set_ylim(places[-1] + 0.6, -0.6)
        for axes in (left, right):
            axes.axhline(len(rounds) - 0.2, color=GREY, linewidth=0.8)
        first = overall.changed_first or overall.changed
        describe(
            figure,
            f"A revision changes {first.value:.0%} of the words"
            + (f" in the first round, {later.value:.0%} later" if later else ""),
            caption(
                about(analysis),
                len(analysis.principles),
                len(shown),
                f"n: revisions with text, {overall.changed.n:,} in all, failed ones too. Length: geometric mean. {_INTERVALS}",
            ),
        )
    return figure


def draw_failed_checks(analysis: Analysis) -> Figure | None:
    """Which checks the revisions of each principle fail, stacked. None where none fails."""
    overall = analysis.overall.revisions
    if not overall or not overall.causes:
        return None
    shown = [stats for stats in analysis.principles if stats.revisions]
    shown = sorted(shown, key=lambda stats: (-_value(_failed(stats)), stats.id))[:MOST]
    causes = list(overall.causes)
    with style():
        figure = new_figure(7.0 + labels_width(shown), height(len(shown)))
        axes = figure.subplots()
        starts = [0.0] * len(shown)
        for cause in causes:
            widths = [_cause(stats.revisions, cause) for stats in shown]
            look = _LOOKS.get(cause, {"color": INK})
            label = _CAUSES.get(cause, cause)
            axes.barh(
                range(len(shown)), widths, left=starts, height=0.74, label=label, edgecolor="white", **look
            )
            starts = [start + width for start, width in zip(starts, widths, strict=True)]
        for place, (stats, end) in enumerate(zip(shown, starts, strict=True)):
            assert stats.revisions
            axes.text(end + 0.01, place, f"n = {stats.revisions.count:,}", va="center", size=8, color=GREY)
        rows(axes, [stats.id for stats in shown])
        share_axis(axes, "", "share of the principle's revisions")
        axes.set_xlim(0, 1.1)
        legend(axes, min(3, len(causes)))
        main = max(overall.checks, key=lambda check: overall.checks[check])
        share = overall.checks[main] / overall.count
        describe(
            figure,
            f"{overall.failed.value:.0%} of revisions fail a check; most often: {_CAUSES.get(main, main)} ({share:.0%} of all)",
            caption(
                about(analysis),
                len(analysis.principles),
                len(shown),
                f"{overall.count:,} revisions; n: those of the principle.",
                f"What fails two checks or more is in {_CAUSES[SEVERAL]!r} alone."
                if SEVERAL in causes
                else "",
            ),
        )
    return figure


_CAUSES = {
    **{check: check for check in CHECKS},
    "critique": "critique instead of a revision",
    "copied-example": "copied example",
    "copied-prompt": "copied prompt",
    SEVERAL: "several checks",
}
"""What a figure calls a check."""
_LOOKS: dict[str, dict[str, Any]] = {
    "empty": {"color": YELLOW, "hatch": "...."},
    "truncated": {"color": BLUE},
    "unchanged": {"color": GREEN, "hatch": "////"},
    "critique": {"color": ORANGE},
    "copied-example": {"color": PURPLE, "hatch": "xxxx"},
    "copied-prompt": {"color": SKY, "hatch": "\\\\\\\\"},
    SEVERAL: {"color": INK, "hatch": "...."},
}


# ---------------------------------------------------------------------- parts


def about(analysis: Analysis) -> str:
    """What a caption begins with: the chains and what made them."""
    return made(counted(analysis.analysed, "chain"), analysis.run.constitution, analysis.run.model)


def _ratio_axis(axes: Axes, title: str, label: str, shown: Sequence[PrincipleStats]) -> None:
    from matplotlib.ticker import FixedLocator, NullLocator

    ends = [1.0]
    for stats in shown:
        if stats.revisions and (length := stats.revisions.length):
            ends += [end for end in (length.value, length.low, length.high) if end is not None]
    low, high = max(min(ends) / 1.15, 1 / 64), min(max(ends) * 1.15, 64)
    axes.set_xscale("log", base=2)
    axes.set_xlim(min(low, 0.45), max(high, 2.2))
    ticks = [2.0**power for power in range(-6, 7)]
    axes.xaxis.set_major_locator(FixedLocator(ticks))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}×")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.axvline(1, color=INK, linewidth=0.9)
    axes.set_title(title)
    axes.set_xlabel(label)


def _cause(revisions: Revisions | None, cause: str) -> float:
    return revisions.causes.get(cause, 0) / revisions.count if revisions else 0.0


def _revisions(stats: PrincipleStats) -> Revisions:
    assert stats.revisions  # those without were left out
    return stats.revisions


def _found(stats: PrincipleStats) -> Estimate | None:
    return stats.critiques.found if stats.critiques else None


def _failed(stats: PrincipleStats) -> Estimate | None:
    return stats.revisions.failed if stats.revisions else None


def _changed(stats: PrincipleStats) -> Estimate | None:
    return stats.revisions.changed if stats.revisions else None


def _value(estimate: Estimate | None) -> float:
    return -1.0 if estimate is None else estimate.value
