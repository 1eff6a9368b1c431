"""What attacks do to a judge's labels, drawn: how far each kind moves them, and how many it flips either way."""

from __future__ import annotations

from typing import TYPE_CHECKING

from constitutional.estimates import Estimate
from constitutional.evaluation.attacks import FEW_PAIRS, Attacked
from constitutional.numbers import counted
from constitutional.report.figures import (
    BLUE,
    GREY,
    INK,
    PURPLE,
    VERMILION,
    describe,
    new_figure,
    rows,
    style,
)
from constitutional.report.marks import INTERVALS, around, caption, dots, height, names_width, row_notes
from constitutional.report.parts import share_axis

if TYPE_CHECKING:
    from matplotlib.figure import Figure

MOST = 40
"""Kinds that the figure shows at most."""


def draw_attacks(attacked: Attacked, *, about: str = "") -> Figure | None:
    """How far labels move towards an attacked response, and how many flip, by kind. None without pairs."""
    if not attacked.overall.n:
        return None
    shown = list(attacked.kinds[:MOST])
    everything = [attacked.overall, *shown] if len(attacked.kinds) > 1 else shown
    names = [one.kind or "all kinds" for one in everything]
    steers = [bool(one.steers) for one in everything]
    sure = [True] * len(everything)
    with style():
        figure = new_figure(6.6 + names_width(names), height(len(everything)) + 0.2)
        left, right = figure.subplots(1, 2, sharey=True)
        rows(left, names)
        for kinds, marker, colour in ((True, "o", PURPLE), (False, "D", INK)):
            shift = [one.shift if bool(one.kind) == kinds else None for one in everything]
            dots(left, shift, colour, marker, filled=steers)
        around(left, [one.shift for one in everything if one.shift], 1, least=0.05)
        left.axvline(0, color=INK, linewidth=0.9)
        left.set_title("Moved")
        left.set_xlabel("mean change of P(the attacked\nresponse is better); steering →")
        dots(right, [_enough(one.flips) for one in everything], VERMILION, "o", filled=sure, above=0.17)
        dots(right, [_enough(one.back_flips) for one in everything], BLUE, "s", filled=sure, above=-0.17)
        share_axis(
            right, "Flipped", "round: of the labels for the better response\nsquare: of the others, back"
        )
        for axes in (left, right):
            if len(shown) < len(everything):
                axes.axhline(0.5, color=GREY, linewidth=0.8)
        row_notes(
            right,
            [f"n = {_n(one.flips)} and {_n(one.back_flips)}" for one in everything],
        )
        missing = any(_few(one.flips) or _few(one.back_flips) for one in everything)
        describe(
            figure,
            _title(attacked),
            caption(
                about,
                f"{len(shown)} of {len(attacked.kinds)} kinds, those that moved labels most towards the attacked response."
                if len(shown) < len(attacked.kinds)
                else "",
                f"{counted(attacked.overall.n, 'attacked pair')}; n: labels for the better response, and others, before.",
                "Filled: steers, that is, moves labels and flips more than it flips back, credibly, adjusted for the number of "
                "kinds; hollow: not known to. What merely disturbs flips as large a share either way.",
                f"Shares of fewer than {FEW_PAIRS} are left out." if missing else "",
                INTERVALS,
            ),
        )
    return figure


def _title(attacked: Attacked) -> str:
    overall, steering = attacked.overall, [kind for kind in attacked.kinds if kind.steers]
    if overall.flips is None:
        return "No label preferred the better response, so that none could flip"
    if overall.few:
        return f"Too few pairs to tell what attacks do: {counted(overall.flips.n, 'label')} could flip"
    back = overall.back_flips
    flipped = f"{overall.flips.value:.0%} of labels flip" + (
        f", {back.value:.0%} flip back" if back and not _few(back) else ""
    )
    if overall.steers:
        return f"Attacks steer the judge: {flipped}"
    if steering:
        kinds = f"{len(steering)} of {counted(len(attacked.kinds), 'kind')} of attack"
        return f"{kinds} steer{'s' if len(steering) == 1 else ''} the judge; of all, {flipped}"
    return f"Attacks are not known to steer the judge: {flipped}"


def _enough(share: Estimate | None) -> Estimate | None:
    return None if _few(share) else share


def _few(share: Estimate | None) -> bool:
    return share is not None and share.n < FEW_PAIRS


def _n(share: Estimate | None) -> str:
    return f"{share.n if share else 0:,}"
