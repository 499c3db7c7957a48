"""Paired comparison of methods over test profiles: a wild bootstrap of whole groups.

All methods are scored on the same profiles, so their *differences* are resampled. Let d_i be the
difference of two methods in profile i, and n the number of profiles. Profiles of one group (a GEO
series, a donor) resemble each other, so their differences are added: ``S_g = Σ_{i in g} d_i``. Each
sum gets one random sign ε_g = ±1. The p-value is the share of draws with

    |Σ_g ε_g S_g| ≥ |Σ_g S_g|,

where the true signs are one of the draws. A difference beyond the reach of the draws has a proven
bound instead (:data:`_TAIL`). This is the wild cluster bootstrap with Rademacher
weights and the null imposed (Cameron, Gelbach & Miller 2008, Review of Economics and Statistics 90,
414–427). It is also the sign-flip test of the group sums. The test is exact if the sums are
symmetric about 0 under the null, for any number and sizes of groups. The percentile bootstrap of
groups is not: with ten groups it rejects a true null twice as often as stated
(``benchmarks/calibration.py``).

The interval is the set of differences that the same test does not reject, so that interval and
p-value never contradict each other.

Many differences are tested together by :meth:`PairedBootstrap.step_down`. Its statistic is the
studentised difference ``T = |Σ_g S_g| / ‖S − d n‖``, for the mean difference d and groups of n_g
profiles. The same signs flip all differences at once, so that the largest T of a draw shows how far
chance alone reaches among them all (Westfall & Young 1993; Romano & Wolf 2005, Econometrica 73,
1237–1282). Reasons and error rates are in ``docs/explanation/statistics.md``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Index = int | NDArray[np.intp]
"""One method, or one method of each of several pairs, by its position among the samples."""

SIGNIFICANCE_LEVEL = 0.05
"""Largest p-value of a significant difference. Intervals have the confidence 1 − this level."""

ENOUGH_PROFILES, ENOUGH_GROUPS = 60, 20
"""Numbers from which error rates were found to be near the stated 5 %.

With fewer the rate was up to 11 % (``benchmarks/calibration.py``). CC is not linear enough in few
profiles, and sums of very skewed differences over few groups are not symmetric."""

RESAMPLES = 5_000
"""Draws of random signs. If 2 to the power groups − 1 is smaller, all combinations are used."""

_SIGNS_IN_MEMORY = 4_000_000
"""Signs drawn at a time: 32 MB in float64."""

_PAIRS_AT_ONCE = 32
"""Pairs tested at a time: few enough that their flipped sums stay in a processor's cache."""

_TAIL = 3.18
"""Constant of a proven bound: ``P(|Σ ε a| ≥ x ‖a‖) ≤ 3.18 P(|Z| ≥ x)`` for random signs ε and a
standard normal Z (Bentkus & Dzindzalieta 2015, Bernoulli 21, 1231–1237)."""

_TIE = 1 - 1e-9
"""Factor below 1, so that sums that are equal but for rounding count as equal."""

_ROUNDING = 1e-12
"""Share of a sum of squares that may be rounding."""

_LEAST_P = 1e-300
"""P-value whose quantile is still finite."""


class Estimate(NamedTuple):
    """An estimate with its 95 % interval and two-sided p-value.

    A limit is infinite if there are too few groups to give one.
    """

    value: float
    low: float
    high: float
    p: float


class Family(NamedTuple):
    """Differences that were tested together.

    Attributes:
        p: p-value of each difference, adjusted for all of them.
        critical: the value that T exceeds in 5 % of the draws, for some difference of the family.
            It is infinite if there are too few groups to reject any.
    """

    p: Vector
    critical: float


@dataclass(frozen=True)
class Sample:
    """One method's score, as a mean over test profiles and over seeds.

    Attributes:
        shares: one value per test profile, averaged over seeds. Their mean is the score.
        scores: the score of each seed.
    """

    shares: Vector
    scores: tuple[float, ...]

    @cached_property
    def seed_variance(self) -> tuple[float, int] | None:
        """Variance of the mean over seeds, and its degrees of freedom. None with one seed."""
        if len(self.scores) == 1:
            return None
        return float(np.var(self.scores, ddof=1)) / len(self.scores), len(self.scores) - 1


