"""Prompts of a source, one row at a time, each with an id of its own."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from constitutional.assignment import content_hash
from constitutional.errors import ConfigError, Place, SourceError, nearest
from constitutional.records import Prompt
from constitutional.sources.files import ACCEPTED, RawRow, accepts, file_rows
from constitutional.sources.hub import hub_rows, is_hub_id, is_saved, saved_rows
from constitutional.sources.ids import SeenIds
from constitutional.sources.reasons import BadRow
from constitutional.sources.rows import COLUMNS, PROMPT_COLUMNS, content_id, row_id, row_prompt

_WINDOW = 100  # rows of which one must have a prompt, or the source is the wrong one
_MOST_COLUMNS = 100  # names of columns that are remembered
_NOT_ROWS = ("invalid_json", "not_an_object")


@dataclass(frozen=True, slots=True)
class InputRow:
    """One row of the input: a prompt, or why it is none.

    Attributes:
        ordinal: its position in the input, from 0.
        id: unique in the input: the row's own id, or a hash of its content and occurrence.
        prompt: None for a bad row.
        reason: one of `REASONS` for a bad row, else None.
        detail: for a bad row, a sentence that says where and what.
    """

    ordinal: int
    id: str
    prompt: Prompt | None = None
    reason: str | None = None
    detail: str | None = None


class PromptSource:
    """The rows of one source. Iterate it as often as you like: each time it is read again from its start.

    Attributes:
        path: the source as it was given.
    """

    def __init__(self, source: str | Path, split: str, limit: int | None) -> None:
        self.path = str(source)
        self._split = split
        self._limit = limit
        self._columns: dict[str, None] = {}
        self._kind = _kind(source)

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """Columns (at most 100) of the rows read so far that nothing uses, in order of appearance."""
        return tuple(name for name in self._columns if name not in COLUMNS)

    def __iter__(self) -> Iterator[InputRow]:
        """Read the source.

        Raises:
            SourceError: it has no rows, none of its first 100 rows has a prompt, or it is damaged.
            PrerequisiteError: the hub can't be reached.
        """
        count = 0
        try:
            for row in self._checked():
                count += 1
                yield row
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            message = f"the compressed file is damaged after {count:,} rows: {error}"
            raise SourceError(message, Place(self.path)) from error
        except (PermissionError, IsADirectoryError, UnicodeError) as error:
            raise SourceError(f"can't be read: {error}", Place(self.path)) from error

    def _checked(self) -> Iterator[InputRow]:
        """The rows, of which the first are held back until one shows that this is a source of prompts."""
        ids = SeenIds()
        held: list[InputRow] = []
        usable = False
        for ordinal, raw in enumerate(islice(self._raw_rows(), self._limit)):
            if raw.value is not None and len(self._columns) < _MOST_COLUMNS:
                self._columns.update(dict.fromkeys(str(name) for name in raw.value))
            row = _input_row(ordinal, raw, ids, self.path)
            if usable:
                yield row
                continue
            held.append(row)
            usable = _is_usable(raw)
            if usable:
                yield from held
                held = []
            elif len(held) == _WINDOW:
                break
        else:
            if not usable and not held:
                raise SourceError("the source has no rows", Place(self.path))
        if held:
            raise self._no_prompts(held)

    def _raw_rows(self) -> Iterator[RawRow]:
        if self._kind == "hub":
            return hub_rows(self.path, self._split, self._columns)
        if self._kind == "saved":
            return saved_rows(Path(self.path), self._split, self._columns)
        return file_rows(Path(self.path), self._columns)

    def _no_prompts(self, held: list[InputRow]) -> SourceError:
        if not self._columns:
            return SourceError(f"no row can be read as one; the first: {held[0].detail}", Place(self.path))
        found = ", ".join(ascii(name[:40]) for name in list(self._columns)[:20])
        near = [n for n in self._columns if get_close_matches(n, PROMPT_COLUMNS, n=1, cutoff=0.6)]
        hint = nearest(near[0], PROMPT_COLUMNS) if near else "rename the one with the prompts to 'prompt'"
        rows = "the only row has no" if len(held) == 1 else f"none of the first {len(held)} rows has a"
        message = f"{rows} 'prompt' (nor 'chosen' or 'rejected'); columns: {found}; {hint}"
        return SourceError(message, Place(self.path))


def read_prompts(source: str | Path, *, split: str = "train", limit: int | None = None) -> PromptSource:
    """Read prompts, streaming: memory does not grow with the source but for the ids seen.

    Args:
        source: a .jsonl, .ndjson, .json, .csv, .txt (each also .gz) or .parquet file, a folder saved by
            `datasets`, or `owner/name` or `owner/name:config` on the hub.
        split: which split of a data set; files have none.
        limit: read this many rows at most, bad ones included.

    Returns:
        An iterable of `InputRow`, exactly one for each row of the source, in order.

    Raises:
        SourceError: there is no such file, or it is nothing that can be read. See `PromptSource` for what
            reading may raise.
        ConfigError: `limit` is less than 1.
    """
    if limit is not None and limit < 1:
        raise ConfigError(f"limit is {limit}; at least one row has to be read")
    return PromptSource(source, split, limit)


def _kind(source: str | Path) -> str:
    path = Path(source)
    if path.is_dir():
        if is_saved(path):
            return "saved"
        files = [p.name for p in _listed(path) if accepts(p)]
        hint = f"; it holds {', '.join(files[:5])}" if files else ""
        raise SourceError(f"this is a folder{hint}. Give {ACCEPTED}", Place(path))
    if path.exists():
        if not accepts(path):
            message = f"unknown kind of file {path.suffix or path.name!r}; give {ACCEPTED}"
            raise SourceError(message, Place(path))
        return "file"
    if not accepts(path) and is_hub_id(str(source)):
        return "hub"
    folder = path.parent
    names = [p.name for p in _listed(folder) if accepts(p)]
    hint = f"{nearest(path.name, names)}" if names else f"give {ACCEPTED}"
    raise SourceError(f"no such file; {hint}", Place(path))


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(islice(folder.iterdir(), 1_000))
    except OSError:
        return []


def _is_usable(raw: RawRow) -> bool:
    if raw.bad is not None:
        return raw.bad.reason not in _NOT_ROWS
    return any(name in raw.value for name in PROMPT_COLUMNS) if raw.value else False


def _input_row(ordinal: int, raw: RawRow, ids: SeenIds, path: str) -> InputRow:
    given: str | None = None
    try:
        if raw.bad is not None or raw.value is None:
            raise raw.bad or BadRow("not_an_object")
        given = row_id(raw.value)
        messages, response = row_prompt(raw.value)
        if given is None:
            name = ids.claim_content(content_id(messages, response))
        else:
            name, first = ids.claim_given(given)
            if not first:
                return _bad(ordinal, name, BadRow("duplicate_id", field="id"), raw, path)
    except BadRow as bad:
        name = ids.claim_given(given)[0] if given is not None else ids.claim_content(_raw_id(raw))
        return _bad(ordinal, name, bad, raw, path)
    return InputRow(ordinal, name, Prompt(name, messages, response))


def _bad(ordinal: int, name: str, bad: BadRow, raw: RawRow, path: str) -> InputRow:
    place = Path(path).name if raw.line is not None else f"{Path(path).name} row {ordinal + 1:,}"
    return InputRow(ordinal, name, None, bad.reason, bad.sentence(place, raw.line))


def _raw_id(raw: RawRow) -> str:
    if raw.raw is not None:
        return content_hash("raw", raw.raw)[:16]
    return content_hash("fields", repr(sorted(raw.value.items())) if raw.value else "")[:16]
