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
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Index = int | NDArray[np.intp]

LEVEL = 0.05
"""A difference is called significant below this p-value; intervals hold 1 − this."""

ENOUGH_PROFILES, ENOUGH_GROUPS = 60, 20
"""With fewer a stated 5 % was seen to be up to 11 (``benchmarks/calibration.py``): CC is not linear
enough in few profiles, and sums of very skewed differences over few groups are not symmetric."""

RESAMPLES = 5_000
"""Random signs, unless there are so few groups that every combination can be tried."""

_BLOCK = 4_000_000
"""Signs in memory at a time."""

_PAIRS = 32
"""Pairs tested at a time: few enough that their flipped sums stay in a processor's cache."""

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

    @cached_property
    def seed_variance(self) -> tuple[float, int] | None:
        """Variance of the mean over seeds, and its degrees of freedom; None with one seed."""
        if len(self.scores) == 1:
            return None
        return float(np.var(self.scores, ddof=1)) / len(self.scores), len(self.scores) - 1


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
        sums = _sums(shares, numbers)
        columns = np.column_stack([sums, self.sizes])
        flipped = np.concatenate(
            [signs @ columns for signs in _signs(self.groups, resamples, seed)]
        )
        # A row for each method, each in one piece, or a big table takes ten times as long.
        self._sums = np.ascontiguousarray(sums.T)
        self._flipped, self._kept = np.ascontiguousarray(flipped[:, :-1].T), flipped[:, -1]
        known = [sample.seed_variance for sample in samples]
        self._has_seeds = np.array([one is not None for one in known])
        self._seed_variance, self._seed_freedom = np.array([one or (0.0, 1) for one in known]).T

    def score(self, one: int) -> Estimate:
        """A method's own score; its interval is over profiles and seeds."""
        return self._estimate(self._sums[one], self._flipped[one], [one])

    def difference(self, one: int, other: int) -> Estimate:
        """The score of one minus that of the other, with a two-sided p-value."""
        sums = self._sums[one] - self._sums[other]
        return self._estimate(sums, self._flipped[one] - self._flipped[other], [one, other])

    def p_value(self, one: int, other: int) -> float:
        """The p-value of the difference alone, which takes less time than the whole."""
        return float(self.p_values([one, other])[0])

    def p_values(self, methods: Sequence[int]) -> Vector:
        """P-values of the differences of all pairs, in the order of ``itertools.combinations``."""
        chosen = np.array(methods, dtype=np.intp)
        one, other = (chosen[at] for at in np.triu_indices(len(chosen), 1))
        blocks = [slice(start, start + _PAIRS) for start in range(0, len(one), _PAIRS)]
        return np.concatenate(
            [np.empty(0), *(self._p_values(one[some], other[some]) for some in blocks)]
        )

    def _p_values(self, one: NDArray[np.intp], other: NDArray[np.intp]) -> Vector:
        sums = self._sums[one] - self._sums[other]
        by_signs = _bound(sums)
        # The true signs are among the flipped: where the bound is below their share, it decides.
        open_ = by_signs > 1 / self._flipped.shape[1]
        flipped = self._flipped[one[open_]] - self._flipped[other[open_]]
        by_signs[open_] = np.minimum(by_signs[open_], _reached(sums[open_], flipped))
        return np.maximum(by_signs, _p_of_t(*self._over_seeds(sums, [one, other])))

    def _estimate(self, sums: Vector, flipped: Vector, methods: Sequence[int]) -> Estimate:
        low, high = self._limits(sums.sum(), flipped)
        row = sums[np.newaxis]
        over_seeds = self._over_seeds(row, methods)
        value, error, freedom = (float(x[0]) for x in over_seeds)
        reach = float(special.stdtrit(freedom, 1 - LEVEL / 2)) * error
        by_signs = min(_bound(row)[0], _reached(row, flipped[np.newaxis])[0])
        p = float(max(by_signs, _p_of_t(*over_seeds)[0]))
        return Estimate(value, min(low, value - reach), max(high, value + reach), p)

    def _over_seeds(
        self, sums: Matrix, methods: Sequence[Index]
    ) -> tuple[Vector, Vector, Vector]:  # fmt: skip
        """Values, their standard errors over groups and seeds, and the degrees of freedom.

        The error is 0 where nothing is known of other seeds: no test over them is made.
        """
        value = sums.sum(axis=-1) / self.profiles
        groups = self._group_variance(sums, value)
        variance = groups + sum(self._seed_variance[at] for at in methods)
        squares = groups**2 / max(self.groups - 1, 1) + sum(
            self._seed_variance[at] ** 2 / self._seed_freedom[at] for at in methods
        )
        known = np.any([np.broadcast_to(self._has_seeds[at], len(sums)) for at in methods], axis=0)
        freedom = np.divide(variance**2, squares, out=np.ones_like(squares), where=squares > 0)
        return value, np.where(known, np.sqrt(variance), 0.0), freedom

    def _group_variance(self, sums: Matrix, value: Vector) -> Vector:
        """Variance of each mean over groups; 0 with one group, of which none is known."""
        if self.groups == 1:
            return np.zeros(len(sums))
        spread: Vector = np.square(sums - value[:, np.newaxis] * self.sizes).sum(axis=-1)
        return spread * (self.groups / (self.groups - 1) / self.profiles**2)

    def _limits(self, total: float, flipped: Vector) -> tuple[float, float]:
        """Differences δ for which more than LEVEL of the flips are as far out as the truth.

        |flipped − δ kept| ≥ |total − δ profiles| holds for δ between two roots, one on each side
        of the estimate, so the limits are order statistics of the roots.
        """
        against, along = self._moved
        least, most = (total - flipped) / against, (total + flipped) / along
        low, high = np.minimum(least, most), np.maximum(least, most)
        low[self._unmoved], high[self._unmoved] = -np.inf, np.inf
        at = int(LEVEL * len(flipped))
        return float(np.partition(low, at)[at]), float(-np.partition(-high, at)[at])

    @cached_property
    def _unmoved(self) -> NDArray[np.bool_]:
        """Which signs say nothing of an interval: all groups keep theirs, or all lose it."""
        return np.asarray(abs(self._kept) == self.profiles)

    @cached_property
    def _moved(self) -> tuple[Vector, Vector]:
        """How many profiles lose their sign, and keep it, twice; 1 where nothing moves."""
        against, along = self.profiles - self._kept, self.profiles + self._kept
        return np.where(self._unmoved, 1.0, against), np.where(self._unmoved, 1.0, along)


