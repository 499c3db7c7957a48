"""The rows of a board on one panel: scores with intervals, ranks and costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from statistics import fmean
from typing import Literal, NamedTuple, get_args

from genebench._util.hashing import canonical
from genebench.analysis.rank import Entry, Standing, caution, description_of_test, ranked
from genebench.analysis.seals import weakest
from genebench.analysis.variants import Variant
from genebench.hookspecs import PROJECT
from genebench.leaderboard.boards import Board, page_id
from genebench.plugins.discovery import SHIPPED
from genebench.results.published import Published, published
from genebench.results.record import Record, SealLevel
from genebench.specs import MetricSpec

_ID_LENGTH = 10
"""Digits of a row's id: 40 bits of the key of its first run."""

Section = Literal["ranked", "control", "failed", "not applicable"]
"""A section of a table of ranks. The sections follow each other in this order."""

Tables = Mapping[str, Sequence["Row"]]
"""Panel → rows of a board."""

_FIGURES = (
    "low", "high", "seed_low", "seed_high", "rank_low", "rank_high",
    "difference", "difference_low", "difference_high", "p",
)  # fmt: skip
"""Fields of a :class:`Place` that are columns of the CSV, after the name of the metric."""


class Place(NamedTuple):
    """A row's score by one metric, and its place: a :class:`Standing` without its records.

    Attributes:
        text: the place as it is printed, such as ``1 =``.
        rank: the place as a number, or None if the row is not ranked.
        tied: labels of rows that do not differ significantly.
        mean: mean score over genes and seeds.
        low: lower end of the 95 % interval over test profiles and seeds.
        high: its upper end.
        seed_low: lower end of the 95 % interval over seeds alone.
        seed_high: its upper end.
        rank_low: the best rank that the row may have.
        rank_high: the worst rank that it may have.
        difference: its score − that of the leader. None for the leader itself.
        difference_low: lower end of the interval of the difference.
        difference_high: its upper end.
        p: p-value of the difference, adjusted for all pairs of the table.
        beats_mean: whether it is significantly better than ``train-mean``. None if not tested.
    """

    text: str
    rank: int | None
    tied: tuple[str, ...]
    mean: float
    low: float | None
    high: float | None
    seed_low: float | None
    seed_high: float | None
    rank_low: int | None
    rank_high: int | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None
    p: float | None
    beats_mean: bool | None

    @property
    def ranks(self) -> str:
        """The ranks that the row may have, such as ``2–4``, if there are several."""
        if self.rank_low is None or self.rank_low == self.rank_high:
            return ""
        return f"{self.rank_low}–{self.rank_high}"


@dataclass(frozen=True)
class Ranking:
    """The ranking by one metric on one panel.

    Attributes:
        places: number of a variant → its place, best first.
        note: the statistical test, in words.
        caution: the reason to take p-values with care, or empty.
        p_values: numbers of two ranked variants, the smaller first → p-value of their difference,
            adjusted for all pairs of the board.
    """

    places: Mapping[int, Place]
    note: str
    caution: str = ""
    p_values: Mapping[tuple[int, int], float] = field(default_factory=dict)


@dataclass(frozen=True)
class RankTask:
    """The scores and the evidence of a ranking. It can be sent to a worker process.

    Attributes:
        entries: variants without their records, which would be costly to send.
        numbers: position of each entry's variant among the board's.
        metric: the metric to rank by.
    """

    entries: Sequence[Entry]
    numbers: Sequence[int]
    metric: MetricSpec


def ranking(task: RankTask) -> Ranking:
    """Rank the variants of a board."""
    # Labels may be equal, so that identity tells variants apart.
    number_of = {
        id(entry.variant): number for entry, number in zip(task.entries, task.numbers, strict=True)
    }
    standings = ranked(task.entries, task.metric)
    places = {number_of[id(standing.variant)]: _place(standing) for standing in standings}
    p_values = {
        (number, other): p
        for standing in standings
        for number in [number_of[id(standing.variant)]]
        for variant, p in standing.p_values
        if number < (other := number_of[id(variant)])
    }
    return Ranking(
        places,
        description_of_test(standings),
        caution(standings),
        p_values,
    )


