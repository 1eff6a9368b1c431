"""Read responses to be scored: files with `prompt` and `response`, and the chains and SFT data of a run.

A chain holds several: its initial response and each good revision of it, so that the scores show what the rounds did
(Bai et al. 2022, figure 5). They are called by the chain's id and the number of the round: `p7#0` is the initial
response.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, ClassVar

from constitutional.errors import ConfigError, Place, SourceError, nearest
from constitutional.records import Prompt
from constitutional.rundir import MANIFEST, read_manifest
from constitutional.sources.files import RawRow
from constitutional.sources.ids import SeenIds
from constitutional.sources.reading import RowSource, raw_id
from constitutional.sources.reasons import BadRow
from constitutional.sources.rows import (
    PROMPT_COLUMNS,
    clean_text,
    content_id,
    messages_of,
    row_id,
    row_prompt,
)

_RESPONSE_COLUMNS = ("response", "completion")
RUN_DATA = ("chains", "sft")
"""The data sets of a run that hold responses; the first that is there is read."""


@dataclass(frozen=True, slots=True)
class ResponseRow:
    """One response of the input, or why there is none.

    Attributes:
        id: unique in the input.
        item: the prompt with its response; None for a bad row.
        source_id: id of the row that it came from.
        round: of a chain: 0 for the initial response, else the round of the revision; None where the row is no
            chain's.
        reason: for a bad row, one of `REASONS` or `RESPONSE_REASONS`.
        detail: for a bad row, a sentence that says where and what.
    """

    id: str
    item: Prompt | None = None
    source_id: str | None = None
    round: int | None = None
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What one row of the source holds."""

    responses: tuple[ResponseRow, ...]

    @property
    def detail(self) -> str | None:
        return self.responses[0].detail


class _Rows(RowSource[_Found]):
    """Rows of a file: one response each."""

    data_set = "responses"
    needs = "'response' (nor 'completion')"
    columns = _RESPONSE_COLUMNS
    also: ClassVar[tuple[str, ...]] = ()

    def _wants(self, column: str) -> bool:
        return column == "id" or column in (*PROMPT_COLUMNS, *_RESPONSE_COLUMNS, *self.also)

    def _no_rows_hint(self, found: tuple[str, ...]) -> str:
        near = [n for n in found if get_close_matches(n, _RESPONSE_COLUMNS, n=1, cutoff=0.6)]
        return nearest(near[0], _RESPONSE_COLUMNS) if near else "rename the one with responses to 'response'"

    def _row(self, ordinal: int, raw: RawRow, ids: SeenIds) -> _Found:
        given: str | None = None
        try:
            if raw.bad is not None or raw.value is None:
                raise raw.bad or BadRow("not_an_object")
            given = row_id(raw.value)
            return _Found(self._responses(raw.value, given, ids))
        except BadRow as bad:
            name = ids.claim_given(given)[0] if given is not None else ids.claim_content(raw_id(raw))
            reason, detail = self._bad(ordinal, raw, bad)
            return _Found((ResponseRow(name, source_id=given or name, reason=reason, detail=detail),))

    def _responses(self, row: dict[str, Any], given: str | None, ids: SeenIds) -> tuple[ResponseRow, ...]:
        """The responses of a row.

        Raises:
            BadRow: it has none that can be used; its id has not been claimed then.
        """
        messages, response = row_prompt({**row, "response": _response(row)})
        if response is None:
            raise BadRow("missing_response")
        if given is None:
            name = ids.claim_content(content_id(messages, response))
        else:
            name, first = ids.claim_given(given)
            if not first:
                return (ResponseRow(name, source_id=given, reason="duplicate_id", detail=_repeated(given)),)
        return (ResponseRow(name, Prompt(name, messages, response), given or name),)


