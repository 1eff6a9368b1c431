"""What labelled comparisons are published as: `preferences`, which TRL loads as they are, `labels` with every vote, `comparisons`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from constitutional.feedback import VOTE_FIELDS, Comparison, Preference
from constitutional.ledger import Ledger, StoredRow
from constitutional.records import Message, Row
from constitutional.rundir import DataSet
from constitutional.stages.votes import orders_disagree

KIND = "label"


def comparison_input(comparison: Comparison, human: float | None, weight: float) -> Row:
    """A comparison as a ledger holds it."""
    return {
        "messages": [[message.role, message.content] for message in comparison.prompt],
        "responses": list(comparison.responses),
        "human": human,
        "weight": weight,
    }


def stored_comparison(id: str, input: Row) -> Comparison:
    """The comparison that `comparison_input` made this of."""
    first, second = input["responses"]
    prompt = tuple(Message(role, content) for role, content in input["messages"])
    return Comparison(id, prompt, (first, second))


@dataclass(slots=True)
class _Sums:
    """What is summed over the labels while they are read."""

    labels: int = 0
    probability: float = 0.0
    ties: int = 0
    decided: list[int] = field(default_factory=lambda: [0, 0])
    errors: int = 0
    error: float = 0.0
    votes: int = 0
    counted: int = 0
    flagged: int = 0
    truncated: int = 0
    shown_first: float = 0.0
    pairs: int = 0
    disagreeing: float = 0.0
    reasons: dict[str, int] = field(default_factory=dict)


class LabelData:
    """The data sets of a ledger's labels, and what is counted while they are read.

    Args:
        source: what the preferences carry as their source: the constitution's id.
        min_mass: mass below which a vote is flagged.
    """

    def __init__(self, source: str, min_mass: float) -> None:
        self._source, self._min_mass = source, min_mass
        self._sums = _Sums()

    def data(self, ledger: Ledger) -> Mapping[str, DataSet]:
        """`preferences`, `labels` and `comparisons`."""
        preferences, labels, comparisons = _schemas()
        self._sums = _Sums()
        return {
            "preferences": DataSet(
                self._preference_rows(ledger),
                preferences,
                "`prompt`, `chosen`, `rejected`, `chosen_probability`: for RewardTrainer and DPOTrainer",
            ),
            "labels": DataSet(
                map(self._label_row, ledger.rows(KIND)),
                labels,
                "every input with P(its first response is better), standard error and votes",
            ),
            "comparisons": DataSet(
                self._comparison_rows(ledger), comparisons, "what was labelled, readable by `label` again"
            ),
        }

    def counts(self) -> Row:
        """What the labels and votes come to.

        `labels`: how many, how many exact ties at ½, mean probability and mean standard error. `votes`: how many were cast and
        count, are flagged for low mass, come from a truncated rationale, and the reasons of those that do not count.
        `position`: mean P(the response shown first is better) over counted votes, which is ½ for a judge without a bias where both orders
        are asked; and the share of pairs of orders that prefer different responses, where just one prefers neither half.
        """
        sums = self._sums
        return {
            "labels": {
                "count": sums.labels,
                "first_better": sums.decided[0],
                "second_better": sums.decided[1],
                "ties": sums.ties,
                "mean_probability": _ratio(sums.probability, sums.labels),
                "mean_standard_error": _ratio(sums.error, sums.errors),
            },
            "votes": {
                "cast": sums.votes,
                "counted": sums.counted,
                "flagged": sums.flagged,
                "truncated_rationales": sums.truncated,
                "not_counted": dict(sorted(sums.reasons.items())),
            },
            "position": {
                "shown_first": _ratio(sums.shown_first, sums.counted),
                "orders_disagree": _ratio(sums.disagreeing, sums.pairs),
            },
        }

    def _preference_rows(self, ledger: Ledger) -> Iterator[Row]:
        for stored in ledger.rows(KIND, "ok"):
            assert stored.input is not None and stored.result is not None
            yield Preference.from_probability(
                stored_comparison(stored.id, stored.input),
                stored.result["probability"],
                self._source,
                stored.input["weight"],
            ).to_row()

    def _label_row(self, stored: StoredRow) -> Row:
        result = stored.result or {}
        votes = result.get("votes", [])
        self._count(result, votes)
        return {
            **{
                name: result.get(name) for name in ("probability", "standard_error", "units", "dropped_turns")
            },
            "id": stored.id,
            "votes": votes,
            "human": (stored.input or {}).get("human"),
            "status": stored.status,
            "reason": stored.reason,
            "detail": stored.detail,
        }

    def _comparison_rows(self, ledger: Ledger) -> Iterator[Row]:
        for stored in ledger.rows(KIND):
            if stored.input:
                comparison = stored_comparison(stored.id, stored.input).to_row()
                yield {**comparison, "probability": stored.input["human"], "weight": stored.input["weight"]}

    def _count(self, result: Row, votes: list[Row]) -> None:
        sums = self._sums
        probability = result.get("probability")
        if probability is not None:
            sums.labels += 1
            sums.probability += probability
            sums.ties += probability == 0.5
            if probability != 0.5:
                sums.decided[probability < 0.5] += 1
            if result["standard_error"] is not None:
                sums.errors += 1
                sums.error += result["standard_error"]
        units: dict[tuple[str, int], list[float]] = {}
        for vote in votes:
            sums.votes += 1
            sums.flagged += vote["mass"] is not None and vote["mass"] < self._min_mass
            sums.truncated += vote["rationale_finish_reason"] == "length"
            if vote["reason"] is not None:
                sums.reasons[vote["reason"]] = sums.reasons.get(vote["reason"], 0) + 1
                continue
            sums.counted += 1
            sums.shown_first += 1.0 - vote["p_raw"] if vote["order"] else vote["p_raw"]
            units.setdefault((vote["principle"], vote["sample"]), []).append(vote["p_raw"])
        for unit in units.values():
            if len(unit) == 2:
                sums.pairs += 1
                sums.disagreeing += orders_disagree(unit[0], unit[1])


def _ratio(part: float, whole: int) -> float | None:
    return round(part / whole, 6) if whole else None


def _schemas() -> tuple[Any, Any, Any]:
    """Arrow schemas of `preferences`, `labels` and `comparisons`."""
    import pyarrow as pa

    text, whole, real = pa.string(), pa.int32(), pa.float64()
    conversation = pa.list_(pa.struct([("role", text), ("content", text)]))
    preferences = pa.schema(
        [
            ("id", text),
            ("prompt", conversation),
            ("chosen", conversation),
            ("rejected", conversation),
            ("chosen_probability", real),
            ("source", text),
            ("weight", real),
        ]
    )
    types = {"order": whole, "sample": whole, "p_raw": real, "p": real, "mass": real}
    vote = pa.struct([(name, types.get(name, text)) for name in VOTE_FIELDS])
    labels = pa.schema(
        [
            ("id", text),
            ("probability", real),
            ("standard_error", real),
            ("units", whole),
            ("votes", pa.list_(vote)),
            ("dropped_turns", whole),
            ("human", real),
            ("status", text),
            ("reason", text),
            ("detail", text),
        ]
    )
    comparisons = pa.schema(
        [
            ("id", text),
            ("prompt", conversation),
            ("responses", pa.list_(text)),
            ("probability", real),
            ("weight", real),
        ]
    )
    return preferences, labels, comparisons
