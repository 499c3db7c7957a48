"""Scores, intervals and costs of a board's variants, and the p-value of each pair."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

from genebench.leaderboard.boards import Board
from genebench.leaderboard.payloads.packing import digits
from genebench.leaderboard.tables import Ranking, Row
from genebench.leaderboard.templating import shown

P_STEPS = 10_000
"""P-values are written as whole numbers of 1 / 10,000, rounded up so that none becomes 0."""

_LEAST_COST_SECONDS = 1e-3
"""The axis of costs is logarithmic, and a clock may measure 0 s."""


def variants(board: Board, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the label, the family and the cost of each variant, by its number on the board.

    Args:
        board: the board.
        rows: the rows of one panel. Costs do not depend on the panel.
    """
    by_variant = {id(row.variant): row for row in rows}
    return [
        {
            "label": shown(variant.label),
            "family": shown(row.family),
            "control": variant.control,
            "mark": row.time_mark,
            "cost": None if row.cost is None else digits(max(row.cost, _LEAST_COST_SECONDS), 4),
        }
        for variant in board.variants
        for row in [by_variant[id(variant)]]
    ]


def panel_of(ranking: Ranking) -> dict[str, Any]:
    """Return the places of a panel, best first, and p-values of pairs of ranked variants.

    ``p`` has the pairs in the order of ``itertools.combinations(ranked, 2)``.
    """
    ranked = [number for number, place in ranking.places.items() if place.rank is not None]
    pairs = [ranking.p_values.get((min(pair), max(pair))) for pair in combinations(ranked, 2)]
    return {
        "places": [
            [number, digits(place.mean, 6), _limit(place.low), _limit(place.high), place.rank]
            for number, place in ranking.places.items()
        ],
        "ranked": ranked,
        "p": [None if p is None else -int(-p * P_STEPS // 1) for p in pairs],
        "note": ranking.note,
    }


def panels(rankings: Mapping[str, Ranking]) -> dict[str, dict[str, Any]]:
    """Return panel → its places and pairs."""
    return {panel: panel_of(ranking) for panel, ranking in rankings.items()}


def _limit(value: float | None) -> float | None:
    return None if value is None else digits(value, 6)
