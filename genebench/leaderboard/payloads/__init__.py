"""The data of a board's charts."""

from __future__ import annotations

from typing import Any

from genebench.leaderboard.boards import Board
from genebench.leaderboard.contents import Contents


def charts_payload(contents: Contents, board: Board) -> dict[str, Any]:
    """Return what the charts of a board need besides its table, as JSON-able values."""
    del contents, board
    return {}
