"""Rows of local files, streamed: JSON Lines, JSON arrays, CSV, plain text and Parquet.

Files are read as bytes and decoded row by row, so that a row that is not UTF-8, or not JSON, is one bad row.
Memory is that of one row (one batch for Parquet), and a row is at most 64 MiB.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from constitutional.errors import Place, SourceError
from constitutional.sources.json_array import array_elements
from constitutional.sources.reasons import BadRow
from constitutional.sources.rows import COLUMNS

if TYPE_CHECKING:
    import pyarrow

ROW_LIMIT = 64 * 2**20  # bytes
_BATCH = 256  # rows of Parquet decoded at once
_PEEK = 4096
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class RawRow:
    """A row as the file has it.

    Attributes:
        line: the line it begins on, from 1; None where the format has no lines.
        value: its fields; None where they can't be read, and `bad` says why.
        raw: its bytes, where the format has some.
        bad: why it can't be read.
    """

    line: int | None
    value: dict[str, Any] | None
    raw: bytes | None = None
    bad: BadRow | None = None


def _jsonl_rows(file: BinaryIO, path: Path) -> Iterator[RawRow]:
    for number, line in _lines(file):
        if line is None or line.strip():
            yield _json_row(number, line)


def _json_rows(file: BinaryIO, path: Path) -> Iterator[RawRow]:
    head = cast("io.BufferedReader", file).peek(_PEEK).removeprefix(_BOM).lstrip()
    if not head.startswith(b"["):  # one object a line: many a .json file is JSON Lines
        yield from _jsonl_rows(file, path)
        return
    for number, element in array_elements(file, ROW_LIMIT):
        yield _json_row(number, element)


def _text_rows(file: BinaryIO, path: Path) -> Iterator[RawRow]:
    for number, line in _lines(file):
        if line is None:
            yield _oversized(number)
        elif line.strip():
            line = line.rstrip(b"\r\n")
            try:
                yield RawRow(number, {"prompt": _decode(line)}, line)
            except BadRow as bad:
                yield RawRow(number, None, line, bad)


def _csv_rows(file: BinaryIO, path: Path) -> Iterator[RawRow]:
    # The limit is the process's own and 128 KiB by default, far less than a row may have.
    csv.field_size_limit(max(csv.field_size_limit(), ROW_LIMIT))
    consumed: list[bytes] = []  # the lines of the row being read
    reader = csv.reader(_csv_lines(file, path, consumed), strict=True)
    header: list[str] | None = None
    while True:
        line = reader.line_num + 1
        consumed.clear()
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            if header is None:
                raise SourceError(f"the header can't be read: {error}", Place(path, line)) from None
            yield RawRow(
                line, None, b"".join(consumed).strip(), BadRow("invalid_csv", f"invalid CSV: {error}")
            )
            continue
        if not fields:
            continue
        raw = b"".join(consumed).strip()
        if header is None:
            header = fields
            continue
        try:
            _decode(raw)
            if len(fields) != len(header):
                count = f"the row has {len(fields)} fields, the header {len(header)}"
                raise BadRow("invalid_csv", count)
        except BadRow as bad:
            yield RawRow(line, None, raw, bad)
            continue
        value: dict[str, Any] = dict(zip(header, fields, strict=True))
        for name in ("id", "response"):  # an empty cell is no value: CSV has no other way to say so
            if value.get(name) == "":
                value[name] = None
        yield RawRow(line, value, raw)


def _csv_lines(file: BinaryIO, path: Path, consumed: list[bytes]) -> Iterator[str]:
    for number, line in _lines(file):
        if line is None:
            raise SourceError(f"the line is longer than {ROW_LIMIT // 2**20} MiB", Place(path, number))
        consumed.append(line)
        yield line.decode("utf-8", "surrogateescape")


_READERS: dict[str, Callable[[BinaryIO, Path], Iterator[RawRow]]] = {
    ".jsonl": _jsonl_rows,
    ".ndjson": _jsonl_rows,
    ".json": _json_rows,
    ".csv": _csv_rows,
    ".txt": _text_rows,
}
ACCEPTED = (
    "a .jsonl, .ndjson, .json, .csv or .txt file (each may be compressed as .gz), a .parquet file, a folder "
    "saved by `datasets`, a run directory, or the id of a data set on the hub, as owner/name"
)


def accepts(path: Path) -> bool:
    """Whether a file's name says that it can be read."""
    return path.suffix.lower() == ".parquet" or _format(path) in _READERS