class Folds(NamedTuple):
    """Folds or repeats of a split, whose training profiles overlap.

    Attributes:
        of: number of the fold of each test profile, from 0 on. Their shares are weighted so that
            the mean over all is the mean over folds.
        overlap: number of test profiles of a fold, divided by that of its training profiles.
    """

    of: NDArray[np.intp]
    overlap: float


class PairedBootstrap:
    """Methods scored on the same test profiles, resampled together.

    Signs are drawn for whole groups, the same for all methods. Several seeds of a method are a
    second level of chance: other seeds would have given other scores. The difference must then pass
    a t test too. Its variance is the sum of the variances over groups of profiles and over each
    method's seeds, with degrees of freedom after Satterthwaite, as in Welch's test. The joint
    effect of seeds and profiles is part of both variances. The test is therefore conservative, as
    is the pigeonhole bootstrap (Owen 2007), and can only widen the interval of the first level.
    With one seed the test is about that fit.

    Folds and repeats of a split add a third test, which the difference must pass, too: the
    corrected resampled t test of Nadeau & Bengio (2003, Machine Learning 52, 239–281). Let D_k be
    the difference in fold k of K. The variance of their mean is taken as ``(1 / K + overlap)
    var(D)`` with K − 1 degrees of freedom, because training sets that overlap give results that
    resemble each other.

    Args:
        samples: one for each method. All ``shares`` are of the same profiles, in the same order.
        groups: label of each profile's group. A profile with an empty label is its own group.
        folds: folds of the profiles, if there are several.
        resamples: number of draws of signs.
        seed: seed of the draws.
    """

    def __init__(
        self,
        samples: Sequence[Sample],
        groups: NDArray[np.str_],
        *,
        folds: Folds | None = None,
        resamples: int = RESAMPLES,
        seed: int = 0,
    ) -> None:
        numbers = group_numbers(groups)
        self.profiles = len(numbers)
        self.sizes = np.bincount(numbers).astype(np.float64)
        self.groups = len(self.sizes)
        # Sums over the profiles of each group: groups × methods.
        sums: Matrix = np.column_stack(
            [np.bincount(numbers, weights=sample.shares) for sample in samples]
        )
        # Group sizes are one more column: their flipped sum counts profiles that keep their sign.
        # Sums times sizes are part of the deviation that a difference is studentised by.
        columns = np.column_stack([sums, sums * self.sizes[:, np.newaxis], self.sizes])
        flipped = np.concatenate(
            [signs @ columns for signs in _signs(self.groups, resamples, seed)]
        )
        # One contiguous row for each method: differences of rows are taken for every pair, and
        # strided rows make a big table ten times as slow.
        self._sums = np.ascontiguousarray(sums.T)
        self._flipped, self._weighted = np.ascontiguousarray(flipped[:, :-1].T).reshape(
            2, len(samples), -1
        )
        self._kept = flipped[:, -1]
        self._overlap = 0.0
        self._fold_means: Matrix | None = None
        if folds is not None:
            weight = (int(folds.of.max()) + 1) / len(numbers)
            self._overlap = folds.overlap
            self._fold_means = np.stack(
                [np.bincount(folds.of, sample.shares) * weight for sample in samples]
            )
        seed_variances = [sample.seed_variance for sample in samples]
        self._has_seeds = np.array([variance is not None for variance in seed_variances])
        self._seed_variance, self._seed_freedom = np.array(
            [variance or (0.0, 1) for variance in seed_variances]
        ).T

    def score(self, method: int) -> Estimate:
        """Return a method's own score. Its interval is over profiles and seeds."""
        return self._estimate(self._sums[method], self._flipped[method], [method])

    def difference(self, a: int, b: int) -> Estimate:
        """Return the score of ``a`` minus that of ``b``, with a two-sided p-value."""
        sums = self._sums[a] - self._sums[b]
        return self._estimate(sums, self._flipped[a] - self._flipped[b], [a, b])

    def p_value(self, a: int, b: int) -> float:
        """Return the p-value of a difference. This is faster than :meth:`difference`."""
        return float(self.p_values([a, b])[0])

    def p_values(self, methods: Sequence[int]) -> Vector:
        """Return p-values of all pairs, in the order of ``itertools.combinations``."""
        positions = np.array(methods, dtype=np.intp)
        a, b = (positions[index] for index in np.triu_indices(len(positions), 1))
        blocks = [
            slice(start, start + _PAIRS_AT_ONCE) for start in range(0, len(a), _PAIRS_AT_ONCE)
        ]
        return np.concatenate(
            [np.empty(0), *(self._p_values(a[pairs], b[pairs]) for pairs in blocks)]
        )

    def step_down(self, a: NDArray[np.intp], b: NDArray[np.intp]) -> Family:
        """Test the differences of ``a[i]`` and ``b[i]`` together, by a step-down of the largest T.

        The probability of any false difference is 5 %. A difference is rejected if at most 5 % of
        the draws have a T as large, for it or any difference with a smaller T, and if those with a
        larger T are rejected. With several seeds, T is no larger than their t test allows.
        """
        starts = range(0, len(a), _PAIRS_AT_ONCE)
        blocks = [slice(start, start + _PAIRS_AT_ONCE) for start in starts]
        parts = [self._studentised(a[block], b[block]) for block in blocks]
        observed, squares = np.concatenate([np.empty((2, 0)), *parts], axis=1)
        draws = self._flipped.shape[1]
        allowed = int(SIGNIFICANCE_LEVEL * draws)
        adjusted, largest = np.empty(len(a)), np.zeros(draws)
        totals, deviation = np.empty((2, draws))
        # With t = d √(n·n) and u = Σ S_g n_g / √(n·n), T² is t² / (Σ S_g² + t (t − 2 u)), but for
        # the factor p² / (n·n) of p profiles. Each draw of t, and of t − 2 u, is that of one method
        # less that of the other.
        size = float(self.sizes @ self.sizes) ** 0.5
        scaled = self._flipped * (size / self.profiles)
        rest = scaled - self._weighted * (2 / size)
        to_reach = np.square(observed * (size / self.profiles)) * _TIE
        order = np.argsort(observed, kind="stable")
        # One pair at a time, in place: its draws stay in a processor's cache.
        for pair in order.tolist():
            # Methods that never differ have T = 0.
            if squares[pair] > 0:
                np.subtract(scaled[a[pair]], scaled[b[pair]], out=totals)
                np.subtract(rest[a[pair]], rest[b[pair]], out=deviation)
                deviation *= totals
                deviation += squares[pair]
                np.maximum(deviation, _ROUNDING * squares[pair], out=deviation)
                totals *= totals
                totals /= deviation
                # The largest T² of each draw among this difference and those with a smaller T.
                np.maximum(totals, largest, out=largest)
            adjusted[pair] = np.count_nonzero(largest >= to_reach[pair])
        largest *= (self.profiles / size) ** 2
        # The largest T of all differences, and not of those that remain tied: methods that predict
        # alike would leave an interval of no width to every other method. A T that equals one of
        # the draws counts as reached, so the interval must not end beyond it by rounding.
        critical = np.inf
        if allowed:
            critical = float(-np.partition(-largest, allowed)[allowed]) ** 0.5 / _TIE
        # The true signs are one of the draws, whatever rounding makes of them.
        adjusted = np.maximum(adjusted, 1) / draws
        # No difference is rejected before one with a larger T.
        adjusted[order] = np.maximum.accumulate(adjusted[order][::-1])[::-1]
        return Family(adjusted, critical)

    def limits(self, a: int, b: int, critical: float) -> tuple[float, float]:
        """Return the differences at which T is ``critical``. They hold for all pairs at once.

        A difference whose interval is beyond 0 is rejected by :meth:`step_down`. The reverse need
        not hold, because its later steps are less strict. Seeds can only widen the interval
        ``d ± critical ‖S − d n‖ / n``.
        """
        from scipy import special

        pair = np.array([a]), np.array([b])
        sums = self._sums[pair[0]] - self._sums[pair[1]]
        value = float(sums.sum()) / self.profiles
        if not np.isfinite(critical):
            return -np.inf, np.inf
        total, weighted = sums.sum(axis=-1), sums @ self.sizes
        deviation = self._deviation(total, weighted, np.square(sums).sum(axis=-1))
        t = critical * self._to_t
        level = float(special.stdtr(self._freedom, t))
        by_t = [
            float(special.stdtrit(freedom, level)[0] * error[0])
            for _, error, freedom in self._t_tests(sums, pair)
        ]
        half_width = max(critical * float(deviation[0]) ** 0.5 / self.profiles, *by_t)
        return value - half_width, value + half_width

    @property
    def _freedom(self) -> int:
        """Degrees of freedom of a variance over groups."""
        return max(self.groups - 1, 1)

    @property
    def _to_t(self) -> float:
        """Factor that turns T into a t statistic with the cluster-robust variance."""
        return float((self._freedom / self.groups) ** 0.5)

    def _deviation(self, totals: Matrix, weighted: Matrix, squares: Matrix) -> Matrix:
        """Return ``‖S − d n‖²``, from ``Σ S_g``, ``Σ S_g n_g`` and ``Σ S_g²``."""
        means = totals / self.profiles
        deviation = squares - 2 * means * weighted + np.square(means) * (self.sizes @ self.sizes)
        return np.maximum(deviation, _ROUNDING * squares)

    def _squared(self, totals: Matrix, weighted: Matrix, squares: Matrix) -> Matrix:
        """Return T², which is 0 for methods that never differ."""
        deviation = self._deviation(totals, weighted, squares)
        return np.divide(
            np.square(totals), deviation, out=np.zeros_like(totals), where=deviation > 0
        )

    def _studentised(self, a: NDArray[np.intp], b: NDArray[np.intp]) -> Matrix:
        """Return T and ``Σ S_g²`` of pairs: 2 × pairs."""
        from scipy import special

        sums = self._sums[a] - self._sums[b]
        squares = np.square(sums).sum(axis=-1)
        by_groups = self._squared(sums.sum(axis=-1), sums @ self.sizes, squares) ** 0.5
        p = self._p_of_t_tests(sums, [a, b])
        by_seeds = -special.stdtrit(self._freedom, np.maximum(p, _LEAST_P) / 2) / self._to_t
        # Where each method has one seed, p is 0.
        return np.stack([np.where(p > 0, np.minimum(by_groups, by_seeds), by_groups), squares])

    def _p_values(self, a: NDArray[np.intp], b: NDArray[np.intp]) -> Vector:
        """Return the p-value of each pair of ``a[i]`` and ``b[i]``."""
        sums = self._sums[a] - self._sums[b]
        by_signs = _bound(sums)
        # The true signs are one of the draws, so no share is below 1 / draws. Where the bound is,
        # it is the p-value, and the draws need not be looked at.
        undecided = by_signs > 1 / self._flipped.shape[1]
        flipped = self._flipped[a[undecided]] - self._flipped[b[undecided]]
        shares = _share_reached(sums[undecided], flipped)
        by_signs[undecided] = np.minimum(by_signs[undecided], shares)
        return np.maximum(by_signs, self._p_of_t_tests(sums, [a, b]))

    def _estimate(self, sums: Vector, flipped: Vector, methods: Sequence[int]) -> Estimate:
        """Return the estimate of a mean from its sums over groups, and its flipped totals."""
        from scipy import special

        low, high = self._limits(sums.sum(), flipped)
        row = sums[np.newaxis]
        value = float(sums.sum()) / self.profiles
        half_width = max(
            float(special.stdtrit(freedom, 1 - SIGNIFICANCE_LEVEL / 2)[0] * error[0])
            for _, error, freedom in self._t_tests(row, methods)
        )
        by_signs = min(_bound(row)[0], _share_reached(row, flipped[np.newaxis])[0])
        # The difference must pass all tests: the largest p-value, and the widest interval.
        p = float(max(by_signs, self._p_of_t_tests(row, methods)[0]))
        return Estimate(value, min(low, value - half_width), max(high, value + half_width), p)

    def _t_tests(
        self, sums: Matrix, methods: Sequence[Index]
    ) -> list[tuple[Vector, Vector, Vector]]:
        """Return means, standard errors and degrees of freedom for each t test to pass.

        An error is 0 where no test is made.
        """
        tests = [self._over_seeds(sums, methods)]
        if self._fold_means is not None:
            means = self._fold_means[methods[0]]
            if len(methods) > 1:
                means = means - self._fold_means[methods[1]]
            means = means.reshape(len(sums), -1)
            number = means.shape[1]
            error = np.sqrt((1 / number + self._overlap) * means.var(axis=1, ddof=1))
            tests.append((means.mean(axis=1), error, np.full(len(sums), number - 1.0)))
        return tests

    def _p_of_t_tests(self, sums: Matrix, methods: Sequence[Index]) -> Vector:
        """Return the largest p-value of the t tests, and 0 where none is made."""
        largest: Vector = np.max([_p_of_t(*test) for test in self._t_tests(sums, methods)], axis=0)
        return largest

    def _over_seeds(
        self, sums: Matrix, methods: Sequence[Index]
    ) -> tuple[Vector, Vector, Vector]:  # fmt: skip
        """Return means, their standard errors over groups and seeds, and degrees of freedom.

        The variance is ``V = V_groups + Σ_m V_m`` over the methods m. Its degrees of freedom are
        ``V² / (V_groups² / (G − 1) + Σ_m V_m² / (s_m − 1))`` for G groups and s_m seeds
        (Satterthwaite 1946). The error is 0 where each method has one seed: no test is made then.
        """
        value = sums.sum(axis=-1) / self.profiles
        groups = self._group_variance(sums, value)
        variance = groups + sum(self._seed_variance[method] for method in methods)
        squares = groups**2 / max(self.groups - 1, 1) + sum(
            self._seed_variance[method] ** 2 / self._seed_freedom[method] for method in methods
        )
        has_seeds = np.any(
            [np.broadcast_to(self._has_seeds[method], len(sums)) for method in methods], axis=0
        )
        freedom = np.divide(variance**2, squares, out=np.ones_like(squares), where=squares > 0)
        return value, np.where(has_seeds, np.sqrt(variance), 0.0), freedom

    def _group_variance(self, sums: Matrix, value: Vector) -> Vector:
        """Return the variance of each mean over groups, 0 with a single group.

        This is the cluster-robust variance ``G / (G − 1) Σ_g (S_g − n_g mean)² / n²`` for G groups
        of n_g profiles, n in all.
        """
        if self.groups == 1:
            return np.zeros(len(sums))
        spread: Vector = np.square(sums - value[:, np.newaxis] * self.sizes).sum(axis=-1)
        return spread * (self.groups / (self.groups - 1) / self.profiles**2)

    def _limits(self, total: float, flipped: Vector) -> tuple[float, float]:
        """Return the least and the largest difference δ that the test does not reject.

        δ is rejected if at most 5 % of the draws reach the true total after δ was subtracted from
        each profile: ``|flipped − δ kept| ≥ |total − δ profiles|``. For each draw this holds for δ
        between two roots, one on each side of the estimate. The limits are therefore order
        statistics of the roots.
        """
        flipped_count, kept_count = self._twice_counts
        first, second = (total - flipped) / flipped_count, (total + flipped) / kept_count
        low, high = np.minimum(first, second), np.maximum(first, second)
        low[self._uninformative], high[self._uninformative] = -np.inf, np.inf
        index = int(SIGNIFICANCE_LEVEL * len(flipped))
        return float(np.partition(low, index)[index]), float(-np.partition(-high, index)[index])

    @cached_property
    def _uninformative(self) -> NDArray[np.bool_]:
        """True for draws in which all groups have the same sign: no δ changes the comparison."""
        return np.asarray(abs(self._kept) == self.profiles)

    @cached_property
    def _twice_counts(self) -> tuple[Vector, Vector]:
        """Twice the numbers of profiles that lose and keep their sign, 1 in uninformative draws."""
        flipped, kept = self.profiles - self._kept, self.profiles + self._kept
        return (
            np.where(self._uninformative, 1.0, flipped),
            np.where(self._uninformative, 1.0, kept),
        )


