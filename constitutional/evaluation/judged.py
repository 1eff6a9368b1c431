"""What an audit starts from: one comparison under one setting, judged by people and by a label; and sums over many of them.

Comparisons of one prompt, or pairs of one ranking, are not independent. They share a `cluster`, and every interval takes the
cluster as the unit of sampling (`estimates.py`). A comparison counts by its weight.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import pairwise
from typing import Any

from constitutional.assignment import content_hash
from constitutional.estimates import Estimate, Tally
from constitutional.feedback import Vote


@dataclass(frozen=True, slots=True)
class Judged:
    """One comparison under one setting.

    Attributes:
        id: the comparison's.
        human: P(the first response is better) according to people, in [0, 1].
        probability: the label's; None where it got none.
        votes: all votes of the label, those that do not count too.
        weight: how much the comparison counts, greater than 0.
        prompt_tokens: of all requests of this label, as if nothing were remembered from other settings; None if not known.
        completion_tokens: likewise.
        cluster: what comparisons that are not independent share, as a hash of their prompt; None for one that stands alone.
    """

    id: str
    human: float
    probability: float | None
    votes: tuple[Vote, ...] = ()
    weight: float = 1.0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cluster: str | None = None

    def __post_init__(self) -> None:
        for name, value in (("human", self.human), ("probability", self.probability)):
            if value is not None and not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} of {self.id} is {value}; a probability is from 0 to 1")
        if not 0.0 < self.weight < float("inf"):
            raise ValueError(f"weight of {self.id} is {self.weight}; it has to be greater than 0")

    @property
    def tokens(self) -> int | None:
        """Prompt and completion tokens together; None unless both are known."""
        if self.prompt_tokens is None or self.completion_tokens is None:
            return None
        return self.prompt_tokens + self.completion_tokens

    @property
    def unit(self) -> str:
        """The unit of sampling that it belongs to."""
        return content_hash("comparison", self.id) if self.cluster is None else self.cluster

    def swap(self) -> Judged:
        """The same with the responses the other way round."""
        return Judged(
            self.id,
            1.0 - self.human,
            None if self.probability is None else 1.0 - self.probability,
            tuple(vote.swap() for vote in self.votes),
            self.weight,
            self.prompt_tokens,
            self.completion_tokens,
            self.cluster,
        )


def prefers(probability: float) -> float:
    """1 where the first response is preferred, 0 where the second is, ½ where neither is."""
    return 0.5 if probability == 0.5 else float(probability > 0.5)


def ordered(judged: Iterable[Judged]) -> list[Judged]:
    """By id, so that no result depends on the order of the rows.

    Raises:
        ValueError: two have the same id.
    """
    found = sorted(judged, key=lambda one: one.id)
    for one, other in pairwise(found):
        if one.id == other.id:
            raise ValueError(f"comparison {one.id} is there twice under one setting")
    return found


def tally(observed: Iterable[tuple[Judged, float]]) -> Tally:
    """Observations, one of a comparison, by cluster and with the comparisons' weights."""
    units: dict[str, tuple[list[float], list[float]]] = {}
    for one, value in observed:
        values, weights = units.setdefault(one.unit, ([], []))
        values.append(value)
        weights.append(one.weight)
    made = Tally()
    for values, weights in units.values():
        made.add(values, weights)
    return made


def mean(
    judged: Sequence[Judged],
    read: Callable[[Judged], float | None],
    *,
    within: tuple[float, float] | None = None,
) -> Estimate | None:
    """The mean of what is read of comparisons, where it is not None, with its t interval over clusters."""
    return tally((one, value) for one in judged if (value := read(one)) is not None).mean(within=within)


def proportion(judged: Sequence[Judged], read: Callable[[Judged], float | None]) -> Estimate | None:
    """The share of what is read of comparisons, where it is not None, with Wilson's interval over clusters."""
    return tally((one, value) for one in judged if (value := read(one)) is not None).proportion()


def to_row(record: Any) -> Any:
    """A record as JSON has it: fields by name, numbers at six decimals, since what is beyond is noise of the arithmetic."""
    if isinstance(record, Estimate):
        return {
            "value": to_row(record.value),
            "low": to_row(record.low),
            "high": to_row(record.high),
            "n": record.n,
            "clusters": record.chains,
        }
    if is_dataclass(record):
        return {field.name: to_row(getattr(record, field.name)) for field in fields(record)}
    if isinstance(record, (list, tuple)):
        return [to_row(part) for part in record]
    if isinstance(record, dict):
        return {key: to_row(part) for key, part in record.items()}
    return round(record, 6) + 0.0 if isinstance(record, float) else record
