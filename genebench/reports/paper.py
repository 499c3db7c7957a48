"""The figures that a results folder allows, in one style, with the numbers of each as CSV."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from genebench.analysis.compare import compare, gene_values
from genebench.analysis.costs import cost_parts
from genebench.analysis.grouping import by_preset, in_order
from genebench.analysis.rank import Standing, standings
from genebench.analysis.sizes import sizes_parts
from genebench.analysis.targets import target_properties
from genebench.analysis.variants import variants_of
from genebench.analysis.vectors import Readable, VectorsOf
from genebench.errors import UserError, counted, no_results, some, unknown
from genebench.plugins.registry import Registry, registry
from genebench.reports.figures import choice, heatmap, learning, pareto, scatter
from genebench.reports.figures.critical import critical
from genebench.reports.figures.drawing import FORMATS, Drawing, file_name, write_drawings
from genebench.reports.figures.forest import forest
from genebench.reports.figures.ladder import ladder
from genebench.reports.figures.style import TWO_COLUMNS, WIDTHS
from genebench.reports.figures.targets import against_targets
from genebench.reports.layout import Layout
from genebench.reports.suite import SuiteReport
from genebench.reports.sweep import SweepReport
from genebench.results import DEFAULT_RESULTS
from genebench.results.filters import RecordFilter
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.specs import MetricSpec, sized_name

SCATTERED = 6
"""Methods that are drawn gene by gene against the best one, at most."""
LADDER = "ablation"
"""The suite whose rows are a ladder."""
OF_ALL_SIZES = {"learning", "heat", LADDER}
"""Kinds that leave out no training size."""


class Figures(NamedTuple):
    """The files that were written, and a line for each kind of figure that was left out."""

    files: list[Path]
    left_out: list[str]


def figures(
    results: Path | str = DEFAULT_RESULTS,
    out: Path | str = "figures",
    *,
    only: str | Sequence[str] = (),
    width: int = TWO_COLUMNS,
    formats: str | Sequence[str] = FORMATS,
    dataset: str | None = None,
    protocols: str | Sequence[str] | None = None,
    methods: str | Sequence[str] | None = None,
    metrics: str | Sequence[str] = ("mae",),
) -> Figures:
    """Draw the figures that a results folder allows, each with its numbers as CSV.

    Args:
        results: folder of the results.
        out: folder of the figures.
        only: kinds of figures, see :data:`KINDS`. All of them by default.
        width: 85 or 180 millimetres, one or two columns of a journal.
        formats: ``pdf``, ``svg`` and ``png``.
        dataset: only this.
        protocols: only these.
        methods: only these.
        metrics: a figure is drawn for each.

    Raises:
        UserError: an unknown name, no results, matplotlib is not installed, or a folder that cannot
            be read or written.
    """
    chosen = figure_set(
        results, only=only, width=width, formats=formats, dataset=dataset, protocols=protocols,
        methods=methods, metrics=metrics,
    )  # fmt: skip
    files = list(chosen.write(Path(out)))
    return Figures(files, chosen.left_out)


def figure_set(
    results: Path | str = DEFAULT_RESULTS,
    *,
    only: str | Sequence[str] = (),
    width: int = TWO_COLUMNS,
    formats: str | Sequence[str] = FORMATS,
    dataset: str | None = None,
    protocols: str | Sequence[str] | None = None,
    methods: str | Sequence[str] | None = None,
    metrics: str | Sequence[str] = ("mae",),
) -> FigureSet:
    """Check names, read the records, and return the set of figures. Nothing is drawn yet.

    Raises:
        UserError: as :func:`figures`.
    """
    kinds, suffixes, measured = _names(only) or [*KINDS], _names(formats), _names(metrics)
    for what, names, known in (
        ("kind of figure", kinds, KINDS),
        ("format of figures", suffixes, FORMATS),
        ("metric", measured, registry().metrics.specs),
    ):
        if not names:
            raise UserError(f"No {what} is named. Name one of {', '.join(known)}.")
        for name in names:
            if name not in known:
                raise unknown(what, name, known)
    if width not in WIDTHS:
        raise UserError(
            f"A figure is {' or '.join(map(str, WIDTHS))} mm wide, not {width}. Choose one of them."
        )
    store = ResultsStore(Path(results))
    sound, faults = store.sound()
    wanted = RecordFilter(
        dataset=dataset, protocols=protocols, methods=methods, trials=False, status="done"
    )
    chosen = wanted.apply(sound)
    named = {record.identity.protocol for record in chosen}
    # A learning curve needs all sizes of a protocol that is named.
    sized = [
        record
        for record in replace(wanted, protocols=None).apply(sound)
        if named & {record.identity.protocol, sized_name(record.identity.protocol)[0]}
    ]
    if not chosen:
        raise no_results("draw", Path(results))
    damaged = [f"left out: {fault.line}" for fault in faults]
    return FigureSet(
        tuple(chosen), tuple(sized), registry(), Readable(store.vectors), kinds, width, suffixes,
        [registry().metrics.specs[name] for name in measured],
        every_size=protocols is not None, left_out=damaged,
    )  # fmt: skip


def _names(names: str | Sequence[str]) -> list[str]:
    parts = names.split(",") if isinstance(names, str) else names
    return list(dict.fromkeys(part.strip() for part in parts if part.strip()))


@dataclass(frozen=True)
class Part:
    """Comparable results under one preset: the methods, and their standings by each metric."""

    preset: str
    records: list[Record]
    registry: Registry
    vectors_of: VectorsOf
    _standings: dict[str, list[Standing]] = field(default_factory=dict)

    @property
    def first(self) -> Record:
        """Any of the records."""
        return self.records[0]

    @property
    def where(self) -> str:
        """Dataset, protocol and preset, for titles."""
        return f"{self.first.dataset} · {self.first.identity.protocol} · preset {self.preset}"

    def name(self, kind: str, metric: MetricSpec) -> str:
        """Return the name of a figure."""
        first = self.first
        return file_name(
            kind, first.dataset, first.identity.protocol, self.preset, first.identity.data[:8],
            metric.name,
        )  # fmt: skip

    def standings(self, metric: MetricSpec) -> list[Standing]:
        """Return the standings, as the report of ranks has them."""
        if metric.name not in self._standings:
            variants = variants_of(self.records, self.registry)
            variants.sort(key=lambda variant: (variant.control, variant.label))
            self._standings[metric.name] = standings(variants, self.vectors_of, metric)
        return self._standings[metric.name]

    def ranked(self, metric: MetricSpec) -> list[Standing]:
        """Return the standings of methods with a rank, the best first."""
        return [row for row in self.standings(metric) if row.rank is not None]


@dataclass(frozen=True)
class FigureSet:
    """The figures of chosen records.

    Attributes:
        records: records that are done.
        sized: the same, at every training size.
        registry: everything that is installed.
        vectors_of: returns the vectors of a record.
        kinds: kinds of figures to draw.
        width: width in millimetres.
        formats: formats of the files.
        metrics: metrics to draw.
        every_size: whether figures of one protocol are drawn for smaller training sizes too.
        left_out: a line for each kind that is left out, filled as figures are drawn.
    """

    records: tuple[Record, ...]
    sized: tuple[Record, ...]
    registry: Registry
    vectors_of: VectorsOf
    kinds: Sequence[str]
    width: int
    formats: Sequence[str]
    metrics: Sequence[MetricSpec]
    every_size: bool
    left_out: list[str]

    def write(self, folder: Path) -> Iterator[Path]:
        """Draw and write the figures one after the other, and yield their files.

        Raises:
            UserError: matplotlib is not installed, or the folder cannot be written to.
        """
        for kind in self.kinds:
            yield from write_drawings(self._of_kind(kind), folder, self.formats)
        if (smaller := self._smaller()) and set(self.kinds) - OF_ALL_SIZES:
            self.left_out.append(
                f"left out: smaller training sizes ({some(smaller)}): they are in learning curves. "
                "Other figures of them: --protocol"
            )

    def _of_kind(self, kind: str) -> Iterator[Drawing]:
        """Yield the figures of a kind. Reasons to leave some out are joined in one line."""
        reasons: dict[str, list[str]] = {}
        for item in KINDS[kind].draw(self):
            if isinstance(item, Drawing):
                yield item
            else:
                places = reasons.setdefault(item.reason, [])
                if item.place and item.place not in places:
                    places.append(item.place)
        for reason, places in reasons.items():
            where = f" ({some(places)})" if places else ""
            self.left_out.append(f"left out: {kind}{where}: {reason}")

    @cached_property
    def parts(self) -> list[Part]:
        """The results of each dataset, protocol, digest and preset."""
        bases = {record.identity.protocol for record in self.records}
        return [
            Part(preset, members, self.registry, self.vectors_of)
            for group in in_order(self.records, self.registry)
            if self.every_size or not self._is_smaller(group[0], bases)
            for preset, members in by_preset(group, self.registry).items()
        ]

    def _smaller(self) -> list[str]:
        """Return the protocols with smaller training sizes that :attr:`parts` leaves out."""
        bases = {record.identity.protocol for record in self.records}
        found = [r.identity.protocol for r in self.records if self._is_smaller(r, bases)]
        return [] if self.every_size else list(dict.fromkeys(found))

    def _is_smaller(self, record: Record, protocols: set[str]) -> bool:
        base, size = sized_name(record.identity.protocol)
        return bool(size) and base in protocols


class LeftOut(NamedTuple):
    """A figure that is left out: the reason, and of which protocol it would be."""

    reason: str
    place: str = ""


def _each(
    draw: Callable[[FigureSet, Part, MetricSpec], Iterator[Drawing | LeftOut]],
) -> Callable[[FigureSet], Iterator[Drawing | LeftOut]]:
    """Return a function that draws a figure for each part and metric."""

    def draw_all(chosen: FigureSet) -> Iterator[Drawing | LeftOut]:
        for part in chosen.parts:
            for metric in chosen.metrics:
                yield from draw(chosen, part, metric)

    return draw_all


def _ranked_two(part: Part, metric: MetricSpec) -> LeftOut | None:
    """Return the reason why there are no two methods to compare, if so."""
    number, place = len(part.ranked(metric)), part.first.identity.protocol
    if number > 1:
        return None
    if any(not row.variant.control for row in part.standings(metric)) and not number:
        return LeftOut(f"no shares of test profiles in {metric.title}, so no test", place)
    return LeftOut(f"{counted(number, 'method')} with {metric.title} besides controls", place)


def _forest(chosen: FigureSet, part: Part, metric: MetricSpec) -> Iterator[Drawing | LeftOut]:
    if reason := _ranked_two(part, metric):
        yield reason
        return
    name = part.name("forest", metric)
    yield forest(name, part.standings(metric), metric, part.where, chosen.width)


def _critical(chosen: FigureSet, part: Part, metric: MetricSpec) -> Iterator[Drawing | LeftOut]:
    if reason := _ranked_two(part, metric):
        yield reason
        return
    name = part.name("critical", metric)
    yield critical(name, part.standings(metric), metric, part.where, chosen.width)


def _scatter(chosen: FigureSet, part: Part, metric: MetricSpec) -> Iterator[Drawing | LeftOut]:
    place, rows = part.first.identity.protocol, part.ranked(metric)
    if metric.axis != "gene":
        yield LeftOut(f"{metric.title} is no metric of genes", place)
        return
    if reason := _ranked_two(part, metric):
        yield reason
        return
    leader, others = rows[0].variant, [row.variant for row in rows[1 : SCATTERED + 1]]
    compared = (compare(leader, other, chosen.vectors_of, metric) for other in others)
    pairs = [pair for pair in compared if pair and len(pair.genes)]
    if not pairs:
        yield LeftOut("no values per gene", place)
        return
    more = len(rows) - 1 - len(others)
    note = (
        f"The best method against the next {len(others)}. {counted(more, 'more method')} left out."
        if more
        else ""
    )
    yield scatter.scatter(part.name("scatter", metric), pairs, chosen.width, note)


def _targets(chosen: FigureSet, part: Part, metric: MetricSpec) -> Iterator[Drawing | LeftOut]:
    place = part.first.identity.protocol
    if metric.axis != "gene":
        yield LeftOut(f"{metric.title} is no metric of genes", place)
        return
    try:
        properties = target_properties(part.first, chosen.registry)
    except UserError as error:
        yield LeftOut(str(error), place)
        return
    variants = [row.variant for row in part.standings(metric) if not row.variant.control]
    tables = {
        variant.label: gene_values(variant, chosen.vectors_of, metric) for variant in variants
    }
    values = {label: table["value"] for label, table in tables.items() if len(table)}
    if not values:
        yield LeftOut("no values per gene", place)
        return
    if properties["variance"].isna().all():
        yield LeftOut("error against variance: the values of the dataset came standardised", place)
    name = part.name("targets", metric)
    yield against_targets(name, values, properties, metric, part.where, chosen.width)


def _cost(chosen: FigureSet) -> Iterator[Drawing | LeftOut]:
    records = [record for part in chosen.parts for record in part.records]
    unique = {record.key: record for record in records}
    for part in cost_parts(unique.values(), chosen.registry):
        drawings = list(pareto.drawings([part], chosen.metrics, chosen.width))
        yield from drawings
        if not drawings:
            methods = [variant for variant in part.variants if not variant.control]
            reasons = dict.fromkeys(map(part.times.reason_against, methods))
            reason = "; ".join(filter(None, reasons))
            yield LeftOut(reason or "no method with a score", part.first.identity.protocol)


def _learning(chosen: FigureSet) -> Iterator[Drawing | LeftOut]:
    parts = list(sizes_parts(chosen.sized, chosen.registry))
    if not parts:
        yield LeftOut("one training size only, run others with --train-size")
    yield from learning.drawings(parts, chosen.metrics, chosen.width)


def _choice(chosen: FigureSet) -> Iterator[Drawing | LeftOut]:
    records = [record for part in chosen.parts for record in part.records]
    names = list(dict.fromkeys(name for record in records for name in record.curves))
    unique = list({record.key: record for record in records}.values())
    parts = list(choice.choice_parts(unique, chosen.registry, names))
    if not parts:
        yield LeftOut("no method chose λ, k or an epoch")
    yield from choice.drawings(parts, chosen.width)


def _heat(chosen: FigureSet) -> Iterator[Drawing | LeftOut]:
    report = SweepReport(chosen.records, chosen.registry)
    layouts = list(report.layouts())
    if not layouts:
        yield LeftOut("no method was run with several values of a parameter")
    yield from heatmap.drawings(layouts, chosen.metrics, chosen.width)


def _ablation(chosen: FigureSet) -> Iterator[Drawing | LeftOut]:
    report = SuiteReport(
        # Any protocols, not only those of the suite.
        chosen.records, chosen.registry, argument=LADDER, record_filter=RecordFilter(protocols=()),
    )  # fmt: skip
    drawn = False
    for layout in report.layouts():
        for metric in chosen.metrics:
            if drawing := _ladder(chosen, report, layout, metric):
                drawn = True
                yield drawing
    if not drawn:
        yield LeftOut(f"fewer than two rows of suite {LADDER} were run")


def _ladder(
    chosen: FigureSet, report: SuiteReport, layout: Layout, metric: MetricSpec
) -> Drawing | None:
    """Return the ladder of the rows that were run, or None for fewer than two."""
    variants = {grid.name: layout.variant(grid, ()) for grid in layout.settings}
    having = {name: v for name, v in variants.items() if v.has(metric.name, "all")}
    if len(having) < 2:  # noqa: PLR2004
        return None
    # Standings hold the variants they were given, so identity finds the row of each.
    of_variant = {
        id(row.variant): row for row in standings(list(having.values()), chosen.vectors_of, metric)
    }
    steps = [(name, of_variant[id(variant)]) for name, variant in having.items()]
    number = {name: place for place, (name, _) in enumerate(steps)}
    origins = {
        run.name: run.after or (report.suite.runs[place - 1].name if place else "")
        for place, run in enumerate(report.suite.runs)
    }
    changes = [
        (
            number[origins[name]],
            compare(row.variant, having[origins[name]], chosen.vectors_of, metric),
        )
        if origins[name] in number
        else None
        for name, row in steps
    ]
    first = layout.first
    where = first.dataset, first.identity.protocol, layout.preset
    name = file_name("ablation", *where, first.identity.data[:8], metric.name)
    missing = len(variants) - len(having)
    title = " · ".join((*where[:2], f"preset {layout.preset}"))
    title += f" · {missing:,} of {len(variants):,} rows were not run" if missing else ""
    return ladder(name, steps, changes, metric, title, chosen.width)


class Kind(NamedTuple):
    """A kind of figure."""

    summary: str
    draw: Callable[[FigureSet], Iterator[Drawing | LeftOut]]


KINDS = {
    "forest": Kind("paired differences to the best method, with intervals", _each(_forest)),
    "critical": Kind("critical differences: scores, and bars between ties", _each(_critical)),
    "scatter": Kind("the best method against others, gene by gene", _each(_scatter)),
    "targets": Kind("error against variance and the best landmark", _each(_targets)),
    "cost": Kind("error against the seconds of a fit", _cost),
    "learning": Kind("error against the number of training profiles", _learning),
    "choice": Kind("validation error over λ, k or the epochs", _choice),
    "heat": Kind("heat maps of parameters against parameters", _heat),
    "ablation": Kind("the rows of suite ablation, and what each changed", _ablation),
}
"""Kinds of figures, in the order in which they are drawn."""
