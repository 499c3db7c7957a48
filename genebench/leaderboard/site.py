"""The site: the list of its files, and the numbers that they show."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import groupby
from pathlib import Path

from genebench.analysis.rank import entries_of
from genebench.analysis.variants import Variant
from genebench.data.store import DataStore
from genebench.errors import some
from genebench.leaderboard.boards import Board, boards_of, page_id
from genebench.leaderboard.downloads import board_csv, board_json
from genebench.leaderboard.pages import (
    BoardEntry,
    DataUse,
    MethodEntry,
    MethodRows,
    SiteOptions,
    board_page,
    data_page,
    environment_page,
    index_page,
    method_page,
    problems_page,
)
from genebench.leaderboard.pool import Pool
from genebench.leaderboard.reading import Run
from genebench.leaderboard.run_pages import (
    BoardLink,
    Rendered,
    RunTask,
    chosen_params,
    environment_of,
    repeat_command,
    try_run_page,
)
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

_STATIC = Path(__file__).parent / "static"

_MOST_LEADERS = 4
"""Methods that the index names for a board."""


class UnshownRunsError(Exception):
    """The pages of some runs could not be rendered, for an unforeseen reason.

    Attributes:
        faults: key of the run → its fault, one line.
    """

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(*faults.values())
        self.faults = faults


@dataclass(frozen=True)
class Site:
    """A site of some runs.

    Attributes:
        options: title and metrics.
        registry: the installed methods, metrics and protocols.
        shown: key → the run, and the summary of its vectors.
        pool: does the work on many runs.
    """

    options: SiteOptions
    registry: Registry
    shown: Mapping[str, tuple[Run, VectorSummary]]
    pool: Pool

    def write(
        self, folder: Path, problems: Sequence[str], *, trials: int, n_folders: int
    ) -> None:  # fmt: skip
        """Write every file of the site.

        Args:
            folder: where to write, an empty folder.
            problems: one line for each record or folder that is not shown.
            trials: number of records of tuning, which stand on no board.
            n_folders: number of results folders.

        Raises:
            UnshownRunsError: some runs have no page. The site must not be published.
        """
        for source in _STATIC.iterdir():
            shutil.copyfile(source, folder / source.name)
        # The tables come first: no worker is free to rank once all run pages are submitted.
        tables = self.tables
        # Workers render these pages while this process renders the others.
        run_pages = self._run_pages()
        for path, text in self._pages(tables, problems, trials, n_folders):
            _write(folder / path, text)
        faults = {}
        for key, page in zip(self.shown, run_pages, strict=True):
            if page.fault:
                faults[key] = page.fault
            _write(folder / "runs" / f"{key}.html", page.text)
        if faults:
            raise UnshownRunsError(faults)

    def _pages(
        self, tables: Mapping[str, dict[str, list[Row]]], problems: Sequence[str], trials: int,
        n_folders: int,
    ) -> Iterator[tuple[str, str]]:  # fmt: skip
        """Yield the path and the text of every file, but for the pages of runs."""
        options = self.options
        for board in self.boards:
            home = f"boards/{board.id}"
            for panel, rows in tables[board.id].items():
                standings = self.rankings[board.id, panel, options.metrics[0].name]
                page = board_page(options, board, panel, rows, standings)
                yield f"{home}/{panel}.html", page
            yield f"{home}/board.csv", board_csv(tables[board.id], options.metrics)
            yield f"{home}/board.json", board_json(board, tables[board.id], options.metrics)
        for method in self.methods:
            groups = self._method_rows(method, tables)
            yield f"methods/{method.id}.html", method_page(options, method, groups)
        for digest, uses in self._data_uses().items():
            dataset = DataStore().find(digest)
            yield f"data/{page_id(digest)}.html", data_page(options, digest, uses, dataset)
        for name, runs in self._runs_by_environment().items():
            environment = environment_of(runs[0].record.provenance)
            yield f"made/{name}.html", environment_page(options, environment, runs)
        if problems:
            yield "problems.html", problems_page(options, problems)
        index = index_page(
            options, self._board_entries(tables), self.methods, problems,
            n_runs=len(self.shown), trials=trials, n_folders=n_folders,
        )  # fmt: skip
        yield "index.html", index

    @cached_property
    def runs(self) -> list[Run]:
        """The runs that are shown, by key."""
        return [run for run, _ in self.shown.values()]

    # Boards

    @cached_property
    def boards(self) -> list[Board]:
        """The boards, in the order of the index."""
        return boards_of(self.runs, self.registry)

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
        # By other metrics than the first, scores and intervals are shown, but no ranks.
        unranked = metric is not self.options.metrics[0]

        def without_records(variant: Variant) -> Variant:
            return replace(variant, records=(), control=unranked or variant.control)

        def evidence(record: Record) -> Vectors:
            return self.shown[record.key][1].evidence

        entries = entries_of(board.variants, evidence, metric.name, panel)
        return RankTask(
            [
                replace(entry, variant=without_records(entry.variant))
                for entry in entries
            ],
            [numbers[id(entry.variant)] for entry in entries],
            metric,
        )  # fmt: skip

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

    def _board_entries(
        self, tables: Mapping[str, Mapping[str, Sequence[Row]]]
    ) -> list[BoardEntry]:  # fmt: skip
        metric = self.options.metrics[0].name
        entries = []
        for board in self.boards:
            leaders = [
                row.variant.label
                for row in tables[board.id][board.panels[0]]
                if metric in row.places and row.places[metric].rank == 1
            ]
            failed = sum(run.record.status == "failed" for run in board.runs)
            data = page_id(board.first.identity.data)
            entries.append(BoardEntry(board, data, failed, some(leaders, _MOST_LEADERS)))
        return entries

    # Runs

    def _run_pages(self) -> Iterator[Rendered]:
        """Yield the page of each run, in their order."""
        links: dict[str, list[BoardLink]] = {}
        for board in self.boards:
            link = BoardLink(board.id, board.preset, tuple(board.panels))
            for run in board.runs:
                links.setdefault(run.key, []).append(link)
        metrics = [metric.name for metric in self.options.metrics]
        tasks = (
            RunTask(
                run=run.limited_to(metrics),
                spreads=summary.spreads,
                boards=tuple(links[key]),
                method_page=method_id(run.record),
                data_page=page_id(run.record.identity.data),
                environment_page=self._environments[key],
                params=chosen_params(run.record, self._spec(run.record)),
                repeat=repeat_command(run.record, self.registry),
            )
            for key, (run, summary) in self.shown.items()
        )
        return self.pool.map(partial(try_run_page, options=self.options), tasks)

    @cached_property
    def _environments(self) -> dict[str, str]:
        """Key of a run → name of the page of its environment."""
        return {run.key: page_id(environment_of(run.record.provenance)) for run in self.runs}

    def _runs_by_environment(self) -> dict[str, list[Run]]:
        runs: dict[str, list[Run]] = {}
        for run in self.runs:
            runs.setdefault(self._environments[run.key], []).append(run)
        return runs

    # Methods

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
            entries.append(MethodEntry(page, name, distribution, members, self._spec(first)))
        return entries

    def _spec(self, record: Record) -> MethodSpec | None:
        """Return the spec of the record's method, if the same distribution is installed here."""
        identity, methods = record.identity, self.registry.methods
        plugin = methods.plugins.get(identity.method)
        if plugin is None or plugin.distribution != identity.code.distribution:
            return None
        return methods.specs[identity.method]

    def _method_rows(
        self, method: MethodEntry, tables: Mapping[str, Mapping[str, Sequence[Row]]]
    ) -> Iterator[MethodRows]:
        for board in self.boards:
            rows = [
                row
                for row in tables[board.id][board.panels[0]]
                if row.method_page == method.id
            ]  # fmt: skip
            if rows:
                yield MethodRows(board, rows)

    # Data

    def _data_uses(self) -> dict[str, list[DataUse]]:
        """Return digest of a dataset → the boards on it."""
        uses: dict[str, list[DataUse]] = {}
        for board in self.boards:
            splits = {self.shown[run.key][1].test_profiles for run in board.runs}
            use = DataUse(board, sorted(filter(None, splits)))
            uses.setdefault(board.first.identity.data, []).append(use)
        return uses


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
