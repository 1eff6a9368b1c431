"""Plain text, one principle a line.

A line alone does not say what it is, so the user does: a *rule* ("Never name the dose of a medicine."), around which all
three texts are built; a *critique* request, to which a revision request is added; or a *preference* question. Blank
lines and lines that begin with `#` are no principles; list marks (`-`, `*`, `1.`) are taken off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal, get_args

from constitutional.constitution import Principle
from constitutional.errors import Place
from constitutional.workbench.formats.notes import short
from constitutional.workbench.formats.reading import EntryDraft, Reading
from constitutional.workbench.formats.source import Source

LinesAs = Literal["rule", "critique", "preference"]
LINES_AS: tuple[LinesAs, ...] = get_args(LinesAs)

_BUILT = {
    "critique": "Identify every way in which the assistant's last response breaks this rule: ",
    "revision": "Rewrite the assistant's last response so that it keeps this rule and still helps: ",
    "preference": "Which of these two responses keeps this rule better: ",
}
_REVISION = "Rewrite the assistant's last response so that this criticism no longer applies to it, and keep what is good."
_MARKS = re.compile(r"(?:(?:[-*+•–]|\d{1,4}[.)])\s+)+")


def read_lines(source: Source, reading: Reading, lines_as: LinesAs = "rule") -> None:
    """Read principles, one a line.

    Args:
        source: the file.
        reading: takes them.
        lines_as: what each line is.
    """
    for number, line in enumerate(re.split(r"\r\n|\r|\n", source.text), 1):
        place = source.line(number)
        text = _plain(line.strip(), place, reading)
        if text:
            values, added = _texts(text, lines_as)
            if added:
                reading.note("built", f"each line was taken as a {lines_as}; {added} around it", place)
            reading.draft(EntryDraft(place, values, series=lines_as))


def _plain(line: str, place: Place, reading: Reading) -> str | None:
    """A line without list marks and labels, until none is left; None for one that is no principle."""
    before, text = None, line
    while text and text != before:
        before = text
        if text.startswith("#"):
            reading.note("not_placed", "lines that begin with '#' were taken for comments", place)
            return None
        if marks := _MARKS.match(text):
            reading.note("stripped", "list marks", place, repr(short(marks.group().strip())))
        text = reading.text(text[marks.end() if marks else 0 :], place) or ""
    return text


def write_lines(principles: Iterable[Principle], lines_as: LinesAs = "rule") -> str:
    """The principles' rules, critique requests or preference questions, one a line.

    Args:
        principles: those that `has_line` is true of.
        lines_as: what each line is.
    """
    return "".join(" ".join(_line(p, lines_as).split("\n")) + "\n" for p in principles)


def has_line(principle: Principle, lines_as: LinesAs) -> bool:
    """Whether a line can be written of it: it has that text, or was built around a rule."""
    return bool(_line(principle, lines_as))


def _line(principle: Principle, lines_as: LinesAs) -> str:
    if lines_as != "rule":
        return getattr(principle, lines_as) or ""
    texts = (principle.critique or "", principle.revision or "", principle.preference or "")
    rule = texts[0].removeprefix(_BUILT["critique"])
    return rule if texts == tuple(start + rule for start in _BUILT.values()) else ""


def _texts(line: str, lines_as: LinesAs) -> tuple[dict[str, str], str]:
    """A principle's texts, and in words what was added to the line."""
    if lines_as == "rule":
        return {
            name: start + line for name, start in _BUILT.items()
        }, "critique, revision and preference were built"
    if lines_as == "critique":
        return {"critique": line, "revision": _REVISION}, "the same revision request was built"
    return {"preference": line}, ""
