"""Prompts of a source, one row at a time, each with an id of its own."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from constitutional.errors import nearest
from constitutional.records import Prompt
from constitutional.sources.files import RawRow
from constitutional.sources.ids import SeenIds
from constitutional.sources.reading import RowSource, raw_id
from constitutional.sources.reasons import BadRow
from constitutional.sources.rows import COLUMNS, PROMPT_COLUMNS, content_id, row_id, row_prompt


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


class PromptSource(RowSource[InputRow]):
    """The prompts of one source; see `RowSource`."""

    data_set = "prompts"
    needs = "'prompt' (nor 'chosen' or 'rejected')"
    columns = PROMPT_COLUMNS

    def _wants(self, column: str) -> bool:
        return column in COLUMNS

    def _no_rows_hint(self, found: tuple[str, ...]) -> str:
        near = [n for n in found if get_close_matches(n, PROMPT_COLUMNS, n=1, cutoff=0.6)]
        return nearest(near[0], PROMPT_COLUMNS) if near else "rename the one with the prompts to 'prompt'"

    def _row(self, ordinal: int, raw: RawRow, ids: SeenIds) -> InputRow:
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
                    return InputRow(
                        ordinal, name, None, *self._bad(ordinal, raw, BadRow("duplicate_id", field="id"))
                    )
        except BadRow as bad:
            name = ids.claim_given(given)[0] if given is not None else ids.claim_content(raw_id(raw))
            return InputRow(ordinal, name, None, *self._bad(ordinal, raw, bad))
        return InputRow(ordinal, name, Prompt(name, messages, response))


def read_prompts(source: str | Path, *, split: str = "train", limit: int | None = None) -> PromptSource:
    """Read prompts, streaming: memory does not grow with the source but for the ids seen.

    Args:
        source: a .jsonl, .ndjson, .json, .csv, .txt (each also .gz) or .parquet file, a folder saved by
            `datasets`, a run directory that holds `prompts`, or `owner/name` or `owner/name:config` on the hub.
        split: which split of a data set; files have none.
        limit: read this many rows at most, bad ones included.

    Returns:
        An iterable of `InputRow`, exactly one for each row of the source, in order.

    Raises:
        SourceError: there is no such file, or it is nothing that can be read. See `RowSource` for what
            reading may raise.
        ConfigError: `limit` is less than 1.
    """
    return PromptSource(source, split, limit)
