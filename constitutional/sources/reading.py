"""Reading a source, whatever its rows mean: a file, a data set of the hub or saved to a folder, or a run directory.

Each row of the source comes out once, in order. What a row is, and what is wrong with one, a subclass says; this class holds
what all have in common: finding the source, streaming it, and refusing one that can't be a source of such rows at all.
"""

from __future__ import annotations

import gzip
import zlib
from abc import ABC, abstractmethod
from collections.abc import Iterator
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import ClassVar, Generic, Protocol, TypeVar

from constitutional.assignment import content_hash
from constitutional.errors import ConfigError, Place, SourceError
from constitutional.registry import is_inside
from constitutional.rundir import LEDGER, MANIFEST, read_manifest, split_files
from constitutional.sources.files import ACCEPTED, RawRow, accepts, file_rows
from constitutional.sources.hub import hub_rows, is_hub_id, is_saved, saved_rows
from constitutional.sources.ids import SeenIds
from constitutional.sources.reasons import BadRow

_WINDOW = 100  # rows of which one must be usable, or the source is the wrong one
_MOST_COLUMNS = 100  # names of columns that are remembered
_NOT_ROWS = ("invalid_json", "not_an_object", "invalid_csv")


class SourceRow(Protocol):
    """What every kind of row has."""

    @property
    def detail(self) -> str | None:
        """For a bad row, a sentence that says where and what."""
        ...


R = TypeVar("R", bound=SourceRow)


