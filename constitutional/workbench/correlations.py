"""How two principles agree over comparisons: the share on which they prefer the same response, and a correlation through ½.

Which response a file holds first says nothing, so the correlation must not depend on it. With d = p - ½, swapping a comparison's responses
turns both d into their negatives, and

    r = Σ d₁ d₂ / √(Σ d₁² · Σ d₂²)

stays as it is. It is Pearson's on data that hold every comparison in both orders. Its interval is a t interval
over comparisons on Fisher's scale (artanh r), its variance linearised, so that it needs no normal distribution. Sums of
products are all that is kept.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from constitutional.estimates import CONFIDENCE, Estimate, wilson

if TYPE_CHECKING:
    import numpy as np

_AT_A_TIME = 256  # comparisons that are summed together
_TINY = 1e-12  # deviations from ½ below this are noise of the arithmetic


@dataclass(frozen=True, slots=True)
class Pair:
    """How two principles agree, over the comparisons on which both voted.

    Attributes:
        first: id of a principle.
        second: id of the other; it comes later in the alphabet.
        agree: share on which they prefer the same response; where one prefers neither, half.
        correlation: of their p, through ½; None where one of them never leaves ½.
    """

    first: str
    second: str
    agree: Estimate
    correlation: Estimate | None


@dataclass(slots=True)
class Moments:
    """Sums over pairs of deviations (x, y) from ½, of which their correlation is made."""

    n: int = 0
    xx: float = 0.0
    yy: float = 0.0
    xy: float = 0.0
    xxxx: float = 0.0
    yyyy: float = 0.0
    xxyy: float = 0.0
    xxxy: float = 0.0
    xyyy: float = 0.0

    def add(self, x: float, y: float) -> None:
        """Take one more pair."""
        self.n += 1
        xx, yy, xy = x * x, y * y, x * y
        self.xx += xx
        self.yy += yy
        self.xy += xy
        self.xxxx += xx * xx
        self.yyyy += yy * yy
        self.xxyy += xy * xy
        self.xxxy += xx * xy
        self.xyyy += xy * yy

    def correlation(self) -> Estimate | None:
        """The correlation through ½ with its interval; None where x or y never leaves ½.

        There is no interval for fewer than three pairs, nor where r is 1 or -1.
        """
        if self.xx <= _TINY**2 * self.n or self.yy <= _TINY**2 * self.n:
            return None
        scale = math.sqrt(self.xx * self.yy)
        r = max(-1.0, min(1.0, self.xy / scale))
        if self.n < 3 or 1 - abs(r) < _TINY:
            return Estimate(r, None, None, self.n, self.n)
        # each pair moves r by u = xy / √(XX YY) - r/2 (x²/XX + y²/YY); these sum to 0
        spread = (
            self.xxyy / scale**2
            - r / scale * (self.xxxy / self.xx + self.xyyy / self.yy)
            + r * r / 4 * (self.xxxx / self.xx**2 + self.yyyy / self.yy**2 + 2 * self.xxyy / scale**2)
        )
        error = math.sqrt(max(0.0, spread) * self.n / (self.n - 1)) / (1 - r * r)
        half = _quantile(self.n - 1) * error
        z = math.atanh(r)
        return Estimate(r, math.tanh(z - half), math.tanh(z + half), self.n, self.n)


@dataclass(slots=True)
class PairSums:
    """Sums over comparisons for every two principles, gathered as the labels stream by."""

    _places: dict[str, int] = field(default_factory=dict)
    _waiting: list[Mapping[str, float]] = field(default_factory=list)
    _sums: dict[str, np.ndarray[Any, Any]] = field(default_factory=dict)

    def add(self, deviations: Mapping[str, float]) -> None:
        """Take one comparison: by principle, how far its p is from ½."""
        if len(deviations) < 2:
            return
        for id in deviations:
            self._places.setdefault(id, len(self._places))
        self._waiting.append(dict(deviations))
        if len(self._waiting) == _AT_A_TIME:
            self._flush()

    def pairs(self) -> Iterator[Pair]:
        """Every two principles that voted on the same comparison at least once, by their ids."""
        self._flush()
        ids = sorted(self._places)
        for index, first in enumerate(ids):
            for second in ids[index + 1 :]:
                i, j = self._places[first], self._places[second]
                n = int(self._sums["n"][i, j])
                if n:
                    share = float(0.5 + self._sums["same"][i, j] / (2 * n))
                    agree = Estimate(share, *wilson(share, n), n, n, n)
                    yield Pair(first, second, agree, self._moments(i, j, n).correlation())

    def _moments(self, i: int, j: int, n: int) -> Moments:
        sums = self._sums
        one, other = (i, j), (j, i)
        return Moments(
            n,
            xx=float(sums["xx"][one]),
            yy=float(sums["xx"][other]),
            xy=float(sums["xy"][one]),
            xxxx=float(sums["xxxx"][one]),
            yyyy=float(sums["xxxx"][other]),
            xxyy=float(sums["xxyy"][one]),
            xxxy=float(sums["xxxy"][one]),
            xyyy=float(sums["xxxy"][other]),
        )

    def _flush(self) -> None:
        """Add the waiting comparisons to the sums, as products of matrices [comparison, principle]."""
        import numpy as np

        if not self._waiting:
            return
        there = np.zeros((len(self._waiting), len(self._places)))
        x = np.zeros_like(there)
        for row, deviations in enumerate(self._waiting):
            for id, deviation in deviations.items():
                there[row, self._places[id]] = 1
                x[row, self._places[id]] = deviation if abs(deviation) > _TINY else 0.0
        self._waiting.clear()
        side, squared = np.sign(x), x * x
        for name, left, right in (
            ("n", there, there),
            ("same", side, side),
            ("xy", x, x),
            ("xx", squared, there),
            ("xxyy", squared, squared),
            ("xxxy", squared * x, x),
            ("xxxx", squared * squared, there),
        ):
            added = left.T @ right
            before = self._sums.get(name)
            if before is not None:
                added[: len(before), : len(before)] += before
            self._sums[name] = added


def side(deviation: float) -> int:
    """Which response is preferred: 1 the first, -1 the second, 0 neither."""
    return 0 if abs(deviation) <= _TINY else 1 if deviation > 0 else -1


def same_side(one: float, other: float) -> float:
    """1 where both prefer the same response, 0 where they do not, ½ where one prefers neither."""
    return (1 + side(one) * side(other)) / 2


@lru_cache(maxsize=1024)
def _quantile(freedom: int) -> float:
    from scipy.stats import t  # type: ignore[import-untyped]

    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))
