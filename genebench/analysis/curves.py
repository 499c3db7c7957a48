"""Curves of records as a tidy table: how λ, k or an epoch was chosen."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from genebench.results.record import Record

LABELS = ("dataset", "protocol", "method", "preset", "seed", "key")


def labels_of(record: Record) -> dict[str, object]:
    """What tells a record's rows from those of others, by the names of ``LABELS``."""
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
    """One row per point of the curve of that name, of every record that has one.

    Columns: ``dataset``, ``protocol``, ``method``, ``preset``, ``seed``, ``key``, then those of
    the curves (``lambda`` and ``mae`` of a ``path``); empty where a method's has no such column.
    """
    frames = [_frame(record, name) for record in records if name in record.curves]
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame(columns=list(LABELS))


def _frame(record: Record, name: str) -> pd.DataFrame:
    curve = record.curves[name]
    points = range(max(map(len, curve.values()), default=0))
    return pd.DataFrame(labels_of(record) | dict(curve), index=points)
