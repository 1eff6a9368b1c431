"""What comparisons are published as, whether a model's samples or two files of responses made them.

`comparisons` is what `label` reads. A run of single responses publishes `responses` instead, which a join takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from constitutional.ledger import Ledger, StoredRow
from constitutional.records import Row
from constitutional.rundir import DataSet

SAMPLED, JOINED = "sampled", "joined"
"""The kinds of rows: a prompt whose responses were sampled, a pair of given ones."""


class CompareData:
    """The data sets of a ledger's rows, and what is counted while they are read.

    Args:
        model: what made the sampled responses; joined ones bring its name along.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._counts: Counter[str] = Counter()
        self._pairs: Counter[str] = Counter()

    def comparisons(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`comparisons`: every pair that can be judged."""
        self._start()
        return {
            "comparisons": DataSet(
                self._comparisons(ledger), _comparisons(), "`prompt` and two `responses`, for `label`"
            )
        }

    def responses(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`responses`: one for each prompt."""
        self._start()
        return {
            "responses": DataSet(
                self._responses(ledger),
                _responses(),
                "`prompt` and `response`, to be paired with another model's",
            )
        }

    def counts(self) -> Row:
        """Pairs by what became of them; responses that the token limit cut off; redraws; turns dropped to fit the context;
        special tokens spelt out in prompts and made harmless, over all requests.
        """
        names = ("truncated_responses", "redraws", "dropped_turns", "escaped")
        counts = {name: self._counts[name] for name in names}
        return {"pairs": dict(sorted(self._pairs.items())), **counts} if self._pairs else counts

    def _start(self) -> None:
        self._counts.clear()
        self._pairs.clear()

    def _comparisons(self, ledger: Ledger) -> Iterator[Row]:
        for stored in ledger.rows():
            self._count_changes(stored)
            for pair in (stored.result or {}).get("pairs", ()):
                self._pairs[pair["reason"] or "ok"] += 1
                self._counts["redraws"] += pair["redraws"]
                if pair["reason"] is None:
                    assert stored.result is not None
                    self._counts["truncated_responses"] += pair["finish_reasons"].count("length")
                    yield {
                        "models": [self._model] * 2,
                        **{name: pair[name] for name in pair if name in _PAIR},
                        "prompt": stored.result["prompt"],
                    }

    def _count_changes(self, stored: StoredRow) -> None:
        for name in ("dropped_turns", "escaped"):  # joined pairs have neither
            self._counts[name] += (stored.result or {}).get(name, 0)

    def _responses(self, ledger: Ledger) -> Iterator[Row]:
        for stored in ledger.rows():
            self._count_changes(stored)
            self._counts["redraws"] += (stored.result or {}).get("redraws", 0)
            if stored.status != "ok":
                continue
            assert stored.result is not None
            ((text, finish_reason),) = stored.result["responses"]
            self._counts["truncated_responses"] += finish_reason == "length"
            yield {
                "id": stored.id,
                "prompt": stored.result["prompt"],
                "response": text,
                "model": self._model,
                "temperature": stored.result["temperature"],
                "finish_reason": finish_reason,
            }


_PAIR = ("id", "responses", "models", "finish_reasons", "temperatures")


def _comparisons() -> Any:
    import pyarrow as pa

    return pa.schema(
        [
            ("id", pa.string()),
            ("prompt", _conversation()),
            ("responses", pa.list_(pa.string())),
            ("models", pa.list_(pa.string())),
            ("finish_reasons", pa.list_(pa.string())),
            ("temperatures", pa.list_(pa.float64())),
        ]
    )


def _responses() -> Any:
    import pyarrow as pa

    text = pa.string()
    return pa.schema(
        [
            ("id", text),
            ("prompt", _conversation()),
            ("response", text),
            ("model", text),
            ("temperature", pa.float64()),
            ("finish_reason", text),
        ]
    )


def _conversation() -> Any:
    import pyarrow as pa

    return pa.list_(pa.struct([("role", pa.string()), ("content", pa.string())]))
