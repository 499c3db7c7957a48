"""The files with the numbers of charts, for all boards of a site."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from genebench.analysis.variants import Variant
from genebench.leaderboard.boards import Board
from genebench.leaderboard.contents import Contents
from genebench.leaderboard.payloads.curves import curves, sizes, sizes_by_setting
from genebench.leaderboard.payloads.genes import (
    GenesTask,
    genes,
    names_id,
    names_of,
    numbers_of,
    site_room,
)
from genebench.leaderboard.payloads.history import history
from genebench.leaderboard.payloads.packing import script
from genebench.leaderboard.payloads.protocols import methods_of, siblings_of, table_of
from genebench.leaderboard.payloads.scores import panels, variants
from genebench.leaderboard.reading import Run
from genebench.leaderboard.vectors import claims_of


def chart_files(contents: Contents) -> Iterator[tuple[str, str]]:
    """Yield the path and the text of every file of numbers that the tabs of boards load.

    Genes are read by the pool, so that this takes little time beside other work.
    """
    metric = contents.options.metrics[0]
    gene_wise = [board for board in contents.boards if metric.axis == "gene"]
    room = site_room(len(contents.runs), len(gene_wise))
    tasks = (_genes_task(contents, board, room) for board in gene_wise)
    # The pool begins now, while this process packs the other numbers.
    found = contents.pool.map(genes, tasks, chunk=1)
    parts = sizes_by_setting((run.record for run in contents.results), contents.registry)
    names = [each.name for each in contents.options.metrics]
    for board in contents.boards:
        document = tabs_of(contents, board)
        document["sizes"] = sizes(board, parts, names)
        yield f"boards/{board.id}/tabs.js", script("tabs", document)
    written = set()
    for board, of_board in zip(gene_wise, found, strict=True):
        if of_board is None:
            continue
        data = board.first.identity.data
        file = names_id(of_board, data)
        if file not in written:
            written.add(file)
            yield f"genes/{file}.js", script("names", names_of(of_board, data))
        yield f"boards/{board.id}/genes.js", script("genes", numbers_of(of_board, file))


def tabs_of(contents: Contents, board: Board) -> dict[str, Any]:
    """Return the numbers of all tabs of a board, but for its genes and its training sizes.

    What depends on the metric is a mapping from its name.
    """
    metrics, first = contents.options.metrics, board.panels[0]
    rankings = {
        metric.name: {
            panel: contents.rankings[board.id, panel, metric.name] for panel in board.panels
        }
        for metric in metrics
    }
    return {
        "metrics": [
            {
                "name": metric.name,
                "title": metric.title,
                "unit": metric.unit,
                "lower": metric.direction == "lower",
                "genes": metric.axis == "gene",
            }
            for metric in metrics
        ],
        "variants": variants(board, contents.tables[board.id][first]),
        "panels": {name: panels(by_panel) for name, by_panel in rankings.items()},
        "protocols": protocols_of(contents, board),
        "history": history(board, list(rankings)),
        "curves": curves(board, rankings[metrics[0].name][first].places),
    }


def protocols_of(contents: Contents, board: Board) -> dict[str, Any]:
    """Return the table of methods and protocols on the data and the preset of a board."""
    siblings = siblings_of(board, contents.boards)
    methods = methods_of(board, siblings, contents.tables)
    return table_of(board, siblings, methods, [each.name for each in contents.options.metrics])


def _genes_task(contents: Contents, board: Board, room: int) -> GenesTask:
    metric = contents.options.metrics[0].name
    order = contents.rankings[board.id, board.panels[0], metric].places
    # Controls come last. The mean of the training profiles is what others are measured against.
    numbers = sorted(order, key=lambda number: board.variants[number].control)
    by_key = {run.key: run for run in board.runs}
    candidates = {number: _claims(board.variants[number], by_key, metric) for number in numbers}
    return GenesTask(candidates, metric, room)


def _claims(variant: Variant, by_key: dict[str, Run], metric: str) -> Sequence[Run]:
    scored = [by_key[record.key] for record in variant.scored(metric, "all")]
    # The mean over all folds of all seeds is that of the pooled runs.
    runs = [run for result in scored for run in result.folds or (result,)]
    return [replace(claims_of(run, [metric]), marks=()) for run in runs]
