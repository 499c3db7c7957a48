"""Checks of relevance: is it the model's, and would another seed say the same?

The thresholds are conventions. ``docs/explanation/relevance.md`` gives their reasons.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genebench.errors import UserError
from genebench.explaining.clusters import k_means
from genebench.method import Model
from genebench.models.saved import Saved, restored
from genebench.plugins.registry import registry

TOP = 20
"""Landmarks that a panel names for each cluster."""
MOST_CONSERVATION = 0.01
"""Largest error of the sum of relevance, relative to the mean absolute sum."""
LEAST_SPEARMAN = 0.5
"""Least rank correlation of landmarks over seeds."""
LEAST_OVERLAP = 0.5
"""Least share of the top landmarks that two seeds have in common."""
MOST_CONTROL = 0.5
"""Largest rank correlation with the relevance of shuffled weights."""
LEAST_BEYOND = 0.5
"""Least share of relevance by permutation that is larger than two of its standard errors."""
LEAST_RAND = 0.65
"""Least adjusted Rand index of clusters over seeds (Steinley 2004: below it, recovery is poor)."""


class Agreement(NamedTuple):
    """Agreement of several relevances of the same landmarks, as means over pairs."""

    spearman: float
    """Rank correlation of absolute relevance."""
    overlap: float
    """Share of the top landmarks that are among the other's top landmarks."""


