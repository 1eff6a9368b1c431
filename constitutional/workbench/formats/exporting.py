"""A constitution, or few-shot examples, → another format, and a report of all that it has no place for.

What is written is read again as an import would, and compared with what was given: whatever does not come back the same is
reported. So an export without notes is exact by construction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from constitutional.constitution import Constitution, Principle, load_constitution
from constitutional.errors import ConfigError, InputError, nearest
from constitutional.prompt_examples import (
    PREFERENCE_EXAMPLES_FILE,
    Example,
    PreferenceExample,
    load_examples,
    load_preference_examples,
)
from constitutional.registry import find_prompt_set, is_path
from constitutional.templates import stay_inside
from constitutional.workbench.formats.importing import read_into
from constitutional.workbench.formats.notes import Note
from constitutional.workbench.formats.plain_text import LinesAs, has_line, write_lines
from constitutional.workbench.formats.reading import Reading
from constitutional.workbench.formats.source import parse_source
from constitutional.workbench.formats.table import FORMATS, Format, find_format
from constitutional.workbench.formats.yaml_writer import constitution_yaml

_FIELDS = ("critique", "revision", "preference", "weight", "tags", "source")
EXPORTS = (*FORMATS, "yaml")
"""The formats that can be written."""


@dataclass(frozen=True)
class Exported:
    """What an export gave.

    Attributes:
        text: the content of the file.
        count: how many principles or examples are in it.
        notes: what the format has no place for.
    """

    text: str
    count: int
    notes: tuple[Note, ...]


def export_file(name_or_path: str | Path, format: str, *, lines_as: LinesAs = "rule") -> Exported:
    """Load what a format holds, and write it in that format.

    Args:
        name_or_path: a constitution (a name or a file); for the formats of few-shot examples an `examples.yaml` or
            `preference_examples.yaml`, or the prompt set that has one.
        format: one of `EXPORTS`.
        lines_as: what a line of plain text is.

    Raises:
        ConfigError: there is no such format, or nothing that it can hold.
        InputError: what is to be exported can't be loaded.
    """
    if format not in EXPORTS:
        raise ConfigError(f"there is no format {format!r}; {nearest(format, EXPORTS)}")
    holds = "principles" if format == "yaml" else find_format(format).holds
    if holds == "principles":
        return export_constitution(load_constitution(name_or_path), format, lines_as=lines_as)
    path = find_prompt_set(name_or_path)
    if not is_path(name_or_path) or path.is_dir():
        folder, path = path, path / ("examples.yaml" if holds == "examples" else PREFERENCE_EXAMPLES_FILE)
        stay_inside(folder, path)
    if holds == "examples":
        return export_examples(load_examples(path), format)
    return export_examples(load_preference_examples(path), format)


def export_constitution(constitution: Constitution, format: str, *, lines_as: LinesAs = "rule") -> Exported:
    """Write a constitution in another format.

    Args:
        constitution: what to write; what it extends is in it.
        format: one of `EXPORTS` that holds principles.
        lines_as: what a line of plain text is.

    Raises:
        ConfigError: there is no such format, or none of the principles can be written in it.
        ConstitutionError: a text that no file may hold.
    """
    if format == "yaml":
        return Exported(constitution_yaml(constitution), len(constitution.principles), ())
    found = find_format(format)
    if found.holds != "principles":
        raise ConfigError(f"{format} holds {found.holds}, not principles")
    trip = _RoundTrip(found, lines_as)
    notes = [_note(f"the {name} of the constitution") for name in _head(constitution)]
    kept: list[tuple[Principle, Principle]] = []
    for principle in constitution.principles:
        back, reason = trip.alone(principle)
        if back is None:
            notes.append(_note(f"principles were left out: {reason}", principle.id))
        else:
            kept.append((principle, back))
    if not kept:
        reason = notes[-1].message.removeprefix("principles were left out: ")
        raise ConfigError(
            f"none of the principles of {constitution.id!r} can be written as {format}: {reason}"
        )
    text = trip.write([principle for principle, _ in kept])
    whole = trip.read(text)
    at = 0
    for principle, alone in kept:
        back = whole[at] if at < len(whole) else None
        if back is None or _content(back) != _content(alone):
            message = (
                "principles were left out: they have the texts of an earlier one, and no id tells them apart"
            )
            notes.append(_note(message, principle.id))
            continue
        at += 1
        notes += _differences(principle, back)
    return Exported(text, len(kept), tuple(notes))


def export_examples(examples: Sequence[Example] | Sequence[PreferenceExample], format: str) -> Exported:
    """Write few-shot examples in one of the paper's formats.

    Args:
        examples: of the kind that the format holds.
        format: a key of `table.FORMATS` that holds examples.

    Raises:
        ConfigError: there is no such format, or none of the examples can be written in it.
    """
    found = find_format(format)
    wanted = Example if found.holds == "examples" else PreferenceExample
    if found.holds == "principles" or not all(isinstance(example, wanted) for example in examples):
        raise ConfigError(f"{format} holds {found.holds}, not these examples")
    trip = _RoundTrip(found)
    notes: list[Note] = []
    kept: list[Any] = []
    for number, example in enumerate(examples, 1):
        back, reason = trip.alone(example)
        if back is None:
            notes.append(_note(f"examples were left out: {reason}", f"number {number}"))
        else:
            kept.append((number, example))
    if not kept:
        raise ConfigError(f"none of the examples can be written as {format}")
    text = trip.write([example for _, example in kept])
    for (number, example), back in zip(kept, trip.read(text), strict=True):
        for name in type(example).__slots__:
            if getattr(example, name) != getattr(back, name):
                notes.append(_note(f"the {name.replace('_', ' ')} of examples", f"number {number}"))
    return Exported(text, len(kept), tuple(notes))


class _RoundTrip:
    """Writing in a format, and reading what was written."""

    def __init__(self, format: Format, lines_as: LinesAs = "rule") -> None:
        self._format, self._lines_as = format, lines_as

    def write(self, items: Sequence[Any]) -> str:
        write = (
            partial(write_lines, lines_as=self._lines_as)
            if self._format.name == "text"
            else self._format.write
        )
        return write(items)

    def read(self, text: str) -> list[Any]:
        reading = Reading()
        source = parse_source(text, Path("export"), self._format.syntax)
        read_into(reading, source, self._format, self._lines_as)
        reading.raise_problems()
        if self._format.holds == "principles":
            return reading.principles(source.place())
        return [*reading.examples, *reading.preference_examples]

    def alone(self, item: Any) -> tuple[Any, str]:
        """What comes back of one item; or None, and why it can't be written."""
        missing = [name for name in self._format.needs if getattr(item, name) is None]
        if missing:
            return None, f"they have no {' and no '.join(missing)}"
        if self._format.name == "text" and not has_line(item, self._lines_as):
            what = "were not built around a rule" if self._lines_as == "rule" else f"have no {self._lines_as}"
            return None, f"they {what} (--as says what a line is)"
        try:
            found = self.read(self.write([item]))
        except InputError as bad:
            return None, f"they would be read with a problem ({bad.problems[0].message})"
        if len(found) != 1:
            return None, f"they would be read as {len(found) or 'nothing'}"
        return found[0], ""


def _head(constitution: Constitution) -> list[str]:
    given = {"version": constitution.version != 1, "description": bool(constitution.description)}
    return [name for name, there in given.items() if there]


def _differences(principle: Principle, back: Principle) -> list[Note]:
    notes = []
    if principle.id != back.id:
        notes.append(_note("ids, which an import makes anew", f"{principle.id!r} becomes {back.id!r}"))
    for name in _FIELDS:
        before, after = getattr(principle, name), getattr(back, name)
        if before == after:
            continue
        if after in (None, (), 1.0):
            notes.append(_note(f"the {name} of principles", principle.id))
        elif before is None:
            notes.append(_note(f"that principles have no {name}", principle.id))
        else:
            notes.append(_note(f"the exact {name} of principles", principle.id))
    return notes


def _content(principle: Principle) -> tuple[Any, ...]:
    return tuple(getattr(principle, name) for name in _FIELDS)


def _note(message: str, detail: str | None = None) -> Note:
    return Note("not_carried", message, None, detail)
