"""What people made of a comparison, as P(the first response is better): a probability, or the votes of annotators.

Votes become p = (wins of the first + ½ ties) / n. A vote that is missing is not counted; where all are missing nothing is
known, which is not the same as a tie.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from constitutional.sources.reasons import BadRow
from constitutional.sources.rows import kind_of

ANNOTATOR = re.compile(r"annotator\d+")
_SHARES = {1: 1.0, 2: 0.0, 0: 0.5}
LEAST_WEIGHT, MOST_WEIGHT = 1e-9, 1e6  # beyond these, sums of weights would lose rows or overflow


def row_judgement(row: dict[str, Any]) -> tuple[float | None, int | None]:
    """P(the first response is better) as a row says it, and how many votes it comes from.

    Args:
        row: may have a `probability`, else `votes` (a list), else columns `annotator1`, `annotator2`, …

    Returns:
        The probability, None where the row says nothing or every vote is missing; and the number of votes counted, None
        where there are no votes but a probability or nothing.

    Raises:
        BadRow: `bad_probability`, `bad_vote` or `wrong_type`.
    """
    given = probability_of(row, "probability")
    if given is not None:
        return given, None
    if row.get("votes") is not None:
        votes = row["votes"]
        if not isinstance(votes, list | tuple):
            raise BadRow("wrong_type", f"expected a list of votes, not {kind_of(votes)}", "votes")
        return share_of_votes([_vote(vote, f"votes.{place}") for place, vote in enumerate(votes)])
    names = sorted(name for name in row if ANNOTATOR.fullmatch(name))
    return share_of_votes([_vote(row[name], name) for name in names]) if names else (None, None)


def share_of_votes(votes: Sequence[int | None]) -> tuple[float | None, int]:
    """(wins of the first + ½ ties) / n over the votes that are not None, and n; None where n is 0."""
    shares = [_SHARES[vote] for vote in votes if vote is not None]
    return (sum(shares) / len(shares) if shares else None), len(shares)


def probability_of(row: dict[str, Any], field: str) -> float | None:
    """The probability in a field, None where there is none.

    Raises:
        BadRow: `bad_probability`.
    """
    value = number_of(row.get(field), field, "bad_probability")
    if value is not None and not 0.0 <= value <= 1.0:
        raise BadRow("bad_probability", f"a probability is from 0 to 1, not {value:g}", field)
    return value


def weight_of(row: dict[str, Any]) -> float:
    """How much a row counts; 1 where it does not say.

    Raises:
        BadRow: `bad_weight`.
    """
    value = number_of(row.get("weight"), "weight", "bad_weight")
    if value is not None and not LEAST_WEIGHT <= value <= MOST_WEIGHT:
        detail = f"a weight is from {LEAST_WEIGHT:g} to {MOST_WEIGHT:,.0f}, not {value:g}"
        raise BadRow("bad_weight", detail, "weight")
    return 1.0 if value is None else value


def number_of(given: object, field: str, reason: str) -> float | None:
    """A finite number, None where there is none; CSV has numbers as texts, and an empty one for none.

    Raises:
        BadRow: `reason`, where it is no such number.
    """
    if given is None or (isinstance(given, str) and not given.strip()):
        return None
    if isinstance(given, bool) or not isinstance(given, str | int | float):
        raise BadRow(reason, f"expected a number, not {kind_of(given)}", field)
    try:
        value = float(given)
    except (ValueError, OverflowError):
        raise BadRow(reason, "this is no number", field) from None
    if not math.isfinite(value):
        raise BadRow(reason, "this is no finite number", field)
    return value


def _vote(given: object, field: str) -> int | None:
    value = number_of(given, field, "bad_vote")
    if value is None:
        return None
    if value not in _SHARES:
        raise BadRow("bad_vote", field=field)
    return int(value)
