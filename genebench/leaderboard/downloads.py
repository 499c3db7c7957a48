"""The downloads of a board: its tables as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

from genebench._util.text import no_formula
from genebench.leaderboard.boards import Board
from genebench.leaderboard.tables import Row, Tables, by_variant, facts_of, figures_of, flat
from genebench.specs import MetricSpec

_FIGURES = (
    "mean", "std_genes", "rank", "rank_low", "rank_high", "low", "high", "difference",
    "difference_low", "difference_high", "p", "seed_low", "seed_high",
)  # fmt: skip
"""Meaning of each number of a score in ``board.json``."""


def board_csv(tables: Tables, metrics: Sequence[MetricSpec]) -> str:
    """Return a board as CSV: one line for each variant, with all panels.

    No text begins as a formula would in a spreadsheet.
    """
    lines = [flat(rows, metrics) for rows in by_variant(tables)]
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: no_formula(value) for name, value in line.items()} for line in lines)
    return stream.getvalue()


def board_json(board: Board, tables: Tables, metrics: Sequence[MetricSpec]) -> str:
    """Return a board as JSON: its test setting, and for each row its facts, scores and runs.

    ``scores`` is panel → metric → numbers, whose names ``figures`` has once: a board has thousands
    of scores. Numbers at the end that are missing are left out.
    """
    lines = []
    for rows in by_variant(tables):
        row = next(iter(rows.values()))
        scores = {
            panel: {
                metric.name: _score(of_panel, metric.name)
                for metric in metrics
                if metric.name in of_panel.places
            }
            for panel, of_panel in rows.items()
        }
        keys = [record.key for record in row.variant.records]
        lines.append(
            facts_of(row) | {"scores": scores, "params": row.first.identity.params, "keys": keys}
        )
    first = board.first
    content = {
        "dataset": board.datasets, "preset": board.preset, **first.identity.test_setting(),
        "profiles": first.profiles, "genes": first.genes, "ranked_by": metrics[0].name,
        "figures": _FIGURES, "rows": lines,
    }  # fmt: skip
    return json.dumps(_known(content), separators=(",", ":"), allow_nan=False)


def _score(row: Row, metric: str) -> list[float | None]:
    """Return the numbers of a score in the order of :data:`_FIGURES`."""
    found = {"rank": row.places[metric].rank, **figures_of(row, metric)}
    numbers = [found[name] for name in _FIGURES]
    while numbers[-1] is None:
        numbers.pop()
    return numbers


def _known(value: Any) -> Any:
    """Return a value without the keys whose values are missing, at any depth."""
    if isinstance(value, Mapping):
        return {name: _known(part) for name, part in value.items() if part is not None}
    return [_known(part) for part in value] if isinstance(value, list) else value
