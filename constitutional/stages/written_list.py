"""Reading a list that a model has written: its items, without the numbers, quotation marks and remarks around them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

_NUMBER = re.compile(r"[\s>*_`#]*\(?(\d{1,3})(?:[.):\]]|\*\*[.):]?)[*_`]*(?:\s+|$)(.*)")
_BULLET = re.compile(r"\s*[-*•‣–—]\s+(.*)")
_LABEL = re.compile(
    r"[*_]*(?:prompt|question|message|request|user|human|person|q)\s*#?\d{0,3}\s*[*_]*[:：][*_]*\s*",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "“": "”", "'": "'", "‘": "’", "«": "»", "„": "“"}
_MARKED = re.compile(r"(\*{1,3}|_{1,3}|`{1,3})([^*_`]+)\1")


@dataclass(frozen=True, slots=True)
class ListItem:
    """One item of a list.

    Attributes:
        text: on one line.
        cut: whether the token limit cut it off.
    """

    text: str
    cut: bool = False


def read_list(text: str, *, lead: str = "", truncated: bool = False) -> tuple[ListItem, ...]:
    """The items of a list, in order.

    An item begins at a number such as `3.`, `3)` or `(3)`, or, in a list without numbers, at a dash or bullet; it
    goes on until the next one or a blank line. What stands before the first item and between a blank line and the
    next item is no item.

    Args:
        text: what the model wrote.
        lead: what its turn began with; where that ends in an item's number, the text begins with this item.
        truncated: whether the token limit cut the text off.

    Returns:
        The items; those without a text are left out. None where there is no list.
    """
    last = lead.rsplit("\n", 1)[-1].strip()
    begun = bool(last) and bool(_NUMBER.fullmatch(last)) and not text.startswith("\n\n")
    lines = (f"{last} {text.lstrip()}" if begun else text).splitlines()
    marker = _NUMBER if any(_NUMBER.fullmatch(line) for line in lines) else _BULLET
    found: list[list[str]] = []
    ends = -1  # number of the line that the last item goes on to
    for number, line in enumerate(lines):
        match = marker.fullmatch(line)
        if match:
            found.append([match[match.re.groups]])
        elif not found or not line.strip() or (ends < number - 1 and any(found[-1])):
            continue
        else:
            found[-1].append(line)
        ends = number
    whole = not truncated or text.endswith("\n") or any(line.strip() for line in lines[ends + 1 :])
    items = [
        ListItem(_clean(parts), cut=not whole and place == len(found) - 1)
        for place, parts in enumerate(found)
    ]
    return tuple(item for item in items if item.text)


def _clean(parts: Iterable[str]) -> str:
    text = " ".join(" ".join(parts).split())
    while True:
        bare = _LABEL.sub("", _unquoted(text), count=1) if _LABEL.match(_unquoted(text)) else _unquoted(text)
        if bare == text:
            return text
        text = bare.strip()


def _unquoted(text: str) -> str:
    """The text without quotation marks, or Markdown's marks, that enclose all of it."""
    if marked := _MARKED.fullmatch(text):
        return marked[2].strip()
    close = _QUOTES.get(text[:1])
    if close and len(text) > 1 and text.endswith(close) and close not in text[1:-1]:
        return text[1:-1].strip()
    return text