def _place(standing: Standing) -> Place:
    return Place(
        text=standing.place,
        rank=standing.rank,
        tied=tuple(other.label for other in standing.tied_with),
        mean=standing.mean,
        low=standing.low,
        high=standing.high,
        seed_low=standing.seed_low,
        seed_high=standing.seed_high,
        rank_low=standing.rank_low,
        rank_high=standing.rank_high,
        difference=standing.difference,
        difference_low=standing.difference_low,
        difference_high=standing.difference_high,
        p=standing.p,
        beats_mean=standing.beats_mean,
    )


@dataclass(frozen=True)
class Row:
    """One method with its parameters: its places and its costs.

    Attributes:
        variant: the method with its parameters, and the records of its seeds.
        places: metric → place, for metrics that it was scored by.
        stds: metric → standard deviation over genes, averaged over seeds.
        published: metric → the paper's value, if the row is a run of the published setting.
        marks: the marks of its runs.
        section: the section of the table that it stands in.
        claimed: True if a run came in a bundle, so that its seal is a claim of the sender.
        time_mark: a mark if its times do not compare with those of most methods, else empty.
    """

    variant: Variant
    places: Mapping[str, Place]
    stds: Mapping[str, float]
    published: Mapping[str, Published]
    marks: Sequence[str]
    section: Section
    claimed: bool
    time_mark: str

    @property
    def first(self) -> Record:
        """The record of the first seed."""
        return self.variant.first

    @cached_property
    def method_page(self) -> str:
        """The name of the method's page."""
        return method_id(self.first)

    @property
    def id(self) -> str:
        """A name that is unique on the board, and stays when other runs come."""
        return self.first.key[:_ID_LENGTH]

    @property
    def family(self) -> str:
        """Its distribution, without the prefix that plugins of genebench share."""
        return self.first.identity.code.distribution.removeprefix(f"{PROJECT}-")

    @property
    def failed(self) -> int:
        """Number of seeds that failed."""
        return sum(record.failure is not None for record in self.variant.records)

    @property
    def seeds(self) -> str:
        """Number of seeds that are done, and of all seeds if some failed, such as ``1 of 2``."""
        done, total = len(self.variant.done), len(self.variant.records)
        return str(done) if done == total else f"{done} of {total}"

    @property
    def sealed(self) -> SealLevel | None:
        """The weakest seal of any seed that is done, or None if none is."""
        return weakest(self.variant.records)

    @property
    def is_third_party(self) -> bool:
        """True if it has a score of a method that genebench does not ship."""
        return bool(self.sealed) and not self.first.identity.distributions <= {*SHIPPED}

    def seconds(self, phase: str) -> float | None:
        """Return the wall time of a phase in seconds, the mean over seeds that are done."""
        spent = [
            record.fit_seconds if phase == "fit" else record.seconds[phase]
            for record in self.variant.done
            if phase in record.seconds
        ]
        return fmean(spent) if spent else None

    @property
    def cost(self) -> float | None:
        """Seconds of fitting and predicting, or None if either is not recorded."""
        fit, predict = self.seconds("fit"), self.seconds("predict")
        return None if fit is None or predict is None else fit + predict

    @property
    def memory(self) -> int:
        """Largest peak memory of any seed, in bytes."""
        return max(record.peak_memory for record in self.variant.records)

    @property
    def memory_is_bound(self) -> bool:
        """True if the peak may be that of an earlier job in the same process."""
        return any(record.peak_memory_scope == "process" for record in self.variant.records)

    @property
    def parameters(self) -> int | None:
        """Number of parameters that the model learnt, or None if it is not recorded."""
        return next((r.model_parameters for r in self.variant.done), None)


def method_id(record: Record) -> str:
    """Return the name of a method's page.

    A method is a name and a distribution: two plugins may each have a method of one name.
    """
    return _method_id(record.identity.method, record.identity.code.distribution)


@lru_cache(maxsize=1024)
def _method_id(method: str, distribution: str) -> str:
    return page_id([method, distribution])


def rows_of(
    board: Board, panel: str, metrics: Sequence[MetricSpec], rankings: Mapping[str, Ranking]
) -> list[Row]:
    """Return the rows of a panel: the ranked ones, then controls, then those that failed.

    Within each section the best by the first metric comes first.
    """
    order = list(rankings[metrics[0].name].places)
    placed = set(order)
    order += [number for number in range(len(board.variants)) if number not in placed]
    rows = [_row(board, number, panel, metrics, rankings) for number in order]
    return sorted(rows, key=lambda row: get_args(Section).index(row.section))


