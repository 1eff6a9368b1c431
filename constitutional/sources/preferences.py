"""Preferences of a source, one input row at a time: what people or a labeler said of two or more responses to a prompt.

Contract: every row comes out exactly once, in order, with its pairs or with a typed reason why it makes none. A row of two
responses makes one pair, whatever `comparisons.py` reads them from. Rankings and ratings of k responses make up to k (k - 1) / 2
pairs that weigh 1 together, so that a prompt counts once however many responses were ranked (Ouyang et al. 2022, arXiv
2203.02155, section 3.5, weight the pairs of a ranking alike). Where two responses share a place or a rating, nobody preferred
either: the pair is kept at ½.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import combinations
from pathlib import Path
from typing import Any

from constitutional.assignment import content_hash
from constitutional.errors import nearest
from constitutional.feedback import Comparison, Preference
from constitutional.records import Conversation
from constitutional.sources.comparison_rows import (
    RESPONSE_COLUMNS,
    comparison_id,
    is_comparison_column,
    response_text,
    row_comparison,
    row_conversation,
)
from constitutional.sources.files import RawRow, bare_name
from constitutional.sources.ids import SeenIds
from constitutional.sources.judgements import number_of, weight_of
from constitutional.sources.reading import RowSource, raw_id
from constitutional.sources.reasons import BadRow
from constitutional.sources.rows import kind_of, row_id

RANKED_COLUMNS = ("ranking", "ratings")
MOST_RANKED = 256  # responses of a row: they make 32,640 pairs


@dataclass(frozen=True, slots=True)
class PreferenceRow:
    """One row of the input: its preferences, or why it has none.

    Attributes:
        ordinal: its position in the input, from 0.
        id: unique in the input: the row's own id, or a hash of its content and occurrence.
        pairs: one for a comparison; of a ranking or ratings one for each two responses, with ids `ID#0-1`, `ID#0-2`, …
        soft: whether the row says how probable, not only which.
        identical: pairs left out of a ranking or ratings because their responses are the same.
        reason: for a row without pairs, one of `reasons.ALL_REASONS`; else None.
        detail: for a row without pairs, a sentence that says where and what.
    """

    ordinal: int
    id: str
    pairs: tuple[Preference, ...] = ()
    soft: bool = False
    identical: int = 0
    reason: str | None = None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class _Judged:
    """A row's responses and what was said of each two of them, as (first, second, P(the first is better))."""

    prompt: Conversation
    responses: Sequence[str]
    judgements: Sequence[tuple[int, int, float]]
    weight: float
    soft: bool
    identical: int = 0


class PreferenceSource(RowSource[PreferenceRow]):
    """The preferences of one source; see `RowSource`.

    Args:
        source: see `RowSource`; of a run directory its `preferences` are read.
        name: what the preferences' `source` says.
        split: which split of a data set.
        limit: read this many rows at most.
    """

    data_set = "preferences"
    needs = "'chosen' and 'rejected' (nor 'responses', nor 'response1' and 'response2')"
    columns = RESPONSE_COLUMNS
    made_by = "constitutional label"

    def __init__(self, source: str | Path, name: str, split: str = "train", limit: int | None = None) -> None:
        super().__init__(source, split, limit)
        self._name = name

    def _wants(self, column: str) -> bool:
        return is_comparison_column(column) or column in RANKED_COLUMNS

    def _no_rows_hint(self, found: tuple[str, ...]) -> str:
        near = [n for n in found if get_close_matches(n, RESPONSE_COLUMNS, n=1, cutoff=0.75)]
        return nearest(near[0], RESPONSE_COLUMNS) if near else "docs/mix.md lists what can be read"

    def _row(self, ordinal: int, raw: RawRow, ids: SeenIds) -> PreferenceRow:
        given: str | None = None
        try:
            if raw.bad is not None or raw.value is None:
                raise raw.bad or BadRow("not_an_object")
            given = row_id(raw.value)
            judged = _judged(raw.value)
            if given is None:
                name = ids.claim_content(_content_id(judged))
            else:
                name, first = ids.claim_given(given)
                if not first:
                    return self._bad_row(ordinal, name, raw, BadRow("duplicate_id", field="id"))
        except BadRow as bad:
            name = ids.claim_given(given)[0] if given is not None else ids.claim_content(raw_id(raw))
            return self._bad_row(ordinal, name, raw, bad)
        pairs = tuple(self._pair(name, judged, ids, *judgement) for judgement in judged.judgements)
        return PreferenceRow(ordinal, name, pairs, judged.soft, judged.identical)

    def _pair(
        self, name: str, judged: _Judged, ids: SeenIds, one: int, other: int, probability: float
    ) -> Preference:
        # another row may have the id `ID#0-1`
        id = name if len(judged.responses) == 2 else ids.claim_content(f"{name}#{one}-{other}")
        pair = Comparison(id, judged.prompt, (judged.responses[one], judged.responses[other]))
        weight = judged.weight / len(judged.judgements)
        return Preference.from_probability(pair, probability, self._name, weight)

    def _bad_row(self, ordinal: int, name: str, raw: RawRow, bad: BadRow) -> PreferenceRow:
        reason, detail = self._bad(ordinal, raw, bad)
        return PreferenceRow(ordinal, name, reason=reason, detail=detail)


