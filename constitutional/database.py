"""An SQLite file that several processes share: opening, transactions, small named values, and errors that a user can act on.

Write-ahead mode: one process writes while any number read, and after a crash the file holds exactly what was committed.
"""

from __future__ import annotations

import json
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from constitutional.errors import ConfigError, DamagedError


class Database:
    """The SQLite file at `path`, made where there is none.

    Args:
        path: the file.
        schema: the statements that make its tables, each harmless where they are there; one of them is `meta (name, value)`.
        version: of the schema; a file of a later one is refused.
        if_damaged: what the user can do about a file that is.
        read_only: for readers beside a running writer. A file without tables reads as an empty one.

    Raises:
        DamagedError: the file is no database, or damaged; reading and writing may raise it too.
        ConfigError: it is one of a newer version, or can't be written.
    """

    def __init__(
        self, path: Path, schema: str, version: int, *, if_damaged: str, read_only: bool = False
    ) -> None:
        self.path, self._if_damaged = path, if_damaged
        with self.readable_errors():
            if read_only:
                self.db = sqlite3.connect(
                    f"{path.resolve().as_uri()}?mode=ro", uri=True, isolation_level=None
                )
            else:
                self.db = sqlite3.connect(path, isolation_level=None)
                self.db.execute("PRAGMA journal_mode = WAL")
                self.db.execute("PRAGMA synchronous = NORMAL")
            self.db.execute("PRAGMA busy_timeout = 10000")
            self.db.execute("PRAGMA cache_size = -8000")
            found = self.db.execute("PRAGMA user_version").fetchone()[0]
            if found > version:
                raise ConfigError(
                    f"{path} was written by a newer version of constitutional; upgrade to read it"
                )
            # the version is written last: without it, the process was killed before it had made its tables
            if read_only and not found:
                self.db.close()
                self.db = sqlite3.connect(":memory:", isolation_level=None)
            if not read_only or not found:
                self.db.executescript(schema)
                self.db.execute(f"PRAGMA user_version = {version}")

    def close(self) -> None:
        """Close the file. Safe to call twice."""
        self.db.close()

    # ------------------------------------------------------------------ what the run is

    def read_meta(self, name: str) -> Any:
        """A value stored with `write_meta`, or None."""
        found = self.read("SELECT value FROM meta WHERE name = ?", name)
        return json.loads(found[0][0]) if found else None

    def write_meta(self, name: str, value: object) -> None:
        """Store a JSON-serialisable value."""
        with self.transaction():
            self.put_meta(name, value)

    def put_meta(self, name: str, value: object) -> None:
        """`write_meta`, as part of a transaction that is under way."""
        self.db.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", (name, dump(value)))

    def read(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """All rows that a query finds."""
        with self.readable_errors():
            return self.db.execute(query, values).fetchall()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Everything inside is stored as one, or not at all."""
        with self.readable_errors():
            self.db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self.db.execute("COMMIT")
            except BaseException:
                if self.db.in_transaction:
                    self.db.execute("ROLLBACK")
                raise

    @contextmanager
    def readable_errors(self) -> Iterator[None]:
        """SQLite's errors inside become `ConfigError`, with what to do about them."""
        try:
            yield
        except sqlite3.OperationalError as error:
            raise ConfigError(_advice(error, self.path)) from error
        except sqlite3.DatabaseError as error:
            raise DamagedError(
                f"{self.path} is damaged or not a ledger ({error}); {self._if_damaged}"
            ) from error


def _advice(error: sqlite3.OperationalError, path: Path) -> str:
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_FULL", "SQLITE_IOERR")):
        return (
            f"{path}: {error}. Free some space and run the same command again: "
            "everything finished so far is kept"
        )
    if code.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN", "SQLITE_PERM")):
        return (
            f"{path}: {error}. The folder has to be writable: choose another --out or change its permissions"
        )
    return f"{path}: {error}"


def dump(value: object, *, indent: int | None = None) -> str:
    """A value as JSON that can be written in UTF-8: compact, or with a line for each key.

    The name of a file need not be UTF-8; what Python has for its other bytes is escaped, and read back as it was.
    """
    separators = (",", ":") if indent is None else None
    text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
    try:
        text.encode()
    except UnicodeEncodeError:
        return re.sub("[\ud800-\udfff]", lambda found: f"\\u{ord(found[0]):x}", text)
    return text
