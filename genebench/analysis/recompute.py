"""Scores computed anew from kept predictions and the dataset, to be held against the record."""

from __future__ import annotations

from genebench.catalog import Catalog
from genebench.data.store import DataStore
from genebench.errors import UserError
from genebench.metrics.scoring import score
from genebench.results.record import Record
from genebench.results.store import ResultsStore


def recompute(record: Record, results: ResultsStore, catalog: Catalog) -> Record:
    """The record with the scores that its kept predictions have; a failed one as it is.

    Raises:
        UserError: predictions were not kept, were changed, or the dataset is no longer here.
    """
    if record.status == "failed":
        return record
    label = f"{record.identity.method} under {record.identity.protocol} ({record.key})"
    predictions = results.predictions(record)
    if predictions is None:
        raise UserError(f"{label}: predictions were not kept; run again with --keep-predictions")
    dataset = DataStore().find(record.identity.data)
    if dataset is None:
        raise UserError(f"{label}: dataset {record.dataset} is not prepared here any more")
    protocol = catalog.protocols.get(record.identity.protocol)
    test = dataset.profiles(protocol.test)
    if predictions.shape != (len(test), len(test.target_genes)):
        raise UserError(f"{label}: the kept predictions have the wrong shape {predictions.shape}")
    return record.model_copy(update={"scores": score(test, predictions).scores()})
