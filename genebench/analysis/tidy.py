"""Records as a tidy table: one row per value."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from genebench._util.hashing import canonical
from genebench.results.record import Record

COLUMNS = (
    "dataset", "protocol", "method", "params", "preset", "seed", "scored_on", "panel", "metric",
    "mean", "std_genes", "status", "sealed", "key",
)  # fmt: skip


def tidy(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row per dataset, protocol, method, parameters, seed, panel and metric.

    ``scored_on`` is ``test``, or ``validation`` for a trial of tuning. ``params`` are the
    parameters in effect, as JSON. ``mean`` and ``std_genes`` are over the panel's genes. ``sealed``
    is the level of the record's seal: ``landlock``, ``view`` or ``no``. A record that is not done
    has one row without panel, metric and value.
    """
    rows = [row for record in records for row in _rows(record)]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _rows(record: Record) -> list[dict[str, object]]:
    common: dict[str, object] = {
        "dataset": record.dataset,
        "protocol": record.identity.protocol,
        "method": record.identity.method,
        "params": canonical(record.identity.params),
        "preset": record.preset,
        "seed": record.identity.seed,
        "scored_on": "validation" if record.identity.is_trial else "test",
        "status": record.status,
        "sealed": record.seal.level,
        "key": record.key,
    }
    if record.status != "done":
        return [common | {"panel": "", "metric": "", "mean": None, "std_genes": None}]
    return [
        common | {"panel": panel, "metric": metric, "mean": score.mean, "std_genes": score.std}
        for metric, panels in record.scores.items()
        for panel, score in panels.items()
    ]
