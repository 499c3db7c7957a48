"""Methods × protocols: the scores of each method on all boards of one dataset and preset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from genebench._util.hashing import key_of
from genebench.leaderboard.boards import Board
from genebench.leaderboard.payloads.packing import digits
from genebench.leaderboard.tables import Row
from genebench.leaderboard.templating import shown
from genebench.specs import sized_name

Tables = Mapping[str, Mapping[str, Sequence[Row]]]
"""Board → panel → rows."""


@dataclass(frozen=True)
class Sibling:
    """A row of the table: one method with its parameters, on several boards.

    Attributes:
        label: its label on the first board that has it.
        control: True for a control.
        rows: board → panel → its row there.
    """

    label: str
    control: bool
    rows: Mapping[str, Mapping[str, Row]]


def siblings_of(board: Board, boards: Sequence[Board]) -> list[Board]:
    """Return the boards on the same data with the same preset, in the order of the index.

    Other training sizes are left out: the curves by training size show them.
    """
    return [
        other
        for other in boards
        if (other.first.identity.data, other.preset) == (board.first.identity.data, board.preset)
        and (other.id == board.id or not sized_name(other.first.identity.protocol)[1])
    ]


def methods_of(board: Board, siblings: Sequence[Board], tables: Tables) -> list[Sibling]:
    """Return the methods of some boards: first those of ``board``, in the order of its table.

    A method is the same on two boards if its name, its parameters and its code are the same.
    """
    found: dict[str, dict[str, dict[str, Row]]] = {}
    for member in (board, *(other for other in siblings if other.id != board.id)):
        # Two rows of one board may differ in their members alone. They stay two rows.
        seen: Counter[str] = Counter()
        panels = tables[member.id]
        for row in panels[member.panels[0]]:
            identity = row.first.identity
            parts = [identity.method, identity.params, identity.code.model_dump()]
            same = key_of(parts)
            seen[same] += 1
            rows = found.setdefault(f"{same} {seen[same]}", {})
            rows[member.id] = {
                panel: other
                for panel, part in panels.items()
                for other in part
                if other.variant is row.variant
            }
    return [
        Sibling(str(shown(first.variant.label)), first.variant.control, rows)
        for rows in found.values()
        for first in [next(iter(next(iter(rows.values())).values()))]
    ]


def table_of(
    board: Board, siblings: Sequence[Board], methods: Sequence[Sibling], metrics: Sequence[str]
) -> dict[str, Any]:
    """Return the table: columns of boards, and scores and ranks by method, metric and panel.

    A cell is ``[mean, rank]``, ``[mean]`` without a rank, or null without a score.
    """
    panels = list(dict.fromkeys(panel for sibling in siblings for panel in sibling.panels))
    return {
        "columns": [
            {
                "id": sibling.id,
                "protocol": shown(sibling.first.identity.protocol),
                "title": shown(sibling.protocol_title),
                "here": sibling.id == board.id,
                "panels": sibling.panels,
            }
            for sibling in siblings
        ],
        "rows": [
            {
                "label": method.label,
                "control": method.control,
                "cells": {
                    metric: {
                        panel: [
                            _cell(method.rows.get(other.id, {}), panel, metric)
                            for other in siblings
                        ]
                        for panel in panels
                    }
                    for metric in metrics
                },
            }
            for method in methods
        ],
    }


def _cell(rows: Mapping[str, Row], panel: str, metric: str) -> list[float] | None:
    row = rows.get(panel)
    place = row.places.get(metric) if row else None
    if place is None:
        return None
    mean = digits(place.mean, 5)
    return [mean] if place.rank is None else [mean, place.rank]
