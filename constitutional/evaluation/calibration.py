"""Is a label of 0.7 right in 70 % of cases? Reliability, expected calibration error, and what it would be by chance alone.

Which response stands first is arbitrary, so every comparison counts in both orientations, as (p, h) and as (1 - p, 1 - h), each with half
its weight; a label of exactly ½ then stands in both middle bins. Preferences, which always have p ≥ ½ and say nothing of what
people chose, would not do. The lower half of the diagram mirrors the upper, which is therefore computed alone.

The ECE (Naeini et al. 2015; Guo et al. 2017) is the weighted mean over ten bins of equal width of |mean label - mean human
judgement|. It can't be negative, so that chance only adds to it: a perfectly calibrated judge shows an ECE of about
√(bins / n) / 3. Beside it stands therefore what a calibrated judge with the same labels would show. For the same reason the usual bootstrap
intervals are wrong: for a calibrated judge, the percentile interval never contains the truth (simulated). Ours does not fail more often than it
says: it goes down from the ECE by what chance alone can add to it (97.5 % of resamples), and up to the 97.5 % quantile of resamples.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from constitutional.assignment import request_seed
from constitutional.estimates import CONFIDENCE, Estimate
from constitutional.evaluation.judged import Judged, tally, to_row

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

HALF_BINS = 5
"""Bins of the upper half; there are as many below ½."""
RESAMPLES = 2000
_CELLS = 4_000_000
"""Numbers that are held at once while simulating."""


@dataclass(frozen=True, slots=True)
class Bin:
    """One bin of a reliability diagram, over labels in both orientations.

    Attributes:
        low: its lower end.
        high: its upper end. An end belongs to the bin that is further from ½.
        n: comparisons with a label in it, in either orientation; the mirror image of a bin has the same ones.
        predicted: their mean label, in the orientation that is in the bin; None of an empty bin.
        human: people's mean judgement of them, in the same orientation, with its interval; None of an empty bin.
    """

    low: float
    high: float
    n: int
    predicted: float | None
    human: Estimate | None

    def to_row(self) -> dict[str, Any]:
        """The bin as JSON has it."""
        return dict(to_row(self))

    def mirrored(self) -> Bin:
        """The same comparisons in the other orientation."""
        human = self.human
        if human is not None:
            low, high = (None if end is None else 1.0 - end for end in (human.high, human.low))
            human = Estimate(1.0 - human.value, low, high, human.n, human.chains, human.effective)
        predicted = None if self.predicted is None else 1.0 - self.predicted
        return Bin(round(1.0 - self.high, 12), round(1.0 - self.low, 12), self.n, predicted, human)


@dataclass(frozen=True, slots=True)
class ByChance:
    """The ECE that a perfectly calibrated judge with the same labels would show on as many comparisons.

    People are simulated, each comparison by itself. Where several share a cluster their errors go together and add up to more, so
    that the spread of resampled clusters counts where it is larger.

    Attributes:
        mean: of it.
        high: 95 % are below.
        p: how often it is at least the ECE that was found: small where miscalibration is more than chance.
    """

    mean: float
    high: float
    p: float

    def at_least(self, other: ByChance) -> ByChance:
        """The larger of each."""
        return ByChance(max(self.mean, other.mean), max(self.high, other.high), max(self.p, other.p))


@dataclass(frozen=True, slots=True)
class Calibration:
    """How well labels are calibrated.

    Attributes:
        ece: the expected calibration error, with its interval.
        by_chance: what it would be for a calibrated judge.
        bins: all ten, from 0 to 1.
        overconfidence: mean of max(p, 1 - p) less how often people agree with the label: above 0 where it is too sure.
    """

    ece: Estimate
    by_chance: ByChance
    bins: tuple[Bin, ...]
    overconfidence: Estimate


@dataclass(frozen=True)
class Folded:
    """Labelled comparisons in the orientation in which the label is at least ½.

    Attributes:
        judged: the comparisons.
        q: labels.
        g: people's judgements in the same orientation; ½ where the label is ½, for it has both orientations.
        places: of each one's bin, from 0 at ½.
    """

    judged: Sequence[Judged]
    q: list[float]
    g: list[float]
    places: list[int]


def fold(judged: Sequence[Judged]) -> Folded:
    """Turn comparisons that all have a label so that it is at least ½."""
    q, g, places = [], [], []
    for one in judged:
        assert one.probability is not None
        q.append(max(one.probability, 1.0 - one.probability))
        g.append(0.5 if q[-1] == 0.5 else one.human if one.probability > 0.5 else 1.0 - one.human)
        # 1 - p is not exact; without rounding, a label on an edge could change bins when a comparison is swapped
        places.append(min(HALF_BINS - 1, int(round((q[-1] - 0.5) * 2 * HALF_BINS, 9))))
    return Folded(judged, q, g, places)


def calibration(judged: Sequence[Judged], seed: int) -> Calibration | None:
    """How well labels are calibrated; None where there are none.

    Args:
        judged: comparisons with a label, sorted by id.
        seed: of resampling and of the simulated judge.
    """
    if not judged:
        return None
    folded = fold(judged)
    value, sums, sizes = ece_sums(folded)
    noise, upper_end = _noise(sums, sizes, seed) if len(sums) > 1 else (None, None)
    low, high = (
        (None, None)
        if noise is None or upper_end is None
        else (max(0.0, value - _quantile(noise, (1 + CONFIDENCE) / 2)), max(value, upper_end))
    )
    by_chance = _by_chance(folded, value, seed)
    if noise is not None and len(sums) < len(judged):
        by_chance = by_chance.at_least(_chance(noise, value))
    upper = [_bin(folded, place) for place in range(HALF_BINS)]
    overconfidence = tally((one, q - g) for one, q, g in zip(judged, folded.q, folded.g, strict=True)).mean()
    assert overconfidence is not None
    return Calibration(
        Estimate(value, low, high, len(judged), len(sums)),
        by_chance,
        (*(bin.mirrored() for bin in reversed(upper)), *upper),
        overconfidence,
    )


def ece_sums(folded: Folded) -> tuple[float, Floats, Floats]:
    """The ECE, and what it is made of.

    Returns:
        (ECE, [cluster, bin] weighted sums of label less human judgement, [cluster] sums of weights), clusters sorted.
    """
    import numpy as np

    units = {unit: row for row, unit in enumerate(sorted({one.unit for one in folded.judged}))}
    sums, sizes = np.zeros((len(units), HALF_BINS)), np.zeros(len(units))
    for one, q, g, place in zip(folded.judged, folded.q, folded.g, folded.places, strict=True):
        sums[units[one.unit], place] += one.weight * (q - g)
        sizes[units[one.unit]] += one.weight
    return float(np.abs(sums.sum(axis=0)).sum() / sizes.sum()), sums, sizes


def resampled(clusters: int, seed: int) -> Iterator[Floats]:
    """[resample, cluster] how often each cluster is in each of the bootstrap's resamples, some resamples at a time."""
    generator = _generator(seed, "resample")
    for size in _batches(clusters):
        yield generator.multinomial(clusters, [1 / clusters] * clusters, size=size).astype(float)


