"""Vectors of records as tables: one value per target gene, or per test profile."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd
from numpy.typing import NDArray

from genebench.errors import unknown
from genebench.results.record import Record
from genebench.results.scores import GENE_METRIC, PROFILE_GROUP, PROFILE_METRIC, PROFILE_SHARE

VectorsOf = Callable[[Record], Mapping[str, NDArray[Any]]]
"""Where the vectors of a record come from, such as :meth:`ResultsStore.vectors`."""

LABELS = ("dataset", "protocol", "method", "preset", "seed", "key")
_GENE = {"gene.id": "gene", "gene.twin": "twin"}
_PROFILE = {"profile.id": "profile", PROFILE_GROUP: "group"}


def genes(
    records: Iterable[Record], vectors_of: VectorsOf, metric: str = "mae", *, wide: bool = False
) -> pd.DataFrame:
    """A metric's value for every target gene of every done record.

    Long: columns ``dataset``, ``protocol``, ``method``, ``preset``, ``seed``, ``key``, ``gene``,
    ``twin`` (whether the gene is a landmark too) and the metric. Wide: one row per gene, one
    column per record, named ``protocol/method/seed/key``; empty where a record lacks the gene.

    Raises:
        UserError: no record holds such a metric per gene, or vectors are damaged.
    """
    return _table(records, vectors_of, _GENE, {f"{GENE_METRIC}{metric}": metric}, wide=wide)


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
    return _table(records, vectors_of, _PROFILE, names, wide=wide)


def _table(
    records: Iterable[Record],
    vectors_of: VectorsOf,
    subjects: Mapping[str, str],
    names: Mapping[str, str],
    *,
    wide: bool,
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
                frames.append(pd.DataFrame(_labels(record) | columns))
    metric = next(iter(names.values()))
    if not frames:
        raise unknown("metric of these results", metric, held)
    table = pd.concat(frames, ignore_index=True)
    return _widened(table, metric) if wide else table


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
    index = [name for name in ("gene", "profile", "twin", "group") if name in table]
    wide = table.set_index([*index, "record"])[metric].unstack("record", sort=False)  # noqa: PD010
    return wide.rename_axis(columns=None).reset_index()


def _labels(record: Record) -> dict[str, Any]:
    identity = record.identity
    return {
        "dataset": record.dataset,
        "protocol": identity.protocol,
        "method": identity.method,
        "preset": record.preset,
        "seed": identity.seed,
        "key": record.key,
    }
