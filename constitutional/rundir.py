"""A run directory: the lock, the ledger, and data files that are never half-visible.

Data files are named by their content and written aside, fsynced and renamed; `README.md`, which `datasets` reads, lists
exactly the current ones; the manifest, which holds their hashes, is switched last. Whatever a crash leaves between these steps
is repaired from the manifest the next time a writer opens the run.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from filelock import FileLock, Timeout

from constitutional.errors import ConfigError, RunLockedError
from constitutional.ledger import Ledger
from constitutional.records import Row

MANIFEST, LEDGER, CARD, ENGINE_LOG = "manifest.json", "ledger.sqlite", "README.md", "engine.log"
_ROWS_AT_A_TIME = 1000
_OURS = {MANIFEST, LEDGER, f"{LEDGER}-wal", f"{LEDGER}-shm", CARD, ENGINE_LOG, "data", ".lock", "report.html"}
_BEFORE_LEDGER = {".lock", ENGINE_LOG}  # a README or data without a manifest are somebody else's


@dataclass(frozen=True, slots=True)
class DataSet:
    """One data set of a run.

    Attributes:
        rows: its rows, read once.
        schema: their `pyarrow.Schema`.
        description: one line for the data set card.
    """

    rows: Iterable[Row]
    schema: Any
    description: str


@dataclass(slots=True)
class RunDirectory:
    """The directory that a stage writes, held by one writer at a time.

    Args:
        path: the directory, made where there is none.

    Use it as a context manager.

    Raises:
        RunLockedError: another process writes it.
        ConfigError: it holds something else, or can't be written.
    """

    path: Path
    ledger: Ledger = field(init=False)
    _lock: FileLock = field(init=False)

    def __enter__(self) -> RunDirectory:
        try:
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
        self.ledger.close()
        self._lock.release()

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
            files = {name: self._write(name, dataset) for name, dataset in data.items()}
            values = {name: value() if callable(value) else value for name, value in manifest.items()}
            full = {"format": 1, **values, "data": files}
            _switch(self.path / CARD, _card(full).encode())
            _switch(self.path / MANIFEST, (json.dumps(full, indent=2, ensure_ascii=False) + "\n").encode())
        except OSError as error:
            raise ConfigError(
                f"{self.path} can't be written ({error.strerror or error}): free some space and run the same command "
                "again; everything finished so far is kept"
            ) from error
        self._repair()
        return full

    def _write(self, name: str, dataset: DataSet) -> Row:
        import pyarrow as pa
        import pyarrow.parquet as pq

        folder = self.path / "data" / name
        folder.mkdir(parents=True, exist_ok=True)
        partial = folder / "partial"
        count = 0
        with partial.open("wb") as sink, pq.ParquetWriter(sink, dataset.schema, compression="zstd") as writer:
            rows: list[Row] = []
            for row in dataset.rows:
                rows.append(row)
                count += 1
                if len(rows) == _ROWS_AT_A_TIME:
                    writer.write_table(pa.Table.from_pylist(rows, dataset.schema))
                    rows = []
            if rows or not count:
                writer.write_table(pa.Table.from_pylist(rows, dataset.schema))
            writer.close()
            sink.flush()
            os.fsync(sink.fileno())
        with partial.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        final = folder / f"{digest[:16]}.parquet"
        partial.replace(final)
        _sync_folder(folder)
        path = f"data/{name}/{final.name}"
        return {"path": path, "rows": count, "sha256": digest, "description": dataset.description}

    def _repair(self) -> None:
        """Bring the directory to what the manifest says, whatever a crash has left."""
        manifest = read_manifest(self.path)
        current = {self.path / entry["path"] for entry in manifest["data"].values()} if manifest else set()
        if manifest:
            card = _card(manifest).encode()
            if not (self.path / CARD).exists() or (self.path / CARD).read_bytes() != card:
                _switch(self.path / CARD, card)
        else:
            (self.path / CARD).unlink(missing_ok=True)  # it would list data that were never published
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
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path / MANIFEST} can't be read: {error}") from error


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
    """The data set card: a header that `datasets` reads, and what a person wants to know first."""
    lines = ["---", "configs:"]
    for number, (name, entry) in enumerate(manifest["data"].items()):
        lines += [f"- config_name: {name}", f"  data_files: {entry['path']}"]
        lines += ["  default: true"] if number == 0 else []
    lines += ["---", "", f"# {manifest['title']}", "", manifest["summary"], ""]
    lines += ["| configuration | rows | what it is |", "| --- | ---: | --- |"]
    lines += [f"| `{name}` | {e['rows']:,} | {e['description']} |" for name, e in manifest["data"].items()]
    first = next(iter(manifest["data"]))
    lines += ["", "```python", f'datasets.load_dataset("PATH/OF/THIS/FOLDER", "{first}")', "```", ""]
    lines += ["`manifest.json` holds the settings, versions, hashes, counts and timings."]
    return "\n".join(lines) + "\n"


def _switch(path: Path, content: bytes) -> None:
    aside = path.with_name(f".{path.name}.partial")
    with aside.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    aside.replace(path)
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    if os.name == "posix":
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
