"""Scores computed again from kept predictions and the dataset, to be compared with the record."""

from __future__ import annotations

from genebench.data.profiles import Profiles
from genebench.data.store import DataStore
from genebench.errors import UserError
from genebench.metrics.scoring import Scoring, score
from genebench.plugins.registry import Registry
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.plan import split_digests


def recompute(record: Record, results: ResultsStore, registry: Registry) -> Record:
    """Return the record with the scores of its kept predictions. A failed one stays as it is.

    Raises:
        UserError: predictions were not kept, were changed, or the dataset is not prepared here.
    """
    if record.status == "failed":
        return record
    return record.model_copy(update={"scores": scored_anew(record, results, registry).scores()})


def scored_anew(record: Record, results: ResultsStore, registry: Registry) -> Scoring:
    """Score the kept predictions of a done record again, with those of its metrics installed here.

    Raises:
        UserError: predictions were not kept, were changed, or the dataset is not prepared here.
    """
    label = f"{record.identity.method} under {record.identity.protocol} ({record.key})"
    predictions = results.predictions(record)
    if predictions is None:
        raise UserError(f"{label}: predictions were not kept. Run again with --keep-predictions.")
    test = _test_profiles(record, registry, label)
    expected = len(test), len(test.target_genes)
    if predictions.shape != expected:
        raise UserError(
            f"{label}: the kept predictions have shape {predictions.shape}, not {expected}. Remove "
            "the record and run again."
        )
    metrics = [spec for spec in registry.metrics.specs.values() if spec.name in record.scores]
    return score(test, predictions, metrics)


def _test_profiles(record: Record, registry: Registry, label: str) -> Profiles:
    """Return the test profiles of a record: those of its dataset's digest and its protocol."""
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
    return dataset.profiles(test)