def read_preferences(
    source: str | Path, *, name: str | None = None, split: str = "train", limit: int | None = None
) -> PreferenceSource:
    """Read preferences, streaming: memory does not grow with the source but for the ids seen.

    Args:
        source: whatever `read_comparisons` reads, where it says which response is better; rows of `prompt, responses` with a
            `ranking` (places, 1 for the best, equal for ties) or `ratings` (higher is better; null for none); a run directory written
            by `label` or `mix`.
        name: what the preferences' `source` says; None is the name of the file or folder.
        split: which split of a data set; files have none.
        limit: read this many rows at most, bad ones included.

    Returns:
        An iterable of `PreferenceRow`, exactly one for each row of the source, in order.

    Raises:
        SourceError: there is no such file, or it is nothing that can be read. See `RowSource` for what
            reading may raise.
        ConfigError: `limit` is less than 1.
    """
    return PreferenceSource(source, name if name is not None else source_name(source), split, limit)


def source_name(source: str | Path) -> str:
    """What a source is called that was given no name: the file's name without its endings, the folder's, or the hub's."""
    name = bare_name(Path(source)).replace(":", "-")
    return re.sub("[\ud800-\udfff]", "_", name)  # what Python has for bytes that are no UTF-8


def _judged(row: dict[str, Any]) -> _Judged:
    if row.get("ranking") is not None:
        return _ranked(row, _places(row), lambda place, other: place < other)
    if row.get("ratings") is not None:
        return _ranked(row, _ratings(row), lambda rating, other: rating > other)
    fields = row_comparison(row)
    if fields.human is None:
        raise BadRow("no_label")
    return _Judged(fields.prompt, fields.responses, [(0, 1, fields.human)], fields.weight, fields.soft)


def _ranked(
    row: dict[str, Any], values: Sequence[float | None], better: Callable[[float, float], bool]
) -> _Judged:
    """All pairs of the responses that have a value; a pair of equal values is a tie."""
    responses = _given_responses(row)
    if len(values) != len(responses):
        field = "ranking" if row.get("ranking") is not None else "ratings"
        detail = f"there are {len(responses)} responses and {len(values)} values"
        raise BadRow(f"bad_{field}", detail, field)
    if len(responses) > MOST_RANKED:
        field = "ranking" if row.get("ranking") is not None else "ratings"
        raise BadRow(
            f"bad_{field}", f"there are {len(responses):,} responses, more than {MOST_RANKED}", field
        )
    prompt = row_conversation(row)
    texts = _texts(responses, prompt)
    known = [(index, value) for index, value in enumerate(values) if value is not None]
    if len(known) < 2:
        raise BadRow("no_label", "fewer than two responses are rated")
    judgements = [
        (one, other, 0.5 if value == against else float(better(value, against)))
        for (one, value), (other, against) in combinations(known, 2)
        if texts[one] != texts[other]
    ]
    if not judgements:
        raise BadRow("identical_responses")
    identical = len(known) * (len(known) - 1) // 2 - len(judgements)
    return _Judged(prompt, texts, judgements, weight_of(row), False, identical)


def _given_responses(row: dict[str, Any]) -> Sequence[object]:
    given = row.get("responses")
    if not isinstance(given, list | tuple):
        raise BadRow("missing_responses", "a ranking or ratings need a list of `responses`", "responses")
    if len(given) < 2:
        raise BadRow("missing_responses", "there are fewer than two responses", "responses")
    return given


def _texts(given: Sequence[object], prompt: Conversation) -> list[str]:
    texts = [response_text(value, f"responses.{place}", prompt).strip() for place, value in enumerate(given)]
    for place, text in enumerate(texts):
        if not text:
            raise BadRow("empty_response", field=f"responses.{place}")
    return texts


def _places(row: dict[str, Any]) -> list[float | None]:
    places = _numbers(row["ranking"], "ranking")
    if any(place is None for place in places):
        raise BadRow("bad_ranking", "a response has no place", "ranking")
    if any(place is not None and not place.is_integer() for place in places):
        raise BadRow("bad_ranking", "places are whole numbers; equal ones stand for a tie", "ranking")
    if places and min(place for place in places if place is not None) != 1:
        detail = "the best place has to be 1: these are neither indices nor ratings"
        raise BadRow("bad_ranking", detail, "ranking")
    return places


def _ratings(row: dict[str, Any]) -> list[float | None]:
    return _numbers(row["ratings"], "ratings")


def _numbers(given: object, field: str) -> list[float | None]:
    if not isinstance(given, list | tuple):
        raise BadRow(f"bad_{field}", f"expected a list of numbers, not {kind_of(given)}", field)
    return [number_of(value, f"{field}.{place}", f"bad_{field}") for place, value in enumerate(given)]


def _content_id(judged: _Judged) -> str:
    """An id that does not depend on the order of the responses."""
    if len(judged.responses) == 2:
        return comparison_id(judged.prompt, (judged.responses[0], judged.responses[1]))
    turns = [part for message in judged.prompt for part in (message.role, message.content)]
    return content_hash("ranking", len(judged.prompt), *turns, *sorted(judged.responses))[:16]
