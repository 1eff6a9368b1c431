"""Arrow schemas of an audit's data sets, and a setting's measures as one flat row of them."""

from __future__ import annotations

import json
from typing import Any

from constitutional.feedback import VOTE_FIELDS
from constitutional.records import Row

COUNTS = ("n", "labelled", "unlabelled", "ties", "undecided", "clipped")
ESTIMATES = (
    "agreement", "log_loss", "entropy", "brier", "ece", "overconfidence", "decisiveness", "position", "orders_disagree",
    "mass", "low_mass", "prompt_tokens", "completion_tokens", "tokens",
)  # fmt: skip


def measures_row(setting: Row) -> Row:
    """A setting of the report as a row of `measures`: an estimate is its value, `_low` and `_high`."""
    measures = setting["measures"]
    row = {name: setting[name] for name in ("flags", "requests")}
    row |= {"setting": setting["name"], "changes": json.dumps(setting["changes"], ensure_ascii=False)}
    row |= {name: measures[name] for name in COUNTS}
    for name in ESTIMATES:
        estimate = measures[name] or {}
        row |= {
            name + end: estimate.get(part) for end, part in zip(("", "_low", "_high"), _PARTS, strict=True)
        }
    return row


_PARTS = ("value", "low", "high")


def schemas() -> dict[str, Any]:
    """The schemas of `labels`, `measures`, `comparisons` and `attacks`."""
    import pyarrow as pa

    text, whole, long, real = pa.string(), pa.int32(), pa.int64(), pa.float64()
    conversation = pa.list_(pa.struct([("role", text), ("content", text)]))
    types = {"order": whole, "sample": whole, "p_raw": real, "p": real, "mass": real}
    votes = pa.list_(pa.struct([(name, types.get(name, text)) for name in VOTE_FIELDS]))
    ended = [("status", text), ("reason", text), ("detail", text)]
    estimates = [(name + end, real) for name in ESTIMATES for end in ("", "_low", "_high")]
    return {
        "labels": pa.schema(
            [
                ("id", text),
                ("setting", text),
                ("human", real),
                ("weight", real),
                ("probability", real),
                ("standard_error", real),
                ("units", whole),
                ("votes", votes),
                ("dropped_turns", whole),
                ("prompt_tokens", long),
                ("completion_tokens", long),
                *ended,
            ]
        ),
        "measures": pa.schema(
            [
                ("setting", text),
                ("changes", text),
                ("flags", text),
                ("requests", whole),
                *((name, long) for name in COUNTS),
                *estimates,
            ]
        ),
        "comparisons": pa.schema(
            [
                ("id", text),
                ("prompt", conversation),
                ("responses", pa.list_(text)),
                ("probability", real),
                ("weight", real),
            ]
        ),
        "attacks": pa.schema(
            [
                ("id", text),
                ("kind", text),
                ("attacked", whole),
                ("before", real),
                ("after", real),
                ("votes", votes),
                *ended,
            ]
        ),
    }
