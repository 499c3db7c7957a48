"""Relevance by permutation, which needs nothing but predictions.

A landmark that others can replace seems irrelevant if it is permuted alone. So groups of correlated
landmarks are permuted together, and each member gets an equal part of the change (Strobl et al.
2008 state the problem).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench._util.progress import Progress
from genebench.errors import UserError
from genebench.method import Model

REPEATS = 5
"""Permutations of each group of landmarks."""
CORRELATED = 0.5
"""Mean |correlation| of two clusters of landmarks that are permuted together."""
MOST_GROUPS = 100
"""Most groups of landmarks. Each takes :data:`REPEATS` predictions of all profiles."""
LEAST_PROFILES = 3
"""Fewer profiles have no correlations."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Permutation:
    """Changes of predicted sums when groups of landmarks come from another profile.

    Attributes:
        landmarks: profiles × landmarks.
        groups: number of the group of each landmark, from 0.
        changes: repeats × groups × profiles × sums: the prediction less the permuted one.
        outputs: profiles × sums.
    """

    landmarks: Floats
    groups: NDArray[np.intp]
    changes: Floats
    outputs: NDArray[np.float64]

    def by_profile(self) -> tuple[Floats, Floats]:
        """Return mean changes and standard errors of the only sum, profiles × landmarks."""
        each = self.changes[..., 0]
        error = each.std(0, ddof=1) / np.sqrt(len(each))
        return self._spread(each.mean(0)).T, self._spread(error).T

    def by_group(self) -> tuple[Floats, Floats, Floats]:
        """Return means over profiles: changes, effects and their standard errors, sums × landmarks.

        The sign of an effect is that of the covariance of landmark and change.
        """
        each = np.abs(self.changes).mean(2)
        errors = each.std(0, ddof=1) / np.sqrt(len(each))
        sizes = self._spread(each.mean(0))
        by_landmark = self.changes.mean(0)[self.groups]
        covariance = np.einsum("pl,lps->ls", self.landmarks, by_landmark)
        effects = sizes * np.where(covariance < 0, -1, 1).astype(np.float32)
        return self._spread(self.changes.mean((0, 2))).T, effects.T, self._spread(errors).T

    def _spread(self, of_groups: Floats) -> Floats:
        """Return groups × … as landmarks × …, with an equal part for each landmark."""
        sizes = np.bincount(self.groups).astype(np.float32)
        return of_groups[self.groups] / sizes[self.groups, None]


def permutation(
    model: Model,
    landmarks: Floats,
    weights: NDArray[np.floating[Any]],
    *,
    seed: int,
    block: int,
    progress: Progress,
) -> Permutation:
    """Permute each group of landmarks a few times.

    In a permutation, every profile gets the group's values of another profile.

    Args:
        model: a fitted model.
        landmarks: profiles × landmarks, standardised.
        weights: targets × sums.
        seed: seed of the permutations.
        block: profiles predicted at a time.
        progress: called after each group.

    Raises:
        UserError: there are too few profiles.
    """
    n = len(landmarks)
    if n < LEAST_PROFILES:
        raise UserError(
            f"rule permutation needs {LEAST_PROFILES} profiles or more (there are {n}). Give more."
        )
    groups = correlated_groups(landmarks)
    n_groups = int(groups.max()) + 1
    random = np.random.default_rng(seed)

    def sums(values: Floats) -> NDArray[np.float64]:
        parts = (values[start : start + block] for start in range(0, n, block))
        return np.concatenate([np.asarray(model.predict(part)) @ weights for part in parts])

    outputs = sums(landmarks)
    changes = np.empty((REPEATS, n_groups, *outputs.shape), np.float32)
    for number in range(n_groups):
        columns = np.flatnonzero(groups == number)
        for repeat in range(REPEATS):
            # An order and a shift in it: no profile keeps its own values.
            order = random.permutation(n)
            values = landmarks.copy()
            values[np.ix_(order, columns)] = landmarks[np.ix_(np.roll(order, 1), columns)]
            changes[repeat, number] = outputs - sums(values)
        progress(number + 1, n_groups, "permuting landmarks")
    return Permutation(landmarks, groups, changes, outputs)


def correlated_groups(landmarks: Floats) -> NDArray[np.intp]:
    """Return the number of the group of each landmark, from 0.

    Average linkage of 1 − |correlation| is cut at :data:`CORRELATED`, or at :data:`MOST_GROUPS`.
    """
    from scipy.cluster.hierarchy import fcluster, linkage

    if landmarks.shape[1] == 1:
        return np.zeros(1, np.intp)
    with np.errstate(invalid="ignore", divide="ignore"):
        correlation = np.nan_to_num(np.corrcoef(landmarks.T.astype(np.float64)))
    upper = np.triu_indices(len(correlation), 1)
    tree = linkage(1 - np.abs(correlation[upper]).clip(max=1), "average")
    labels = fcluster(tree, 1 - CORRELATED, "distance")
    if labels.max() > MOST_GROUPS:
        labels = fcluster(tree, MOST_GROUPS, "maxclust")
    return np.unique(labels, return_inverse=True)[1].astype(np.intp)
