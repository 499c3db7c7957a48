"""The base class of reports, and the tables they consist of. Reporters lay the tables out."""

from __future__ import annotations

import html
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from genebench._util.notebook import Figures, figures_of, paragraph, table
from genebench._util.text import printable
from genebench.errors import UserError, counted, no_results
from genebench.results.filters import RecordFilter

# A plugin of one file subclasses Report as soon as it is loaded, even by ``genebench list``.
# So this module imports neither pandas nor numpy.
if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from genebench.analysis.vectors import VectorsOf
    from genebench.explaining.explanation import Explanation
    from genebench.plugins.registry import Registry
    from genebench.results.record import Record
    from genebench.specs import MetricSpec

SHOWN_METRICS = ("mae", "cc")
"""The metrics of the GGAN paper. Reports show them unless the user names others."""


@dataclass(frozen=True)
class Row:
    """A row of a table: the cells of one method, and their style."""

    cells: tuple[str, ...]
    """The text of each column."""
    control: bool = False
    """True if the method is a control."""
    best: frozenset[int] = frozenset()
    """Indices of the columns in which this row is the best. Controls do not compete."""
    heat: tuple[float | None, ...] = ()
    """For each cell, its place from the worst (0) to the best (1) value, or None for no colour."""


@dataclass(frozen=True)
class Table:
    """A title, named columns and rows of text.

    Attributes:
        title: what the cells are, such as a metric, its direction and its unit.
        columns: names of the columns. The first one is usually the method.
        rows: one for each method and its parameters, the best first.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]

    def __post_init__(self) -> None:
        """Refuse rows that do not fit the columns. Reporters would shift or cut their cells.

        Raises:
            ValueError: a row has too few or too many cells.
            TypeError: a cell is not text.
        """
        for row in self.rows:
            if len(row.cells) != len(self.columns):
                raise ValueError(
                    f"table {self.title!r}: a row has {len(row.cells)} cells for "
                    f"{len(self.columns)} columns"
                )
            for cell in row.cells:
                if not isinstance(cell, str):
                    raise TypeError(f"table {self.title!r}: cell {cell!r} is not text")


@dataclass(frozen=True)
class Section:
    """Tables whose numbers may be compared: same data, same protocol.

    Attributes:
        title: dataset, protocol and digest of the data.
        tables: such as one for each metric, and one of costs.
        notes: remarks that every reader needs, such as failures, printed below the tables.
        verdict: sentences that say what the tables show. They stand above the notes.
        details: further remarks. In a terminal they are printed with ``--notes`` only.
    """

    title: str
    tables: tuple[Table, ...]
    notes: tuple[str, ...] = ()
    verdict: tuple[str, ...] = ()
    details: tuple[str, ...] = ()


def _as_html(sections: Iterable[Section]) -> str:
    """Return the sections of a report: tables, verdicts and notes. Details can be opened."""
    parts = []
    for section in sections:
        parts.append(f"<h4>{html.escape(printable(section.title))}</h4>")
        for each in section.tables:
            rows = [row.cells for row in each.rows]
            best = [row.best for row in each.rows]
            parts.append(
                table(
                    each.columns, rows, caption=each.title,
                    bold=lambda row, column, best=best: column in best[row],  # type: ignore[misc]
                )
            )  # fmt: skip
        parts += map(paragraph, (*section.verdict, *section.notes))
        if section.details:
            inner = "".join(map(paragraph, section.details))
            parts.append(f"<details><summary>Notes</summary>{inner}</details>")
    return "\n".join(parts)


def no_explanation(record: Record) -> Explanation:
    """Refuse to explain a record that is not in a results folder.

    Raises:
        UserError: always.
    """
    raise UserError(f"{record.key}: only results in a folder can be explained.")


def no_vectors(record: Record) -> Mapping[str, NDArray[Any]]:  # noqa: ARG001  a VectorsOf
    """Return no vectors, for reports of records that are not in a results folder."""
    return {}


@dataclass(frozen=True, repr=False)
class Report(ABC):
    """A report: the chosen records, and the tables made from them.

    A subclass implements :meth:`sections` and :meth:`values`. It overrides :meth:`check` where
    records alone are not enough, and :meth:`draw` if its spec has ``figures=True``. It is named by
    a :class:`genebench.specs.ReportSpec`, and reporters lay it out.

    Attributes:
        records: the records to show. Those of the folds of a protocol are pooled, unless the class
            sets ``shows_folds = True``: see :mod:`genebench.analysis.folds`.
        registry: titles, units and directions of everything that is installed.
        all_records: every record of the results folder, such as controls outside ``records``.
            Trials are among them only if the user asks for trials.
        metrics: names of the metrics to show. Records may hold others.
        vectors_of: ``vectors_of(record)`` reads the vectors of a record (one value per gene or
            profile) by name. The mapping is empty where they cannot be read.
        explanation_of: ``explanation_of(record)`` returns the explanation of the record's model. It
            is made if there is none, which takes seconds to minutes.
        argument: the argument on the command line, if the spec of the report names one.
        record_filter: the filters on the command line. ``records`` are filtered already.
        colour: True if the terminal shows colours.
        width: the width of the terminal in characters.
        with_notes: True if the details of sections are printed in a terminal, too.
        with_costs: True if tables of costs are part of reports of scores.
        with_all_points: True if curves are printed point by point, however long they are.
    """

    shows_folds: ClassVar[bool] = False
    """True for a report of the folds of a protocol one by one. Others get one record for all."""

    records: tuple[Record, ...]
    registry: Registry
    all_records: tuple[Record, ...] = ()
    metrics: Sequence[str] = SHOWN_METRICS
    vectors_of: VectorsOf = no_vectors
    explanation_of: Callable[[Record], Explanation] = no_explanation
    argument: str = ""
    record_filter: RecordFilter = field(default_factory=RecordFilter)
    colour: bool = False
    width: int = 100
    with_notes: bool = True
    with_costs: bool = True
    with_all_points: bool = True

    def __repr__(self) -> str:
        # A record has thousands of letters.
        return f"<{type(self).__name__} of {counted(len(self.records), 'record')}>"

    def _repr_html_(self) -> str:
        return _as_html(self.sections())

    def plot(self) -> Figures:
        """Return the figures of the report, which a notebook shows.

        Raises:
            UserError: matplotlib is not installed, or the report has no figures.
        """
        if type(self).draw is Report.draw:
            raise UserError(
                f"{type(self).__name__} has no figures. Those of cost, sizes, sweep and suite do."
            )
        return figures_of(self.draw)

    def check(self) -> None:
        """Refuse a report without content. Commands call this before they make any table.

        Raises:
            UserError: there is nothing to show. The message says what is wrong, and what to do.
        """
        if not self.records:
            raise no_results("show")

    @abstractmethod
    def sections(self) -> Iterable[Section]:
        """Return the sections for people, in the order to print them."""

    @abstractmethod
    def values(self) -> pd.DataFrame:
        """Return the same content as a tidy table for programs, one row per value."""

    def draw(self, folder: Path) -> list[Path]:
        """Write the figures of the report into a folder, and return their files."""
        raise NotImplementedError(f"{type(self).__name__} cannot draw into {folder}")

    def shown_metrics(self) -> list[MetricSpec]:
        """Return the metrics to show, as far as they are installed."""
        installed = self.registry.metrics.specs
        return [installed[name] for name in self.metrics if name in installed]

    def of_metrics(self, table: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of a tidy table whose metric is shown, and those of failures."""
        return table[table["metric"].isin([*self.metrics, ""])].reset_index(drop=True)
