"""The rows of a board on one panel: who stands where, at what cost, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import Literal, NamedTuple

from genebench._util.hashing import canonical
from genebench.analysis.rank import Entry, Standing, caution, named_test, ranked
from genebench.leaderboard.boards import Board, page_id
from genebench.reports.variants import Variant
from genebench.results.published import Published, published
from genebench.results.record import Record
from genebench.specs import MetricSpec

TARGETS, LANDMARKS = 9520, 943
"""Genes of the published maps: what coverage is a share of."""

Part = Literal["ranked", "control", "failed"]

_LIMITS = ("low", "high", "seed_low", "seed_high")


class Place(NamedTuple):
    """A score of one row, and where it stands: a :class:`Standing` without its records."""

    text: str
    rank: int | None
    tied: tuple[str, ...]
    mean: float
    low: float | None
    high: float | None
    seed_low: float | None
    seed_high: float | None


@dataclass(frozen=True)
class Ranking:
    """Standings by one metric on one panel: number of the variant → its place, best first."""

    places: Mapping[int, Place]
    note: str
    """The test, in words."""
    caution: str = ""
    """Why to take its p-values with care, if there is a reason."""


class Contender(NamedTuple):
    """A variant without its records: thousands of them would have to go to another process."""

    number: int
    label: str
    control: bool
    """Whether it has no part in any test; it has an interval all the same."""


@dataclass(frozen=True)
class RankTask:
    """What a ranking is made of; it can be sent to another process."""

    entries: Sequence[Entry[Contender]]
    metric: MetricSpec


def ranking(task: RankTask) -> Ranking:
    """Rank the variants of a board."""
    found = ranked(task.entries, task.metric)
    places = {one.variant.number: _place(one) for one in found}
    return Ranking(places, named_test(found), caution(found))


def _place(one: Standing[Contender]) -> Place:
    tied = tuple(other.label for other in one.tied_with)
    over_seeds = one.seed_low, one.seed_high
    return Place(one.place, one.rank, tied, one.mean, one.low, one.high, *over_seeds)


@dataclass(frozen=True)
class Row:
    """One method with its parameters: its places, one per metric, and costs."""

    variant: Variant
    places: Mapping[str, Place]
    """Metric → place; those that it has a score of."""
    stds: Mapping[str, float]
    """Metric → standard deviation over genes, averaged over seeds."""
    published: Mapping[str, Published]
    """Metric → the paper's value, where the row is a run of the published setting."""
    marks: Sequence[str]
    part: Part

    @property
    def first(self) -> Record:
        """The record of its first seed."""
        return self.variant.first

    @cached_property
    def method_page(self) -> str:
        """The name of its method's page."""
        return method_id(self.first)

    @property
    def failed(self) -> int:
        """How many of its seeds failed."""
        return len(self.variant.records) - len(self.variant.done)

    @property
    def seeds(self) -> str:
        """How many seeds it is of, and how many were tried if some failed."""
        done, tried = len(self.variant.done), len(self.variant.records)
        return str(done) if done == tried else f"{done} of {tried}"

    def seconds(self, phase: str) -> float | None:
        """Wall time of a phase, mean over seeds that were done."""
        spent = [record.seconds[phase] for record in self.variant.done if phase in record.seconds]
        return fmean(spent) if spent else None

    @property
    def cost(self) -> float | None:
        """Seconds of fitting and predicting."""
        fit, predict = self.seconds("fit"), self.seconds("predict")
        return None if fit is None or predict is None else fit + predict

    @property
    def memory(self) -> int:
        """Peak memory of any seed, bytes."""
        return max(record.peak_memory for record in self.variant.records)

    @property
    def memory_is_bound(self) -> bool:
        """Whether the peak may be that of an earlier job in the process."""
        return any(record.peak_memory_scope == "process" for record in self.variant.records)

    @property
    def parameters(self) -> int | None:
        """Numbers that the model learnt."""
        return next((r.model_parameters for r in self.variant.done), None)


