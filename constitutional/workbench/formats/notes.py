"""What an import or an export changed, made or could not place: typed notes, so that nothing happens silently.

A note has a place: the file, and the way to the value inside it (`harmful3.prompt[0]`), or the line. Notes that differ
in nothing but the place are told once, with how many places there are.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

from constitutional.errors import Place

NoteKind = Literal[
    "stripped",  # label text or white space was taken off a text
    "changed",  # line ends, a guarding apostrophe, a key that was read as another
    "renamed",  # a name that is no id became one
    "made",  # something that the file does not give: an id, an order
    "built",  # texts were built around a rule
    "merged",  # the same entry a second time
    "repeated",  # kept, although another principle has the same texts
    "kept",  # kept as it is, although it looks wrong
    "not_placed",  # there is no place for it in a constitution
    "not_carried",  # the format that is written has no place for it
]
MAX_LINES = 100
"""Lines of a summary at most: more say nothing to a reader."""
_MAX_DETAIL = 200
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Note:
    """One thing that a conversion did.

    Attributes:
        kind: what sort of thing.
        message: a sentence, the same for everything that it happened to.
        place: where.
        detail: what came of it here, such as the id that was made; cut where it is long.
    """

    kind: NoteKind
    message: str
    place: Place | None = None
    detail: str | None = None

    def __post_init__(self) -> None:
        if self.detail is not None:
            object.__setattr__(self, "detail", short(self.detail, _MAX_DETAIL))

    def to_row(self) -> dict[str, Any]:
        """The note as JSON has it."""
        place = self.place
        return {
            "kind": self.kind,
            "message": self.message,
            "detail": self.detail,
            "file": str(place.path) if place else None,
            "line": place.line if place else None,
            "column": place.column if place else None,
            "field": place.field if place else None,
        }


def summary(notes: Iterable[Note], *, name_files: bool = False) -> list[str]:
    """The notes for a reader: one line for all of a file that differ only in place and detail, in the order they came.

    Beyond `MAX_LINES` only their number is told.

    Args:
        notes: all that were made.
        name_files: whether to head what belongs to a file with its name, as is needed where there are several.
    """
    files: dict[str, dict[tuple[str, str], list[Note]]] = {}
    for note in notes:
        file = str(note.place.path) if note.place and name_files else ""
        files.setdefault(file, {}).setdefault((note.kind, note.message), []).append(note)
    lines = []
    for file, groups in files.items():
        lines += [f"{file}:"] * bool(file)
        lines += [("  " if file else "") + _line(group) for group in groups.values()]
    if (left := len(lines) - MAX_LINES) > 0:
        lines[MAX_LINES:] = [f"and {left:,} more lines like these"]
    return lines


def short(text: str, length: int = 60) -> str:
    """A text for a message: itself, or its start where it is longer than that."""
    return text if len(text) <= length else f"{text[: length - 3]}..."


def _line(group: list[Note]) -> str:
    first = group[0]
    times = f" ({len(group):,} times)" if len(group) > 1 else ""
    details = _some([note.detail for note in group if note.detail is not None])
    places = _some([where for note in group if note.place and (where := _inside(note.place))])
    line = f"{first.kind.replace('_', ' ')}{times}: {first.message}"
    return line + (f": {details}" if details else "") + (f"; {places}" if places else "")


def _inside(place: Place) -> str:
    """Where in its file."""
    line = f"line {place.line}" if place.line else ""
    return ", ".join(filter(None, (line, place.field)))


def _some(texts: list[str]) -> str:
    left = len(texts) - _SHOWN
    return ", ".join(texts[:_SHOWN]) + (f" and {left:,} more" if left > 0 else "")
