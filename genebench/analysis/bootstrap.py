"""Paired comparison of methods over test profiles: a wild bootstrap of whole groups.

Every method is scored on the same profiles, so what is resampled is their *differences*, profile by
profile. Profiles of one group (series, donor) resemble each other, so a group's differences are
taken together: their sum S_g gets one random sign, and the test asks how often a table with random
signs is as far from 0 as the true one. That is the wild cluster bootstrap with Rademacher weights
and the null imposed (Cameron, Gelbach & Miller 2008), and at once the sign-flip test of the group
sums: exact when these are symmetric about 0 under the null, however few the groups are and however
unequal their sizes. The percentile bootstrap that resamples groups is not: with ten of them it
rejects a true null twice as often as it says (``benchmarks/calibration.py``).

The interval is the set of differences that the same test does not reject, so that interval and
p-value never contradict each other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]

LEVEL = 0.05
"""A difference is called significant below this p-value; intervals hold 1 − this."""

RESAMPLES = 5_000
"""Random signs, unless there are so few groups that every combination can be tried."""

_BLOCK = 4_000_000
"""Signs in memory at a time."""

_TAIL = 3.18
"""P(|Σ ε a| ≥ x ‖a‖) ≤ this × P(|Z| ≥ x) for random signs ε (Bentkus & Dzindzalieta 2015)."""

_TIE = 1 - 1e-9
"""Sums that are equal but for rounding are equal."""


class Estimate(NamedTuple):
    """A value, the limits of its 95 % interval (infinite when nothing can be said), its p-value."""

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class Sample:
    """One method's score, as a mean over test profiles and over seeds.

    Attributes:
        shares: one value per test profile, averaged over seeds; their mean is the score.
        scores: the score of each seed; one where the method was run once.
    """

    shares: Vector
    scores: tuple[float, ...]

    @property
    def seed_variance(self) -> tuple[float, int] | None:
        """Variance of the mean over seeds, and its degrees of freedom; None with one seed."""
        if len(self.scores) == 1:
            return None
        return float(stats.sem(self.scores)) ** 2, len(self.scores) - 1


class PairedBootstrap:
    """Methods scored on the same test profiles, resampled together.

    Signs are drawn for whole groups, the same for all methods. A method with several seeds has a
    second level: other seeds would have given other scores. Then the difference must pass a t test
    too, in which the variances over groups of profiles and over each method's seeds add up
    (degrees of freedom after Satterthwaite, as in Welch's test). What seeds and profiles do jointly
    is in both variances, so that the test errs on the careful side, as does Owen's pigeonhole
    bootstrap (2007); it can only widen what the first level says. With one seed nothing is known
    of others, and the test is about that fit.

    Args:
        samples: one for each method; ``shares`` are of the same profiles.
        groups: label of each profile's group; the empty label is a group of its own.
        resamples: how many signs to draw.
        seed: of the signs.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        groups: NDArray[np.str_],
        *,
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> None:
        numbers = group_numbers(groups)
        self.profiles = len(numbers)
        self.sizes = np.bincount(numbers).astype(np.float64)
        self.groups = len(self.sizes)
        shares = np.column_stack([sample.shares for sample in samples])
        self._sums = np.asfortranarray(_sums(shares, numbers))
        columns = np.column_stack([self._sums, self.sizes])
        flipped = np.concatenate(
            [signs @ columns for signs in _signs(self.groups, resamples, seed)]
        )
        # A pair of methods is two columns: each in one piece, or a big table takes ten times
        # as long.
        self._flipped, self._kept = np.asfortranarray(flipped[:, :-1]), flipped[:, -1]
        self._samples = tuple(samples)

    def score(self, one: int) -> Estimate:
        """A method's own score; its interval is over profiles and seeds."""
        return self._estimate(self._sums[:, one], self._flipped[:, one], [self._samples[one]])

    def difference(self, one: int, other: int) -> Estimate:
        """The score of one minus that of the other, with a two-sided p-value."""
        return self._estimate(*self._between(one, other))

    def p_value(self, one: int, other: int) -> float:
        """The p-value of the difference alone, which takes less time than the whole."""
        sums, flipped, samples = self._between(one, other)
        return max(_p_value(sums, flipped), self._over_seeds(sums, samples).p)

    def _between(self, one: int, other: int) -> tuple[Vector, Vector, list[Sample]]:
        sums = self._sums[:, one] - self._sums[:, other]
        flipped = self._flipped[:, one] - self._flipped[:, other]
        return sums, flipped, [self._samples[one], self._samples[other]]

    def _estimate(self, sums: Vector, flipped: Vector, samples: Sequence[Sample]) -> Estimate:
        low, high = self._limits(sums.sum(), flipped)
        seeds = self._over_seeds(sums, samples)
        p = max(_p_value(sums, flipped), seeds.p)
        return Estimate(seeds.value, min(low, seeds.low), max(high, seeds.high), p)

    def _over_seeds(self, sums: Vector, samples: Sequence[Sample]) -> Estimate:
        """What the t test over groups and seeds says; nothing is in doubt where seeds are not."""
        value = float(sums.sum() / self.profiles)
        seeds = [known for sample in samples if (known := sample.seed_variance)]
        parts = [*seeds, *self._group_variance(sums, value)] if seeds else []
        variance = sum(part for part, _ in parts)
        if variance == 0:
            return Estimate(value, value, value, 0.0)
        freedom = variance**2 / sum(part**2 / free for part, free in parts)
        error = variance**0.5
        reach = float(stats.t.isf(LEVEL / 2, freedom)) * error
        p = float(2 * stats.t.sf(abs(value) / error, freedom))
        return Estimate(value, value - reach, value + reach, p)

    def _group_variance(self, sums: Vector, value: float) -> list[tuple[float, int]]:
        """Variance of the mean over groups, and its degrees of freedom; none with one group."""
        if self.groups == 1:
            return []
        spread = float(np.square(sums - value * self.sizes).sum())
        scale = self.groups / (self.groups - 1) / self.profiles**2
        return [(spread * scale, self.groups - 1)]

    def _limits(self, total: float, flipped: Vector) -> tuple[float, float]:
        """Differences δ for which more than LEVEL of the flips are as far out as the truth.

        |flipped − δ kept| ≥ |total − δ profiles| holds for δ between two roots, one on each side
        of the estimate, so the limits are order statistics of the roots.
        """
        against, along = self.profiles - self._kept, self.profiles + self._kept
        unmoved = (against == 0) | (along == 0)
        safe = np.where(unmoved, 1.0, against), np.where(unmoved, 1.0, along)
        roots = np.stack([(total - flipped) / safe[0], (total + flipped) / safe[1]])
        low = np.where(unmoved, -np.inf, roots.min(axis=0))
        high = np.where(unmoved, np.inf, roots.max(axis=0))
        at = int(LEVEL * len(flipped))
        return float(np.partition(low, at)[at]), float(-np.partition(-high, at)[at])


def seed_interval(scores: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % t interval of a score over seeds alone; None with one seed."""
    if len(scores) == 1:
        return None
    reach = float(stats.t.isf(LEVEL / 2, len(scores) - 1) * stats.sem(scores))
    mean = float(np.mean(scores))
    return mean - reach, mean + reach


def smallest_p(groups: int) -> float:
    """The least p-value that signs of so few groups can give."""
    return float(0.5 ** (groups - 1))


def group_numbers(groups: NDArray[np.str_]) -> NDArray[np.intp]:
    """Number of each profile's group, from 0; profiles without a label are groups by themselves."""
    _, numbers = np.unique(groups, return_inverse=True)
    alone = groups == ""
    numbers[alone] = numbers.max(initial=0) + 1 + np.arange(alone.sum())
    return np.unique(numbers, return_inverse=True)[1]


def _sums(shares: Matrix, numbers: NDArray[np.intp]) -> Matrix:
    """Sums over the profiles of each group: groups × methods."""
    return np.column_stack([np.bincount(numbers, weights=column) for column in shares.T])


def _signs(groups: int, resamples: int, seed: int) -> Iterator[Matrix]:
    """Rows of signs, the true ones first; every one (up to mirror images) if they are few."""
    if groups <= resamples.bit_length():
        bits = np.arange(2 ** (groups - 1))[:, np.newaxis] >> np.arange(groups) & 1
        yield (1 - 2 * bits).astype(np.float64)
        return
    yield np.ones((1, groups))
    random = np.random.default_rng(seed)
    rows = max(1, _BLOCK // groups)
    for start in range(1, resamples, rows):
        size = (min(rows, resamples - start), groups)
        yield random.integers(0, 2, size, dtype=np.int8) * np.float64(2) - 1


def _p_value(sums: Vector, flipped: Vector) -> float:
    total, length = abs(sums.sum()), np.linalg.norm(sums)
    reached = np.mean(np.abs(flipped) >= total * _TIE)
    # Far out, where no random sign ever gets, a bound is sharper than 1 / resamples.
    bound = _TAIL * 2 * special.ndtr(-total / length) if length else 1.0
    return float(min(reached, bound))
