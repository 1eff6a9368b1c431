"""What SL-CAI rows are published as: `sft`, which TRL's SFTTrainer takes as it is, and `chains`, which hold everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from constitutional.errors import ConfigError, nearest
from constitutional.jobs.sl_cai_rows import CHAIN, HELPFUL, is_good
from constitutional.ledger import Ledger, StoredRow
from constitutional.records import Message, Row, Step
from constitutional.rundir import DataSet
from constitutional.settings import Settings
from constitutional.stages.checks import CHECKS


class DataSettings(Settings):
    """What goes into the SFT data. A change rewrites the data and generates nothing.

    Attributes:
        revisions: every good revision of a chain, as in the paper, or only the last.
        keep_failing: checks whose failure does not keep a revision out.
        helpful_samples: responses sampled for each helpful prompt; the paper's two.
    """

    revisions: Literal["all", "last"] = "all"
    keep_failing: tuple[str, ...] = ()
    helpful_samples: int = Field(default=2, ge=1)


class SLCAIData:
    """The data sets of a ledger's rows, and what is counted while they are read.

    Args:
        settings: what goes into the SFT data.

    Raises:
        ConfigError: a check that can't be waived.
    """

    def __init__(self, settings: DataSettings) -> None:
        for check in settings.keep_failing:
            if check not in CHECKS or check == "empty":
                valid = set(CHECKS) - {"empty"}
                raise ConfigError(
                    f"keep_failing: {check!r} is no check that can be waived; {nearest(check, valid)}"
                )
        self._settings = settings
        self._sft: Counter[str] = Counter()
        self._checks: Counter[str] = Counter()
        self._revisions = 0

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`sft` and `chains`."""
        sft, chains = _schemas()
        self._sft.clear()
        self._checks.clear()
        self._revisions = 0
        described = (
            "every good revision" if self._settings.revisions == "all" else "each chain's last good revision"
        )
        return {
            "sft": DataSet(
                self._sft_rows(ledger), sft, f"`prompt`, `completion`: {described}, for SFTTrainer"
            ),
            "chains": DataSet(
                map(self._chain_row, ledger.rows(CHAIN)),
                chains,
                "every input with its response, critiques and revisions",
            ),
        }

    def counts(self) -> Row:
        """Rows of the SFT data by source, revisions, and how many failed which check."""
        return {
            "sft": dict(sorted(self._sft.items())),
            "revisions": self._revisions,
            "failed_checks": {check: self._checks[check] for check in CHECKS},
        }

    def _chain_row(self, stored: StoredRow) -> Row:
        row = stored.result or {"prompt": _messages(stored.input), "response": None, "rounds": []}
        for round in row["rounds"]:
            self._revisions += round["revision"] is not None
            self._checks.update(round["checks"])
        return {
            **row,
            "id": stored.id,
            "status": stored.status,
            "reason": stored.reason,
            "detail": stored.detail,
        }

    def _sft_rows(self, ledger: Ledger) -> Iterator[Row]:
        for stored in ledger.rows(CHAIN):
            if stored.result:
                for number, text in self._completions(stored.result):
                    yield self._sft_row(stored, number, text, "revision" if number else "response")
        for stored in ledger.rows(HELPFUL):
            for text, finish_reason in (stored.result or {}).get("responses", ()):
                if is_good(Step(text, finish_reason, 0, 0)):
                    yield self._sft_row(stored, 0, text, "helpful")

    def _sft_row(self, stored: StoredRow, number: int, text: str, source: str) -> Row:
        assert stored.result is not None
        self._sft[source] += 1
        return {
            "prompt": stored.result["prompt"],
            "completion": [Message("assistant", text).to_row()],
            "id": stored.id,
            "round": number,
            "source": source,
        }

    def _completions(self, chain: Row) -> list[tuple[int, str]]:
        """(round from 1, text) of what a chain gives to train on; round 0 is a response that a critique approved."""
        waived = set(self._settings.keep_failing)
        good = [
            (number, round["revision"])
            for number, round in enumerate(chain["rounds"], 1)
            if round["revision"] and waived.issuperset(round["checks"])
        ]
        if not good and chain["reason"] == "clean":
            whole = chain["response_finish_reason"] == "stop" or "truncated" in waived
            return [(0, chain["response"])] if whole else []
        return good if self._settings.revisions == "all" else good[-1:]


def _messages(input: Row | None) -> list[Row]:
    return [Message(role, content).to_row() for role, content in (input or {}).get("messages", ())]


def _schemas() -> tuple[Any, Any]:
    """Arrow schemas of `sft` and `chains`."""
    import pyarrow as pa

    text, number = pa.string(), pa.int32()
    conversation = pa.list_(pa.struct([("role", text), ("content", text)]))
    sft = pa.schema(
        [
            ("prompt", conversation),
            ("completion", conversation),
            ("id", text),
            ("round", number),
            ("source", text),
        ]
    )
    round = pa.struct(
        [
            ("principles", pa.list_(text)),
            ("critique", text),
            ("critique_finish_reason", text),
            ("revision", text),
            ("revision_finish_reason", text),
            ("checks", pa.list_(text)),
        ]
    )
    chains = pa.schema(
        [
            ("id", text),
            ("prompt", conversation),
            ("response", text),
            ("response_finish_reason", text),
            ("rounds", pa.list_(round)),
            ("status", text),
            ("reason", text),
            ("detail", text),
            ("prompt_tokens", number),
            ("completion_tokens", number),
            ("dropped_turns", number),
            ("escaped", number),
        ]
    )
    return sft, chains
