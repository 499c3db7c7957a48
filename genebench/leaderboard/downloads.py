"""The downloads of a board: its tables as CSV and as JSON."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence

from genebench._util.text import no_formula
from genebench.leaderboard.boards import Board
from genebench.leaderboard.tables import Tables, by_variant, flat
from genebench.specs import MetricSpec


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
    """Return a board as JSON: its test setting, the lines of the CSV, and the runs' keys.

    Values that are missing are left out.
    """
    lines = []
    for rows in by_variant(tables):
        row = next(iter(rows.values()))
        keys = [record.key for record in row.variant.records]
        known = {name: value for name, value in flat(rows, metrics).items() if value is not None}
        lines.append({**known, "params": row.first.identity.params, "keys": keys})
    first = board.first
    content = {
        "dataset": board.datasets, "preset": board.preset, **first.identity.test_setting(),
        "profiles": first.profiles, "genes": first.genes, "ranked_by": metrics[0].name,
        "rows": lines,
    }  # fmt: skip
    return json.dumps(content, separators=(",", ":"), allow_nan=False)
