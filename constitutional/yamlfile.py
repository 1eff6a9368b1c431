"""YAML files as plain Python, with the place of every value, and refusals that say where.

What is read is YAML 1.1 less all that can surprise or attack: no tags, anchors, aliases or merge keys, no
duplicate keys, keys that are text, one document whose top level is a mapping, at most 5 MB, 50 levels and
200,000 values. The parser's events are read one by one, so neither nesting nor aliases nor very many values can
exhaust the stack or the memory. Every problem of a file is reported at once, each with its line and column.

Constitutions, prompt sets, `--config` files and experiments are all read here: `load_yaml`, then `validate`
against a `FileModel` (see `schema.py`). `parse_yaml` also gives what could be read of a file with problems.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from constitutional.errors import InputError, Place, Problem

MAX_BYTES = 5_000_000
MAX_DEPTH = 50
MAX_VALUES = 200_000
"""Each takes about a kilobyte while a file is read, however short it is."""
MAX_PROBLEMS = 50
"""So many problems are reported; a file with more has the same mistake everywhere."""
MAX_NUMBER_LENGTH = 100

Steps = tuple[str | int, ...]
"""The way from the top of a document to a value: keys and positions in lists (from 0)."""

# What YAML itself forbids in a stream: control characters, lone surrogates, U+FFFE and U+FFFF.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PREFIX = "tag:yaml.org,2002:"
_CONVERTED = {
    _PREFIX + "null": "nothing",
    _PREFIX + "bool": "a yes/no value",
    _PREFIX + "int": "a number",
    _PREFIX + "float": "a number",
    _PREFIX + "timestamp": "a date",
}

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True)
class Document:
    """A YAML file as plain Python.

    Attributes:
        path: the file.
        value: its top level.
        positions: line and column (from 1) of every value.
        key_positions: line and column of the key of every value that has one.
        source: the file's text.
    """

    path: Path
    value: dict[str, Any]
    positions: Mapping[Steps, tuple[int, int]] = field(repr=False)
    key_positions: Mapping[Steps, tuple[int, int]] = field(repr=False)
    source: str = field(default="", repr=False)

    def place(self, *steps: str | int, key: bool = False) -> Place:
        """Where a value (or its key) is; for one that is not there, where it should be."""
        line, column = 1, 1
        for end in range(len(steps), -1, -1):
            known = steps[:end]
            if key and known in self.key_positions:
                line, column = self.key_positions[known]
                break
            if known in self.positions:
                line, column = self.positions[known]
                break
        return Place(self.path, line, column, ".".join(map(str, steps)) or None)


def load_yaml(
    path: str | Path,
    *,
    error: type[InputError] = InputError,
    top_level: tuple[type, ...] = (dict,),
    text: str | None = None,
) -> Document:
    """Load a YAML file whose top level is a mapping.

    Args:
        path: the file.
        error: the class of the error to raise.
        top_level: what the top level may be; where it is no mapping, the document's `value` is what it is.
        text: what the file holds, where that is known already.

    Returns:
        The document; its scalars are what YAML 1.1 makes of them (`yes` is a bool, `2026-01-01` a date).

    Raises:
        InputError: of the class `error`; the file can't be read, is not YAML, or uses what is refused here.
    """
    path = Path(path)
    document, problems = _parse(path, read_text(path, error=error) if text is None else text, top_level)
    if problems or document is None:
        raise error(problems)
    return document


def parse_yaml(path: str | Path) -> tuple[Document | None, list[Problem]]:
    """Load a YAML file as `load_yaml` does, and in spite of what it refuses.

    Returns:
        The document, or None where the file is no YAML whose top level is a mapping or could not be read to its end; and
        all problems. A refused alias is None in the document; of keys that are given twice the first one counts.
    """
    path = Path(path)
    try:
        text = read_text(path)
    except InputError as bad:
        return None, list(bad.problems)
    return _parse(path, text)


def _parse(
    path: Path, text: str, top_level: tuple[type, ...] = (dict,)
) -> tuple[Document | None, list[Problem]]:
    reader = _Reader(path)
    whole = False
    try:
        for event in yaml.parse(text, Loader=_Loader):
            reader.take(event)
            if len(reader.problems) >= MAX_PROBLEMS:
                break
        else:
            whole = True
    except _Stop:
        pass
    except yaml.MarkedYAMLError as bad:
        reader.problems.append(_syntax_problem(path, text, bad))
    except (yaml.YAMLError, ValueError, OverflowError) as bad:
        reader.problems.append(Problem(f"not valid YAML: {bad}", Place(path), "yaml-syntax"))
    if not reader.problems and not reader.started:
        reader.problems.append(Problem("the file is empty", Place(path), "yaml-syntax"))
    fits = isinstance(reader.value, top_level)
    if not reader.problems and not fits:
        # Its kind alone: what is given as a constitution may be a link to a file of secrets.
        found = _kind(reader.value)
        message = f"the top level must be a mapping (`key: value` lines), not {found}"
        reader.problems.append(Problem(message, Place(path, 1, 1), "yaml-syntax"))
    if not whole or not fits:
        return None, reader.problems
    return Document(path, reader.value, reader.positions, reader.key_positions, text), reader.problems


def read_text(path: Path, *, error: type[InputError] = InputError, limit: int = MAX_BYTES) -> str:
    """Read a text file: regular, UTF-8, no control characters, at most `limit` bytes.

    Raises:
        InputError: of the class `error`.
    """

    def refusal(message: str, place: Place, rule: str = "unreadable-file") -> InputError:
        return error(Problem(message, place, rule))

    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise refusal("this is a folder, not a file", Place(path))
        if not stat.S_ISREG(mode):
            raise refusal("this is not a regular file", Place(path))
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise refusal("there is no such file", Place(path)) from None
    except (OSError, ValueError) as bad:  # ValueError: a NUL in the name
        reason = bad.strerror if isinstance(bad, OSError) else bad
        raise refusal(f"can't be read: {reason}", Place(path)) from None
    if len(data) > limit:
        raise refusal(f"the file is larger than {limit:,} bytes", Place(path))
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as bad:
        line = data.count(b"\n", 0, bad.start) + 1
        raise refusal(
            f"not valid UTF-8 at byte {bad.start:,} (0x{data[bad.start]:02x}); save the file as UTF-8",
            Place(path, line),
            "encoding-slip",
        ) from None
    forbidden = _FORBIDDEN.search(text)
    if forbidden:
        at = forbidden.start()
        place = Place(path, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
        message = f"the control character {_code(forbidden.group())} is not allowed; remove it"
        raise refusal(message, place, "encoding-slip")
    return text


def forbidden_character(text: str) -> str | None:
    """The first character of a text that no file may hold, such as `U+0000`."""
    found = _FORBIDDEN.search(text)
    return _code(found.group()) if found else None


def describe(value: object) -> str:
    """A value as an error message names it, cut short where it is long."""
    if isinstance(value, bool):
        return f"{str(value).lower()} (a YAML yes/no; quote it to make it text)"
    if isinstance(value, str):
        return (
            "an empty text"
            if not value
            else f"the text {value if len(value) <= 40 else value[:37] + '...'!r}"
        )
    if isinstance(value, int | float):
        return f"the number {value}"
    if value is None or isinstance(value, dict | list):
        return _kind(value)
    return f"the date {value} (quote it to make it text)"


def _kind(value: object) -> str:
    """What sort of value it is."""
    names: dict[type, str] = {
        type(None): "nothing",
        dict: "a mapping",
        list: "a list",
        str: "a text",
        bool: "a yes/no value",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "a date")


class _Stop(Exception):
    """The rest of the stream can't be read in a useful way."""


