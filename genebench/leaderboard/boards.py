"""Boards: runs that may be ranked together, and the tables that they make."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from genebench._util.hashing import key_of
from genebench.leaderboard.reading import Run
from genebench.plugins.registry import Registry
from genebench.reports.report import by_preset, comparable
from genebench.reports.variants import Variant, variants_of
from genebench.results.panels import PANELS
from genebench.results.record import Record
from genebench.specs import PRESETS

_ID_LENGTH = 10


def page_id(content: object) -> str:
    """The name of a page: a hash, so that no name of a plugin or a file becomes a path."""
    return key_of(content)[:_ID_LENGTH]


@dataclass(frozen=True)
class Board:
    """One preset of one protocol on one dataset: what is on it was tested alike.

    Attributes:
        id: name of its folder.
        preset: preset that the parameters are those of.
        runs: runs by key.
    """

    id: str
    preset: str
    runs: tuple[Run, ...]
    registry: Registry

    @property
    def first(self) -> Record:
        """Any record of it: they agree on the data, the protocol and the units."""
        return self.runs[0].record

    @property
    def datasets(self) -> str:
        """Names of the dataset."""
        return " = ".join(sorted({run.record.dataset for run in self.runs}))

    @property
    def protocol_title(self) -> str:
        """Title of the protocol, or its name where it is not installed."""
        spec = self.registry.protocols.specs.get(self.first.identity.protocol)
        return spec.title if spec else self.first.identity.protocol

    @cached_property
    def panels(self) -> list[str]:
        """Panels that some run has scores on; all, if every run failed."""
        scored = {
            panel for run in self.runs for panels in run.record.scores.values() for panel in panels
        }
        return [panel for panel in PANELS if panel in scored] or ["all"]

    @cached_property
    def variants(self) -> list[Variant]:
        """Its rows: one for each method and set of parameters."""
        found = variants_of([run.record for run in self.runs], self.registry)
        return sorted(found, key=lambda variant: (variant.control, variant.label))

    def marks(self, variant: Variant) -> list[str]:
        """Marks that every run of a row has, and warnings that any has."""
        given = [self._marks[record.key] for record in variant.records]
        every = set(given[0]).intersection(*given[1:])
        some = {mark for marks in given for mark in marks if mark not in GOOD_MARKS}
        return sorted(every | some)

    @cached_property
    def _marks(self) -> dict[str, tuple[str, ...]]:
        return {run.key: run.marks for run in self.runs}


GOOD_MARKS = ("submitted", "verified")
"""Marks that speak for a run: a row has them when all its runs do."""


def boards_of(runs: Iterable[Run], registry: Registry) -> list[Board]:
    """Sort runs into boards, in the order of datasets, protocols (the registry's) and presets."""
    by_key: dict[str, Run] = {run.key: run for run in runs}
    tests = comparable([run.record for run in by_key.values()])
    boards = [
        board
        for records in tests
        for board in _by_preset([by_key[record.key] for record in records], registry)
    ]
    protocols = list(registry.protocols.specs)

    def place(board: Board) -> tuple[str, int, str, int, str]:
        identity = board.first.identity
        known = identity.protocol in protocols
        preset = PRESETS.index(board.preset) if board.preset in PRESETS else len(PRESETS)
        return (
            board.datasets,
            protocols.index(identity.protocol) if known else len(protocols),
            identity.protocol,
            -preset,
            board.id,
        )

    return sorted(boards, key=place)


def _by_preset(runs: Sequence[Run], registry: Registry) -> list[Board]:
    """One board for each preset that runs were made with; some runs stand on several."""
    of = {run.key: run for run in runs}
    boards = []
    for preset, records in by_preset([run.record for run in runs], registry).items():
        board_id = page_id([*_test(runs[0].record), preset])
        members = tuple(of[record.key] for record in records)
        boards.append(Board(board_id, preset, members, registry))
    return boards


def _test(record: Record) -> list[object]:
    """What names a test; :func:`comparable` groups by the same."""
    own = record.identity
    return [
        own.data, own.protocol, own.protocol_version,
        own.train, own.validation, own.test, own.numerics,
        # Only where there are any: pages of other boards keep their addresses.
        *([own.splits] if own.splits else []),
    ]  # fmt: skip
