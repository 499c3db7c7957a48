"""The files of a site: every page, the downloads, the style sheet and the script."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from genebench.analysis.citations import bibliography
from genebench.errors import some
from genebench.leaderboard.board_data import board_data, script_of
from genebench.leaderboard.boards import page_id
from genebench.leaderboard.contents import Contents
from genebench.leaderboard.downloads import board_csv, board_json
from genebench.leaderboard.explanations import Shown
from genebench.leaderboard.pages import (
    PANEL_NOTES,
    PANEL_TITLES,
    BoardEntry,
    MethodEntry,
    MethodLine,
    board_page,
    data_page,
    environment_page,
    index_page,
    method_page,
    problems_page,
)
from genebench.leaderboard.payloads.files import chart_files, protocols_of
from genebench.leaderboard.run_pages import (
    BoardLink,
    Rendered,
    RunTask,
    chosen_params,
    environment_of,
    repeat_command,
    set_params,
    try_run_page,
)
from genebench.leaderboard.siblings import axes_of, places_of
from genebench.leaderboard.tables import method_id

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


def write_site(
    contents: Contents, folder: Path, problems: Sequence[str], *, trials: int, n_folders: int
) -> None:
    """Write every file of the site.

    Args:
        contents: the boards, the methods and their numbers.
        folder: where to write, an empty folder.
        problems: one line for each record or folder that is not shown.
        trials: number of records of tuning, which stand on no board.
        n_folders: number of results folders.

    Raises:
        UnshownRunsError: some runs have no page. The site must not be published.
    """
    shutil.copytree(_STATIC, folder, dirs_exist_ok=True)
    # The rankings come first: no worker is free to rank once all run pages are submitted.
    _ = contents.rankings
    for explanation in contents.explanations.values():
        for name, source in explanation.files.items() if isinstance(explanation, Shown) else ():
            (folder / name).parent.mkdir(exist_ok=True)
            shutil.copyfile(source, folder / name)
    # Workers render these pages while this process renders the others.
    run_pages = _run_pages(contents)
    for path, text in _pages(contents, problems, trials, n_folders):
        _write(folder / path, text)
    faults = {}
    for key, page in zip(contents.shown, run_pages, strict=True):
        if page.fault:
            faults[key] = page.fault
        _write(folder / "runs" / f"{key}.html", page.text)
    if faults:
        raise UnshownRunsError(faults)


def _pages(
    contents: Contents, problems: Sequence[str], trials: int, n_folders: int
) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every file, but for the pages of runs."""
    options, tables = contents.options, contents.tables
    places = places_of(contents.boards)
    for board in contents.boards:
        home, citation = f"boards/{board.id}", contents.board_citation(board)
        protocols = protocols_of(contents, board)
        for panel, rows in tables[board.id].items():
            standings = contents.rankings[board.id, panel, options.metrics[0].name]
            axes = axes_of(board, panel, contents.boards, places, PANEL_TITLES)
            page = board_page(
                options, board, panel, rows, standings,
                axes=axes, citation=citation, protocols=protocols,
            )  # fmt: skip
            yield f"{home}/{panel}.html", page
        data = board_data(
            board, tables[board.id], options.metrics, axes, titles=PANEL_TITLES, notes=PANEL_NOTES
        )
        yield f"{home}/data.js", script_of("genebenchBoard", data)
        yield f"{home}/board.csv", board_csv(tables[board.id], options.metrics)
        yield f"{home}/board.json", board_json(board, tables[board.id], options.metrics)
    yield from chart_files(contents)
    for method in contents.methods:
        lines = list(_method_lines(contents, method))
        citation = bibliography((), contents.registry, [method.name] if method.spec else [])
        yield f"methods/{method.id}.html", method_page(options, method, lines, citation)
    for digest, uses in contents.data_uses().items():
        page = data_page(options, digest, uses, contents.datasets.get(digest))
        yield f"data/{page_id(digest)}.html", page
    for name, runs in contents.runs_by_environment().items():
        environment = environment_of(runs[0].record)
        yield f"made/{name}.html", environment_page(options, environment, runs)
    if problems:
        yield "problems.html", problems_page(options, problems)
    index = index_page(
        options, _board_entries(contents), contents.methods, problems,
        n_runs=len(contents.runs), trials=trials, n_folders=n_folders,
    )  # fmt: skip
    yield "index.html", index


def _board_entries(contents: Contents) -> list[BoardEntry]:
    metric = contents.options.metrics[0].name
    entries = []
    for board in contents.boards:
        leaders = [
            row.variant.label
            for row in contents.tables[board.id][board.panels[0]]
            if metric in row.places and row.places[metric].rank == 1
        ]
        failed = sum(run.record.status == "failed" for run in board.runs)
        data = page_id(board.first.identity.data)
        entries.append(BoardEntry(board, data, failed, some(leaders, _MOST_LEADERS)))
    return entries


def _run_pages(contents: Contents) -> Iterator[Rendered]:
    """Yield the page of each run, in their order."""
    links: dict[str, list[BoardLink]] = {}
    for board in contents.boards:
        link = BoardLink(board.id, board.preset, tuple(board.panels))
        for run in board.runs:
            for member in (run, *run.folds):
                links.setdefault(member.key, []).append(link)
    metrics = [metric.name for metric in contents.options.metrics]
    tasks = (
        RunTask(
            run=run.limited_to(metrics),
            spreads=summary.spreads,
            boards=tuple(links[key]),
            method_page=method_id(run.record),
            data_page=page_id(run.record.identity.data),
            environment_page=contents.environments[key],
            params=chosen_params(run.record, contents.spec_of(run.record)),
            repeat=repeat_command(run.record, contents.registry),
            set_params=set_params(run.record, contents.registry),
            explanation=explanation if isinstance(explanation, Shown) else None,
        )
        for key, (run, summary) in contents.shown.items()
        for explanation in [contents.explanations.get(key)]
    )
    return contents.pool.map(partial(try_run_page, options=contents.options), tasks)


def _method_lines(contents: Contents, method: MethodEntry) -> Iterator[MethodLine]:
    """Yield the lines of a method's matrix: one for each board and set of parameters."""
    ranked_by = contents.options.metrics[0].name
    for board in contents.boards:
        panel = board.panels[0]
        rows = contents.tables[board.id][panel]
        n_ranked = sum(row.section == "ranked" and ranked_by in row.places for row in rows)
        for row in rows:
            if row.method_page == method.id:
                yield MethodLine(board, panel, row, n_ranked)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