def seed_interval(scores: Sequence[float]) -> tuple[float, float] | None:
    """Return Student's 95 % interval of a score over seeds alone, or None with one seed."""
    from scipy import special

    if len(scores) < 2:  # noqa: PLR2004
        return None
    error = np.std(scores, ddof=1) / len(scores) ** 0.5
    half_width = float(special.stdtrit(len(scores) - 1, 1 - SIGNIFICANCE_LEVEL / 2) * error)
    mean = float(np.mean(scores))
    return mean - half_width, mean + half_width


def smallest_p(groups: int) -> float:
    """Return the smallest p-value that the sign-flip test of so many groups can give.

    Of the ``2^groups`` combinations, two reach the true total: the true signs and their opposites.
    """
    return float(0.5 ** (groups - 1))


def rough(profiles: int, groups: int | None) -> str:
    """Return a warning if there are too few profiles or groups for p-values to be trusted."""
    if profiles >= ENOUGH_PROFILES and (groups is None or groups >= ENOUGH_GROUPS):
        return ""
    return (
        f"p-values are rough with fewer than {ENOUGH_PROFILES} profiles or {ENOUGH_GROUPS} groups, "
        "because so few units say little about how much scores vary"
    )


def group_numbers(groups: NDArray[np.str_]) -> NDArray[np.intp]:
    """Return the number of each profile's group, from 0.

    A profile with an empty label is its own group.
    """
    _, numbers = np.unique(groups, return_inverse=True)
    unlabelled = groups == ""
    numbers[unlabelled] = numbers.max(initial=0) + 1 + np.arange(unlabelled.sum())
    return np.unique(numbers, return_inverse=True)[1]


