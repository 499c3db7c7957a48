"""Boards: groups of runs that may be ranked together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from genebench._util.hashing import key_of
from genebench.analysis.grouping import by_preset, comparable
from genebench.analysis.timing import RankedTimes
from genebench.analysis.variants import Variant, variants_of
from genebench.errors import UserError
from genebench.leaderboard.reading import Run
from genebench.plugins.registry import Registry
from genebench.results.panels import PANELS
from genebench.results.record import Record
from genebench.specs import PRESETS

_ID_LENGTH = 10
"""Digits of a page's name. 40 bits make a collision among thousands of pages improbable."""


def page_id(content: object) -> str:
    """Return the name of a page: a hash, so that no name of a plugin or a file becomes a path."""
    return key_of(content)[:_ID_LENGTH]


@dataclass(frozen=True)
class Board:
    """The runs of one protocol on one dataset with one preset: all were tested alike.

    Attributes:
        id: name of its folder.
        preset: the preset of the parameters.
        runs: the runs in the order of their keys.
        registry: the installed methods and protocols.
    """

    id: str
    preset: str
    runs: tuple[Run, ...]
    registry: Registry

    @property
    def first(self) -> Record:
        """The first record. All agree on the data, the protocol and the statistics."""
        return self.runs[0].record

    @property
    def datasets(self) -> str:
        """The dataset's names. One digest may have several."""
        return " = ".join(sorted({run.record.dataset for run in self.runs}))

    @property
    def protocol_title(self) -> str:
        """The protocol's title, or its name if it is not installed."""
        try:
            return self.registry.protocols.get(self.first.identity.protocol).title
        except UserError:
            return self.first.identity.protocol

    @cached_property
    def panels(self) -> list[str]:
        """The panels that some run has scores on, or ``all`` if every run failed."""
        scored = {
            panel for run in self.runs for panels in run.record.scores.values() for panel in panels
        }
        return [panel for panel in PANELS if panel in scored] or ["all"]

    @cached_property
    def variants(self) -> list[Variant]:
        """The rows: one for each method and set of parameters."""
        variants = variants_of([run.record for run in self.runs], self.registry)
        return sorted(variants, key=lambda variant: (variant.control, variant.label))

    @cached_property
    def times(self) -> RankedTimes:
        """Which rows have times that compare."""
        return RankedTimes.among(self.variants)

    def marks(self, variant: Variant) -> list[str]:
        """Return the good marks that every run of a row has, and the warnings that any run has."""
        return joined([self._marks[record.key] for record in variant.records])

    def has_submitted(self, variant: Variant) -> bool:
        """Return whether any run of a row came in a bundle."""
        return any("submitted" in self._marks[record.key] for record in variant.records)

    @cached_property
    def _marks(self) -> dict[str, tuple[str, ...]]:
        return {run.key: run.marks for run in self.runs}


GOOD_MARKS = ("submitted", "verified")
"""Marks that add trust to a run. A row has them only if all its runs do."""


def joined(marks: Iterable[Sequence[str]]) -> list[str]:
    """Return the good marks that all runs have, and the warnings that any has."""
    by_run = [set(each) for each in marks]
    warnings = set.union(*by_run).difference(GOOD_MARKS)
    return sorted(set.intersection(*by_run) | warnings)


def boards_of(runs: Iterable[Run], registry: Registry) -> list[Board]:
    """Group runs into boards, in the order of datasets, protocols (the registry's) and presets."""
    by_key: dict[str, Run] = {run.key: run for run in runs}
    tests = comparable([run.record for run in by_key.values()])
    boards = [
        board
        for records in tests
        for board in _by_preset([by_key[record.key] for record in records], registry)
    ]

    def sort_key(board: Board) -> tuple[str, tuple[int, float], str, int, str]:
        identity = board.first.identity
        preset = PRESETS.index(board.preset) if board.preset in PRESETS else len(PRESETS)
        return (
            board.datasets,
            registry.protocols.place(identity.protocol),
            identity.protocol,
            # The largest preset first: its results matter most.
            -preset,
            board.id,
        )

    return sorted(boards, key=sort_key)


def _by_preset(runs: Sequence[Run], registry: Registry) -> list[Board]:
    """Return one board for each preset of some runs that were tested alike.

    A method without values of its own for a preset stands on the boards of several presets.
    """
    by_key = {run.key: run for run in runs}
    test = runs[0].record.identity.test_setting().values()
    boards = []
    for preset, records in by_preset([run.record for run in runs], registry).items():
        members = tuple(by_key[record.key] for record in records)
        boards.append(Board(page_id([*test, preset]), preset, members, registry))
    return boards
