"""Curves of records as a tidy table: the values by which λ, k or an epoch was chosen."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from genebench.results.record import Record

LABELS = ("dataset", "protocol", "method", "preset", "seed", "key")
"""Columns that identify the record of a row."""


def labels_of(record: Record) -> dict[str, object]:
    """Return the values of the columns :data:`LABELS` of a record's rows."""
    identity = record.identity
    return {
        "dataset": record.dataset,
        "protocol": identity.protocol,
        "method": identity.method,
        "preset": record.preset,
        "seed": identity.seed,
        "key": record.key,
    }


def curves(records: Iterable[Record], name: str) -> pd.DataFrame:
    """Return one row per point of the named curve, of every record that has one.

    Columns: ``dataset``, ``protocol``, ``method``, ``preset``, ``seed``, ``key``, then those of
    the curves, such as ``lambda`` and ``mae`` of a ``path``. A value is empty if a record's curve
    has no such column.
    """
    frames = []
    for record in records:
        if name in record.curves:
            curve = record.curves[name]
            points = range(max(map(len, curve.values()), default=0))
            frames.append(pd.DataFrame(labels_of(record) | dict(curve), index=points))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(LABELS))
