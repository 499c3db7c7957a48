"""Build the site: read, look into vectors, rank, write pages; in parallel where it pays."""

from __future__ import annotations

import csv
import io
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property, partial
from importlib.metadata import version
from itertools import groupby
from multiprocessing import get_context
from pathlib import Path
from types import ModuleType
from typing import Any, Protocol, TypeVar

from genebench._util.text import no_formula
from genebench._util.threads import cpu_count
from genebench.analysis.rank import Entry, entries_of
from genebench.data.store import DataStore
from genebench.errors import UserError, some
from genebench.leaderboard.boards import Board, boards_of, page_id
from genebench.leaderboard.pages import (
    Group,
    Link,
    Look,
    Made,
    MethodEntry,
    RunTask,
    attempted,
    board_page,
    chosen_params,
    environment_of,
    method_page,
    render,
    repeat_command,
)
from genebench.leaderboard.publish import check_place, staging
from genebench.leaderboard.reading import Run, read
from genebench.leaderboard.seen import Seen, Vectors, claims, look, shared
from genebench.leaderboard.tables import (
    TARGETS,
    Contender,
    Ranking,
    RankTask,
    Row,
    flat,
    method_id,
    ranking,
    rows_of,
)
from genebench.plugins.registry import Registry, registry
from genebench.reports.variants import Variant
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.specs import MethodSpec, MetricSpec

TITLE = "genebench leaderboard"
METRICS = ("mae", "cc")

_STATIC = Path(__file__).parent / "static"
_MANY = 200
"""Records from which on other processes are worth their start."""

_THREADS = "OMP_NUM_THREADS"
"""What every library for matrices asks how many threads it may have."""

_AT_ONCE = 25
"""Runs that go to a process together."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class Everywhere(Protocol):
    """A ``map`` that may spread tasks over the processors, so many at once."""

    def __call__(  # noqa: D102
        self, work: Callable[[Task], Result], tasks: Iterable[Task], at_once: int = 1
    ) -> Iterator[Result]: ...


@dataclass(frozen=True)
class Built:
    """What was built: where, of how much, and what is not shown."""

    index: Path
    boards: int
    runs: int
    problems: tuple[str, ...]


def build(
    folders: Sequence[Path], out: Path, *, metrics: Sequence[str] = METRICS, title: str = TITLE
) -> Built:
    """Make a site of results folders; what is at ``out`` is replaced at the end, in one step.

    Args:
        folders: results folders; a record that several have is shown once.
        out: folder of the site.
        metrics: columns of scores; methods are ranked by the first.
        title: what the site is called.

    Raises:
        UserError: ``out`` is no place for a board, a metric is unknown, or there is no record to
            show. Single records that are damaged are problems, and the rest is built.
    """
    check_place(out)
    shown = Look(title, tuple(registry().metrics.choose(metrics)))
    records = sum(len(ResultsStore(folder).keys()) for folder in folders)
    with _workers(records) as everywhere:
        reading = read(folders)
        names = [metric.name for metric in shown.metrics]
        claimed = (claims(run, names) for run in reading.runs)
        seen = shared(everywhere(partial(look, metrics=names), claimed, _AT_ONCE))
        faults = [found.fault for found in seen if found.fault]
        sound = {
            run.key: (run, found)
            for run, found in zip(reading.runs, seen, strict=True)
            if not found.fault
        }
        problems = (*reading.problems, *faults)
        while sound:
            try:
                with staging(out) as folder:
                    site = _Site(folder, shown, registry(), sound, everywhere)
                    site.write(problems, reading.trials, len(folders))
            except _UnshownError as error:
                # Rare enough to start anew: without them ranks and pages of others differ too.
                problems = (*problems, *error.faults.values())
                sound = {key: one for key, one in sound.items() if key not in error.faults}
            else:
                return Built(out / "index.html", len(site.boards), len(sound), problems)
    raise UserError(f"nothing to make a board of: {some(problems, 1) or 'only trials'}")


class _UnshownError(Exception):
    """Pages of runs could not be made, for a reason that nobody foresaw."""

    def __init__(self, faults: Mapping[str, str]) -> None:
        super().__init__(*faults.values())
        self.faults = faults
        """Key of a run → what is wrong with it, one line."""


@contextmanager
def _workers(n_records: int) -> Iterator[Everywhere]:
    """Other processes if there are many records, which start while this one reads."""
    cpus = cpu_count()
    if n_records < _MANY or cpus == 1:
        yield _here
        return
    # A fresh interpreter: a copy of this one would take its threads' locks along.
    pool = ProcessPoolExecutor(cpus, get_context("spawn"))
    try:
        with _one_thread_each(), _no_main():
            for _ in range(cpus):
                pool.submit(_started)
        yield partial(_there, pool)
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """What processes that are started now inherit: with more threads they fight over processors."""
    before = os.environ.get(_THREADS)
    os.environ[_THREADS] = "1"
    try:
        yield
    finally:
        os.environ.pop(_THREADS)
        if before is not None:
            os.environ[_THREADS] = before


@contextmanager
def _no_main() -> Iterator[None]:
    """Processes that are started now have no main module: the caller's script would run in each."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _started() -> None:
    """Nothing but the imports that reaching this takes."""