@dataclass
class _Open:
    """A mapping or list that is being read; `key` is the key whose value comes next."""

    value: Any
    steps: Steps
    key: str | None = None
    expects_key: bool = True


class _Reader:
    """Builds the value of a stream of events."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.value: Any = None
        self.started = False
        self.values = 0
        self.problems: list[Problem] = []
        self.positions: dict[Steps, tuple[int, int]] = {}
        self.key_positions: dict[Steps, tuple[int, int]] = {}
        self.stack: list[_Open] = []
        self.resolve: Any = yaml.resolver.Resolver().resolve
        self.constructor = yaml.constructor.SafeConstructor()

    def take(self, event: yaml.Event) -> None:
        if isinstance(event, yaml.DocumentStartEvent):
            if self.started:
                self.refuse(
                    event, "a second document starts here; keep one document in a file", "yaml-syntax"
                )
                raise _Stop
            self.started = True
        elif isinstance(event, yaml.AliasEvent):
            self.refuse(
                event, f"aliases (*{event.anchor}) are not allowed; write the value out", "yaml-feature"
            )
            self.add(event, None)
        elif isinstance(event, yaml.NodeEvent):
            if event.anchor is not None:
                self.refuse(
                    event,
                    f"anchors (&{event.anchor}) are not allowed; write the value out where it is needed",
                    "yaml-feature",
                )
            tag = getattr(event, "tag", None)
            if tag is not None:
                self.refuse(event, f"tags ({tag}) are not allowed; remove it", "yaml-feature")
            if isinstance(event, yaml.ScalarEvent):
                self.take_scalar(event)
            else:
                self.open(event, {} if isinstance(event, yaml.MappingStartEvent) else [])
        elif isinstance(event, yaml.CollectionEndEvent):
            self.stack.pop()

    def take_scalar(self, event: yaml.ScalarEvent) -> None:
        tag = self.resolve(yaml.ScalarNode, event.value, event.implicit)
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.value, dict) and top.expects_key:
            self.take_key(event, top, tag)
        else:
            self.add(event, self.scalar(event, tag))

    def scalar(self, event: yaml.ScalarEvent, tag: str) -> object:
        forbidden = _FORBIDDEN.search(event.value)
        if forbidden:  # written as an escape such as "\0"
            message = f"the character {_code(forbidden.group())} is not allowed; remove its escape"
            self.refuse(event, message, "encoding-slip")
        if tag not in _CONVERTED:
            return event.value
        if len(event.value) > MAX_NUMBER_LENGTH:
            self.refuse(
                event,
                f"a number or date of more than {MAX_NUMBER_LENGTH} characters; quote it to make it text",
                "wrong-value",
            )
            return None
        try:
            return self.constructor.construct_object(yaml.ScalarNode(tag, event.value))
        except (ValueError, OverflowError, IndexError, yaml.YAMLError):
            message = f"{event.value!r} looks like {_CONVERTED[tag]} but is none; quote it to make it text"
            self.refuse(event, message, "wrong-value")
            return None

    def take_key(self, event: yaml.ScalarEvent, top: _Open, tag: str) -> None:
        if tag == _PREFIX + "merge":
            self.refuse(event, "merge keys (<<) are not allowed; write the keys out", "yaml-feature")
        elif tag in _CONVERTED:
            self.refuse(
                event, f"YAML reads the key {event.value!r} as {_CONVERTED[tag]}; quote it", "wrong-value"
            )
        elif event.value in top.value:
            line = self.key_positions[(*top.steps, event.value)][0]
            message = f"duplicate key {event.value!r} (first on line {line}); remove one"
            self.refuse(event, message, "duplicate-key")
        self.scalar(event, _PREFIX + "str")
        top.key, top.expects_key = event.value, False
        self.key_positions.setdefault((*top.steps, event.value), _position(event))

    def open(self, event: yaml.Event, value: object) -> None:
        top = self.stack[-1] if self.stack else None
        if top and isinstance(top.value, dict) and top.expects_key:
            self.refuse(event, "a key must be a text, not a mapping or a list", "yaml-syntax")
            raise _Stop
        if len(self.stack) >= MAX_DEPTH:
            self.refuse(event, f"nested deeper than {MAX_DEPTH} levels", "yaml-syntax")
            raise _Stop
        self.stack.append(_Open(value, self.add(event, value)))

    def add(self, event: yaml.Event, value: object) -> Steps:
        self.values += 1
        if self.values > MAX_VALUES:
            self.refuse(
                event, f"more than {MAX_VALUES:,} values, the most that a file may have", "unreadable-file"
            )
            raise _Stop
        if not self.stack:
            self.value = value
            steps: Steps = ()
        else:
            top = self.stack[-1]
            if isinstance(top.value, list):
                steps = (*top.steps, len(top.value))
                top.value.append(value)
            elif top.expects_key:
                self.refuse(event, "a key must be a text, not an alias", "yaml-syntax")
                raise _Stop
            else:
                assert top.key is not None
                steps = (*top.steps, top.key)
                top.value.setdefault(top.key, value)
                top.expects_key = True
        self.positions.setdefault(steps, _position(event))
        return steps

    def refuse(self, event: yaml.Event, message: str, rule: str) -> None:
        top = self.stack[-1] if self.stack else None
        steps: Steps = ()
        if top:
            steps = top.steps
            if isinstance(top.value, list):
                steps = (*steps, len(top.value))
            elif not top.expects_key and top.key is not None:
                steps = (*steps, top.key)
        place = Place(self.path, *_position(event), ".".join(map(str, steps)) or None)
        self.problems.append(Problem(message, place, rule))


def _position(event: yaml.Event) -> tuple[int, int]:
    mark: Any = event.start_mark
    return mark.line + 1, mark.column + 1


def _syntax_problem(path: Path, text: str, bad: yaml.MarkedYAMLError) -> Problem:
    mark = bad.problem_mark or bad.context_mark
    place = Place(path, mark.line + 1, mark.column + 1) if mark else Place(path)
    sentence = ", ".join(part for part in (bad.context, bad.problem) if part)
    lines = text.split("\n")
    at = lines[mark.line][mark.column : mark.column + 1] if mark and mark.line < len(lines) else ""
    hint = "; indent with spaces, not tabs" if at == "\t" else ""
    if "mapping values are not allowed" in sentence:
        hint = "; quote a text that contains ': '"
    return Problem(f"not valid YAML: {sentence}{hint}", place, "yaml-syntax")


def _code(character: str) -> str:
    return f"U+{ord(character):04X}"
