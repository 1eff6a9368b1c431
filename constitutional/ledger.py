"""The ledger of a run: one SQLite file with its rows, finished or to do, and every generation it remembers.

Two promises live here. *Nothing is generated twice*: a generation is stored, under the hash of all that determines it,
before the stage sees it. *A killed run loses nothing*: each change is one transaction in write-ahead mode, so that after
any crash of the process the file holds exactly what was stored (after a power cut, all but perhaps the last moments).

Only the process that holds the run's lock writes; any number of others may read at the same time. Rows are held here
and not in memory, so a run's memory does not grow with its data.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from constitutional.database import Database, dump
from constitutional.records import Outcome, Row, Status

_SCHEMA_VERSION = 1
_IF_DAMAGED = "restore it from a copy, or run anew with another --out"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS rows (
    kind TEXT NOT NULL,          -- what the stage does with it: 'chain', 'helpful', …
    id TEXT NOT NULL,
    ordinal INTEGER NOT NULL,    -- place in the input
    key TEXT NOT NULL,           -- hash of all that determines the row
    input TEXT,                  -- JSON
    status TEXT,                 -- NULL: to do
    reason TEXT,
    transient INTEGER NOT NULL DEFAULT 0,
    detail TEXT,
    result TEXT,                 -- JSON
    PRIMARY KEY (kind, id)
);
CREATE INDEX IF NOT EXISTS rows_in_order ON rows (ordinal);
CREATE INDEX IF NOT EXISTS rows_of_a_kind ON rows (kind, ordinal);
CREATE INDEX IF NOT EXISTS rows_to_do ON rows (ordinal) WHERE status IS NULL;
CREATE TABLE IF NOT EXISTS generations (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS in_flight (kind TEXT, id TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS deaths (kind TEXT, id TEXT, count INTEGER, PRIMARY KEY (kind, id)) WITHOUT ROWID;
"""
_PLAN_SCHEMA = """
CREATE TEMP TABLE plan (
    ordinal INTEGER PRIMARY KEY, kind TEXT, id TEXT, key TEXT, input TEXT, kept INTEGER,
    stale_key TEXT, status TEXT, reason TEXT, detail TEXT
);
"""
PAGE = 256  # rows read at a time
_COLUMNS = "kind, id, ordinal, status, reason, detail, input, result"


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """One input as a stage plans it.

    Attributes:
        kind: what the stage does with it.
        id: unique within its kind.
        key: hash of all that determines the row.
        input: what the stage needs to work on it; JSON-serialisable.
        outcome: already known where the input itself is bad.
    """

    kind: str
    id: str
    key: str
    input: Row
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class PlanCounts:
    """What a plan comes to, in rows.

    Attributes:
        kept: finished before and still right.
        to_do: to be computed; `stale` of them were finished before under another key, `retried` failed before.
        bad: inputs that can't be worked on.
        dropped: rows of the run that are not in the input any more.
        lost: how many of them are finished and ok, by kind; what the run publishes of them goes.
    """

    kept: int = 0
    to_do: int = 0
    stale: int = 0
    retried: int = 0
    bad: int = 0
    dropped: int = 0
    lost: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as the ledger holds it."""

    kind: str
    id: str
    ordinal: int
    status: Status | None
    reason: str | None
    detail: str | None
    input: Row | None
    result: Row | None


class Ledger(Database):
    """The ledger at `path`, made where there is none.

    Args:
        path: the SQLite file.
        read_only: for readers beside a running writer.

    Raises:
        DamagedError: the file is not a ledger, or damaged; reading and writing may raise it too.
        ConfigError: it is one of a newer version, or can't be written.
    """

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        super().__init__(path, _SCHEMA, _SCHEMA_VERSION, if_damaged=_IF_DAMAGED, read_only=read_only)

    # ------------------------------------------------------------------ the plan

    def plan(self, rows: Iterable[PlannedRow], *, retry_failed: bool = False) -> PlanCounts:
        """Compare the inputs with what the ledger holds; nothing of the run changes until `apply_plan`.

        The plan itself lives in a temporary table, so it may have any number of rows.

        Args:
            rows: every input, in order; (kind, id) unique.
            retry_failed: also plan again the rows that failed for good, or did not fit the context. Transient
                failures always are.
        """
        kept = to_do = stale = retried = bad = 0
        lost: Counter[str] = Counter()
        with self.readable_errors():
            self.db.executescript("DROP TABLE IF EXISTS temp.plan;" + _PLAN_SCHEMA)
            self.db.execute("BEGIN")
            for ordinal, row in enumerate(rows):
                found = self.db.execute(
                    "SELECT key, status, transient, input IS NULL FROM rows WHERE kind = ? AND id = ?",
                    (row.kind, row.id),
                ).fetchone()
                old_key, old_status, transient, bare = found or (None, None, 0, 1)
                again = transient or (retry_failed and old_status in ("failed", "skipped"))
                keep = old_key == row.key and old_status is not None and not again
                is_stale = row.outcome is None and old_status is not None and old_key != row.key
                stale_key = old_key if is_stale else None
                outcome = row.outcome
                if outcome is not None:
                    bad += 1
                    lost[row.kind] += old_status == "ok"
                elif keep:
                    kept += 1
                else:
                    to_do += 1
                    stale += is_stale
                    retried += old_key == row.key and again
                ended = (outcome.status, outcome.reason, outcome.detail) if outcome else (None,) * 3
                input = None if keep and not bare else dump(row.input)
                values = (ordinal, row.kind, row.id, row.key, input, int(keep), stale_key, *ended)
                self.db.execute("INSERT INTO temp.plan VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", values)
            self.db.execute("COMMIT")
            self.db.execute("CREATE UNIQUE INDEX temp.plan_row ON plan (kind, id)")
            gone = self.db.execute(
                "SELECT kind, count(*), coalesce(sum(status = 'ok'), 0) FROM rows AS r WHERE NOT EXISTS"
                " (SELECT 1 FROM temp.plan AS p WHERE p.kind = r.kind AND p.id = r.id) GROUP BY kind"
            ).fetchall()
        for kind, _, ok in gone:
            lost[kind] += ok
        return PlanCounts(kept, to_do, stale, retried, bad, sum(count for _, count, _ in gone), dict(+lost))

    def planned(self, *, stale: bool = True) -> Iterator[tuple[str, str, Row]]:
        """The (kind, id, input) of the rows that the plan would compute, in order; `stale`: with the stale ones."""
        but = "" if stale else " AND stale_key IS NULL"
        last = -1
        while page := self.read(
            f"SELECT ordinal, kind, id, input FROM temp.plan WHERE NOT kept AND status IS NULL{but} AND ordinal > ?"
            " ORDER BY ordinal LIMIT ?",
            last,
            PAGE,
        ):
            last = page[-1][0]
            for _, kind, id, input in page:
                yield kind, id, json.loads(input)

    def stale(self) -> Iterator[PlannedRow]:
        """The rows that the plan would compute though they are finished, in order, under the key that they have."""
        last = -1
        while page := self.read(
            "SELECT ordinal, kind, id, stale_key, input FROM temp.plan WHERE stale_key IS NOT NULL AND ordinal > ?"
            " ORDER BY ordinal LIMIT ?",
            last,
            PAGE,
        ):
            last = page[-1][0]
            for _, kind, id, key, input in page:
                yield PlannedRow(kind, id, key, json.loads(input))

    def apply_plan(self, recipe: Row | None = None) -> None:
        """Make the run what the plan says, in one transaction; generations stay remembered.

        Args:
            recipe: what made the plan, to be stored under that name. It is stored in the same transaction, so
                that it is at any moment what gave all rows their keys.
        """
        with self.transaction():
            if recipe is not None:
                self.put_meta("recipe", recipe)
            self.db.execute(  # a row that is tried again, or has changed, starts with a clean slate
                "DELETE FROM deaths WHERE NOT EXISTS (SELECT 1 FROM rows AS r JOIN temp.plan AS p USING (kind, id)"
                " WHERE r.kind = deaths.kind AND r.id = deaths.id AND r.key = p.key AND r.status IS NULL)"
            )
            self.db.execute(
                "DELETE FROM rows WHERE NOT EXISTS"
                " (SELECT 1 FROM temp.plan AS p WHERE p.kind = rows.kind AND p.id = rows.id)"
            )
            self.db.execute(
                "UPDATE rows SET ordinal = p.ordinal FROM temp.plan AS p"
                " WHERE p.kept AND p.kind = rows.kind AND p.id = rows.id AND rows.ordinal <> p.ordinal"
            )
            self.db.execute(  # earlier versions dropped the input of a row that was ok
                "UPDATE rows SET input = p.input FROM temp.plan AS p"
                " WHERE p.kept AND p.input IS NOT NULL AND p.kind = rows.kind AND p.id = rows.id"
            )
            self.db.execute(
                "INSERT OR REPLACE INTO rows (kind, id, ordinal, key, input, status, reason, detail)"
                " SELECT kind, id, ordinal, key, input, status, reason, detail FROM temp.plan WHERE NOT kept"
            )
            self.db.execute("DROP TABLE temp.plan")

    # ------------------------------------------------------------------ rows

    def to_do(self) -> Iterator[tuple[str, str, Row]]:
        """The (kind, id, input) of the rows to do, in order, read a page at a time while others finish."""
        last = -1
        while page := self.read(
            "SELECT ordinal, kind, id, input FROM rows WHERE status IS NULL AND ordinal > ? ORDER BY ordinal LIMIT ?",
            last,
            PAGE,
        ):
            last = page[-1][0]
            for _, kind, id, input in page:
                yield kind, id, json.loads(input)

    def inputs(self) -> Iterator[PlannedRow]:
        """All rows as they were planned, in order; without their input where an earlier version dropped it."""
        last = -1
        while page := self.read(
            "SELECT ordinal, kind, id, key, input, key LIKE 'bad:%', status, reason, detail FROM rows"
            " WHERE ordinal > ? ORDER BY ordinal LIMIT ?",
            last,
            PAGE,
        ):
            last = page[-1][0]
            for _, kind, id, key, input, bad, status, reason, detail in page:
                outcome = Outcome(status, reason, detail=detail) if bad else None
                yield PlannedRow(kind, id, key, json.loads(input) if input else {}, outcome)

    def has_results(self) -> bool:
        """Whether any row has been worked on to its end, which bad inputs are not."""
        return bool(self.read("SELECT 1 FROM rows WHERE status IS NOT NULL AND key NOT LIKE 'bad:%' LIMIT 1"))

    def count_to_do(self) -> int:
        """How many rows are to do."""
        return int(self.read("SELECT count(*) FROM rows WHERE status IS NULL")[0][0])

    def finish(self, kind: str, id: str, outcome: Outcome) -> None:
        """Store how a row ended, in one transaction."""
        with self.transaction():
            self.db.execute(
                "UPDATE rows SET status = ?, reason = ?, transient = ?, detail = ?, result = ?"
                " WHERE kind = ? AND id = ?",
                (
                    outcome.status,
                    outcome.reason,
                    int(outcome.transient),
                    outcome.detail,
                    dump(outcome.result) if outcome.result else None,
                    kind,
                    id,
                ),
            )

    def counts(self) -> dict[tuple[str, str | None, str | None], int]:
        """How many rows there are by (kind, status, reason)."""
        found = self.read("SELECT kind, status, reason, count(*) FROM rows GROUP BY 1, 2, 3 ORDER BY 1, 2, 3")
        return {(kind, status, reason): count for kind, status, reason, count in found}

    def rows(self, kind: str | None = None, status: Status | None = None) -> Iterator[StoredRow]:
        """All rows in order, a page at a time, optionally of one kind or status."""
        given = [
            (column, value) for column, value in (("kind", kind), ("status", status)) if value is not None
        ]
        where = "".join(f" AND {column} = ?" for column, _ in given)
        query = f"SELECT {_COLUMNS} FROM rows WHERE ordinal > ?{where} ORDER BY ordinal LIMIT {PAGE}"
        last = -1
        while page := self.read(query, last, *(value for _, value in given)):
            last = page[-1][2]
            yield from map(_stored, page)

    def row(self, id: str) -> StoredRow | None:
        """The row of that id, of whatever kind, or None."""
        found = self.read(f"SELECT {_COLUMNS} FROM rows WHERE id = ? ORDER BY ordinal LIMIT 1", id)
        return _stored(found[0]) if found else None

    def every(self, id: str) -> list[StoredRow]:
        """The rows of that id, of all kinds, in order."""
        return [
            _stored(row)
            for row in self.read(f"SELECT {_COLUMNS} FROM rows WHERE id = ? ORDER BY ordinal", id)
        ]

    def row_at(self, ordinal: int) -> StoredRow | None:
        """The row at that place of the input, from 0, or None."""
        found = self.read(f"SELECT {_COLUMNS} FROM rows WHERE ordinal = ?", ordinal)
        return _stored(found[0]) if found else None

    def id_at(self, place: int) -> str | None:
        """The id at that place among the different ones, from 0, in order of their first rows; or None."""
        query = "SELECT id FROM rows GROUP BY id ORDER BY min(ordinal) LIMIT 1 OFFSET ?"
        found = self.read(query, place)
        return found[0][0] if found else None

    def places(self, ids: Iterable[str]) -> dict[str, int]:
        """The places of these ids among the different ones, from 0, as `id_at` counts them."""
        found = self.read(
            "SELECT id, place FROM (SELECT id, row_number() OVER (ORDER BY min(ordinal)) - 1 AS place FROM rows GROUP BY id)"
            " WHERE id IN (SELECT value FROM json_each(?))",
            dump(sorted(set(ids))),
        )
        return dict(found)

    def known(self, ids: Iterable[str]) -> set[str]:
        """Which of these are ids of rows."""
        query = "SELECT DISTINCT id FROM rows WHERE id IN (SELECT value FROM json_each(?))"
        return {id for (id,) in self.read(query, dump(sorted(set(ids))))}

    # ------------------------------------------------------------------ generations

    def recall(self, key: str) -> list[Any] | None:
        """The value remembered under `key`, or None; what can't be read as one is not remembered."""
        # as a blob: what is no UTF-8 is then a broken value too, not a broken file
        found = self.read("SELECT CAST(value AS BLOB) FROM generations WHERE key = ?", key)
        try:
            value = json.loads(found[0][0]) if found else None
        except (ValueError, RecursionError):
            return None
        return value if isinstance(value, list) else None

    def sent(self, kind: str, id: str) -> None:
        """Record that a request of this row is about to be sent to the engine."""
        with self.transaction():
            self.db.execute("INSERT OR IGNORE INTO in_flight VALUES (?, ?)", (kind, id))

    def answered(
        self,
        kind: str,
        id: str,
        remember: Sequence[tuple[str, object]] = (),
        *,
        more_in_flight: bool = False,
        totals: Row | None = None,
    ) -> None:
        """Remember what came back for a row, and whether it has anything in flight still, in one transaction.

        Args:
            kind: of the row.
            id: of the row.
            remember: keys and values.
            more_in_flight: whether other requests of the row are not answered yet.
            totals: what the run has cost with this; stored in the same transaction, so that it is at any moment what the
                remembered generations cost.
        """
        with self.transaction():
            self.db.executemany(
                "INSERT OR REPLACE INTO generations VALUES (?, ?)",
                [(key, dump(value)) for key, value in remember],
            )
            if totals is not None:
                self.put_meta("totals", totals)
            if not more_in_flight:
                self.db.execute("DELETE FROM in_flight WHERE kind = ? AND id = ?", (kind, id))

    def forget_generations(self) -> None:
        """Forget every generation, and give their space back."""
        with self.transaction():
            self.db.execute("DELETE FROM generations")
        with self.readable_errors():
            self.db.execute("VACUUM")

    # ------------------------------------------------------------------ rows that kill

    def count_deaths(self) -> dict[tuple[str, str], int]:
        """Count a death for each row that was in flight when the last process died; return all counts."""
        with self.transaction():
            self.db.execute(
                "INSERT INTO deaths SELECT kind, id, 1 FROM in_flight WHERE true"
                " ON CONFLICT (kind, id) DO UPDATE SET count = count + 1"
            )
            self.db.execute("DELETE FROM in_flight")
        return {(kind, id): count for kind, id, count in self.read("SELECT * FROM deaths")}

    def forgive(self, kind: str, id: str) -> None:
        """Forget the deaths of a row that has been answered after all."""
        with self.transaction():
            self.db.execute("DELETE FROM deaths WHERE kind = ? AND id = ?", (kind, id))


def _stored(row: tuple[Any, ...]) -> StoredRow:
    kind, id, ordinal, status, reason, detail, input, result = row
    return StoredRow(
        kind,
        id,
        ordinal,
        status,
        reason,
        detail,
        json.loads(input) if input else None,
        json.loads(result) if result else None,
    )
