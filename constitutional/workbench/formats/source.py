"""Files to import, as plain Python: strict JSON, YAML, CSV or lines, with the place of every value.

JSON is read more strictly than Python does: no duplicate keys, no NaN, nothing nested deeper than 50 levels, and no text
that a constitution could not hold (lone surrogates, control characters). All problems of a file are reported at once,
syntax errors with line and column, others with the way inside, such as `[3].revision`.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from constitutional.errors import ConstitutionError, Place, Problem
from constitutional.yamlfile import (
    MAX_DEPTH,
    MAX_PROBLEMS,
    Document,
    Steps,
    forbidden_character,
    load_yaml,
    read_text,
)

Syntax = Literal["json", "yaml", "csv", "text"]
_SYNTAXES: dict[str, Syntax] = {
    ".json": "json",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "text",
}
_PLAIN_KEY = re.compile(r"\w[\w-]*")


@dataclass(frozen=True)
class Source:
    """A file to import.

    Attributes:
        path: the file.
        syntax: how it was read.
        text: its text, without a byte order mark.
        value: what it holds, for JSON and YAML.
        document: where that stands, for YAML.
    """

    path: Path
    syntax: Syntax
    text: str
    value: Any = None
    document: Document | None = None

    def place(self, *steps: str | int) -> Place:
        """Where a value of JSON or YAML is; for one that is not there, where it should be."""
        field = way(steps) or None
        if self.document:
            found = self.document.place(*steps)
            return Place(self.path, found.line, found.column, field)
        return Place(self.path, field=field)

    def line(self, number: int, field: str | None = None) -> Place:
        """A line of CSV or plain text; lines count from 1."""
        return Place(self.path, number, field=field)


def read_source(path: Path, syntax: Syntax | None = None) -> Source:
    """Read a file.

    Args:
        path: the file.
        syntax: how to read it; None tells by its name, or for other names by its first character.

    Raises:
        ConstitutionError: it can't be read, or is not in that syntax.
    """
    text = read_text(path, error=ConstitutionError)
    if not text.strip():
        raise ConstitutionError("the file is empty", Place(path))
    syntax = syntax or _SYNTAXES.get(path.suffix.lower()) or ("json" if text.lstrip()[0] in "[{" else "text")
    return parse_source(text, path, syntax)


def parse_source(text: str, path: Path, syntax: Syntax) -> Source:
    """What a file of this text would be; `path` is for messages alone.

    Raises:
        ConstitutionError: it is not in that syntax.
    """
    if syntax == "json":
        return Source(path, syntax, text, parse_json(text, path))
    if syntax == "yaml":
        document = load_yaml(path, error=ConstitutionError, top_level=(dict, list), text=text)
        return Source(path, syntax, text, document.value, document)
    if found := forbidden_character(text):
        raise ConstitutionError(f"the character {found} is not allowed; remove it", Place(path))
    return Source(path, syntax, text)


def way(steps: Steps) -> str:
    """The way to a value as a person writes it: `[3].revision`, `harmful3.prompt[0]`."""
    parts = []
    for step in steps:
        if isinstance(step, int):
            parts.append(f"[{step}]")
        elif _PLAIN_KEY.fullmatch(step) and len(step) <= 60:
            parts.append(f".{step}")
        else:
            parts.append(f"[{json.dumps(step if len(step) <= 60 else step[:57] + '...')}]")
    return "".join(parts).removeprefix(".")


@dataclass(frozen=True)
class Number:
    """A number of a JSON file as it is spelt there; no format that is imported has a use for one."""

    text: str

    def __str__(self) -> str:
        return self.text if len(self.text) <= 40 else self.text[:37] + "..."


def parse_json(text: str, path: Path) -> Any:
    """Parse JSON strictly.

    Args:
        text: the whole of a file.
        path: the file, for messages.

    Returns:
        dicts, lists, texts, bools, None, and `Number`s.

    Raises:
        ConstitutionError: with every problem found.
    """
    try:
        # Numbers are not converted: one of a million digits would take minutes, and 1e999 is infinite.
        value = json.loads(
            text, object_pairs_hook=_Pairs, parse_int=Number, parse_float=Number, parse_constant=_Constant
        )
    except json.JSONDecodeError as bad:
        if bad.msg == "Extra data" and "\n" in text[: bad.pos] and text[bad.pos] in "[{":
            message = (
                "this is JSON Lines: a value ends here and another begins. Put the lines into one list: [ before the first, a "
                "comma after each but the last, ] at the end"
            )
            raise ConstitutionError(message, Place(path, bad.lineno, bad.colno)) from None
        message = f"not valid JSON: {bad.msg[:1].lower()}{bad.msg[1:]}"
        raise ConstitutionError(message, Place(path, bad.lineno, bad.colno)) from None
    except RecursionError:
        raise ConstitutionError(*_too_deep(text, path)) from None
    problems: list[Problem] = []
    plain = _plain(value, (), path, problems)
    if problems:
        raise ConstitutionError(problems)
    return plain


class _Pairs(list[tuple[str, Any]]):
    """An object's keys and values as they come, so that a key given twice is seen."""


class _Constant(str):
    """NaN, Infinity or -Infinity."""


def _plain(value: Any, steps: Steps, path: Path, problems: list[Problem]) -> Any:
    """The value with dicts for pairs; at most 51 levels deep, whatever it is given."""
    if len(problems) >= MAX_PROBLEMS:
        return None
    place = Place(path, field=way(steps) or None)
    if isinstance(value, _Constant):
        problems.append(Problem(f"{value} is not JSON; write a number or null", place))
    elif isinstance(value, str):
        if found := forbidden_character(value):
            problems.append(Problem(f"the character {found} is not allowed; remove it", place))
    elif isinstance(value, list) and len(steps) >= MAX_DEPTH:
        problems.append(Problem(f"nested deeper than {MAX_DEPTH} levels", place))
    elif isinstance(value, _Pairs):
        plain: dict[str, Any] = {}
        for key, inner in value:
            if found := forbidden_character(key):
                problems.append(Problem(f"the character {found} is not allowed in the key {key!r}", place))
            if key in plain:
                here = Place(path, field=way((*steps, key)))
                problems.append(Problem(f"duplicate key {key!r}; remove one", here))
            plain[key] = _plain(inner, (*steps, key), path, problems)
        return plain
    elif isinstance(value, list):
        return [_plain(inner, (*steps, index), path, problems) for index, inner in enumerate(value)]
    return value


def _too_deep(text: str, path: Path) -> tuple[str, Place]:
    """What to say of JSON that nests too deep for the parser, and the place where it gets too deep."""
    depth, inside, skip = 0, False, -1
    at = 0
    for found in re.finditer(r'["\\\[\]{}]', text):
        at, mark = found.start(), found.group()
        if at == skip:
            continue
        if mark == "\\":
            skip = at + 1
        elif mark == '"':
            inside = not inside
        elif not inside:
            depth += 1 if mark in "[{" else -1
            if depth > MAX_DEPTH:
                break
    place = Place(path, text.count("\n", 0, at) + 1, at - text.rfind("\n", 0, at))
    return f"nested deeper than {MAX_DEPTH} levels", place
