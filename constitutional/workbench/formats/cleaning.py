r"""Texts without what other formats wrap around them: labels such as `CritiqueRequest:`, white space, CRLF.

A label is taken off the start of a text, and off its end where a line or a sentence ends before it, until none is left:
cleaning what is clean changes nothing. A label further inside is left alone and reported, since only a reader can say
what it is.
"""

from __future__ import annotations

import re

from constitutional.errors import Place
from constitutional.workbench.formats.notes import Note

_LABELS = r"(?:Critique ?Request|Revision ?Request|Critique|Revision|Options|Human|Assistant)"
_AT_START = re.compile(rf"\s*{_LABELS}:\s*")
_AT_END = re.compile(r"(?:(?<=[.?!])\s+|\s*\n\s*)(?:Critique|Revision|Options|Human|Assistant):\s*\Z")
_INSIDE = re.compile(rf"(?m)^[ \t]*{_LABELS}:|\b(?:Critique|Revision)Request:|(?<=[.?!])\s+Options:")
_LINE_ENDS = re.compile(r"\r\n?")
_TAIL = 200  # characters: the longest label with generous white space around it


def clean(text: str, place: Place | None = None) -> tuple[str, list[Note]]:
    """A text without outer white space, labels and carriage returns.

    Args:
        text: any text.
        place: where it comes from, for the notes.

    Returns:
        The text, possibly empty, and a note for all that was done to it.
    """
    text, notes = _plain_line_ends(text, place)
    text, stripped = _cut(text, *_span(text), place)
    notes += stripped
    if found := _INSIDE.search(text):
        message = f"{found.group().strip()!r} stands inside a text; look whether it belongs there"
        notes.append(Note("kept", message, place))
    return text, notes


def trim(text: str, place: Place | None = None) -> tuple[str, list[Note]]:
    """A text without outer white space and carriage returns: what `clean` does to a text in which labels may stand."""
    text, notes = _plain_line_ends(text, place)
    text, stripped = _cut(text, len(text) - len(text.lstrip()), len(text.rstrip()), place)
    return text, notes + stripped


def _plain_line_ends(text: str, place: Place | None) -> tuple[str, list[Note]]:
    if "\r" not in text:
        return text, []
    message = "line ends (carriage returns) became plain newlines"
    return _LINE_ENDS.sub("\n", text), [Note("changed", message, place)]


def _cut(text: str, start: int, end: int, place: Place | None) -> tuple[str, list[Note]]:
    """The part of a text from `start` to `end`, and notes of what was around it."""
    notes = []
    for part, where in ((text[:start], "start"), (text[end:], "end")):
        if part:
            what = _quoted(part) if part.strip() else "white space"
            notes.append(Note("stripped", f"{what} at the {where} of a text", place))
    return text[start:end], notes


def _span(text: str) -> tuple[int, int]:
    """Where the text itself begins and ends."""
    start, end = 0, len(text.rstrip())
    while found := _AT_START.match(text, start, end):
        start = found.end()
    start += len(text[start:end]) - len(text[start:end].lstrip())
    # a label that stands in the text's last few characters, again and again: "… Revision:\n\nOptions:"
    while start < end and (found := _AT_END.search(text, max(start, end - _TAIL), end)):
        end = found.start()
        end = start + len(text[start:end].rstrip())
    return start, max(start, end)


def _quoted(part: str) -> str:
    return repr(part if len(part) <= 60 else f"{part[:28]} … {part[-28:]}")
