"""The content of a site: its boards, methods, datasets and environments, and their numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

from genebench.analysis.citations import bibliography
from genebench.analysis.rank import entries_of
from genebench.data.store import Dataset, DataStore
from genebench.leaderboard.boards import Board, boards_of, page_id
from genebench.leaderboard.explanations import Shown, shown_explanation
from genebench.leaderboard.pages import DataUse, MethodEntry, SiteOptions
from genebench.leaderboard.pool import Pool
from genebench.leaderboard.reading import Run
from genebench.leaderboard.run_pages import environment_of
from genebench.leaderboard.tables import (
    Ranking,
    RankTask,
    Row,
    method_id,
    ranking,
    rows_of,
)
from genebench.leaderboard.vectors import Vectors, VectorSummary
from genebench.plugins.registry import Registry
from genebench.results.record import Record
from genebench.specs import MethodSpec, MetricSpec


@dataclass(frozen=True)
class Contents:
    """The content of a site of some runs. Properties are computed once, when first needed.

    Attributes:
        options: title and metrics.
        registry: the installed methods, metrics and protocols.
        shown: key → the run, and the summary of its vectors. Folds are pooled.
        pool: does the work on many runs.
    """

    options: SiteOptions
    registry: Registry
    shown: Mapping[str, tuple[Run, VectorSummary]]
    pool: Pool

    @cached_property
    def runs(self) -> list[Run]:
        """The runs that were made, those of folds among them."""
        return [run for run, _ in self.shown.values() if not run.folds]

    @cached_property
    def results(self) -> list[Run]:
        """The runs that stand on boards: one for all folds of a protocol."""
        return [run for run, _ in self.shown.values() if not run.is_pooled]

    @cached_property
    def boards(self) -> list[Board]:
        """The boards, in the order of the index."""
        return boards_of(self.results, self.registry)

    @cached_property
    def rankings(self) -> dict[tuple[str, str, str], Ranking]:
        """(Board, panel, metric) → ranking."""
        subjects = [
            (board, panel, metric)
            for board in self.boards
            for panel in board.panels
            for metric in self.options.metrics
        ]
        tasks = (self._rank_task(*subject) for subject in subjects)
        # A ranking draws thousands of bootstrap samples: each is a task of its own.
        rankings = self.pool.map(ranking, tasks, chunk=1)
        names = ((board.id, panel, metric.name) for board, panel, metric in subjects)
        return dict(zip(names, rankings, strict=True))

    def _rank_task(self, board: Board, panel: str, metric: MetricSpec) -> RankTask:
        numbers = {id(variant): number for number, variant in enumerate(board.variants)}

        def evidence(record: Record) -> Vectors:
            return self.shown[record.key][1].evidence

        entries = entries_of(board.variants, evidence, metric.name, panel)
        # Records are left out: a worker needs only labels and vectors.
        light = [replace(entry, variant=replace(entry.variant, records=())) for entry in entries]
        return RankTask(light, [numbers[id(entry.variant)] for entry in entries], metric)

    @cached_property
    def tables(self) -> dict[str, dict[str, list[Row]]]:
        """Board → panel → rows."""
        metrics = self.options.metrics
        tables: dict[str, dict[str, list[Row]]] = {}
        for board in self.boards:
            tables[board.id] = {}
            for panel in board.panels:
                rankings = {m.name: self.rankings[board.id, panel, m.name] for m in metrics}
                tables[board.id][panel] = rows_of(board, panel, metrics, rankings)
        return tables

    @cached_property
    def methods(self) -> list[MethodEntry]:
        """The methods by name."""
        runs = sorted(
            self.runs, key=lambda run: (run.record.identity.method, method_id(run.record))
        )
        entries = []
        for page, group in groupby(runs, key=lambda run: method_id(run.record)):
            members = tuple(group)
            first = members[0].record
            name, distribution = first.identity.method, first.identity.code.distribution
            entries.append(MethodEntry(page, name, distribution, members, self.spec_of(first)))
        return entries

    def spec_of(self, record: Record) -> MethodSpec | None:
        """Return the spec of the record's method, if the same distribution is installed here."""
        identity, methods = record.identity, self.registry.methods
        plugin = methods.plugins.get(identity.method)
        if plugin is None or plugin.distribution != identity.code.distribution:
            return None
        return methods.specs[identity.method]

    @cached_property
    def environments(self) -> dict[str, str]:
        """Key of a run → name of the page of its environment."""
        return {run.key: page_id(environment_of(run.record)) for run, _ in self.shown.values()}

    def runs_by_environment(self) -> dict[str, list[Run]]:
        """Return name of an environment's page → its runs."""
        runs: dict[str, list[Run]] = {}
        for run in self.runs:
            runs.setdefault(self.environments[run.key], []).append(run)
        return runs

    @cached_property
    def explanations(self) -> dict[str, Shown | str]:
        """Key of a run → its explanation, or the reason why it cannot be shown."""
        found = ((run.key, shown_explanation(run)) for run in self.runs)
        return {key: shown for key, shown in found if shown is not None}

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        """Digest → dataset, for those that are prepared on this machine."""
        store = DataStore()
        digests = {board.first.identity.data for board in self.boards}
        found = ((digest, store.find(digest)) for digest in sorted(digests))
        return {digest: dataset for digest, dataset in found if dataset}

    def board_citation(self, board: Board) -> str:
        """Return the BibTeX of genebench, and of the methods and the data of a board."""
        origins = {digest: dataset.info["origin"] for digest, dataset in self.datasets.items()}
        records = [variant.first for variant in board.variants]
        return bibliography(records, self.registry, origins=origins)

    def data_uses(self) -> dict[str, list[DataUse]]:
        """Return digest of a dataset → the boards on it."""
        uses: dict[str, list[DataUse]] = {}
        for board in self.boards:
            splits = {self.shown[run.key][1].test_profiles for run in board.runs}
            use = DataUse(board, sorted(filter(None, splits)))
            uses.setdefault(board.first.identity.data, []).append(use)
        return uses
