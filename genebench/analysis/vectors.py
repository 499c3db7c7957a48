"""Vectors of records as tables: one value per target gene, or per test profile."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from genebench._util.text import printable
from genebench.analysis.curves import labels_of
from genebench.data.store import DataStore
from genebench.errors import UserError, unknown
from genebench.results.filters import RecordFilter
from genebench.results.panels import GENE_METRIC, PROFILE_GROUP, PROFILE_METRIC, PROFILE_SHARE
from genebench.results.record import Record
from genebench.results.vectors import Vectors

VectorsOf = Callable[[Record], Vectors]
"""Returns the vectors of a record, such as :meth:`ResultsStore.vectors`."""

log = logging.getLogger("genebench")

_GENE_COLUMNS = {"gene.id": "gene", "gene.twin": "twin"}
_PROFILE_COLUMNS = {"profile.id": "profile", PROFILE_GROUP: "group"}
"""Vector → column of the tables."""


@dataclass(frozen=True)
class Readable:
    """Vectors of records. A record whose vectors are damaged has none, and gets one warning."""

    vectors_of: VectorsOf
    _warned: set[str] = field(default_factory=set)

    def __call__(self, record: Record) -> Vectors:
        """Return the record's vectors by name, or none if they are missing or damaged."""
        try:
            return self.vectors_of(record)
        except UserError as error:
            # A table asks for each record once per metric and panel. One warning is enough.
            if record.key not in self._warned:
                log.warning("left out: %s", printable(str(error)))
            self._warned.add(record.key)
            return {}


def genes(
    records: Iterable[Record], vectors_of: VectorsOf, metric: str = "mae", *, wide: bool = False
) -> pd.DataFrame:
    """Return a metric's value for every target gene of every done record.

    The long table has the columns ``dataset``, ``protocol``, ``method``, ``preset``, ``seed``,
    ``key``, ``gene``, ``symbol`` (if the dataset is prepared here), ``twin`` (true if the gene is a
    landmark too) and the metric. The wide table has one row per gene, and one column per record,
    named ``protocol/method/seed/key``. A value is empty if a record lacks the gene.

    Raises:
        UserError: no record holds such a metric per gene, or vectors are damaged.
    """
    records = list(records)
    table = _table(records, vectors_of, _GENE_COLUMNS, {f"{GENE_METRIC}{metric}": metric})
    digests = {record.identity.data for record in records}
    if symbols := {gene: name for data in digests for gene, name in symbols_of(data).items()}:
        table.insert(
            list(table.columns).index("twin"), "symbol", table["gene"].map(symbols).fillna("")
        )
    return _wide(table, metric) if wide else table


def profiles(
    records: Iterable[Record], vectors_of: VectorsOf, metric: str = "mae", *, wide: bool = False
) -> pd.DataFrame:
    """Return a metric's value for every test profile of every done record.

    A profile-wise metric has its own values. A gene-wise one has the share of each profile in its
    score on all targets. The mean of the shares is that score. Columns are those of :func:`genes`,
    with ``profile`` and, if the platform has groups, ``group`` instead of ``gene`` and ``twin``.

    Raises:
        UserError: no record holds such a metric per profile, or vectors are damaged.
    """
    names = {f"{PROFILE_METRIC}{metric}": metric, f"{PROFILE_SHARE}{metric}.all": metric}
    table = _table(records, vectors_of, _PROFILE_COLUMNS, names)
    return _wide(table, metric) if wide else table


def symbols_of(data: str) -> dict[str, str]:
    """Return target gene → symbol, or nothing if no dataset of that digest is prepared here."""
    dataset = DataStore().find(data)
    genes = dataset.target_genes if dataset else pd.DataFrame()
    return dict(zip(genes.index, genes["symbol"], strict=True)) if "symbol" in genes else {}


def _table(
    records: Iterable[Record],
    vectors_of: VectorsOf,
    subjects: Mapping[str, str],
    names: Mapping[str, str],
) -> pd.DataFrame:
    """Return the long table of the named vectors, with the columns of their subjects."""
    frames, present = [], set()
    for record in RecordFilter(status="done").apply(records):
        vectors = vectors_of(record)
        present |= _metrics(vectors, names)
        columns = {
            column: vectors[name]
            for name, column in {**subjects, **names}.items()
            if name in vectors
        }
        if columns.keys() & set(names.values()):
            frames.append(pd.DataFrame(labels_of(record) | columns))
    if not frames:
        raise unknown("metric of these results", next(iter(names.values())), present)
    return pd.concat(frames, ignore_index=True)


def _metrics(vectors: Iterable[str], names: Iterable[str]) -> set[str]:
    """Return the metrics among the vectors that are of the same kind as the named ones."""
    prefixes = {name.partition(".")[0] + "." for name in names}
    return {
        name.partition(".")[2].removesuffix(".all")
        for name in vectors
        if name.startswith(tuple(prefixes)) and not name.endswith((".strict", ".twin"))
    }


def _wide(table: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Return the table with one column for each record."""
    parts = table[["protocol", "method", "seed", "key"]].astype(str)
    table = table.assign(record=["/".join(row) for row in parts.to_numpy()])
    index = [name for name in ("gene", "symbol", "profile", "twin", "group") if name in table]
    # Not unstack(sort=False), which mixes values up in pandas 2.2.
    row = table.groupby(index, sort=False, dropna=False).ngroup()
    values = table.assign(row=row).pivot(  # noqa: PD010  nothing is to be aggregated
        index="row", columns="record", values=metric
    )
    wide = values[table["record"].unique()].rename_axis(columns=None)
    return table[index].drop_duplicates(ignore_index=True).join(wide)
