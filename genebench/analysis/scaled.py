"""Scores on a scale from the training mean (0) to the agreement of two measurements (1).

445 of the published targets are landmarks too. On a microarray the landmark is another probe set of
the same gene, so the agreement of both over the test profiles is that of the platform with itself.
The control ``copy-twin`` has this score on the twin panel. It is the ceiling r, and the score of
the control ``train-mean`` is the floor b. A method's score u becomes ``(u − b) / (r − b)``.

Where r is hardly better than b, this scale would only show the noise of r − b, magnified.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from genebench._util.hashing import key_of
from genebench.analysis.tidy import tidy
from genebench.results.filters import RecordFilter
from genebench.results.record import Record
from genebench.specs import MetricSpec

FLOOR, CEILING = "train-mean", "copy-twin"
"""Controls whose scores are 0 and 1 of the scale."""

LEAST_ROOM = 0.1
"""Least part of the way from the floor to the best value that the ceiling has to reach.

With less the scale magnifies errors of floor and ceiling more than tenfold."""

CEILING_PANEL = "twin"
"""Panel of the ceiling: the genes that are measured twice."""

COLUMNS = (
    "dataset", "protocol", "method", "params", "preset", "seed", "panel", "metric",
    "score", "floor", "ceiling", "scaled", "key",
)  # fmt: skip


def scaled(
    records: Iterable[Record], controls: Iterable[Record], metrics: Mapping[str, MetricSpec]
) -> pd.DataFrame:
    """Return one row per record, panel and metric that has a floor and a ceiling.

    Controls have rows too. The floor is that of the panel. The ceiling is always that of the twin
    panel, because other genes have no second measurement. Both are means over genes. Ratios of
    single genes would be unstable, because floor and ceiling of a gene can be nearly equal.

    Args:
        records: records to scale. Failed ones, and trials, have no row.
        controls: records among which are ``train-mean`` and ``copy-twin`` of the same test.
        metrics: metric → spec. Other metrics have no row. ``scaled`` is missing where the ceiling
            is not better than the floor by :data:`LEAST_ROOM`.
    """
    tested = RecordFilter(trials=False).apply(records)
    scores = tidy(tested).query("status == 'done'").rename(columns={"mean": "score"})
    ends = pd.DataFrame(
        list(_floors_and_ceilings(tested, controls)),
        columns=["key", "panel", "metric", "floor", "ceiling"],
    )
    # Without any row, pandas would not know the types of the columns, and could not merge them.
    ends = ends.astype({"key": "str", "panel": "str", "metric": "str"})
    ends = ends.astype({"floor": float, "ceiling": float})
    table = scores.merge(ends, on=["key", "panel", "metric"])
    table = table[table["metric"].isin(list(metrics))].reset_index(drop=True)
    room = table["ceiling"] - table["floor"]
    best = table["metric"].map({name: spec.best for name, spec in metrics.items()}).astype(float)
    # Of a ceiling that is no better than the floor, the part is negative: best is the better side.
    usable = room / (best - table["floor"]) >= LEAST_ROOM
    table["scaled"] = ((table["score"] - table["floor"]) / room).where(usable)
    return table[list(COLUMNS)]


def _floors_and_ceilings(
    records: Iterable[Record], controls: Iterable[Record]
) -> Iterator[tuple[str, str, str, float, float]]:
    """Yield key, panel, metric, floor and ceiling of each score that has both controls."""
    # A method and its controls must have been tested alike.
    controls_of: dict[str, dict[str, Record]] = {}
    # In the order of time: of a control that several versions of its code ran, the last one counts.
    for control in sorted(
        RecordFilter(status="done").apply(controls), key=lambda control: control.provenance.started
    ):
        if control.identity.method in (FLOOR, CEILING):
            test = key_of(control.identity.test_setting())
            controls_of.setdefault(test, {})[control.identity.method] = control
    for record in records:
        ends = controls_of.get(key_of(record.identity.test_setting()), {})
        if ends.keys() != {FLOOR, CEILING}:
            continue
        floors, ceilings = ends[FLOOR].scores, ends[CEILING].scores
        for metric, panels in record.scores.items():
            ceiling = ceilings.get(metric, {}).get(CEILING_PANEL)
            for panel in panels:
                floor = floors.get(metric, {}).get(panel)
                if floor and ceiling:
                    yield record.key, panel, metric, floor.mean, ceiling.mean