class _Chains(_Rows):
    """Chains of a run: the initial response and the good revisions of each."""

    data_set = "chains"
    also = ("rounds",)

    def _responses(self, row: dict[str, Any], given: str | None, ids: SeenIds) -> tuple[ResponseRow, ...]:
        messages, response = row_prompt(row)
        if response is None or given is None:
            raise BadRow("missing_response")
        revisions = [(number, r["revision"]) for number, r in enumerate(row["rounds"], 1) if not r["checks"]]
        texts = [(0, response), *((number, text) for number, text in revisions if text)]
        found = []
        for number, text in texts:
            name = ids.claim_content(f"{given}#{number}")
            found.append(ResponseRow(name, Prompt(name, messages, text), given, number))
        return tuple(found)


class _SFT(_Rows):
    """SFT data of a run: a completion each, of which several may belong to one chain."""

    data_set = "sft"
    also = ("round",)

    def _responses(self, row: dict[str, Any], given: str | None, ids: SeenIds) -> tuple[ResponseRow, ...]:
        messages, response = row_prompt({**row, "response": _response(row)})
        if response is None or given is None:
            raise BadRow("missing_response")
        name = ids.claim_content(f"{given}#{row['round']}")
        return (ResponseRow(name, Prompt(name, messages, response), given, row["round"]),)


class ResponseSource:
    """The responses of one source. Iterate it as often as you like: each time it is read again from its start.

    Attributes:
        path: the source as it was given.
        data_set: the data set that is read, where it is a run directory.
    """

    def __init__(self, rows: _Rows, data_set: str | None) -> None:
        self.path, self.data_set, self._rows = rows.path, data_set, rows

    @property
    def ignored_columns(self) -> tuple[str, ...]:
        """Columns of the rows read so far that nothing uses; see `RowSource`."""
        return self._rows.ignored_columns

    def __iter__(self) -> Iterator[ResponseRow]:
        """Read the source; see `RowSource` for what this raises."""
        for found in self._rows:
            yield from found.responses


def read_responses(
    source: str | Path, *, split: str = "train", limit: int | None = None, data_set: str | None = None
) -> ResponseSource:
    """Read responses to be scored, streaming.

    Args:
        source: whatever `read_prompts` reads, with rows of `prompt` and `response` (or TRL's `completion`); or a run
            directory with chains or SFT data.
        split: which split of a data set; files have none.
        limit: read this many rows at most, bad ones included; a chain is one row.
        data_set: `chains` or `sft`, of a run directory; None takes the first that it has.

    Returns:
        An iterable of `ResponseRow`.

    Raises:
        SourceError: there is no such file, it is nothing that can be read, or the run holds no such data.
        ConfigError: `limit` is less than 1, or `data_set` does not go with the source.
    """
    if data_set is not None and data_set not in RUN_DATA:
        raise ConfigError(f"data_set is {data_set!r}; {nearest(data_set, RUN_DATA)}")
    run = Path(source)
    if not (run.is_dir() and (run / MANIFEST).is_file()):
        if data_set is not None:
            raise ConfigError(f"data_set chooses among those of a run directory, which {source} is not")
        return ResponseSource(_Rows(source, split, limit), None)
    held = (read_manifest(run) or {"data": {}})["data"]
    wanted = [name for name in ((data_set,) if data_set else RUN_DATA) if name in held]
    if not wanted:
        holds = ", ".join(held) or "no data"
        needed = " or ".join(repr(name) for name in ((data_set,) if data_set else RUN_DATA))
        raise SourceError(f"this run holds {holds}, and no {needed} to score", Place(run))
    kind = _Chains if wanted[0] == "chains" else _SFT
    return ResponseSource(kind(source, split, limit), wanted[0])


def _response(row: dict[str, Any]) -> object:
    """The `response` of a row, or the one assistant's turn or text that is its `completion`."""
    completion = row.get("completion")
    if row.get("response") is not None or completion is None:
        return row.get("response")
    if isinstance(completion, str):
        return clean_text(completion, "completion")
    turns = messages_of(completion, "completion")
    if len(turns) != 1 or turns[0].role != "assistant":
        what = f"{len(turns)} turns" if len(turns) != 1 else f"a turn of the {turns[0].role}"
        raise BadRow("wrong_type", f"expected one assistant's turn, not {what}", "completion")
    return turns[0].content


def _repeated(given: str) -> str:
    return f"the id {given[:80]!r} is that of an earlier row"