def method_id(record: Record) -> str:
    """The name of a method's page: a method is its name and who it comes from."""
    return page_id([record.identity.method, record.identity.code.distribution])


def rows_of(
    board: Board, panel: str, metrics: Sequence[MetricSpec], rankings: Mapping[str, Ranking]
) -> list[Row]:
    """Rows of a panel, best first by the first metric; then controls, then what failed."""
    order = list(rankings[metrics[0].name].places)
    order += [at for at in range(len(board.variants)) if at not in set(order)]
    rows = [_row(board, at, panel, metrics, rankings) for at in order]
    parts = ("ranked", "control", "failed")
    return sorted(rows, key=lambda row: parts.index(row.part))


def _row(
    board: Board, at: int, panel: str, metrics: Sequence[MetricSpec],
    rankings: Mapping[str, Ranking],
) -> Row:  # fmt: skip
    variant = board.variants[at]
    names = [metric.name for metric in metrics]
    part: Part = "control" if variant.control else "ranked" if variant.done else "failed"
    return Row(
        variant=variant,
        places={n: place for n in names if (place := rankings[n].places.get(at))},
        stds={
            name: fmean(record.scores[name][panel].std for record in scored)
            for name in names
            if (scored := [r for r in variant.done if panel in r.scores.get(name, {})])
        },
        published=_published(board, variant, names) if panel == "all" else {},
        marks=board.marks(variant),
        part=part,
    )


def _published(board: Board, variant: Variant, metrics: Sequence[str]) -> dict[str, Published]:
    spec = board.registry.methods.specs.get(variant.first.identity.method)
    if not (board.first.published_data and spec):
        return {}
    defaults = spec.values("paper", {})
    found = {name: published(variant.first.identity, name, defaults) for name in metrics}
    return {name: value for name, value in found.items() if value}


def flat(tables: Mapping[str, Row], metrics: Sequence[MetricSpec]) -> dict[str, object]:
    """A variant's rows, panel → row, as one line of CSV; what there is not is None."""
    row = next(iter(tables.values()))
    identity = row.first.identity
    scores = {
        f"{name}_{panel}": value
        for panel, one in tables.items()
        for name, value in _flat_scores(one, metrics).items()
    }
    return {
        "label": row.variant.label,
        "method": identity.method,
        "distribution": identity.code.distribution,
        "version": identity.code.version,
        "status": _status(row),
        "marks": " ".join(mark.replace(" ", "-") for mark in row.marks),
        **scores,
        "fit_seconds": _rounded(row.seconds("fit")),
        "predict_seconds": _rounded(row.seconds("predict")),
        "peak_memory_bytes": row.memory,
        "parameters": row.parameters,
        "seeds_done": len(row.variant.done),
        "seeds_failed": row.failed,
        "targets": row.first.genes.get("target"),
        "targets_published": TARGETS,
        "params": canonical(identity.params),
    }


def _flat_scores(row: Row, metrics: Sequence[MetricSpec]) -> dict[str, object]:
    """Rank and scores on one panel."""
    first = row.places.get(metrics[0].name)
    values: dict[str, object] = {"rank": first.rank if first else None}
    for metric in metrics:
        place = row.places.get(metric.name)
        found = {"": "mean", **{f"_{part}": part for part in _LIMITS}}
        known = {part: getattr(place, name, None) for part, name in found.items()}
        known["_std_genes"] = row.stds.get(metric.name)
        values |= {f"{metric.name}{part}": _rounded(value) for part, value in known.items()}
    return values


def _rounded(value: float | None) -> float | None:
    """Six digits: more than any score is known to."""
    return None if value is None else float(f"{value:.6g}")


def _status(row: Row) -> str:
    if row.part == "control":
        return "control"
    if not row.variant.done:
        return "failed"
    return "partial" if row.failed else "done"
