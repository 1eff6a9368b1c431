"""A run directory: the lock, the ledger, and data files that are never half-visible.

Data files are named by their content and written aside, fsynced and renamed; `README.md`, which `datasets` reads, lists
exactly the current ones; the manifest, which holds their hashes, is switched last. Whatever a crash leaves between these steps
is repaired from the manifest the next time a writer opens the run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from constitutional.atomic import replace_file, sync_folder
from constitutional.database import dump
from constitutional.errors import ConfigError, ConstitutionalError, RunLockedError
from constitutional.ledger import Ledger
from constitutional.records import Row

MANIFEST, LEDGER, CARD, ENGINE_LOG = "manifest.json", "ledger.sqlite", "README.md", "engine.log"
_ROWS_AT_A_TIME = 1000
_OURS = {MANIFEST, LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", CARD, ENGINE_LOG, "data", ".lock", "report.html"}
_OURS |= {"audit.json", "figures"}
_EMPTY = {LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", ".lock"}  # what a run holds before anything is planned
_BEFORE_LEDGER = {".lock", ENGINE_LOG}  # a README or data without a manifest are somebody else's


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set of a run.

    Attributes:
        rows: its rows, read once. Where there are further splits, they are the split `train`.
        schema: their `pyarrow.Schema`.
        description: one line for the data set card.
        splits: the rows of further splits by name, such as `test`; read once, after `rows`.
    """

    rows: Iterable[Row]
    schema: Any
    description: str
    splits: Mapping[str, Iterable[Row]] = field(default_factory=dict)


@dataclass(slots=True)
class RunDirectory:
    """The directory that a stage writes, held by one writer at a time.

    Args:
        path: the directory, made where there is none.

    Use it as a context manager. A directory that it made and in which nothing was planned is gone again after an error.

    Raises:
        RunLockedError: another process writes it.
        ConfigError: it holds something else, or can't be written.
    """

    path: Path
    ledger: Ledger = field(init=False)
    _lock: FileLock = field(init=False)
    _made: bool = field(init=False, default=False)

    def __enter__(self) -> RunDirectory:
        try:
            self._made = not self.path.exists()
            self.path.mkdir(parents=True, exist_ok=True)
            strange = {entry.name for entry in self.path.iterdir()}
            strange -= _OURS if MANIFEST in strange else _BEFORE_LEDGER
            if strange and not (self.path / LEDGER).exists():
                raise ConfigError(
                    f"{self.path} is not a run and not empty (it holds {sorted(strange)[0]!r}): choose another --out"
                )
            self._lock = FileLock(self.path / ".lock")
            self._lock.acquire(timeout=0)
        except Timeout:
            raise RunLockedError(
                f"another process is writing {self.path}: wait for it, stop it, or choose another --out"
            ) from None
        except OSError as error:
            raise ConfigError(
                f"{self.path} can't be written ({error.strerror or error}): choose another --out, "
                "or change its permissions"
            ) from error
        try:
            self.ledger = Ledger(self.path / LEDGER)
            self._repair()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        never_begun = error is not None and self._made and self._is_empty()
        self.ledger.close()
        if never_begun:
            # before the lock is given back: whoever waits for it finds no directory, and not half a one
            with contextlib.suppress(OSError):
                for name in sorted(_EMPTY, reverse=True):  # the lock, ".lock", last
                    (self.path / name).unlink(missing_ok=True)
                self.path.rmdir()
        self._lock.release()

    def _is_empty(self) -> bool:
        """Whether nothing has been planned or written here, as where the input can't be read."""
        try:
            return not self.ledger.counts() and {entry.name for entry in self.path.iterdir()} <= _EMPTY
        except (ConstitutionalError, OSError):
            return False

    def publish(self, data: Mapping[str, DataSet], manifest: Mapping[str, Any]) -> dict[str, Any]:
        """Make these the run's data, all at once.

        Args:
            data: the data sets by the name of their configuration; the first is the default one.
            manifest: what else the manifest holds; callables are called when the data have been written.

        Returns:
            The manifest.

        Raises:
            ConfigError: the disk is full; the data published before stay as they were.
        """
        try:
            files = {name: self._write_splits(name, dataset) for name, dataset in data.items()}
            values = {name: value() if callable(value) else value for name, value in manifest.items()}
            full = {"format": 1, **values, "data": files}
            replace_file(self.path / CARD, _card(full).encode())
            replace_file(self.path / MANIFEST, (dump(full, indent=2) + "\n").encode())
        except OSError as error:
            raise ConfigError(
                f"{self.path} can't be written ({error.strerror or error}): free some space and run the same command "
                "again; everything finished so far is kept"
            ) from error
        self._repair()
        return full

    def _write_splits(self, name: str, dataset: DataSet) -> Row:
        entry = {**self._write(name, dataset.rows, dataset.schema), "description": dataset.description}
        splits = {
            split: self._write(name, rows, dataset.schema, f"{split}-")
            for split, rows in dataset.splits.items()
        }
        return {**entry, "splits": splits} if splits else entry

    def _write(self, name: str, dataset_rows: Iterable[Row], schema: Any, prefix: str = "") -> Row:
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder = self.path / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "partial"
        count = 0
        with partial.open("wb") as sink, pq.ParquetWriter(sink, schema, compression="zstd") as writer:
            rows: list[Row] = []
            for row in dataset_rows:
                rows.append(row)
                count += 1
                if len(rows) == _ROWS_AT_A_TIME:
                    writer.write_table(pa.Table.from_pylist(rows, schema))
                    rows = []
            if rows or not count:
                writer.write_table(pa.Table.from_pylist(rows, schema))
            writer.close()
            sink.flush()
            os.fsync(sink.fileno())
        with partial.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        final = folder / f"{prefix}{digest[:16]}.parquet"
        partial.replace(final)
        sync_folder(folder)
        path = f"data/{name}/{final.name}"
        return {"path": path, "rows": count, "sha256": digest}

    def _repair(self) -> None:
        """Bring the directory to what the manifest says, whatever a crash has left."""
        manifest = read_manifest(self.path)
        entries = manifest["data"].values() if manifest else ()
        current = {self.path / file["path"] for entry in entries for file in split_files(entry).values()}
        if manifest:
            card = _card(manifest).encode()
            if not (self.path / CARD).exists() or (self.path / CARD).read_bytes() != card:
                replace_file(self.path / CARD, card)
        else:
            (self.path / CARD).unlink(missing_ok=True)  # it would list data that were never published
        for path in self.path.glob(".*.partial"):  # cut off while the card or the manifest was replaced
            path.unlink()
        for path in (self.path / "data").glob("*/*"):
            if path not in current and path.is_file():
                path.unlink()
        for folder in (self.path / "data").glob("*"):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def read_manifest(path: Path) -> dict[str, Any] | None:
    """The manifest of a run, or None where nothing has been published yet.

    Raises:
        ConfigError: it can't be read.
    """
    try:
        found = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        if not isinstance(found, dict) or not isinstance(found.get("data"), dict):
            raise ValueError("it is not the manifest of a run")
        return found
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path / MANIFEST} can't be read: {error}") from error


