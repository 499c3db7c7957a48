"""Terms of metrics that are no plain means: the value plus each profile's influence on it.

A metric of form ``terms`` gives profiles × genes whose means over profiles are its values. The term
of a profile is the value of the gene plus the profile's influence on it, the infinitesimal
jackknife (Efron 1982, The Jackknife, the Bootstrap and Other Resampling Plans, chapter 6). So sums
are resampled, not ratios or roots, and a difference of two methods is exact to first order.

Truth and prediction are as in :mod:`genebench.metrics.agreement`, and so are constants:
correlations are 0 where truth or prediction is constant, and R² is 0 where the truth is.
"""

from __future__ import annotations

import numpy as np

from genebench.metrics.agreement import ratio, varies
from genebench.metrics.pairs import Values


def root_mean_squared_error_terms(truth: Values, prediction: Values) -> Values:
    """Return terms of the RMSE: ``RMSE + ((ŷ − y)² − RMSE²) / (2 RMSE)``."""
    squares = prediction - truth
    squares *= squares
    mean = squares.mean(axis=0)
    rmse = np.sqrt(mean)
    squares -= mean
    squares *= ratio(np.full_like(mean, 0.5), rmse, rmse > 0)
    squares += rmse
    return squares


def determination_terms(truth: Values, prediction: Values) -> Values:
    """Return terms of R²: ``R² − ((ŷ − y)² − (1 − R²) a²) / σ²``, with ``a = y − μ``."""
    squares = prediction - truth
    squares *= squares
    deviations: Values = truth - truth.mean(axis=0)
    deviations *= deviations
    variance, varying = deviations.mean(axis=0), varies(truth)
    unexplained = ratio(squares.mean(axis=0), variance, varying)
    # (1 − R²) a² − (ŷ − y)², over σ².
    deviations *= unexplained
    deviations -= squares
    deviations *= ratio(np.ones_like(variance), variance, varying)
    deviations += varying - unexplained
    return deviations


def pearson_terms(truth: Values, prediction: Values) -> Values:
    """Return terms of Pearson's ρ: ``ρ + a b − ρ (a² + b²) / 2``, with a and b standardised."""
    varying = varies(truth) & varies(prediction)
    a, b = (_standardised(values) for values in (truth, prediction))
    products = a * b
    correlation = np.where(varying, np.clip(products.mean(axis=0), -1, 1), 0.0)
    a *= a
    b *= b
    a += b
    a *= -correlation / 2
    a += products
    a += correlation
    return np.where(varying, a, 0.0)


def spearman_terms(truth: Values, prediction: Values) -> Values:
    """Return terms of Spearman's ρ, Pearson's of mean ranks.

    A profile changes the ranks of all others, too. With grades u and v (mean ranks over the number
    of profiles), its influence on the covariance C of grades is ``a b − C`` for its own deviations,
    ``mean_k [x < x_k] b_k − C`` for the ranks of the truth, and the same for the prediction. Ties
    count half. The variances are covariances of grades with themselves.
    """
    varying = varies(truth) & varies(prediction)
    ranks = _Grades(truth), _Grades(prediction)
    a, b = ranks[0].deviations, ranks[1].deviations
    covariance = (a * b).mean(axis=0)
    variances = [(own * own).mean(axis=0) for own in (a, b)]
    scale = np.sqrt(variances[0] * variances[1])
    correlation = ratio(covariance, scale, varying)
    influence = (
        a * b + ranks[0].above(b) + ranks[1].above(a) - 3 * covariance
    ) * ratio(np.ones_like(scale), scale, varying)  # fmt: skip
    for own, grades, variance in zip((a, b), ranks, variances, strict=True):
        of_variance = own * own + 2 * grades.above(own) - 3 * variance
        influence -= of_variance * ratio(correlation / 2, variance, varying)
    return np.where(varying, influence + correlation, 0.0)


def _standardised(values: Values) -> Values:
    """Return columns with mean 0 and mean square 1, and 0 where a column is constant."""
    deviations: Values = values - values.mean(axis=0)
    scale = np.sqrt(np.square(deviations).mean(axis=0))
    deviations *= ratio(np.ones_like(scale), scale, varies(values))
    return deviations


class _Grades:
    """Mean ranks of each column over the number of profiles.

    Attributes:
        deviations: grades minus their means.
    """

    def __init__(self, values: Values) -> None:
        from scipy.stats import rankdata

        self._order = np.argsort(values, axis=0, kind="stable")
        self._last = rankdata(values, method="max", axis=0).astype(np.intp)
        self._first = rankdata(values, method="min", axis=0).astype(np.intp)
        grades = (self._first + self._last) / (2 * len(values))
        self.deviations: Values = grades - grades.mean(axis=0)

    def above(self, others: Values) -> Values:
        """Return ``mean_k [x < x_k] w_k`` of each profile, for values w. Ties count half."""
        taken = np.take_along_axis(others, self._order, axis=0)
        sums = np.concatenate([np.zeros((1, taken.shape[1])), np.cumsum(taken, axis=0)])
        to_last = np.take_along_axis(sums, self._last, axis=0)
        to_first = np.take_along_axis(sums, self._first - 1, axis=0)
        means: Values = (sums[-1] - (to_last + to_first) / 2) / len(others)
        return means
