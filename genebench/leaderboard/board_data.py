"""The data of a board for its scripts: one file that a page loads from disk, and that is JSON.

The file sets ``globalThis.genebenchBoard``. A page from disk may load scripts, but no JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from genebench.leaderboard.boards import Board
from genebench.leaderboard.siblings import Axis
from genebench.leaderboard.tables import Place, Row, Tables, by_variant, rounded
from genebench.leaderboard.templating import shown
from genebench.specs import MetricSpec

FIGURES = (
    "mean", "std", "low", "high", "seedLow", "seedHigh", "rank", "rankLow", "rankHigh", "tied",
    "difference", "differenceLow", "differenceHigh", "p", "beatsMean",
)  # fmt: skip
"""Meaning of each number of a score. Names are written once, as a board has thousands of scores.

``board.js`` turns each score into an object. Nulls at its end are left out.
"""

_DIGITS = 5
"""Digits of a number. Pages show four decimals of a score."""


def board_data(
    board: Board, tables: Tables, metrics: Sequence[MetricSpec], axes: Sequence[Axis], *,
    titles: Mapping[str, str], notes: Mapping[str, str],
) -> dict[str, Any]:  # fmt: skip
    """Return the data of a board as JSON-able values.

    Args:
        board: the board.
        tables: panel → rows.
        metrics: the metrics. The first one ranks.
        axes: the header's links to other boards.
        titles: panel → its title.
        notes: panel → a sentence about it.
    """
    first = board.first
    return {
        "id": board.id,
        "protocol": first.identity.protocol,
        "protocolTitle": board.protocol_title,
        "dataset": board.datasets,
        "preset": board.preset,
        "dataDigest": first.identity.data,
        "panels": [
            {"id": panel, "title": titles[panel], "note": notes[panel]} for panel in tables
        ],
        "metrics": [
            {
                "name": metric.name, "title": metric.title, "unit": metric.unit,
                "lowerIsBetter": metric.direction == "lower",
            }
            for metric in metrics
        ],
        "figures": FIGURES,
        "rows": [_row(rows, metrics) for rows in by_variant(tables)],
        "siblings": [option.as_json() for axis in axes for option in axis.options],
    }  # fmt: skip


def script_of(name: str, data: object) -> str:
    """Return a script that sets a global name to JSON. No text in it can end the script."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return f"globalThis.{name}={text}\n"


def _row(rows: Mapping[str, Row], metrics: Sequence[MetricSpec]) -> dict[str, Any]:
    row = next(iter(rows.values()))
    identity = row.first.identity
    values: dict[str, Any] = {
        "id": row.id,
        "label": shown(row.variant.label),
        "method": shown(identity.method),
        "methodPage": row.method_page,
        "family": shown(row.family),
        "section": row.section,
        "params": {str(shown(name)): shown(value) for name, value in identity.params.items()},
        "seeds": [
            {"seed": record.identity.seed, "key": record.key}
            | ({"failed": True} if record.failure else {})
            for record in row.variant.records
        ],
        "marks": [*row.marks],
        "sealed": row.sealed,
        "claimed": row.claimed,
        "targets": row.first.genes.get("target"),
        "cost": {
            "fit": rounded(row.seconds("fit"), 4),
            "predict": rounded(row.seconds("predict"), 4),
            "mark": row.time_mark,
            "memory": row.memory,
            "parameters": row.parameters,
        },
        "panels": {
            panel: {
                metric.name: _score(of_panel.places[metric.name], of_panel.stds.get(metric.name))
                for metric in metrics
                if metric.name in of_panel.places
            }
            for panel, of_panel in rows.items()
        },
    }
    if row.published:
        values |= {"published": {name: str(value) for name, value in row.published.items()}}
    if row.memory_is_bound:
        values["memoryIsBound"] = True
    return values


def _score(place: Place, std: float | None) -> list[float | bool | None]:
    """Return the numbers of a score in the order of :data:`FIGURES`."""
    numbers: list[float | bool | None] = [
        rounded(place.mean, _DIGITS), rounded(std, _DIGITS),
        rounded(place.low, _DIGITS), rounded(place.high, _DIGITS),
        rounded(place.seed_low, _DIGITS), rounded(place.seed_high, _DIGITS),
        place.rank, place.rank_low, place.rank_high, len(place.tied) if place.rank else None,
        rounded(place.difference, _DIGITS), rounded(place.difference_low, _DIGITS),
        rounded(place.difference_high, _DIGITS), rounded(place.p, 3), place.beats_mean,
    ]  # fmt: skip
    while numbers[-1] is None:
        numbers.pop()
    return numbers