class RowSource(ABC, Generic[R]):
    """The rows of one source. Iterate it as often as you like: each time it is read again from its start.

    Args:
        source: a file, a folder saved by `datasets`, a run directory, or `owner/name` or `owner/name:config` on the hub.
        split: which split of a data set; files have none.
        limit: read this many rows at most, bad ones included.

    Attributes:
        path: the source as it was given.
        data_set: the data set of a run directory that holds such rows.
        needs: what a row of such a source must have, to end "none of the rows has a …" with.
        columns: names of columns of which every usable row has one; a misspelt one is answered with the nearest.
        made_by: the command that makes runs with that data set, to name where a run has none.

    Raises:
        SourceError: there is no such file, or it is nothing that can be read.
        ConfigError: `limit` is less than 1.
    """

    data_set: ClassVar[str]
    needs: ClassVar[str]
    columns: ClassVar[tuple[str, ...]]
    made_by: ClassVar[str] = ""

    def __init__(self, source: str | Path, split: str = "train", limit: int | None = None) -> None:
        if limit is not None and limit < 1:
            raise ConfigError(f"limit is {limit}; at least one row has to be read")
        self.path = str(source)
        self._split = split
        self._limit = limit
        self._columns: dict[str, None] = {}
        self._kind, self._file = _find(source, split, self.data_set, self.made_by)

    @abstractmethod
    def _wants(self, column: str) -> bool:
        """Whether a column is part of such rows."""

    @abstractmethod
    def _row(self, ordinal: int, raw: RawRow, ids: SeenIds) -> R:
        """The row that a raw one is; a bad one too."""

    @abstractmethod
    def _no_rows_hint(self, found: tuple[str, ...]) -> str:
        """What to do where no row has what such rows need; `found` are the columns."""

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """Columns (at most 100) of the rows read so far that nothing uses, in order of appearance; none of a run's own."""
        if self._kind == "run":
            return ()
        return tuple(name for name in self._columns if not self._wants(name))

    def __iter__(self) -> Iterator[R]:
        """Read the source.

        Raises:
            SourceError: it has no rows, none of its first 100 rows is one of such a source, or it is damaged.
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

    def _checked(self) -> Iterator[R]:
        """The rows, of which the first are held back until one shows that this is such a source."""
        ids = SeenIds()
        held: list[R] = []
        usable = False
        for ordinal, raw in enumerate(islice(self._raw_rows(), self._limit)):
            if raw.value is not None and len(self._columns) < _MOST_COLUMNS:
                self._columns.update(dict.fromkeys(str(name) for name in raw.value))
            row = self._row(ordinal, raw, ids)
            if usable:
                yield row
                continue
            held.append(row)
            usable = self._usable(raw)
            if usable:
                yield from held
                held = []
            elif len(held) == _WINDOW:
                break
        else:
            if not usable and not held:
                raise SourceError("the source has no rows", Place(self.path))
        if held:
            raise self._no_such_rows(held)

    def _raw_rows(self) -> Iterator[RawRow]:
        if self._kind == "hub":
            return hub_rows(self.path, self._split, self._columns, wanted=self._wants)
        if self._kind == "saved":
            return saved_rows(self._file, self._split, self._columns, self._wants)
        return file_rows(self._file, self._columns, self._wants)

    def _usable(self, raw: RawRow) -> bool:
        if raw.bad is not None:
            return raw.bad.reason not in _NOT_ROWS
        return any(name in raw.value for name in self.columns) if raw.value else False

    def _no_such_rows(self, held: list[R]) -> SourceError:
        if not self._columns:
            return SourceError(f"no row can be read as one; the first: {held[0].detail}", Place(self.path))
        found = ", ".join(ascii(name[:40]) for name in list(self._columns)[:20])
        rows = "the only row has no" if len(held) == 1 else f"none of the first {len(held)} rows has a"
        message = f"{rows} {self.needs}; columns: {found}; {self._no_rows_hint(tuple(self._columns))}"
        return SourceError(message, Place(self.path))

    def _bad(self, ordinal: int, raw: RawRow, bad: BadRow) -> tuple[str, str]:
        """The reason of a bad row, and a sentence that says where and what."""
        name = Path(self.path).name
        place = name if raw.line is not None else f"{name} row {ordinal + 1:,}"
        return bad.reason, bad.sentence(place, raw.line)


def raw_id(raw: RawRow) -> str:
    """What a bad row without an id is called: a hash of its bytes or fields."""
    if raw.raw is not None:
        return content_hash("raw", raw.raw)[:16]
    return content_hash("fields", repr(sorted(raw.value.items())) if raw.value else "")[:16]


def _find(source: str | Path, split: str, data_set: str, made_by: str) -> tuple[str, Path]:
    """The kind of a source, and the file or folder to read; see `RowSource` for what it raises."""
    path = Path(source)
    if path.is_dir():
        if is_saved(path):
            return "saved", path
        if (path / MANIFEST).is_file():
            return "run", _file_of_run(path, split, data_set, made_by)
        if (path / LEDGER).is_file():
            message = (
                "this run has published nothing yet: run its command again, which goes on where it stopped"
            )
            raise SourceError(message, Place(path))
        files = [p.name for p in _listed(path) if accepts(p)]
        hint = f"; it holds {', '.join(files[:5])}" if files else ""
        raise SourceError(f"this is a folder{hint}. Give {ACCEPTED}", Place(path))
    if path.exists():
        if not accepts(path):
            message = f"unknown kind of file {path.suffix or path.name!r}; give {ACCEPTED}"
            raise SourceError(message, Place(path))
        return "file", path
    if not accepts(path) and is_hub_id(str(source)):
        return "hub", path
    names = [p.name for p in _listed(path.parent) if accepts(p) or (p / MANIFEST).is_file() or is_saved(p)]
    near = get_close_matches(path.name, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"give {ACCEPTED}"
    raise SourceError(f"there is no such file or run; {hint}", Place(path))


def _file_of_run(run: Path, split: str, data_set: str, made_by: str) -> Path:
    data = (read_manifest(run) or {"data": {}})["data"]
    if data_set not in data:
        hint = f", which `{made_by}` makes" if made_by else ""
        message = f"this run holds {', '.join(data) or 'no data'}, and no {data_set!r}{hint}"
        raise SourceError(message, Place(run))
    entry = data[data_set]
    if "splits" in entry and split not in split_files(entry):
        raise SourceError(f"no split {split!r}; {data_set} has {', '.join(split_files(entry))}", Place(run))
    file = split_files(entry)[split] if "splits" in entry else entry
    path: Path = run / file["path"]
    if not path.is_file() or not is_inside(path, run):
        raise SourceError(f"the manifest lists {file['path']!r}, which is not there", Place(run))
    return path


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(islice(folder.iterdir(), 1_000))
    except OSError:
        return []
