"""Reading a score that a judge has written: its last line if that is exactly one, or a typed reason why there is none.

A judge that writes a justification and a decimal (d-RLAIF with generated scores; Lee et al. 2023 take the expectation
over tokens instead) says many numbers, and it may quote some that the response has put there. So only a last line that is
nothing but a score counts, and where other such lines of the judge's own contradict it none does: an unreadable answer is a
failure, never a score.
"""

from __future__ import annotations

import re
from typing import NamedTuple

UNREADABLE, OUT_OF_RANGE, CONFLICTING = "unreadable_score", "score_out_of_range", "conflicting_scores"
REASONS: dict[str, str] = {
    UNREADABLE: "the last line of the answer is not exactly a score, or the token limit may have cut it off",
    OUT_OF_RANGE: "the score is outside of the scale, or given on another one, such as 4/10 where 5 is the highest",
    CONFLICTING: "the answer gives two different scores",
}
"""Why a written answer is no score."""

_LONGEST_LINE = 120  # characters; a longer one is no score, and not worth matching
_DECORATION = (
    " \t*_`#[](){}\"'“”‘’|~-–—•"  # of Markdown and lists, but no >: what follows that is a quotation
)
_NUMBER = r"[+\-−–]?[0-9]+(?:\.[0-9]+|,(?![0-9]{3}(?![0-9]))[0-9]+)?"  # in 1,000 the comma may mean either
_SCORE = re.compile(
    r"(?P<label>(?:(?:my|the|your|final|overall|total) )*(?:score|rating)"  # a label,
    r"(?: ?[(\[][^()\[\]]{0,40}[)\]])?"  # the scale that it is on, as in `Score (1-5)`,
    r"[\s*_`]*(?:[:=]|is\b|\s[-–—]\s)[\s*_`\[(]*)?"  # and what leads over to
    rf"(?P<number>{_NUMBER})"
    rf"[\s*_`]*(?:(?:/|out of)\s*(?P<highest>{_NUMBER}))?"
    r"[\s*_`\])]*[.!]?",
    re.IGNORECASE,
)
_MINUS = re.compile(r"[-–−](?=[0-9])")


def read_rating(text: str, low: float, high: float, *, truncated: bool = False) -> float | str:
    """The score that a judge's answer ends in: in its last line that has a letter or digit.

    A score line holds a number and at most a label before it (`Score:`, `Final rating is`), what it is out of behind
    it (`/5`, `out of 5`), a full stop, and Markdown's marks. A comma may stand for the decimal point, but not before just
    three digits. Another score line before it, with another number, contradicts it; one with nothing but a number, which
    the number of a list may be, does so only where the last line is no more either. What is quoted, after `>`, is not the judge's own.

    Args:
        text: the answer.
        low: the lowest score.
        high: the highest.
        truncated: whether the token limit cut the answer off: its very last line may then be half of a number.

    Returns:
        The score, or one of `REASONS`.
    """
    lines = [line for line in text.splitlines() if any(map(str.isalnum, line))]
    last = _score(lines[-1]) if lines else None
    if last is None or (truncated and text[-1] not in "\r\n"):
        return UNREADABLE
    value = last.value
    found = [score for line in lines if (score := _score(line))]
    scores = [score for score in found if score.named or not last.named]
    if any(score.value != value for score in scores):
        return CONFLICTING
    if any(score.out_of not in (None, high) for score in scores) or not low <= value <= high:
        return OUT_OF_RANGE
    return value


class _Line(NamedTuple):
    """A line that is exactly a score: its number, what that is out of, and whether the line calls itself a score."""

    value: float
    out_of: float | None
    named: bool


def _score(line: str) -> _Line | None:
    bare = line.strip()
    if not bare or len(bare) > _LONGEST_LINE:
        return None
    stripped = bare.strip(_DECORATION)
    sign = len(bare) - len(bare.lstrip(_DECORATION)) - 1
    if sign >= 0 and _MINUS.match(bare, sign) and (sign == 0 or not bare[sign - 1].isalnum()):
        stripped = f"-{stripped}"  # a minus sign, not the dash of a list
    match = _SCORE.fullmatch(stripped)
    if match is None:
        return None
    highest = match["highest"]
    out_of = _number(highest) if highest else None
    return _Line(_number(match["number"]), out_of, bool(match["label"]) or out_of is not None)


def _number(text: str) -> float:
    return float(text.replace("−", "-").replace("–", "-").replace(",", "."))
