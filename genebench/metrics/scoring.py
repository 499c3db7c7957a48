"""Score predictions with every metric, in blocks of genes or of profiles."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.catalog import catalog
from genebench.data.profiles import Profiles
from genebench.plugins import load_code
from genebench.results.record import Score
from genebench.results.scores import GENE_METRIC, PROFILE_METRIC, scores_of
from genebench.specs import MetricSpec

GENES_PER_BLOCK = 512
PROFILES_PER_BLOCK = 1024

Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass
class Scoring:
    """What scoring gave: per-gene (or per-profile) vectors, and what a reader should know."""

    vectors: dict[str, NDArray[Any]]
    """``gene-metric.<name>``, ``profile-metric.<name>`` → values; ``gene.id``, ``gene.twin`` and
    ``profile.id`` → what they are of."""
    constant_truth: int = 0
    constant_prediction: int = 0
    faults: list[str] = field(default_factory=list)
    """Metrics that failed, one line each; they have no vector."""

    def scores(self) -> dict[str, dict[str, Score]]:
        """Metric → panel → score."""
        return scores_of(self.vectors)


def score(test: Profiles, predictions: NDArray[np.float32]) -> Scoring:
    """Score predictions (profiles × targets, standardised) of the test profiles.

    Truth and predictions are read once for all gene-wise metrics, and once for all profile-wise
    ones if there are any. A metric that raises costs its own column and nothing else.
    """
    genes = test.target_genes
    scoring = Scoring(
        {
            "gene.id": genes.index.to_numpy().astype(str),
            "gene.twin": genes["twin"].to_numpy(dtype=bool),
            "profile.id": test.profiles.index.to_numpy().astype(str),
        }
    )
    columns = [_Column(metric) for metric in catalog().metrics.specs.values()]
    by_gene = [column for column in columns if column.metric.axis == "gene"]
    by_profile = [column for column in columns if column.metric.axis == "profile"]
    for truth, prediction in _gene_blocks(test, predictions):
        scoring.constant_truth += int((np.ptp(truth, axis=0) == 0).sum())
        scoring.constant_prediction += int((np.ptp(prediction, axis=0) == 0).sum())
        for column in by_gene:
            column.add(truth, prediction)
    for truth, prediction in _profile_blocks(test, predictions) if by_profile else ():
        for column in by_profile:
            column.add(truth, prediction)
    for column in columns:
        if column.fault:
            scoring.faults.append(column.fault)
        else:
            scoring.vectors[column.name] = np.concatenate(column.values)
    return scoring


class _Column:
    """One metric's values, block after block, until it fails."""

    def __init__(self, metric: MetricSpec) -> None:
        self.metric = metric
        self.name = f"{GENE_METRIC if metric.axis == 'gene' else PROFILE_METRIC}{metric.name}"
        self.values: list[NDArray[np.float64]] = []
        self.fault = ""

    def add(self, truth: NDArray[np.float64], prediction: NDArray[np.float64]) -> None:
        """Score one block; the metric gets copies, and may spoil them."""
        if self.fault:
            return
        try:
            values = load_code(self.metric.code)(truth.copy(), prediction.copy())
            self.values.append(_checked(self.metric, values, truth))
        except Exception as error:  # noqa: BLE001  a metric may raise anything
            self.fault = f"metric {self.metric.name} failed: {error!r}"


def _checked(metric: MetricSpec, values: Any, truth: NDArray[np.float64]) -> NDArray[np.float64]:
    array: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
    expected = (truth.shape[1 if metric.axis == "gene" else 0],)
    if array.shape != expected:
        raise ValueError(f"gave an array of shape {array.shape}, expected {expected}")
    if not np.isfinite(array).all():
        raise ValueError("gave NaN or infinite values")
    return array


def _gene_blocks(test: Profiles, predictions: NDArray[np.float32]) -> Iterator[Pair]:
    n_genes = predictions.shape[1]
    for start in range(0, n_genes, GENES_PER_BLOCK):
        stop = min(start + GENES_PER_BLOCK, n_genes)
        truth = test.target_columns(start, stop).astype(np.float64)
        yield truth, predictions[:, start:stop].astype(np.float64)


def _profile_blocks(test: Profiles, predictions: NDArray[np.float32]) -> Iterator[Pair]:
    at = 0
    for truth in test.column_blocks("targets", PROFILES_PER_BLOCK):
        yield truth.astype(np.float64), predictions[at : at + len(truth)].astype(np.float64)
        at += len(truth)
