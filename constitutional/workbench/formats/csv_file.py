"""Principles as a CSV table: one a row, under a header of the keys that a constitution has.

Written with every cell quoted and inert: a cell that a spreadsheet would take for a formula gets an apostrophe in front
(and so does one that begins with apostrophes and then looks like a formula, so that reading can undo it exactly). Tags
are separated by semicolons, or a JSON list where a tag has one in it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Iterable, Sequence

from constitutional.constitution import Principle
from constitutional.errors import nearest
from constitutional.workbench.formats.cleaning import trim
from constitutional.workbench.formats.notes import short
from constitutional.workbench.formats.reading import EntryDraft, Reading
from constitutional.workbench.formats.source import Source
from constitutional.yamlfile import MAX_BYTES, forbidden_character

COLUMNS = ("id", "critique", "revision", "preference", "weight", "tags", "source")
ALIASES = {
    "name": "id",
    "critic": "critique",
    "critique_request": "critique",
    "revision_request": "revision",
    "edit_request": "revision",
}
"""Columns of other formats, and what they are here."""
_TEXTS = ("critique", "revision", "preference")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_SEPARATORS = (",", ";", "\t")
# What makes spreadsheets calculate (OWASP ASVS 1.2.10), the full-width forms that some of them take for the same included.
_GUARD = re.compile("'*[=+\\-@\t\r＝＋－＠]")
_GUARDED = re.compile("''*[=+\\-@\t\r＝＋－＠]")


def is_csv(text: str) -> bool:
    """Whether the first line is a header with at least two columns that are known."""
    return max(_known(_header(text, separator)) for separator in _SEPARATORS) >= 2


def read_csv(source: Source, reading: Reading) -> None:
    """Read a table of principles."""
    # the limit is the process's own and 128 KiB by default, less than a text that fits the file
    csv.field_size_limit(max(csv.field_size_limit(), MAX_BYTES))
    separator = max(_SEPARATORS, key=lambda mark: _known(_header(source.text, mark)))
    if separator != ",":
        reading.note("changed", f"cells separated by {separator!r} instead of ','", source.line(1))
    rows = csv.reader(io.StringIO(source.text, newline=""), delimiter=separator, strict=True)
    columns: list[str | None] | None = None
    while True:
        line = rows.line_num + 1
        try:
            cells = next(rows)
        except StopIteration:
            return
        except csv.Error as bad:
            reading.problem(f"not valid CSV: {bad}", source.line(line))
            return
        if not any(cell.strip() for cell in cells):
            continue
        if columns is None:
            columns = _columns(cells, source, line, reading)
            if columns is None:
                return
        elif len(cells) != len(columns):
            message = f"the row has {len(cells)} cells, the header {len(columns)}; quote a text with {separator!r} in it"
            reading.problem(message, source.line(line))
        else:
            _row(dict(zip(columns, cells, strict=True)), source, line, reading)


def write_csv(principles: Iterable[Principle]) -> str:
    """The principles as a table, each with all it has."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n")
    writer.writerow(COLUMNS)
    for p in principles:
        weight = "" if p.weight == 1 else repr(p.weight)
        cells = (p.id, p.critique, p.revision, p.preference, weight, _joined(p.tags), p.source)
        writer.writerow([guard(cell or "") for cell in cells])
    return out.getvalue()


def guard(cell: str) -> str:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if _GUARD.match(cell) else cell


def unguard(cell: str) -> str:
    """What `guard` was given."""
    return cell[1:] if _GUARDED.match(cell) else cell


def _header(text: str, separator: str) -> list[str]:
    line = text.lstrip().split("\n", 1)[0]
    try:
        return next(csv.reader([line], delimiter=separator), [])
    except csv.Error:
        return []


def _key(name: str) -> str:
    key = "_".join(unguard(name).casefold().split())
    return ALIASES.get(key, key)


def _known(names: Sequence[str]) -> int:
    return len({_key(name) for name in names} & set(COLUMNS))


