"""Means, proportions and their 95 % intervals over observations that come in clusters: the rounds of one chain, the
comparisons of one prompt.

Rounds of one chain are about the same prompt and build on each other, so they are not independent, and an interval that
counted each as new evidence would be too narrow. Both kinds of interval take the cluster, here called the chain, as the unit of
sampling:

- a mean: a t interval around the ratio of totals, its variance linearised over chains (the "ultimate cluster" estimator of
  survey statistics; Cochran 1977, chapter 11), with one degree of freedom less than there are chains;
- a proportion: Wilson's interval at the effective number of observations, as many as would have the same variance if they
  were independent (n by the design effect, times (t_n-1 / t_chains-1)² since few chains tell little of the variance; Korn and
  Graubard 1998). It is between 1 and n: less than the number of chains where a few long ones decide. Where every chain has one
  observation, it is Wilson's own.

Observations may be weighted; then n in the second is Kish's effective number, (Σw)² / Σw².

Sums are all that is kept, so memory does not grow with the data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean or a proportion, and what is known of it.

    Attributes:
        value: the mean, or the proportion between 0 and 1.
        low: lower end of the interval; None where nothing can be said of the spread: fewer than two chains, or
            (of a mean) chains that all have the same mean.
        high: its upper end; None likewise.
        n: observations: rounds, revisions, pairs.
        chains: different chains, or other clusters, that they come from.
        effective: of a proportion, how many independent observations tell as much; None of a mean.
    """

    value: float
    low: float | None
    high: float | None
    n: int
    chains: int
    effective: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The estimate as JSON has it, at six decimals: what is beyond is noise of the arithmetic."""
        low, high = (None if end is None else round(end, 6) for end in (self.low, self.high))
        return {"value": round(self.value, 6), "low": low, "high": high, "n": self.n, "chains": self.chains}

    def transformed(self, function: Callable[[float], float]) -> Estimate:
        """The estimate under an increasing function, such as from logarithms back to what they are of."""
        low, high = (None if end is None else function(end) for end in (self.low, self.high))
        return Estimate(function(self.value), low, high, self.n, self.chains)


@dataclass(slots=True)
class Tally:
    """Observations of one quantity, gathered chain by chain; for a proportion, each is 0 or 1."""

    n: int = 0
    chains: int = 0
    total: float = 0.0
    _weight: float = field(default=0.0, repr=False)
    _squared_weights: float = field(default=0.0, repr=False)
    _squared_sizes: float = field(default=0.0, repr=False)
    _squared_sums: float = field(default=0.0, repr=False)
    _products: float = field(default=0.0, repr=False)
    _lowest: float = field(default=math.inf, repr=False)
    _highest: float = field(default=-math.inf, repr=False)

    def add(self, observations: Sequence[float], weights: Sequence[float] | None = None) -> None:
        """Take all observations of one more chain; none is no chain.

        Args:
            observations: of the chain.
            weights: how much each counts, greater than 0; None is 1 for each.
        """
        if not observations:
            return
        weights = weights if weights is not None else [1.0] * len(observations)
        size = float(sum(weights))
        subtotal = float(sum(w * value for w, value in zip(weights, observations, strict=True)))
        self.n += len(observations)
        self.chains += 1
        self.total += subtotal
        self._weight += size
        self._squared_weights += sum(w * w for w in weights)
        self._squared_sizes += size * size
        self._squared_sums += subtotal * subtotal
        self._products += size * subtotal
        self._lowest = min(self._lowest, *observations)
        self._highest = max(self._highest, *observations)

    def add_chains(self, observations: npt.NDArray[np.float64], chain: npt.NDArray[np.intp]) -> None:
        """Take all observations of many chains at once, each with weight 1.

        Args:
            observations: in any order.
            chain: the chain of each observation, from 0; a number that is missing is no chain.
        """
        if not len(observations):
            return
        import numpy as np

        sizes = np.bincount(chain).astype(float)
        sums = np.bincount(chain, observations)
        self.n += len(observations)
        self.chains += int(np.count_nonzero(sizes))
        self.total += float(sums.sum())
        self._weight += len(observations)
        self._squared_weights += len(observations)
        self._squared_sizes += float(sizes @ sizes)
        self._squared_sums += float(sums @ sums)
        self._products += float(sizes @ sums)
        self._lowest = min(self._lowest, float(observations.min()))
        self._highest = max(self._highest, float(observations.max()))

    def mean(self, *, within: tuple[float, float] | None = None) -> Estimate | None:
        """The mean with its t interval over chains; None where there is no observation.

        Args:
            within: ends that the quantity can't leave; the interval is cut there.
        """
        if not self.n:
            return None
        mean = self.total / self._weight
        if self.chains < 2 or self._highest - self._lowest < 1e-12 or self._even(mean):
            return Estimate(mean, None, None, self.n, self.chains)
        half = _t_quantile(self.chains - 1) * math.sqrt(self._variance(mean))
        low, high = mean - half, mean + half
        if within:
            low, high = max(within[0], low), min(within[1], high)
        return Estimate(mean, low, high, self.n, self.chains)

    def standard_error(self) -> float | None:
        """The standard error of the mean, which is s / √n where each chain has one observation; None with fewer than two chains."""
        return math.sqrt(self._variance(self.total / self._weight)) if self.chains > 1 else None

    def proportion(self) -> Estimate | None:
        """The proportion with Wilson's interval over chains; None where there is no observation."""
        if not self.n:
            return None
        share = min(1.0, self.total / self._weight)
        if self.chains < 2:
            return Estimate(share, None, None, self.n, self.chains, 1)
        effective = self._effective(share)
        return Estimate(share, *wilson(share, effective), self.n, self.chains, effective)

    def _spread(self, mean: float) -> float:
        """Of the chains' totals around what their sizes expect, squared."""
        return max(0.0, self._squared_sums - 2 * mean * self._products + mean * mean * self._squared_sizes)

    def _even(self, mean: float) -> bool:
        """Whether the chains' means are all the same, but for the noise of the arithmetic."""
        return self._spread(mean) <= 1e-12 * (self._squared_sums + mean * mean * self._squared_sizes)

    def _variance(self, mean: float) -> float:
        """Variance of the mean."""
        return self._spread(mean) * self.chains / (self.chains - 1) / self._weight**2

    def _effective(self, share: float) -> float:
        """How many independent observations tell as much."""
        most = self._weight**2 / self._squared_weights  # n, where weights are equal
        if not 0 < share < 1:  # no spread to learn from: as if all rounds of a chain were one
            return self.chains * most / self.n
        variance = self._variance(share)
        found = min(most, 1 + share * (1 - share) / variance) if variance > 0 else most
        # the variance is known from so many chains only; 1 where every chain has one observation
        return max(1.0, found * (_t_quantile(self.n - 1) / _t_quantile(self.chains - 1)) ** 2)


