"""Two files of responses, joined into pairs: what two models, or two sets of settings, answered to the same prompts.

Contract: every row of either file comes out exactly once, in a pair or with a typed reason why it is in none; but where a limit ends
the first file early, rows of the second without a partner are left out, since theirs may be among those not read. Rows are joined by
their `id`, or, where one of the two has none, by their prompt. The second file waits in a temporary SQLite table, not in memory.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from constitutional.errors import ConfigError, nearest
from constitutional.records import Conversation, Message, conversation
from constitutional.sources.comparison_rows import row_conversation
from constitutional.sources.files import RawRow, bare_name
from constitutional.sources.ids import SeenIds
from constitutional.sources.judgements import number_of
from constitutional.sources.prompts import read_prompts
from constitutional.sources.reading import RowSource, raw_id
from constitutional.sources.reasons import COMPARISON_REASONS, BadRow
from constitutional.sources.rows import clean_text, content_id, kind_of, row_id

_COLUMNS = ("id", "prompt", "instruction", "input", "response", "model", "finish_reason", "temperature")
_TABLES = """
CREATE TABLE second (
    ordinal INTEGER PRIMARY KEY, id TEXT UNIQUE, given INTEGER, prompt_id TEXT, reason TEXT, row TEXT,
    used INTEGER DEFAULT 0
);
CREATE INDEX second_by_prompt ON second (prompt_id);
CREATE TABLE prompts (id TEXT PRIMARY KEY, messages TEXT) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Response:
    """A response of one of the files.

    Attributes:
        text: without white space around it; possibly empty.
        model: what made it: the row's `model`, else the file's name.
        finish_reason: where the row says it.
        temperature: where the row says it.
    """

    text: str
    model: str
    finish_reason: str | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True)
class JoinedRow:
    """Two responses to one prompt, or a row of one file and why it is in no pair.

    Attributes:
        id: unique in the join.
        prompt: None where it is no pair.
        responses: of the first and the second file; None where it is no pair.
        reason: one of `REASONS` or `COMPARISON_REASONS` where it is no pair.
        detail: a sentence that says where and what, where it is no pair.
    """

    id: str
    prompt: Conversation | None = None
    responses: tuple[Response, Response] | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class _SideRow:
    """A row of one of the files; `prompt_id` and `prompt` are None where it has no prompt."""

    id: str
    given: bool = False
    prompt: Conversation | None = None
    prompt_id: str | None = None
    response: Response | None = None
    reason: str | None = None
    detail: str | None = None


class _Side(RowSource[_SideRow]):
    """The rows of one of the files; `name` stands for a model that they don't name."""

    data_set = "responses"
    needs = "'response'"
    columns = ("response",)
    made_by = "constitutional compare --samples 1"
    name = ""

    def _wants(self, column: str) -> bool:
        return column in _COLUMNS

    def _no_rows_hint(self, found: tuple[str, ...]) -> str:
        near = [n for n in found if get_close_matches(n, self.columns, n=1, cutoff=0.6)]
        return nearest(near[0], self.columns) if near else "rename the one with the responses to 'response'"

    def _row(self, ordinal: int, raw: RawRow, ids: SeenIds) -> _SideRow:
        given: str | None = None
        name: str | None = None
        try:
            if raw.bad is not None or raw.value is None:
                raise raw.bad or BadRow("not_an_object")
            row = raw.value
            given = row_id(row)
            has_prompt = any(row.get(name) is not None for name in ("prompt", "instruction"))
            if given is None and not has_prompt:
                raise BadRow("missing_prompt", "the row has neither an `id` nor a `prompt`")
            prompt = row_conversation(row) if has_prompt else None
            prompt_id = content_id(prompt, None) if prompt else None
            if given is None:
                assert prompt_id is not None
                # before the response is looked at: a bad one is an occurrence of its prompt too
                name = ids.claim_content(prompt_id)
            response = self._response(row)
            if given is not None:
                name, first = ids.claim_given(given)
                if not first:
                    raise BadRow("duplicate_id", field="id")
        except BadRow as bad:
            if name is None:
                name = ids.claim_given(given)[0] if given is not None else ids.claim_content(raw_id(raw))
            return self._bad_row(ordinal, name, raw, bad)
        assert name is not None
        return _SideRow(name, given is not None, prompt, prompt_id, response)

    def _bad_row(self, ordinal: int, name: str, raw: RawRow, bad: BadRow) -> _SideRow:
        reason, detail = self._bad(ordinal, raw, bad)
        return _SideRow(name, reason=reason, detail=detail)

    def _response(self, row: dict[str, Any]) -> Response:
        text = row.get("response")
        if text is None:
            raise BadRow("missing_responses", "the row has no response", "response")
        if not isinstance(text, str):
            raise BadRow("wrong_type", f"a response is a text, not {kind_of(text)}", "response")
        model, reason = row.get("model"), row.get("finish_reason")
        return Response(
            clean_text(text, "response").strip(),
            clean_text(model, "model") if isinstance(model, str) and model.strip() else self.name,
            reason if reason in ("stop", "length") else None,
            number_of(row.get("temperature"), "temperature", "wrong_type"),
        )