def _columns(names: list[str], source: Source, line: int, reading: Reading) -> list[str | None] | None:
    """The key of every column, None for one that has no place, all of them noted; None where one is refused."""
    before = len(reading.problems)
    keys = [_key(name) for name in names]
    columns: list[str | None] = []
    missing = set(COLUMNS) - set(keys)
    for name, key in zip(names, keys, strict=True):
        place = source.line(line)
        if key not in COLUMNS:
            hint = nearest(key, missing) if key else ""
            if hint.startswith("did you mean"):
                reading.problem(f"unknown column {short(name)!r}; {hint}", place)
            else:
                message = f"a column has no place in a constitution (known: {', '.join(COLUMNS)})"
                reading.note("not_placed", message, place, repr(short(name)))
        elif key in columns:
            first = names[columns.index(key)]
            also = "is given twice" if first == name else f"is the same as the column {short(first)!r}"
            reading.problem(f"the column {short(name)!r} {also}; remove one", place)
        elif name != key:
            reading.note("changed", "columns were read as others", place, f"{short(name)!r} as {key!r}")
        columns.append(key if key in COLUMNS else None)
    if not set(_TEXTS) & set(keys):
        reading.problem(f"the header has none of the columns {', '.join(_TEXTS)}", source.line(line))
    return columns if len(reading.problems) == before else None


def _row(cells: dict[str | None, str], source: Source, line: int, reading: Reading) -> None:
    given = {}
    for column, cell in cells.items():
        if column is None or not cell.strip():
            continue
        plain = unguard(cell.strip())
        if plain != cell.strip():
            reading.note("changed", "guarding apostrophes were taken off", source.line(line, column))
        given[column] = plain if plain != cell.strip() else cell
    values: dict[str, object] = {}
    places = {column: source.line(line, column) for column in given}
    for column in _TEXTS:
        if column in given:
            values[column] = reading.text(given[column], places[column])
    if "source" in given:
        values["source"], notes = trim(given["source"], places["source"])
        reading.notes += notes
    if "weight" in given:
        weight = _weight(given["weight"])
        if weight is None:
            message = f"must be a number greater than 0, such as 1.5, not {given['weight'].strip()[:40]!r}"
            reading.problem(message, places["weight"])
        else:
            values["weight"] = weight
    if "tags" in given:
        values["tags"] = tags = _tags(given["tags"])
        if tags is None:
            message = f"""begins with '[', but is no JSON list of texts, as ["a", "b"]: {given["tags"].strip()[:40]!r}"""
            reading.problem(message, places["tags"])
        elif found := forbidden_character("".join(tags)):  # spelt as an escape of JSON
            reading.problem(f"the character {found} is not allowed; remove it", places["tags"])
    if any(column in values and values[column] is None for column in _TEXTS):
        return  # a problem already
    name = given["id"].strip() if "id" in given else None
    reading.draft(EntryDraft(source.line(line), values, name, places=places))


def _weight(text: str) -> float | None:
    if not _NUMBER.fullmatch(text.strip()):  # float() takes 1_0 and digits of other scripts too
        return None
    weight = float(text)
    return weight if math.isfinite(weight) and weight > 0 else None


def _joined(tags: Sequence[str]) -> str:
    plain = all(tag == tag.strip() and tag and not re.search("[;,\r\n]", tag) for tag in tags)
    if plain and not (tags and tags[0].startswith("[")):
        return "; ".join(tags)
    return json.dumps(list(tags), ensure_ascii=False)


def _tags(cell: str) -> tuple[str, ...] | None:
    """The tags; None for what seems to be a JSON list of texts but is not."""
    if cell.strip().startswith("["):
        try:
            listed = json.loads(cell)
        except (ValueError, RecursionError):
            return None
        return tuple(listed) if all(isinstance(tag, str) for tag in listed) else None
    return tuple(tag.strip() for tag in re.split("[;,]", cell) if tag.strip())