def bare_name(path: Path) -> str:
    """What a source is called: the file's name without the endings that say how to read it; a folder's or the hub's whole."""
    if path.is_dir() or not accepts(path):
        return path.name
    name = path.name[: -len(".gz")] if path.suffix.lower() == ".gz" else path.name
    return Path(name).stem


def file_rows(
    path: Path, columns: dict[str, None], wanted: Callable[[str], bool] = COLUMNS.__contains__
) -> Iterator[RawRow]:
    """The rows of a file whose name `accepts` does.

    Args:
        path: the file.
        columns: gets the names of columns that are not part of the rows, since nobody needs them.
        wanted: whether a column is part of the rows.

    Raises:
        SourceError: the file is not what its name says.
    """
    if path.suffix.lower() == ".parquet":
        yield from _parquet_rows(path, columns, wanted)
        return
    with path.open("rb") as packed:
        zipped = path.suffix.lower() == ".gz"
        file = io.BufferedReader(gzip.GzipFile(fileobj=packed)) if zipped else packed
        _check_text(file.peek(_PEEK)[:_PEEK], path)
        yield from _READERS[_format(path)](file, path)


def _parquet_rows(path: Path, columns: dict[str, None], wanted: Callable[[str], bool]) -> Iterator[RawRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        # opened here, since pyarrow opens no path that is not UTF-8
        with path.open("rb") as opened, pyarrow.parquet.ParquetFile(opened) as file:
            names = file.schema_arrow.names
            columns.update(dict.fromkeys(names))
            used = [name for name in names if wanted(name)] or None
            for batch in file.iter_batches(_BATCH, columns=used):
                for row in range(batch.num_rows):
                    yield _arrow_row(batch, row)
    except pyarrow.ArrowException as error:
        raise SourceError(f"not a Parquet file, or damaged: {error}", Place(path)) from None


def _arrow_row(batch: pyarrow.RecordBatch, row: int) -> RawRow:
    try:
        return RawRow(None, {name: batch.column(name)[row].as_py() for name in batch.schema.names})
    except UnicodeDecodeError:
        return RawRow(None, None, repr(batch.slice(row, 1)).encode(), BadRow("invalid_utf8"))


def _lines(file: BinaryIO) -> Iterator[tuple[int, bytes | None]]:
    """Lines with their numbers from 1, None for one that is too long; a byte order mark is left out."""
    number = 0
    while line := file.readline(ROW_LIMIT + 1):
        number += 1
        if number == 1:
            line = line.removeprefix(_BOM)
        if len(line) <= ROW_LIMIT:
            yield number, line
            continue
        while line and not line.endswith(b"\n"):
            line = file.readline(2**20)
        yield number, None


def _json_row(number: int, raw: bytes | None) -> RawRow:
    if raw is None:
        return _oversized(number)
    raw = raw.strip()  # the last line has the same id with and without its line end
    try:
        value = json.loads(_decode(raw))
    except BadRow as bad:
        return RawRow(number, None, raw, bad)
    except RecursionError:
        return RawRow(number, None, raw, BadRow("invalid_json", "nested too deeply"))
    except json.JSONDecodeError as error:
        detail = f"{error.msg} at character {error.pos + 1:,}"
        return RawRow(number, None, raw, BadRow("invalid_json", detail))
    except ValueError:  # an integer of more digits than Python converts
        return RawRow(number, None, raw, BadRow("invalid_json", "a number has too many digits"))
    if not isinstance(value, dict):
        return RawRow(number, None, raw, BadRow("not_an_object"))
    return RawRow(number, value, raw)


def _oversized(number: int) -> RawRow:
    return RawRow(number, None, None, BadRow("oversized_row"))


def _decode(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadRow("invalid_utf8", f"byte {error.start + 1:,} of the row is not UTF-8") from None


def _check_text(head: bytes, path: Path) -> None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SourceError("the file is UTF-16 text; save it as UTF-8", Place(path))
    text = head.decode("utf-8", "replace")
    strange = sum(char == "\ufffd" or (char < " " and char not in "\t\n\r\f") for char in text)
    # Random bytes have 40 % of them; a hundred characters leave room for one bad row in a short file.
    if strange > 0.3 * max(len(text), 100):
        raise SourceError(f"this is a binary file; give {ACCEPTED}", Place(path))


def _format(path: Path) -> str:
    name = path.name.lower().removesuffix(".gz")
    return Path(name).suffix
