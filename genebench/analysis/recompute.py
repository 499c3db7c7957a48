"""Scores computed again from kept predictions and the dataset, to be compared with the record."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genebench.data.profiles import Profiles
from genebench.data.store import Dataset, DataStore
from genebench.errors import UserError
from genebench.metrics.scoring import Scoring, score
from genebench.plugins.registry import Registry
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.plan import split_digests

Predictor = Callable[[Record, Path, Dataset], NDArray[np.float32]]
"""Predicts the test profiles of a record again, from its saved model, on its dataset.

The result is profiles × targets, standardised, in the order of the dataset. It raises UserError if
the model cannot be opened, or its plugin is not installed."""


def recompute(record: Record, results: ResultsStore, registry: Registry) -> Record:
    """Return the record with the scores of its kept predictions. One without scores stays as it is.

    Raises:
        UserError: predictions were not kept, were changed, or the dataset is not prepared here.
    """
    if record.status != "done":
        return record
    return record.model_copy(update={"scores": scored_anew(record, results, registry).scores()})


def scored_anew(
    record: Record, results: ResultsStore, registry: Registry, predictor: Predictor | None = None
) -> Scoring:
    """Score a done record again, with those of its metrics that are installed here.

    Args:
        record: the record.
        results: the folder that holds it.
        registry: the installed metrics and protocols.
        predictor: predicts again from the record's saved model. None takes the kept predictions.

    Raises:
        UserError: predictions or model were not kept, or were changed, or the dataset is not
            prepared here.
    """
    label = f"{record.identity.method} under {record.identity.protocol} ({record.key})"
    dataset, test = _test_profiles(record, registry, label)
    predictions = (
        results.predictions(record)
        if predictor is None
        else _predicted(record, results, dataset, predictor)
    )
    if predictions is None:
        raise UserError(f"{label}: predictions were not kept. Run again with --keep-predictions.")
    expected = len(test), len(test.target_genes)
    if predictions.shape != expected:
        raise UserError(
            f"{label}: the predictions have shape {predictions.shape}, not {expected}. Remove the "
            "record and run again."
        )
    metrics = [spec for spec in registry.metrics.specs.values() if spec.name in record.scores]
    return score(test, predictions, metrics)


def _predicted(
    record: Record, results: ResultsStore, dataset: Dataset, predictor: Predictor
) -> NDArray[np.float32] | None:
    model = results.model_path(record)
    return None if model is None else predictor(record, model, dataset)


def _test_profiles(record: Record, registry: Registry, label: str) -> tuple[Dataset, Profiles]:
    """Return the dataset of a record, by its digest, and the test profiles of its protocol."""
    identity = record.identity
    dataset = DataStore().find(identity.data)
    if dataset is None:
        raise UserError(
            f"{label}: dataset {record.dataset} is not prepared here. Prepare it again."
        )
    protocol = registry.protocols.get(identity.protocol)
    protocol = protocol.trial() if identity.is_trial else protocol
    test = protocol.test
    splits = split_digests(protocol, dataset, registry)
    if str(test) != identity.test or splits != identity.splits:
        raise UserError(
            f"{label}: protocol {protocol.name} has changed since. Use the genebench that ran it."
        )
    return dataset, dataset.profiles(test)
