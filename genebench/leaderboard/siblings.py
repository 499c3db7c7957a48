"""The axes of a board's header: links to boards that differ in one of four choices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from genebench.leaderboard.boards import Board

Place = tuple[str, str, str]
"""Dataset, protocol and preset of a board, as the header names them."""

AXES = ("dataset", "protocol", "preset")


class Option(NamedTuple):
    """A link of the header.

    Attributes:
        label: the value of the axis.
        title: the same in words, or empty.
        board: the board that it leads to.
        panel: the panel that it leads to.
        is_current: True for the page itself.
    """

    label: str
    title: str
    board: Board
    panel: str
    is_current: bool

    @property
    def href(self) -> str:
        """The address of the page, from any page of a board."""
        return f"../{self.board.id}/{self.panel}.html"

    def as_json(self) -> dict[str, str]:
        """Return the link for scripts."""
        return {
            "id": self.board.id, "protocol": self.board.first.identity.protocol,
            "preset": self.board.preset, "dataset": self.board.datasets,
            "panel": self.panel, "href": self.href,
        }  # fmt: skip


class Axis(NamedTuple):
    """One choice of the header, with the values to choose from."""

    name: str
    options: Sequence[Option]


def places_of(boards: Sequence[Board]) -> dict[str, Place]:
    """Return id of a board → its dataset, protocol and preset.

    A dataset's name is followed by its digest if there are others of that name, and a protocol's
    name by its version if there are several versions.
    """
    digests: dict[str, set[str]] = {}
    versions: dict[str, set[int]] = {}
    for board in boards:
        identity = board.first.identity
        digests.setdefault(board.datasets, set()).add(identity.data)
        versions.setdefault(identity.protocol, set()).add(identity.protocol_version)
    places = {}
    for board in boards:
        identity = board.first.identity
        several_data = len(digests[board.datasets]) > 1
        several_versions = len(versions[identity.protocol]) > 1
        places[board.id] = (
            f"{board.datasets} {identity.data[:6]}" if several_data else board.datasets,
            f"{identity.protocol} {identity.protocol_version}"
            if several_versions
            else identity.protocol,
            board.preset,
        )
    return places


def axes_of(
    board: Board, panel: str, boards: Sequence[Board], places: Mapping[str, Place],
    panel_titles: Mapping[str, str],
) -> list[Axis]:  # fmt: skip
    """Return the axes of a page's header: dataset, protocol, panel and preset.

    A link changes one choice, and keeps as many of the others as a board allows.

    Args:
        board: the board of the page.
        panel: the panel of the page.
        boards: all boards, in the order of the index.
        places: what :func:`places_of` returns for them.
        panel_titles: panel → title.
    """
    here = places[board.id]
    axes = []
    for number, name in enumerate(AXES):
        nearest: dict[str, Board] = {}
        for other in boards:
            value = places[other.id][number]
            kept = nearest.get(value)
            if kept is None or _likeness(places[other.id], here) > _likeness(places[kept.id], here):
                nearest[value] = other
        nearest[here[number]] = board
        options = [
            Option(
                label=value,
                title=other.protocol_title if name == "protocol" else "",
                board=other,
                panel=panel if panel in other.panels else other.panels[0],
                is_current=other is board,
            )
            for value, other in nearest.items()
        ]
        axes.append(Axis(name, options))
    panels = [Option(name, panel_titles[name], board, name, name == panel) for name in board.panels]
    axes.insert(2, Axis("panel", panels))
    return axes


def _likeness(place: Place, other: Place) -> int:
    return sum(a == b for a, b in zip(place, other, strict=True))
