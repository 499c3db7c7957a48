"""The error of each gene, for the best methods of a board: quantised, and loaded on demand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.analysis.vectors import symbols_of
from genebench.errors import UserError
from genebench.leaderboard.boards import page_id
from genebench.leaderboard.payloads.packing import bytes_of, digits, packed, quantised, step_for
from genebench.leaderboard.reading import Run
from genebench.results.panels import GENE_METRIC

_STEP_SHARE = 0.005
"""Largest step of quantisation, as a share of the standard deviation over genes."""

MOST_METHODS = 64
"""Methods of a board whose genes are shown, if the site has room."""

LEAST_METHODS = 2
"""Methods of a board whose genes are shown in any case, so that there is a pair."""

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class GenesTask:
    """The runs whose genes a board shows. It can be sent to a worker process.

    Attributes:
        candidates: number of a variant → its runs that are done, the best variant first.
        metric: name of the metric.
        room: bytes that the file may have, more or less.
    """

    candidates: Mapping[int, Sequence[Run]]
    metric: str
    room: int


@dataclass(frozen=True)
class Genes:
    """The genes of a board, and the error of each by the methods that there was room for.

    Attributes:
        ids: ids of the genes, in the order of all vectors.
        twin: positions of genes that are landmarks too.
        low: the value of the number 0.
        step: the difference between two numbers.
        methods: ``[number of the variant, packed numbers]``. Those after the first are differences
            from the first.
        n_left_out: number of candidates without room, or with other genes than the first one.
    """

    ids: tuple[str, ...]
    twin: tuple[int, ...]
    low: float
    step: float
    methods: tuple[tuple[int, str], ...]
    n_left_out: int


def site_room(n_runs: int, n_boards: int) -> int:
    """Return the bytes that the genes of one board may take.

    A site of 5,000 runs has to stay under 15 MB, and pages of runs take most of it. A smaller one
    has more room.
    """
    whole = max(250_000, 8_000_000 - 1_600 * n_runs)
    return whole // max(1, n_boards)


def genes(task: GenesTask) -> Genes | None:
    """Return the genes of a board, or None if its runs have no vectors of the metric."""
    base: NDArray[np.uint16] | None = None
    ids: NDArray[Any] = np.array([], dtype=str)
    twin: NDArray[np.bool_] = np.array([], dtype=bool)
    low, step, used = 0.0, 1.0, 0
    methods: list[tuple[int, str]] = []
    for number, runs in task.candidates.items():
        if len(methods) >= MOST_METHODS or (used > task.room and len(methods) >= LEAST_METHODS):
            break
        found = _mean_over_seeds(runs, task.metric)
        if found is None:
            continue
        own_ids, own_twin, values = found
        if base is None:
            ids, twin = own_ids, own_twin
            # Other methods may be worse than the best, and their errors need room above.
            step = step_for(values, _STEP_SHARE)
            low = digits(np.floor(min(0.0, float(values.min())) / step) * step, 6)
        elif not np.array_equal(ids, own_ids):
            continue
        numbers = quantised(values, low, step)
        text = packed(bytes_of(numbers, base))
        base = numbers if base is None else base
        used += len(text)
        methods.append((number, text))
    if base is None:
        return None
    return Genes(
        ids=tuple(ids.tolist()),
        twin=tuple(np.flatnonzero(twin).tolist()),
        low=low,
        step=step,
        methods=tuple(methods),
        n_left_out=len(task.candidates) - len(methods),
    )


def _mean_over_seeds(
    runs: Sequence[Run], metric: str
) -> tuple[NDArray[Any], NDArray[np.bool_], Vector] | None:
    """Return the ids of genes, which are landmarks too, and the metric, averaged over seeds."""
    name = f"{GENE_METRIC}{metric}"
    seeds = []
    for run in runs:
        try:
            vectors = run.store.vectors(run.record, {"gene.id", "gene.twin", name})
        except UserError:
            # Vectors were read before, so a file was removed meanwhile. Its page says nothing of
            # genes, and the others are shown.
            return None
        if not {"gene.id", "gene.twin", name} <= vectors.keys():
            return None
        seeds.append(vectors)
    if not seeds or not all(np.array_equal(seeds[0]["gene.id"], v["gene.id"]) for v in seeds):
        return None
    mean: Vector = np.mean([vectors[name] for vectors in seeds], axis=0)
    return seeds[0]["gene.id"], seeds[0]["gene.twin"], mean


def names_id(found: Genes, data: str) -> str:
    """Return the name of the file of these genes' names. Boards with equal genes share it."""
    return page_id([data, found.ids, found.twin])


def names_of(found: Genes, data: str) -> dict[str, Any]:
    """Return ids and symbols of the genes. There are no symbols without the dataset."""
    symbols = symbols_of(data)
    return {
        "ids": list(found.ids),
        "symbols": [str(symbols.get(gene, "")) for gene in found.ids] if symbols else [],
        "twin": list(found.twin),
    }


def numbers_of(found: Genes, names: str) -> dict[str, Any]:
    """Return the quantised errors of a board, and the name of the file with the genes' names."""
    return {
        "names": names,
        "count": len(found.ids),
        "low": found.low,
        "step": found.step,
        "methods": [list(method) for method in found.methods],
        "left_out": found.n_left_out,
    }
