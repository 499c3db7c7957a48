"""Scores on a scale from the training mean (0) to the agreement of two measurements (1).

445 of the published targets are landmarks too, and on a microarray the landmark is another probe
set of the same gene: how well it agrees with the target over the test profiles is how well the
platform agrees with itself. That is what the control ``copy-twin`` scores on the twin panel. With
it as the ceiling r, and the control ``train-mean`` as the floor b, a method's score u becomes
``(u − b) / (r − b)``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import pandas as pd

from genebench.analysis.tidy import tidy
from genebench.results.record import Record
from genebench.specs import Direction

FLOOR, CEILING = "train-mean", "copy-twin"
"""Controls that are 0 and 1 of the scale."""

CEILING_PANEL = "twin"
"""The genes that are measured twice."""

COLUMNS = (
    "dataset", "protocol", "method", "params", "preset", "seed", "panel", "metric",
    "score", "floor", "ceiling", "scaled", "key",
)  # fmt: skip

_Ends = Mapping[str, Record]
"""``FLOOR`` and ``CEILING`` → the control's record."""


def scaled(
    records: Iterable[Record], controls: Iterable[Record], directions: Mapping[str, Direction]
) -> pd.DataFrame:
    """One row per record, panel and metric that has both ends of its scale, controls included.

    The floor is that of the panel; the ceiling is that of the twins, whatever the panel: of other
    genes there is no second measurement. Both are means over genes: the ratio of a single gene,
    which may have next to no room between its ends, would tell little.

    Args:
        records: those to be scaled; failed ones, and trials, have no row.
        controls: where ``train-mean`` and ``copy-twin`` are looked for, of the same test.
        directions: metric → which way is better. Others, and any whose ceiling is no better than
            its floor, have no row.
    """
    tested = [record for record in records if not record.identity.is_trial]
    scores = tidy(tested).query("status == 'done'").rename(columns={"mean": "score"})
    ends = pd.DataFrame(
        [row for record, found in _with_ends(tested, controls) for row in _ends(record, found)],
        columns=["key", "panel", "metric", "floor", "ceiling"],
    )
    # Without any row, pandas would take the numbers for text, or for anything.
    ends = ends.astype({"key": "str", "panel": "str", "metric": "str"})
    ends = ends.astype({"floor": float, "ceiling": float})
    table = scores.merge(ends, on=["key", "panel", "metric"])
    room = table["ceiling"] - table["floor"]
    table["scaled"] = (table["score"] - table["floor"]) / room
    way = table["metric"].map(directions)
    better = ((way == "higher") & (room > 0)) | ((way == "lower") & (room < 0))
    return table.loc[better, list(COLUMNS)].reset_index(drop=True)


def _with_ends(
    records: Iterable[Record], controls: Iterable[Record]
) -> Iterator[tuple[Record, _Ends]]:
    """Records whose floor and ceiling were run under the same test."""
    ends: dict[tuple[object, ...], dict[str, Record]] = {}
    # Where a control was run by several versions of its code, the last one holds.
    for control in sorted(controls, key=lambda control: control.provenance.started):
        if control.status == "done" and control.identity.method in (FLOOR, CEILING):
            ends.setdefault(_test(control), {})[control.identity.method] = control
    for record in records:
        found = ends.get(_test(record), {})
        if found.keys() == {FLOOR, CEILING}:
            yield record, found


def _test(record: Record) -> tuple[object, ...]:
    """What a method and its controls have in common."""
    of = record.identity
    return (
        of.data, of.protocol, of.protocol_version, of.train, of.validation, of.test, of.numerics,
        *sorted(of.splits.items()),
    )  # fmt: skip


def _ends(record: Record, ends: _Ends) -> Iterator[tuple[str, str, str, float, float]]:
    floors, ceilings = ends[FLOOR].scores, ends[CEILING].scores
    for metric, panels in record.scores.items():
        ceiling = ceilings.get(metric, {}).get(CEILING_PANEL)
        for panel in panels:
            floor = floors.get(metric, {}).get(panel)
            if floor and ceiling:
                yield record.key, panel, metric, floor.mean, ceiling.mean
