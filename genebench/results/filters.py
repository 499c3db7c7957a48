"""The one filter of records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from genebench.results.record import Record


def filter_records(
    records: Iterable[Record],
    *,
    status: Literal["done", "failed"] | None = None,
    trials: bool | None = None,
    metric: str | None = None,
    panel: str = "all",
) -> list[Record]:
    """Return the records that meet every given condition, in their order.

    Args:
        records: any records.
        status: ``done`` or ``failed``.
        trials: True for trials of tuning only, False for all other records.
        metric: a metric that the record has a score of.
        panel: the panel of that score. It counts only with ``metric``.
    """
    return [
        record
        for record in records
        if (status is None or record.status == status)
        and (trials is None or record.identity.is_trial == trials)
        and (metric is None or panel in record.scores.get(metric, {}))
    ]
