"""Comparisons of a source, one row at a time, each with an id that does not depend on the order of its responses.

Contract: every row comes out exactly once, in order, as a `Comparison` or with a typed reason why it is none. Where people have
judged it, their judgement comes along as P(the first response is better), so that a labeler can be measured against it.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from constitutional.errors import nearest
from constitutional.feedback import Comparison
from constitutional.sources.comparison_rows import (
    RESPONSE_COLUMNS,
    comparison_id,
    is_comparison_column,
    row_comparison,
)
from constitutional.sources.files import RawRow
from constitutional.sources.ids import SeenIds
from constitutional.sources.reading import RowSource, raw_id
from constitutional.sources.reasons import BadRow
from constitutional.sources.rows import row_id


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One row of the input: a comparison, or why it is none.

    Attributes:
        ordinal: its position in the input, from 0.
        id: unique in the input: the row's own id, or a hash of its content and occurrence.
        comparison: None for a bad row.
        human: P(the first response is better) where the file says so, else None: 1.0 where the first was chosen,
            (wins + ½ ties) / n of votes.
        weight: how much the row counts, where the file says so, else 1.
        reason: one of `REASONS` or `COMPARISON_REASONS` for a bad row, else None.
        detail: for a bad row, a sentence that says where and what.
        votes: how many votes `human` comes from, where it comes from votes; 0 where all of them are missing.
    """

    ordinal: int
    id: str
    comparison: Comparison | None = None
    human: float | None = None
    weight: float = 1.0
    reason: str | None = None
    detail: str | None = None
    votes: int | None = None


class ComparisonSource(RowSource[ComparisonRow]):
    """The comparisons of one source; see `RowSource`."""

    data_set = "comparisons"
    needs = (
        "'responses' (nor 'response1' and 'response2', 'chosen' and 'rejected', 'corrects' and 'incorrects')"
    )
    columns = RESPONSE_COLUMNS
    made_by = "constitutional compare"

    def _wants(self, column: str) -> bool:
        return is_comparison_column(column)

    def _no_rows_hint(self, found: tuple[str, ...]) -> str:
        near = [n for n in found if get_close_matches(n, RESPONSE_COLUMNS, n=1, cutoff=0.75)]
        if near:
            return nearest(near[0], RESPONSE_COLUMNS)
        if "prompt" in found:
            return "`constitutional compare` makes comparisons of prompts"
        return "rename the one with the two responses to 'responses'"

    def _row(self, ordinal: int, raw: RawRow, ids: SeenIds) -> ComparisonRow:
        given: str | None = None
        try:
            if raw.bad is not None or raw.value is None:
                raise raw.bad or BadRow("not_an_object")
            given = row_id(raw.value)
            fields = row_comparison(raw.value, of_a_run=self._kind == "run")
            if given is None:
                name = ids.claim_content(comparison_id(fields.prompt, fields.responses))
            else:
                name, first = ids.claim_given(given)
                if not first:
                    return self._bad_row(ordinal, name, raw, BadRow("duplicate_id", field="id"))
        except BadRow as bad:
            name = ids.claim_given(given)[0] if given is not None else ids.claim_content(raw_id(raw))
            return self._bad_row(ordinal, name, raw, bad)
        comparison = Comparison(name, fields.prompt, fields.responses)
        return ComparisonRow(ordinal, name, comparison, fields.human, fields.weight, votes=fields.votes)

    def _bad_row(self, ordinal: int, name: str, raw: RawRow, bad: BadRow) -> ComparisonRow:
        reason, detail = self._bad(ordinal, raw, bad)
        return ComparisonRow(ordinal, name, reason=reason, detail=detail)


def read_comparisons(
    source: str | Path, *, split: str = "train", limit: int | None = None
) -> ComparisonSource:
    """Read comparisons, streaming: memory does not grow with the source but for the ids seen.

    Args:
        source: a file, a folder saved by `datasets`, a data set of the hub, as for `read_prompts`; or a run directory
            written by `compare` or `label`.
        split: which split of a data set; files have none.
        limit: read this many rows at most, bad ones included.

    Returns:
        An iterable of `ComparisonRow`, exactly one for each row of the source, in order: what `label` and others take is its
        `comparison`, which is None for a bad row, with the `reason`.

    Raises:
        SourceError: there is no such file, or it is nothing that can be read. See `RowSource` for what
            reading may raise.
        ConfigError: `limit` is less than 1.
    """
    return ComparisonSource(source, split, limit)
