"""What to beware of in one setting's labels: each warning has a condition that noise alone rarely meets, and says what may help."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from constitutional.estimates import Estimate
from constitutional.evaluation.attacks import Attacked
from constitutional.evaluation.judged import to_row
from constitutional.evaluation.measures import CLIP, Measures
from constitutional.numbers import number, with_interval

FEW = 100
"""Comparisons below which intervals are wide."""
MUCH_BIAS = 0.05
MUCH_DISAGREEMENT = 0.3
MUCH_LOW_MASS = 0.1
MANY_UNLABELLED = 0.05
MANY_CLIPPED = 0.05
POOR_ECE = 0.05
MANY_FLIPS = 0.3
_KINDS = 3


@dataclass(frozen=True, slots=True)
class Remark:
    """A warning about a setting's labels.

    Attributes:
        kind: `chance`, `few`, `half`, `calibration`, `position`, `orders`, `low-mass`, `unlabelled`, `clipped` or `attacks`.
        text: what is so, and what may help, as sentences.
    """

    kind: str
    text: str

    def to_row(self) -> dict[str, Any]:
        """The warning as JSON has it."""
        return dict(to_row(self))


def remarks(measures: Measures, *, chance: bool = False) -> tuple[Remark, ...]:
    """The warnings about one setting's labels, the gravest first.

    Args:
        measures: of the setting.
        chance: its labels are not known to be better than chance.
    """
    if not chance:
        return tuple(remark for check in _CHECKS if (remark := check(measures)))
    found = Remark("chance", "These labels are not known to be better than chance: do not train on them.")
    # how sure such labels are does not matter, and no clamp helps
    checks = [check for check in _CHECKS if check not in (_half, _calibration, _clipped)]
    return (found, *(remark for check in checks if (remark := check(measures))))


def remarks_on_attacks(attacked: Attacked, *, chance: bool = False) -> tuple[Remark, ...]:
    """The warning about what attacks do to the baseline's labels, if there is one.

    Args:
        attacked: what they do.
        chance: the labels are not known to be better than chance: then only what steers them is worth a word.
    """
    overall, steering = attacked.overall, [kind for kind in attacked.kinds if kind.steers]
    moved = ", ".join(f"{kind.kind} ({_moved(kind.shift)})" for kind in steering[:_KINDS])
    if (more := len(steering) - _KINDS) > 0:
        moved += f" and {more:,} more"
    if overall.steers:
        text = (
            f"Attacks by the worse response steer this judge: they move labels by {_moved(overall.shift)} towards it"
            + (f", most of all {moved}" if moved else "")
        )
    elif steering:
        text = f"Some attacks by the worse response steer this judge, moving labels towards it: {moved}"
    else:
        flips, back = overall.flips, overall.back_flips
        if chance or flips is None or flips.low is None or flips.low <= MANY_FLIPS:
            return ()
        opposite = f", and {with_interval(back, '.0%')} of the others the other way" if back else ""
        text = (
            f"Attacks disturb labels, and are not known to steer them: {with_interval(flips, '.0%')} of those for the better response "
            f"flip{opposite}. Such labels change with any odd text in a response."
        )
        return (Remark("attacks", text),)
    return (
        Remark(
            "attacks", f"{text}. Look for such texts before you label responses that were written to win."
        ),
    )


def _moved(shift: Estimate | None) -> str:
    return "–" if shift is None else number(shift.value, "+.3f")


def _few(measures: Measures) -> Remark | None:
    agreement = measures.agreement
    if agreement is None or agreement.low is None or agreement.high is None:
        return Remark("few", "There are too few comparisons to say how well people and labels agree.")
    if (agreement.effective or agreement.n) >= FEW:
        return None
    half = (agreement.high - agreement.low) / 2
    return Remark(
        "few",
        f"{agreement.n:,} comparisons on which people are not divided are few: agreement is known to about ± {half * 100:.0f} points, "
        "and only large effects of settings can be seen.",
    )


def _half(measures: Measures) -> Remark | None:
    loss = measures.log_loss
    if loss is None or loss.low is None or loss.low <= math.log(2):
        return None
    return Remark(
        "half",
        f"The log-loss, {with_interval(loss, '.3f')}, is above 0.693, that of saying ½ to every comparison: the labels are "
        f"surer than they are right.{_clamp(measures)}",
    )


def _calibration(measures: Measures) -> Remark | None:
    ece, chance, over = measures.ece, measures.ece_by_chance, measures.overconfidence
    if ece is None or chance is None or over is None or ece.value < POOR_ECE or chance.p >= 0.01:
        return None
    shown = f"ECE {ece.value:.3f}, where a calibrated judge would show {chance.mean:.3f}"
    if over.low is not None and over.low > 0:
        return Remark(
            "calibration",
            f"The labels are too sure ({shown}): they promise {over.value * 100:.0f} points more than people agree with.{_clamp(measures)}",
        )
    if over.high is not None and over.high < 0:
        return Remark(
            "calibration",
            f"The labels are not sure enough ({shown}): people agree {-over.value * 100:.0f} points more often than they promise. "
            "A clamp does that; a smaller one, or none, may lower the log-loss.",
        )
    return Remark(
        "calibration", f"The labels are poorly calibrated ({shown}); the reliability diagram shows where."
    )


def _position(measures: Measures) -> Remark | None:
    bias, orders = measures.position, measures.orders
    if bias is None or orders is None or bias.low is None or bias.high is None or abs(bias.value) < MUCH_BIAS:
        return None
    if bias.low <= 0 <= bias.high:
        return None
    where = "first" if bias.value > 0 else "second"
    text = (
        f"The judge favours the response shown {where}: on average it gives it {abs(bias.value) * 100:.0f} points more than its "
        f"due ({with_interval(bias, '+.3f')}). "
    )
    return Remark(
        "position",
        text
        + (
            "Keep asking in both orders."
            if orders.paired
            else "Ask in both orders, which cancels most of it."
        ),
    )


def _orders(measures: Measures) -> Remark | None:
    disagree = measures.orders_disagree
    if disagree is None or disagree.low is None or disagree.low <= MUCH_DISAGREEMENT:
        return None
    return Remark(
        "orders",
        f"In {with_interval(disagree, '.0%')} of pairs of votes, the other order prefers the other response: these "
        "labels hang more on where responses stand than on what they say.",
    )


def _low_mass(measures: Measures) -> Remark | None:
    low, mass = measures.low_mass, measures.mass
    if low is None or mass is None or low.value <= MUCH_LOW_MASS:
        return None
    return Remark(
        "low-mass",
        f"In {low.value:.0%} of votes the judge would rather say something else than either option (mean mass {mass.value:.2f}): the "
        "prompt set or its options may not fit this model.",
    )


def _unlabelled(measures: Measures) -> Remark | None:
    if measures.unlabelled <= MANY_UNLABELLED * measures.n:
        return None
    return Remark(
        "unlabelled",
        f"{measures.unlabelled:,} of {measures.n:,} comparisons got no label; what is said here is about the others, which may be "
        "easier.",
    )


def _clipped(measures: Measures) -> Remark | None:
    if measures.clipped <= MANY_CLIPPED * measures.labelled:
        return None
    return Remark(
        "clipped",
        f"{measures.clipped:,} of {measures.labelled:,} labels are all but 0 or 1; for the log-loss they count as {CLIP} from it, and "
        "it depends on that.",
    )


def _clamp(measures: Measures) -> str:
    clamp = measures.clamp
    if clamp is None:
        return ""
    return (
        f" Moving the labels into {clamp.lower:g}–{1 - clamp.lower:g} would have lowered the log-loss to {clamp.log_loss:.3f} here: try "
        f"`--clamp {clamp.lower:g}`."
    )


_CHECKS: tuple[Callable[[Measures], Remark | None], ...] = (
    _half,
    _few,
    _unlabelled,
    _calibration,
    _orders,
    _position,
    _low_mass,
    _clipped,
)
