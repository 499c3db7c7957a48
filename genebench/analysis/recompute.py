"""Scores computed anew from kept predictions and the dataset, to be held against the record."""

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
    """The record with the scores that its kept predictions have; a failed one as it is.

    Raises:
        UserError: predictions were not kept, were changed, or the dataset is no longer here.
    """
    if record.status == "failed":
        return record
    return record.model_copy(update={"scores": scored_anew(record, results, registry).scores()})


def scored_anew(record: Record, results: ResultsStore, registry: Registry) -> Scoring:
    """What scoring gives the kept predictions of a done record, by the metrics that it holds.

    Raises:
        UserError: predictions were not kept, were changed, or the dataset is no longer here.
    """
    label = f"{record.identity.method} under {record.identity.protocol} ({record.key})"
    predictions = results.predictions(record)
    if predictions is None:
        raise UserError(f"{label}: predictions were not kept; run again with --keep-predictions")
    test = _test_profiles(record, registry, label)
    if predictions.shape != (len(test), len(test.target_genes)):
        raise UserError(f"{label}: the kept predictions have the wrong shape {predictions.shape}")
    metrics = [spec for spec in registry.metrics.specs.values() if spec.name in record.scores]
    return score(test, predictions, metrics)


def _test_profiles(record: Record, registry: Registry, label: str) -> Profiles:
    identity = record.identity
    dataset = DataStore().find(identity.data)
    if dataset is None:
        raise UserError(f"{label}: dataset {record.dataset} is not prepared here any more")
    protocol = registry.protocols.get(identity.protocol)
    protocol = protocol.trial() if identity.is_trial else protocol
    test = protocol.test
    splits = split_digests(protocol, dataset, registry)
    if str(test) != identity.test or splits != identity.splits:
        raise UserError(f"{label}: protocol {protocol.name} is another version by now")
    return dataset.profiles(test)