def rank_agreement(relevances: Sequence[NDArray[np.floating[Any]]], top: int = TOP) -> Agreement:
    """Return the agreement of relevances, such as those of models with different seeds.

    Args:
        relevances: two or more vectors, one number for each landmark.
        top: number of landmarks that count as top. At most half of them do.
    """
    from scipy.stats import rankdata  # late: every command would wait half a second for it

    ranks = [rankdata(np.abs(vector)) for vector in relevances]
    most = max(min(top, len(ranks[0]) // 2), 1)
    tops = [set(np.argsort(-each, kind="stable")[:most].tolist()) for each in ranks]
    pairs = list(combinations(range(len(ranks)), 2))
    correlations = [_correlation(ranks[left], ranks[right]) for left, right in pairs]
    overlaps = [len(tops[left] & tops[right]) / most for left, right in pairs]
    return Agreement(float(np.mean(correlations)), float(np.mean(overlaps)))


def _correlation(left: NDArray[np.float64], right: NDArray[np.float64]) -> float:
    left, right = left - left.mean(), right - right.mean()
    size = np.sqrt((left @ left) * (right @ right))
    # Ranks that are all equal tell nothing.
    return float(left @ right / size) if size else 0.0


def shuffled(saved: Saved, seed: int, device: str = "cpu") -> Model:
    """Return the model with the entries of each matrix in random order: the control.

    It has learnt nothing, but its numbers have the same sizes. Relevance that looks the same shows
    the landmarks and not the model (Adebayo et al. 2018). Vectors, such as biases, stay.

    Args:
        saved: content of a saved model (:func:`genebench.models.saved.read_model`).
        seed: seed of the order.
        device: ``cpu`` or ``cuda``.

    Raises:
        UserError: its method cannot restore it.
    """
    members = {
        name: shuffled(member, seed + number, device)
        for number, (name, member) in enumerate(saved.members.items(), start=1)
    }
    random = np.random.default_rng(seed)
    tensors = {
        name: random.permutation(tensor.ravel()).reshape(tensor.shape)
        if tensor.ndim > 1
        else tensor
        for name, tensor in saved.tensors.items()
    }
    spec = registry().methods.get(saved.identity.method)
    try:
        return restored(spec, saved._replace(tensors=tensors), device, members)
    except Exception as error:  # a plugin's code may raise anything
        raise UserError(
            f"{spec.name}: its model cannot be restored with shuffled weights "
            f"({type(error).__name__}: {error}). Leave out the control."
        ) from error


def adjusted_rand(left: NDArray[np.integer[Any]], right: NDArray[np.integer[Any]]) -> float:
    """Return the adjusted Rand index of two clusterings of the same rows (Hubert & Arabie 1985).

    It is 1 for the same clusters, and 0 on average for random ones.
    """
    table = np.zeros((left.max() + 1, right.max() + 1))
    np.add.at(table, (left, right), 1)

    def pairs(counts: NDArray[np.float64]) -> float:
        return float((counts * (counts - 1)).sum() / 2)

    together, of_left, of_right = pairs(table), pairs(table.sum(1)), pairs(table.sum(0))
    total = pairs(np.array([float(len(left))]))
    expected = of_left * of_right / total if total else 0.0
    largest = (of_left + of_right) / 2
    return 1.0 if largest == expected else (together - expected) / (largest - expected)


def cluster_stability(
    values: NDArray[np.floating[Any]], clusters: int, seeds: Sequence[int] = range(5)
) -> float:
    """Return the mean adjusted Rand index of K-means clusters over pairs of seeds.

    Args:
        values: rows × columns.
        clusters: number of clusters.
        seeds: two or more seeds.

    Raises:
        UserError: there are fewer different rows than clusters.
    """
    labels = [k_means(values, clusters, seed) for seed in seeds]
    return float(np.mean([adjusted_rand(*pair) for pair in combinations(labels, 2)]))


def twin_share(
    values: NDArray[np.floating[Any]],
    twins: NDArray[np.integer[Any]],
    groups: NDArray[np.integer[Any]] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the share of absolute relevance that falls on twins of the targets of each row.

    On RNA-seq, a target and its twin are one measurement, so relevance on the twin is copying.

    Args:
        values: relevance, rows × landmarks.
        twins: position of the landmark that is the same gene as each target, or −1.
        groups: number of the group of each target, if rows are groups of targets. By default each
            row is about all targets.

    Returns:
        The share of each row, and the share that evenly spread relevance would have. A row without
        relevance has share 0.
    """
    groups = np.zeros(len(twins), np.intp) if groups is None else groups
    is_twin = np.zeros((int(groups.max()) + 1, values.shape[1]), dtype=bool)
    has_twin = (twins >= 0) & (groups >= 0)
    is_twin[groups[has_twin], twins[has_twin]] = True
    if len(is_twin) == 1:
        is_twin = is_twin.repeat(len(values), axis=0)
    size = np.abs(values).astype(np.float64)
    total = size.sum(1)
    share = (size * is_twin).sum(1) / np.where(total == 0, 1, total)
    return share, is_twin.mean(1)


def unstable(
    *,
    conservation: float | None = None,
    agreement: Agreement | None = None,
    control: Agreement | None = None,
    rand: float | None = None,
    beyond_errors: float | None = None,
) -> tuple[str, ...]:
    """Return the reasons why a panel is unstable. There are none if it passes all checks.

    Args:
        conservation: the error of the sum of relevance, relative to the mean |sum|.
        agreement: agreement of models with different seeds.
        control: agreement of the model with shuffled weights.
        rand: the mean adjusted Rand index of the clusters.
        beyond_errors: share of relevance beyond two standard errors.
    """
    reasons = []
    if conservation is not None and not conservation <= MOST_CONSERVATION:
        reasons.append(f"relevance misses {conservation:.1%} of the sum")
    if agreement is not None and not agreement.spearman >= LEAST_SPEARMAN:
        reasons.append(f"landmark ranks of two seeds correlate by {agreement.spearman:.2f}")
    if agreement is not None and not agreement.overlap >= LEAST_OVERLAP:
        reasons.append(f"two seeds share {agreement.overlap:.0%} of the top landmarks")
    if control is not None and not control.spearman <= MOST_CONTROL:
        reasons.append(f"shuffled weights give ranks that correlate by {control.spearman:.2f}")
    if rand is not None and not rand >= LEAST_RAND:
        reasons.append(f"clusters of two seeds have an adjusted Rand index of {rand:.2f}")
    if beyond_errors is not None and not beyond_errors >= LEAST_BEYOND:
        reasons.append(f"only {beyond_errors:.0%} of relevance is beyond two standard errors")
    return tuple(reasons)