def _here(
    work: Callable[[Task], Result], tasks: Iterable[Task], at_once: int = 1
) -> Iterator[Result]:
    del at_once
    return map(work, tasks)


def _there(
    pool: ProcessPoolExecutor, work: Callable[[Task], Result], tasks: Iterable[Task],
    at_once: int = 1,
) -> Iterator[Result]:  # fmt: skip
    """All tasks are sent now, as they are made; results come in their order."""
    return pool.map(work, tasks, chunksize=at_once)


@dataclass(frozen=True)
class _Site:
    """A site in the making."""

    folder: Path
    look: Look
    registry: Registry
    sound: Mapping[str, tuple[Run, Seen]]
    everywhere: Everywhere

    @cached_property
    def runs(self) -> list[Run]:
        return [run for run, _ in self.sound.values()]

    @cached_property
    def boards(self) -> list[Board]:
        return boards_of(self.runs, self.registry)

    @cached_property
    def rankings(self) -> dict[tuple[str, str, str], Ranking]:
        """(Board, panel, metric) → ranking."""
        of = [
            (board, panel, metric)
            for board in self.boards
            for panel in board.panels
            for metric in self.look.metrics
        ]
        found = self.everywhere(ranking, (self._rank_task(*one) for one in of))
        names = ((board.id, panel, metric.name) for board, panel, metric in of)
        return dict(zip(names, found, strict=True))

    def _rank_task(self, board: Board, panel: str, metric: MetricSpec) -> RankTask:
        numbers = {id(variant): at for at, variant in enumerate(board.variants)}
        # By other metrics than the first, scores and intervals are shown, but no ranks.
        shown = metric is not self.look.metrics[0]

        def contender(variant: Variant) -> Contender:
            return Contender(numbers[id(variant)], variant.label, shown or variant.control)

        found = entries_of(board.variants, self._evidence, metric.name, panel)
        entries = [Entry(contender(one.variant), one.scores, one.evidence) for one in found]
        return RankTask(entries, metric)

    def _evidence(self, record: Record) -> Vectors:
        return self.sound[record.key][1].evidence

    @cached_property
    def tables(self) -> dict[str, dict[str, list[Row]]]:
        """Board → panel → rows."""
        return {
            board.id: {panel: self._rows(board, panel) for panel in board.panels}
            for board in self.boards
        }

    def _rows(self, board: Board, panel: str) -> list[Row]:
        metrics = self.look.metrics
        found = {m.name: self.rankings[board.id, panel, m.name] for m in metrics}
        return rows_of(board, panel, metrics, found)

    def write(self, problems: Sequence[str], trials: int, n_folders: int) -> None:
        """Write every page."""
        for source in _STATIC.iterdir():
            shutil.copyfile(source, self.folder / source.name)
        tables = self.tables
        pages = self._run_pages()  # other processes make them while this one makes the rest
        for board in self.boards:
            self._write_board(board, tables[board.id])
        for method in self.methods:
            groups = self._groups(method)
            self._page(f"methods/{method.id}.html", method_page(self.look, method, groups))
        for digest, boards in self._by_data().items():
            self._page(f"data/{page_id(digest)}.html", self._data_page(digest, boards))
        for page, runs in self._by_environment().items():
            made = environment_of(runs[0].record.provenance)
            text = self._render("environment.html", "../", made=made, runs=runs)
            self._page(f"made/{page}.html", text)
        if problems:
            self._page("problems.html", self._render("problems.html", "", problems=problems))
        self._page("index.html", self._index(problems, trials, n_folders))
        faults = {}
        for key, one in zip(self.sound, pages, strict=True):
            if one.fault:
                faults[key] = one.fault
            self._page(f"runs/{key}.html", one.text)
        if faults:
            raise _UnshownError(faults)

    def _page(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")

    def _render(self, template: str, root: str, **names: Any) -> str:
        title = names.pop("title", self.look.title)
        return render(template, title=title, site_title=self.look.title, root=root, **names)

    # Runs

    def _run_pages(self) -> Iterator[Made]:
        """The page of each run, in their order."""
        links: dict[str, list[Link]] = {}
        for board in self.boards:
            link = Link(board.id, board.preset, tuple(board.panels))
            for run in board.runs:
                links.setdefault(run.key, []).append(link)
        names = [metric.name for metric in self.look.metrics]
        tasks = (
            RunTask(
                run=run.limited_to(names),
                spreads=seen.spreads,
                boards=tuple(links[key]),
                method_page=method_id(run.record),
                data_page=page_id(run.record.identity.data),
                environment_page=self._environments[key],
                params=chosen_params(run.record, self._spec(run.record)),
                repeat=repeat_command(run.record, self.registry),
            )
            for key, (run, seen) in self.sound.items()
        )
        return self.everywhere(partial(attempted, look=self.look), tasks, _AT_ONCE)

    @cached_property
    def _environments(self) -> dict[str, str]:
        """Key of a run → the page of what it was made with."""
        return {run.key: page_id(environment_of(run.record.provenance)) for run in self.runs}

    # Boards

    def _write_board(self, board: Board, tables: Mapping[str, list[Row]]) -> None:
        for panel, rows in tables.items():
            found = self.rankings[board.id, panel, self.look.metrics[0].name]
            page = board_page(
                self.look, board, panel, rows, ranking=found, n_targets=TARGETS,
                data_page=page_id(board.first.identity.data),
            )  # fmt: skip
            self._page(f"boards/{board.id}/{panel}.html", page)
        of_variants = list(_by_variant(tables))
        lines = [flat(rows, self.look.metrics) for rows in of_variants]
        self._page(f"boards/{board.id}/board.csv", _csv(lines))
        values = [
            {**line, **_nested(next(iter(rows.values())))}
            for line, rows in zip(lines, of_variants, strict=True)
        ]
        self._page(f"boards/{board.id}/board.json", _json(board, values, self.look.metrics))

    # Methods

    @cached_property
    def methods(self) -> list[MethodEntry]:
        runs = sorted(
            self.runs, key=lambda run: (run.record.identity.method, method_id(run.record))
        )
        return [
            self._method(page, list(group))
            for page, group in groupby(runs, key=lambda run: method_id(run.record))
        ]

    def _method(self, page: str, runs: list[Run]) -> MethodEntry:
        first = runs[0].record
        own = first.identity
        return MethodEntry(page, own.method, own.code.distribution, tuple(runs), self._spec(first))

    def _spec(self, record: Record) -> MethodSpec | None:
        """What the method's plugin says of it, if it is the one installed here."""
        identity, methods = record.identity, self.registry.methods
        plugin = methods.plugins.get(identity.method)
        if plugin is None or plugin.distribution != identity.code.distribution:
            return None
        return methods.specs[identity.method]

    def _groups(self, method: MethodEntry) -> Iterator[Group]:
        for board in self.boards:
            rows = self.tables[board.id][board.panels[0]]
            own = [row for row in rows if row.method_page == method.id]
            if own:
                yield Group(board, own)

    # Data

    def _by_data(self) -> dict[str, list[Board]]:
        found: dict[str, list[Board]] = {}
        for board in self.boards:
            found.setdefault(board.first.identity.data, []).append(board)
        return found

    def _by_environment(self) -> dict[str, list[Run]]:
        found: dict[str, list[Run]] = {}
        for run in self.runs:
            found.setdefault(self._environments[run.key], []).append(run)
        return found

    def _data_page(self, digest: str, boards: Sequence[Board]) -> str:
        dataset = DataStore().find(digest)
        return self._render(
            "data.html",
            "../",
            title=f"Data {digest}: {self.look.title}",
            digest=digest,
            published=boards[0].first.published_data,
            info=dataset.info if dataset else None,
            uses=[{"board": board, "splits": self._splits(board)} for board in boards],
        )

    def _splits(self, board: Board) -> list[str]:
        """Digests of the test profiles; more than one is a fault of somebody's."""
        found = {self.sound[run.key][1].test_profiles for run in board.runs}
        return sorted(filter(None, found))

    # The index

    def _index(self, problems: Sequence[str], trials: int, n_folders: int) -> str:
        return self._render(
            "index.html",
            "",
            boards=[
                {
                    "board": board,
                    "data_page": page_id(board.first.identity.data),
                    "failed": sum(run.record.status == "failed" for run in board.runs),
                    "leaders": self._leaders(board),
                }
                for board in self.boards
            ],
            metric=self.look.metrics[0],
            n_runs=len(self.runs),
            methods=self.methods,
            problems=problems,
            trials=trials,
            version=version("genebench"),
            made=datetime.now(UTC).date().isoformat(),
            n_folders=n_folders,
        )

    def _leaders(self, board: Board) -> str:
        rows = self.tables[board.id][board.panels[0]]
        metric = self.look.metrics[0].name
        first = [r.variant.label for r in rows if metric in r.places and r.places[metric].rank == 1]
        return some(first, 4)


def _by_variant(tables: Mapping[str, Sequence[Row]]) -> Iterator[dict[str, Row]]:
    """Panel → row, for each variant in the order of the first panel."""
    first = next(iter(tables.values()))
    of = {(panel, id(row.variant)): row for panel, rows in tables.items() for row in rows}
    for row in first:
        yield {panel: of[panel, id(row.variant)] for panel in tables}


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    stream = io.StringIO()
    writer = csv.DictWriter(stream, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: no_formula(value) for name, value in row.items()} for row in rows)
    return stream.getvalue()


def _nested(row: Row) -> dict[str, object]:
    """What JSON can hold and a line of CSV cannot."""
    records = row.variant.records
    return {"params": row.first.identity.params, "keys": [record.key for record in records]}


def _json(board: Board, rows: Sequence[Mapping[str, object]], metrics: Sequence[MetricSpec]) -> str:
    first = board.first
    about = first.identity.model_dump(
        include={
            "protocol",
            "protocol_version",
            "train",
            "validation",
            "test",
            "data",
            "numerics",
            "splits",
        }  # fmt: skip
    )
    content = {
        "dataset": board.datasets, "preset": board.preset, **about, "profiles": first.profiles,
        "genes": first.genes, "ranked_by": metrics[0].name,
        "rows": rows,
    }  # fmt: skip
    return json.dumps(content, separators=(",", ":"), allow_nan=False)
