"""Which principle for which prompt and round, and every seed: all of it hashes, nothing a global generator.

Principles are drawn by weighted rendezvous hashing: each principle gets a key from a hash of (seed, stage, prompt id,
round, principle id), and the largest key wins. Keys are exponential races (Efraimidis and Spirakis 2006, "Weighted
random sampling with a reservoir"), so the winner is drawn with probability weight / sum of weights, and the first k are
a weighted sample without replacement. Adding, removing or reweighting a principle moves only the draws it wins or
loses; rewording moves none. The same inputs give the same draws in any order, on any number of workers.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar

_SCALE = 2.0**-64


class Weighted(Protocol):
    """What can be drawn: something with an id and a weight."""

    @property
    def id(self) -> str:
        """Unique among the candidates."""
        ...

    @property
    def weight(self) -> float:
        """Relative probability, greater than 0."""
        ...


P = TypeVar("P", bound=Weighted)


def content_hash(*parts: str | bytes | int) -> str:
    """A hash of some parts that no other list of parts shares: 32 hexadecimal digits (128 bits of BLAKE2b).

    Each part is written with its type and length, so that ("ab", "c") and ("a", "bc") differ, and so do 1 and "1".
    """
    return _digest(parts, 16).hexdigest()


def draw_principles(
    principles: Sequence[P], *, seed: int, stage: str, prompt_id: str, round: int, count: int = 1
) -> tuple[P, ...]:
    """Draw `count` different principles for one round of one prompt.

    Args:
        principles: the candidates, in any order.
        seed: the run's seed.
        stage: name of the stage, so that two stages draw independently.
        prompt_id: id of the prompt.
        round: number of the round, from 0.
        count: how many to draw.

    Returns:
        The drawn principles, the first drawn first.

    Raises:
        ValueError: there are fewer than `count` candidates, or `count` is less than 1.
    """
    if not 1 <= count <= len(principles):
        raise ValueError(f"can't draw {count} of {len(principles)} principles")
    base = _digest((seed, stage, prompt_id, round), 8)

    def race(principle: P) -> tuple[float, str]:
        racer = base.copy()
        racer.update(_encode(principle.id))
        uniform = (int.from_bytes(racer.digest(), "big") + 0.5) * _SCALE  # in (0, 1], never 0
        return math.log(uniform) / principle.weight, principle.id

    if count == 1:
        return (max(principles, key=race),)
    return tuple(sorted(principles, key=race, reverse=True)[:count])


def request_seed(seed: int, stage: str, prompt_id: str, step: str) -> int:
    """The sampling seed of one request, from 0 to 2**63 - 1; `step` names it within the stage, as `critique:2`."""
    return int.from_bytes(_digest((seed, stage, prompt_id, step), 8).digest(), "big") >> 1


def draw_seed(seed: int, draw: int) -> int:
    """The seed of draw `draw` (from 0) of a request: the request's own seed for the first."""
    if draw == 0:
        return seed
    return int.from_bytes(_digest((seed, "draw", draw), 8).digest(), "big") >> 1


def _digest(parts: Iterable[str | bytes | int], size: int) -> hashlib.blake2b:
    return hashlib.blake2b(b"".join(_encode(part) for part in parts), digest_size=size)


def _encode(part: str | bytes | int) -> bytes:
    if isinstance(part, str):
        kind, data = b"s", part.encode("utf-8", "surrogatepass")
    elif isinstance(part, bytes):
        kind, data = b"b", part
    else:
        kind, data = b"i", str(part).encode("ascii")
    return kind + len(data).to_bytes(8, "big") + data