def split_files(entry: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """The files of a data set of a manifest by split, each with its `path`, `rows` and `sha256`; `train` comes first."""
    return {"train": entry, **entry.get("splits", {})}


def published_rows(path: Path, entry: Mapping[str, Any]) -> Iterator[tuple[str, Row]]:
    """The rows of a data set of a manifest, each with its split, a batch at a time.

    Args:
        path: the run directory.
        entry: of the data set, in the manifest's `data`.
    """
    import pyarrow.parquet as pq

    for split, file in split_files(entry).items():
        # opened here, since pyarrow opens no path that is not UTF-8
        with (path / file["path"]).open("rb") as opened, pq.ParquetFile(opened) as rows:
            for batch in rows.iter_batches(256):
                for found in batch.to_pylist():
                    yield split, found


def open_ledger(path: Path) -> Ledger:
    """The ledger of a run, for reading; a writer may be at work.

    Raises:
        ConfigError: this is no run directory.
    """
    if not (path / LEDGER).exists():
        hint = "there is no such folder" if not path.exists() else f"it has no {LEDGER}"
        raise ConfigError(f"{path} is not a run directory: {hint}")
    return Ledger(path / LEDGER, read_only=True)


def _card(manifest: Mapping[str, Any]) -> str:
    """The data set card: a header that `datasets` reads, and what a person wants to know first.

    The header leaves out data sets and splits without rows, which `datasets` can't load.
    """
    data = manifest["data"]
    filled = [
        name for name, entry in data.items() if any(file["rows"] for file in split_files(entry).values())
    ]
    lines = ["---", "configs:"] if filled else ["---"]
    for name in filled:
        entry = data[name]
        lines += [f"- config_name: {name}"]
        if "splits" in entry:
            lines += ["  data_files:"]
            for split, file in split_files(entry).items():
                lines += [f"  - split: {split}", f"    path: {file['path']}"] if file["rows"] else []
        else:
            lines += [f"  data_files: {entry['path']}"]
        # no other takes the place of the first where that is empty
        lines += ["  default: true"] if name == next(iter(data)) else []
    lines += ["---", "", f"# {manifest['title']}", "", manifest["summary"], ""]
    lines += ["| configuration | rows | what it is |", "| --- | ---: | --- |"]
    for name, entry in data.items():
        for split, file in split_files(entry).items():
            called = f"`{name}`, split `{split}`" if "splits" in entry else f"`{name}`"
            lines += [f"| {called} | {file['rows']:,} | {entry['description']} |"]
    if filled:
        lines += ["", "```python", f'datasets.load_dataset("PATH/OF/THIS/FOLDER", "{filled[0]}")', "```", ""]
    else:
        lines += ["", "There are no rows to load.", ""]
    lines += ["`manifest.json` holds the settings, versions, hashes, counts and timings."]
    return "\n".join(lines) + "\n"