def _signs(groups: int, resamples: int, seed: int) -> Iterator[Matrix]:
    """Yield blocks of signs, draws × groups. The true signs, all +1, are the first draw.

    Few groups have all combinations instead. A combination and its opposite have totals of the same
    size, so half of them are enough.
    """
    if groups <= resamples.bit_length():
        bits = np.arange(2 ** (groups - 1))[:, np.newaxis] >> np.arange(groups) & 1
        yield (1 - 2 * bits).astype(np.float64)
        return
    yield np.ones((1, groups))
    random = np.random.default_rng(seed)
    rows = max(1, _SIGNS_IN_MEMORY // groups)
    for start in range(1, resamples, rows):
        size = (min(rows, resamples - start), groups)
        yield random.integers(0, 2, size, dtype=np.int8) * np.float64(2) - 1


def _share_reached(sums: Matrix, flipped: Matrix) -> Vector:
    """Return, for each row, the share of flipped totals that are as far from 0 as the true one."""
    total = abs(sums.sum(axis=-1, keepdims=True))
    share: Vector = np.mean(np.abs(flipped) >= total * _TIE, axis=-1)
    return share


def _bound(sums: Matrix) -> Vector:
    """Return an upper bound of the p-value of each row (see :data:`_TAIL`).

    A share of 5,000 draws is never below 1 / 5,000. Far from 0 this bound is.
    """
    from scipy import special

    total, length = abs(sums.sum(axis=-1)), np.linalg.norm(sums, axis=-1)
    distance = np.divide(total, length, out=np.zeros_like(total), where=length > 0)
    return np.where(length > 0, _TAIL * 2 * special.ndtr(-distance), 1.0)


def _p_of_t(value: Vector, error: Vector, freedom: Vector) -> Vector:
    """Return two-sided p-values of t tests, and 0 where there is no standard error."""
    from scipy import special

    t = np.divide(abs(value), error, out=np.zeros_like(error), where=error > 0)
    return np.where(error > 0, 2 * special.stdtr(freedom, -t), 0.0)