def seed_interval(scores: Sequence[float]) -> tuple[float, float] | None:
    """The 95 % t interval of a score over seeds alone; None with fewer than two."""
    if len(scores) < 2:  # noqa: PLR2004
        return None
    error = np.std(scores, ddof=1) / len(scores) ** 0.5
    reach = float(special.stdtrit(len(scores) - 1, 1 - LEVEL / 2) * error)
    mean = float(np.mean(scores))
    return mean - reach, mean + reach


def smallest_p(groups: int) -> float:
    """The least p-value that signs of so few groups can give."""
    return float(0.5 ** (groups - 1))


def rough(profiles: int, groups: int | None) -> str:
    """A warning where calibration found p-values to be no more than rough; else nothing."""
    if profiles >= ENOUGH_PROFILES and (groups is None or groups >= ENOUGH_GROUPS):
        return ""
    return (
        f"with fewer than {ENOUGH_PROFILES} profiles or {ENOUGH_GROUPS} groups p-values are rough, "
        "see docs/explanation/statistics.md"
    )


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


def _reached(sums: Matrix, flipped: Matrix) -> Vector:
    """For each row, the share of flipped sums that are as far from 0 as the true one."""
    total = abs(sums.sum(axis=-1, keepdims=True))
    share: Vector = np.mean(np.abs(flipped) >= total * _TIE, axis=-1)
    return share


def _bound(sums: Matrix) -> Vector:
    """What the p-value of each row cannot exceed: sharper than any share far out."""
    total, length = abs(sums.sum(axis=-1)), np.linalg.norm(sums, axis=-1)
    far = np.divide(total, length, out=np.zeros_like(total), where=length > 0)
    return np.where(length > 0, _TAIL * 2 * special.ndtr(-far), 1.0)


def _p_of_t(value: Vector, error: Vector, freedom: Vector) -> Vector:
    """Two-sided p-values of t tests; 0 where nothing is known of the error."""
    far = np.divide(abs(value), error, out=np.zeros_like(error), where=error > 0)
    return np.where(error > 0, 2 * special.stdtr(freedom, -far), 0.0)