def _t_quantile(freedom: int) -> float:
    from scipy.stats import t  # type: ignore[import-untyped]

    return float(t.ppf((1 + CONFIDENCE) / 2, freedom))


def wilson(share: float, n: float, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a proportion; `n` need not be whole, which is why no library's is used."""
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    scale = 1 + z * z / n
    middle = (share + z * z / (2 * n)) / scale
    half = z * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / scale
    # the ends of 0 and 1 are exact; the arithmetic misses them by a hair
    return (0.0 if share == 0 else max(0.0, middle - half)), (1.0 if share == 1 else min(1.0, middle + half))


def draw_shares(weights: Sequence[float], count: int) -> list[float]:
    """The share of rounds in which each principle is drawn, where each round draws `count` different ones by weight.

    Principles race, each with an exponential time of rate its weight, and the first `count` are drawn (`assignment.py`).
    So a principle is drawn if, at the moment it arrives, fewer than `count` others have; the moment is integrated out, by the
    trapezoid rule on its logarithm. There, each arrival is as smooth and as wide whatever its weight, and the rule converges
    exponentially: the shares are exact to about 12 digits, tiny ones too.

    Args:
        weights: greater than 0.
        count: how many are drawn at once, at most as many as there are weights.

    Returns:
        Shares between 0 and 1 that sum to `count`.
    """
    if count == 1:
        return [weight / sum(weights) for weight in weights]
    if count >= len(weights):
        return [1.0] * len(weights)
    import numpy as np

    step, logs = 0.25, np.log(weights)
    # before these moments nobody has arrived, after them everybody has
    moments = np.arange(-logs.max() - math.log(len(weights)) - 40, -logs.min() + 5, step)
    expected = np.exp(
        np.minimum(moments + logs[:, None], 7)
    )  # [principle, moment]: its weight times the moment
    later = np.exp(-expected)
    shares = []
    for index in range(len(weights)):
        # [k, moment]: probability that k others came first; more don't matter
        arrived = np.zeros((count, len(moments)))
        arrived[0] = 1.0
        for other in range(len(weights)):
            if other != index:
                sooner = -np.expm1(-expected[other])
                arrived[1:] = arrived[1:] * later[other] + arrived[:-1] * sooner
                arrived[0] *= later[other]
        density = expected[index] * later[index] * step  # of its own arrival, on the logarithm
        shares.append(min(1.0, float(arrived.sum(axis=0) @ density)))
    return shares