def _row(
    board: Board, number: int, panel: str, metrics: Sequence[MetricSpec],
    rankings: Mapping[str, Ranking],
) -> Row:  # fmt: skip
    variant = board.variants[number]
    names = [metric.name for metric in metrics]
    section: Section = "control" if variant.control else "ranked"
    if not variant.control and not variant.done:
        is_apart = all(record.reason for record in variant.records)
        section = "not applicable" if is_apart else "failed"
    return Row(
        variant=variant,
        places={n: place for n in names if (place := rankings[n].places.get(number))},
        stds={
            name: fmean(record.scores[name][panel].std for record in scored)
            for name in names
            if (scored := [r for r in variant.done if panel in r.scores.get(name, {})])
        },
        # The papers have one number for all targets, and none for other panels.
        published=_published(board, variant, names) if panel == "all" else {},
        marks=board.marks(variant),
        section=section,
        claimed=board.has_submitted(variant),
        time_mark=board.times.mark(variant),
    )


def _published(board: Board, variant: Variant, metrics: Sequence[str]) -> dict[str, Published]:
    spec = board.registry.methods.specs.get(variant.first.identity.method)
    if not (board.first.published_data and spec):
        return {}
    defaults = spec.values("paper", {})
    values = {name: published(variant.first.identity, name, defaults) for name in metrics}
    return {name: value for name, value in values.items() if value}


def flat(tables: Mapping[str, Row], metrics: Sequence[MetricSpec]) -> dict[str, object]:
    """Return a variant's rows (panel → row) as one line of CSV: column → value.

    A value that is missing is None.
    """
    row = next(iter(tables.values()))
    facts = facts_of(row)
    scores = {
        f"{name}_{panel}": value
        for panel, panel_row in tables.items()
        for name, value in _flat_scores(panel_row, metrics).items()
    }
    return {**facts, **scores, "params": canonical(row.first.identity.params)}


def facts_of(row: Row) -> dict[str, object]:
    """Return what a line of the downloads says besides scores: column → value."""
    identity = row.first.identity
    return {
        "label": row.variant.label,
        "method": identity.method,
        "distribution": identity.code.distribution,
        "version": identity.code.version,
        "status": _status(row),
        "marks": " ".join(mark.replace(" ", "-") for mark in row.marks),
        "sealed": row.sealed,
        "fit_seconds": rounded(row.seconds("fit")),
        "predict_seconds": rounded(row.seconds("predict")),
        "times_ranked": "no" if row.time_mark else "yes" if row.variant.done else None,
        "peak_memory_bytes": row.memory,
        "parameters": row.parameters,
        "seeds_done": len(row.variant.done),
        "seeds_failed": row.failed,
        "targets": row.first.genes.get("target"),
    }


def _flat_scores(row: Row, metrics: Sequence[MetricSpec]) -> dict[str, object]:
    """Return the rank and the scores on one panel: column → value."""
    first = row.places.get(metrics[0].name)
    values: dict[str, object] = {"rank": first.rank if first else None}
    for metric in metrics:
        figures = figures_of(row, metric.name)
        values[metric.name] = figures.pop("mean")
        values |= {f"{metric.name}_{name}": value for name, value in figures.items()}
    return values


def figures_of(row: Row, metric: str) -> dict[str, float | None]:
    """Return the numbers of a score: name → value."""
    place = row.places.get(metric)
    values = {name: rounded(getattr(place, name, None)) for name in ("mean", *_FIGURES)}
    return {**values, "std_genes": rounded(row.stds.get(metric))}


def rounded(value: float | None, digits: int = 6) -> float | None:
    """Return a value to six digits, which is more than the precision of any score."""
    return value if value is None or isinstance(value, int) else float(f"{value:.{digits}g}")


def by_variant(tables: Tables) -> Iterator[dict[str, Row]]:
    """Yield panel → row for each variant, in the order of the first panel."""
    first = next(iter(tables.values()))
    rows = {(panel, id(row.variant)): row for panel, part in tables.items() for row in part}
    for row in first:
        yield {panel: rows[panel, id(row.variant)] for panel in tables}


def _status(row: Row) -> str:
    if row.section == "control":
        return "control"
    if not row.variant.done:
        return row.section
    return "partial" if row.failed else "done"