def _noise(sums: Floats, sizes: Floats, seed: int) -> tuple[Floats, float]:
    """What chance adds, see the module's docstring.

    Returns:
        ([resample] what chance alone makes of an ECE, upper end of the interval of the ECE)
    """
    import numpy as np

    gaps = np.concatenate(
        [(counts @ sums) / (counts @ sizes)[:, None] for counts in resampled(len(sums), seed)]
    )
    noise = np.abs(gaps - sums.sum(axis=0) / sizes.sum()).sum(axis=1)
    return noise, _quantile(np.abs(gaps).sum(axis=1), (1 + CONFIDENCE) / 2)


def _quantile(drawn: Floats, share: float) -> float:
    import numpy as np

    return float(np.quantile(drawn, share))


def _chance(eces: Floats, found: float) -> ByChance:
    """What draws of an ECE by chance say of the one that was found."""
    reached = int((eces >= found - 1e-12).sum())
    return ByChance(float(eces.mean()), _quantile(eces, 0.95), (reached + 1) / (len(eces) + 1))


def _batches(width: int) -> list[int]:
    """`RESAMPLES` in parts of which each, times `width`, fits into little memory."""
    most = max(1, _CELLS // width)
    return [min(most, RESAMPLES - done) for done in range(0, RESAMPLES, most)]


def _by_chance(folded: Folded, found: float, seed: int) -> ByChance:
    """Simulate people whose judgements are those that the labels promise, as noisy as the real ones."""
    import numpy as np

    q, weights = np.array(folded.q), np.array([one.weight for one in folded.judged])
    generator = _generator(seed, "calibrated")
    spread, places = _spread(folded), np.array(folded.places)
    inside = [places == place for place in range(HALF_BINS)]
    shown = []
    for size in _batches(len(q)):
        g = np.where(q == 0.5, 0.5, _people(q, spread, size, generator))
        missed = (q - g) * weights
        shown.append(sum(np.abs(missed[:, columns].sum(axis=1)) for columns in inside) / weights.sum())
    return _chance(np.concatenate(shown), found)


def _people(q: Floats, spread: float, draws: int, generator: np.random.Generator) -> Floats:
    """[draw, comparison] judgements of mean q and of `spread` times the variance that hard ones have: Beta, or 0 and 1."""
    import numpy as np

    size = (draws, len(q))
    if spread >= 1:
        return (generator.random(size) < q).astype(float)
    if spread <= 0:
        return np.broadcast_to(q, size)
    concentration, middle = 1 / spread - 1, np.minimum(q, 1 - 1e-9)
    return generator.beta(concentration * middle, concentration * (1 - middle), size)


def _spread(folded: Folded) -> float:
    """Variance of people's judgements around their bin's mean, by that of hard ones: 1 where all are 0 or 1, less for votes."""
    if all(one.human in (0.0, 1.0) for one in folded.judged):
        return 1.0
    within = possible = 0.0
    for place in range(HALF_BINS):
        found = [
            (one.weight, g)
            for one, g, q, at in zip(folded.judged, folded.g, folded.q, folded.places, strict=True)
            if at == place and q != 0.5
        ]
        if len(found) < 2:
            continue
        total = sum(weight for weight, _ in found)
        middle = sum(weight * g for weight, g in found) / total
        within += sum(weight * (g - middle) ** 2 for weight, g in found) * len(found) / (len(found) - 1)
        possible += total * middle * (1 - middle)
    return min(1.0, within / possible) if possible else 1.0


def _bin(folded: Folded, place: int) -> Bin:
    inside = [index for index, at in enumerate(folded.places) if at == place]
    ends = (0.5 + place / (2 * HALF_BINS), 0.5 + (place + 1) / (2 * HALF_BINS))
    low, high = (round(end, 12) for end in ends)
    if not inside:
        return Bin(low, high, 0, None, None)
    weights = [folded.judged[index].weight for index in inside]
    predicted = sum(w * folded.q[index] for w, index in zip(weights, inside, strict=True)) / sum(weights)
    human = tally((folded.judged[index], folded.g[index]) for index in inside).proportion()
    return Bin(low, high, len(inside), predicted, human)


def _generator(seed: int, step: str) -> np.random.Generator:
    import numpy as np

    return np.random.default_rng(request_seed(seed, "audit", "", step))