class ResponseJoin:
    """Pairs of the responses of two files. Iterate it as often as you like: each time both are read again.

    Args:
        first: a file with `response` and an `id`, a `prompt` or both in each row, a data set, or a run directory of
            `compare --samples 1`.
        second: another one.
        prompts: whatever `read_prompts` reads, for rows that have an `id` and no prompt.
        split: which split of a data set; files have none.
        limit: read this many rows of the first file at most; rows of the second without a partner among them are
            left out then.

    Attributes:
        paths: of the first and second file and, if they are given, the prompts.
        names: what stands for the models of the first and the second file.

    Raises:
        SourceError: one of them is nothing that can be read.
        ConfigError: both are the same, or `limit` is less than 1.
    """

    def __init__(
        self,
        first: str | Path,
        second: str | Path,
        prompts: str | Path | None = None,
        split: str = "train",
        limit: int | None = None,
    ) -> None:
        if str(first) == str(second):
            raise ConfigError(f"both files of responses are {first}; pairs need two different ones")
        self._first, self._second = _Side(first, split, limit), _Side(second, split)
        self._limit = limit
        self.names = _names(self._first.path, self._second.path)
        self._first.name, self._second.name = self.names
        self._prompts = read_prompts(prompts, split=split) if prompts is not None else None
        given = [self._prompts.path] if self._prompts else []
        self.paths = [self._first.path, self._second.path, *given]

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """Columns of the rows read so far that nothing uses; see `RowSource`."""
        sources: list[RowSource[Any]] = [self._first, self._second]
        sources += [self._prompts] if self._prompts else []
        return tuple(dict.fromkeys(name for source in sources for name in source.ignored_columns))

    def __iter__(self) -> Iterator[JoinedRow]:
        """Join the files; what only the second one has comes last. See `RowSource` for what this raises."""
        ids, count = SeenIds(), 0
        with closing(sqlite3.connect("")) as db:  # a temporary file that SQLite itself removes
            db.executescript(_TABLES)
            self._fill(db)
            for row in self._first:
                count += 1
                yield self._joined(db, row, ids)
            if count == self._limit:  # their partners may be among the rows that were not read
                return
            for _, row in _rows(
                db.execute("SELECT ordinal, row FROM second WHERE NOT used ORDER BY ordinal")
            ):
                yield _alone(row, self._second.path, ids)

    def _fill(self, db: sqlite3.Connection) -> None:
        db.executemany(
            "INSERT INTO second (id, given, prompt_id, reason, row) VALUES (?, ?, ?, ?, ?)",
            ((row.id, row.given, row.prompt_id, row.reason, json.dumps(asdict(row))) for row in self._second),
        )
        if self._prompts:
            db.executemany(
                "INSERT INTO prompts VALUES (?, ?)",
                (
                    (row.id, json.dumps([message.to_row() for message in row.prompt.messages]))
                    for row in self._prompts
                    if row.prompt
                ),
            )

    def _joined(self, db: sqlite3.Connection, row: _SideRow, ids: SeenIds) -> JoinedRow:
        partner = self._partner(db, row) if row.reason is None else None
        if partner is None or row.response is None or partner.response is None:
            return _alone(row, self._first.path, ids)
        id = ids.claim_content(row.id if row.given or not partner.given else partner.id)
        if row.prompt and partner.prompt and row.prompt_id != partner.prompt_id:
            return _bad(id, "different_prompts")
        prompt = row.prompt or partner.prompt or self._prompt(db, row.id)
        if prompt is None:
            hint = (
                f"no prompt of {self._prompts.path} has the id" if self._prompts else "give the prompts too"
            )
            return _bad(id, "missing_prompt", f"neither file has the prompt of {row.id[:80]!r}; {hint}")
        return JoinedRow(id, prompt, (row.response, partner.response))

    def _partner(self, db: sqlite3.Connection, row: _SideRow) -> _SideRow | None:
        """The second file's row to the same prompt, which is used up by that."""
        good = "SELECT ordinal, row FROM second WHERE NOT used AND reason IS NULL"
        found = db.execute(f"{good} AND id = ? AND given = ?", (row.id, row.given))
        first = next(_rows(found), None)
        if first is None and row.prompt_id is not None:
            found = db.execute(
                f"{good} AND prompt_id = ? AND given <> ? ORDER BY ordinal LIMIT 1",
                (row.prompt_id, row.given),
            )
            first = next(_rows(found), None)
        if first is None:
            return None
        db.execute("UPDATE second SET used = 1 WHERE ordinal = ?", (first[0],))
        return first[1]

    def _prompt(self, db: sqlite3.Connection, id: str) -> Conversation | None:
        found = db.execute("SELECT messages FROM prompts WHERE id = ?", (id,)).fetchone()
        return conversation(json.loads(found[0])) if found else None


def _rows(found: sqlite3.Cursor) -> Iterator[tuple[int, _SideRow]]:
    for ordinal, text in found:
        row = json.loads(text)
        prompt, response = row.pop("prompt"), row.pop("response")
        yield (
            ordinal,
            _SideRow(
                **row,
                prompt=tuple(Message(**message) for message in prompt) if prompt else None,
                response=Response(**response) if response else None,
            ),
        )


def _alone(row: _SideRow, path: str, ids: SeenIds) -> JoinedRow:
    """A row that is in no pair: a bad one, or one without a partner."""
    id = ids.claim_content(row.id)
    if row.reason is not None:
        return JoinedRow(id, reason=row.reason, detail=row.detail)
    return _bad(id, "no_partner", f"only {Path(path).name} has a response to it")


def _bad(id: str, reason: str, detail: str | None = None) -> JoinedRow:
    return JoinedRow(id, reason=reason, detail=detail or COMPARISON_REASONS[reason])


def _names(first: str, second: str) -> tuple[str, str]:
    """What stands for the models: the files' names, or, where these are the same, their paths."""
    names = bare_name(Path(first)) or first, bare_name(Path(second)) or second
    return names if names[0] != names[1] else (first, second)
