"""The scores of a board by date: when each run started, and what it scored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from genebench.leaderboard.boards import Board
from genebench.leaderboard.payloads.packing import digits


def history(board: Board, metrics: Sequence[str]) -> dict[str, Any]:
    """Return the runs of a board by the time at which they started, as columns.

    ``second`` counts from 1970. ``variant`` is a number of a variant. ``scores`` maps a metric and
    a panel to the score of each run, null where it has none. A run whose time cannot be read is
    left out and counted in ``undated``.
    """
    dated, undated = [], 0
    for number, variant in enumerate(board.variants):
        for record in variant.done:
            second = _second(record.provenance.started)
            if second is None:
                undated += 1
            else:
                dated.append((second, number, record))
    dated.sort(key=lambda run: run[:2])
    return {
        "second": [second for second, _, _ in dated],
        "variant": [number for _, number, _ in dated],
        "scores": {
            metric: {
                panel: [
                    digits(score.mean)
                    if (score := record.scores.get(metric, {}).get(panel))
                    else None
                    for _, _, record in dated
                ]
                for panel in board.panels
            }
            for metric in metrics
        },
        "undated": undated,
    }


def _second(started: str) -> int | None:
    """Return the time of a record, or None if it is not one. A record may hold any text."""
    try:
        moment = datetime.fromisoformat(started)
    except ValueError:
        return None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
