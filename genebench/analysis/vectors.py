"""Vectors of records as tables: one value per target gene, or per test profile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from genebench._util.text import printable
from genebench.analysis.curves import labels_of
from genebench.data.store import DataStore
from genebench.errors import UserError, unknown
from genebench.results.panels import GENE_METRIC, PROFILE_GROUP, PROFILE_METRIC, PROFILE_SHARE
from genebench.results.record import Record

VectorsOf = Callable[[Record], Mapping[str, NDArray[Any]]]
"""Where the vectors of a record come from, such as :meth:`ResultsStore.vectors`."""

log = logging.getLogger("genebench")

_GENE = {"gene.id": "gene", "gene.twin": "twin"}
_PROFILE = {"profile.id": "profile", PROFILE_GROUP: "group"}


@dataclass(frozen=True)
class Readable:
    """Vectors as far as they can be read: a damaged record has none, and one warning says so."""

    vectors_of: VectorsOf
    _warned: set[str] = field(default_factory=set)

    def __call__(self, record: Record) -> Mapping[str, NDArray[Any]]:
        """The record's vectors, by name; none where they are missing or damaged."""
        try:
            return self.vectors_of(record)
        except UserError as error:
            if record.key not in self._warned:
                log.warning("left out: %s", printable(str(error)))
            self._warned.add(record.key)
            return {}


def genes(
    records: Iterable[Record], vectors_of: VectorsOf, metric: str = "mae", *, wide: bool = False
) -> pd.DataFrame:
    """A metric's value for every target gene of every done record.

    Long: columns ``dataset``, ``protocol``, ``method``, ``preset``, ``seed``, ``key``, ``gene``,
    ``symbol`` (where the dataset is prepared here), ``twin`` (whether the gene is a landmark too)
    and the metric. Wide: one row per gene, one column per record, named
    ``protocol/method/seed/key``; empty where a record lacks the gene.

    Raises:
        UserError: no record holds such a metric per gene, or vectors are damaged.
    """
    chosen = list(records)
    table = _table(chosen, vectors_of, _GENE, {f"{GENE_METRIC}{metric}": metric})
    digests = {record.identity.data for record in chosen}
    if symbols := {gene: name for data in digests for gene, name in symbols_of(data).items()}:
        table.insert(
            list(table.columns).index("twin"), "symbol", table["gene"].map(symbols).fillna("")
        )
    return _widened(table, metric) if wide else table


def profiles(
    records: Iterable[Record], vectors_of: VectorsOf, metric: str = "mae", *, wide: bool = False
) -> pd.DataFrame:
    """A metric's value for every test profile of every done record.

    A profile-wise metric gives its own values; a gene-wise one the share that each profile has in
    its score on all targets, whose mean is that score. Columns as in :func:`genes`, with
    ``profile`` and, where it is known, ``group`` instead of ``gene`` and ``twin``.

    Raises:
        UserError: no record holds such a metric per profile, or vectors are damaged.
    """
    names = {f"{PROFILE_METRIC}{metric}": metric, f"{PROFILE_SHARE}{metric}.all": metric}
    table = _table(records, vectors_of, _PROFILE, names)
    return _widened(table, metric) if wide else table


def symbols_of(data: str) -> dict[str, str]:
    """Target gene → its symbol, where the dataset of that digest is here to tell."""
    dataset = DataStore().find(data)
    genes = dataset.target_genes if dataset else pd.DataFrame()
    return dict(zip(genes.index, genes["symbol"], strict=True)) if "symbol" in genes else {}


def _table(
    records: Iterable[Record],
    vectors_of: VectorsOf,
    subjects: Mapping[str, str],
    names: Mapping[str, str],
) -> pd.DataFrame:
    frames, held = [], set()
    for record in records:
        if record.status == "done":
            vectors = vectors_of(record)
            held |= _metrics(vectors, names)
            columns = {
                column: vectors[name]
                for name, column in {**subjects, **names}.items()
                if name in vectors
            }
            if columns.keys() & set(names.values()):
                frames.append(pd.DataFrame(labels_of(record) | columns))
    if not frames:
        raise unknown("metric of these results", next(iter(names.values())), held)
    return pd.concat(frames, ignore_index=True)


def _metrics(vectors: Iterable[str], names: Iterable[str]) -> set[str]:
    """Metrics that could have been asked for instead."""
    prefixes = {name.partition(".")[0] + "." for name in names}
    return {
        name.partition(".")[2].removesuffix(".all")
        for name in vectors
        if name.startswith(tuple(prefixes)) and not name.endswith((".strict", ".twin"))
    }


def _widened(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    parts = table[["protocol", "method", "seed", "key"]].astype(str)
    table = table.assign(record=["/".join(row) for row in parts.to_numpy()])
    index = [name for name in ("gene", "symbol", "profile", "twin", "group") if name in table]
    wide = table.set_index([*index, "record"])[metric].unstack("record", sort=False)  # noqa: PD010
    return wide.rename_axis(columns=None).reset_index()
