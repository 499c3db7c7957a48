"""The pages of boards, methods, datasets and environments, the index and the list of problems."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, cached_property
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from markupsafe import Markup

from genebench.analysis.seals import LEVELS
from genebench.data.store import Dataset
from genebench.hookspecs import DISTRIBUTION
from genebench.leaderboard import charts, siblings
from genebench.leaderboard.boards import Board, page_id
from genebench.leaderboard.charts import Axis, Dot
from genebench.leaderboard.equations import equations
from genebench.leaderboard.reading import CHEAT_MARK, Run
from genebench.leaderboard.tables import Place, Ranking, Row
from genebench.leaderboard.templating import render, shown
from genebench.plugins.discovery import SHIPPED
from genebench.reports.wording import SEALS
from genebench.specs import PRESETS, MethodSpec, MetricSpec

PANEL_TITLES = {
    "all": "all targets",
    "strict": "strict: not landmarks",
    "twin": "twin: also landmarks",
}
PANEL_NOTES = {
    "all": "All targets, comparable with the published tables.",
    "strict": "Targets that are not landmarks, and so have to be inferred.",
    "twin": (
        "Targets that are also landmarks. On RNA-seq both are one measurement, which can be copied."
    ),
}

_LEAST_COST_SECONDS = 1e-3
"""The plot's axis of costs is logarithmic, and a clock may measure 0 s."""

_WHISKER_PIXELS = (4.0, 92.0)
"""Ends of the axis in a cell of a table, whose drawing is 96 pixels wide."""


@dataclass(frozen=True)
class SiteOptions:
    """Options of the whole site, which every page needs.

    Attributes:
        title: the site's title.
        metrics: metrics in the order of columns. The first one ranks.
    """

    title: str
    metrics: tuple[MetricSpec, ...]


# A board


def board_page(
    options: SiteOptions, board: Board, panel: str, rows: Sequence[Row], ranking: Ranking, *,
    axes: Sequence[siblings.Axis], citation: str, protocols: Mapping[str, Any],
) -> str:  # fmt: skip
    """Return a board's page for one panel: the table, and the plot of error against cost."""
    metric = options.metrics[0]
    titles = {"ranked": "", "control": "controls, not ranked", "failed": "failed",
              "not applicable": "not applicable"}  # fmt: skip
    sections = [
        (section, title, [row for row in rows if row.section == section])
        for section, title in titles.items()
    ]
    words = ["genebench", "report", "--dataset", board.first.dataset]
    words += ["--protocol", board.first.identity.protocol]
    return render(
        "board.html",
        title=f"{board.protocol_title}, {panel}: {options.title}",
        site_title=options.title,
        root="../../",
        board=board,
        panel=panel,
        axes=axes,
        protocols=protocols,
        citation=citation,
        terminal=shlex.join(words),
        panel_notes=PANEL_NOTES,
        metrics=options.metrics,
        sections=[section for section in sections if section[2]],
        axis=_axis([row.places[metric.name] for row in rows if row.section == "ranked"]),
        n_ranked=sum(row.section == "ranked" and metric.name in row.places for row in rows),
        plot=_plot(rows, metric),
        with_published=board.first.published_data and panel == "all",
        ranking=ranking,
        time_notes=board.times.notes(board.variants),
        seals=_seals_of(rows),
        data_page=page_id(board.first.identity.data),
    )


class _Seals(NamedTuple):
    """The content of the notes on seals below a board's table.

    Attributes:
        meanings: level → where the method ran, for levels that occur.
        suspects: labels of rows that could have cheated.
        third_party: True if any row is of a method that genebench does not ship.
        claimed: labels of rows with runs that came in a bundle.
    """

    meanings: Mapping[str, str]
    suspects: Sequence[str]
    third_party: bool
    claimed: Sequence[str]


def _seals_of(rows: Sequence[Row]) -> _Seals:
    levels = {row.sealed for row in rows}
    return _Seals(
        meanings={level: SEALS[level] for level in LEVELS if level in levels},
        suspects=[row.variant.label for row in rows if CHEAT_MARK in row.marks],
        third_party=any(row.is_third_party for row in rows),
        claimed=[row.variant.label for row in rows if row.claimed],
    )


def _axis(places: Sequence[Place]) -> Axis | None:
    """Return the axis of the column of differences to the leader: of 0 and all intervals.

    Controls have no differences. They are so far off that all others would become dots.
    """
    limits = [
        value
        for place in places
        for value in (place.difference, place.difference_low, place.difference_high)
        if value is not None
    ]
    return Axis(min(0.0, *limits), max(0.0, *limits), *_WHISKER_PIXELS) if limits else None


def _plot(rows: Sequence[Row], metric: MetricSpec) -> Markup | None:
    dots = [
        Dot(
            label=str(shown(row.variant.label)),
            cost=max(row.cost, _LEAST_COST_SECONDS),
            error=row.places[metric.name].mean,
            control=row.variant.control,
            mark=row.time_mark,
        )
        for row in rows
        if metric.name in row.places and row.cost is not None
    ]  # fmt: skip
    if not dots:
        return None
    lower = metric.direction == "lower"
    error = f"{metric.title}, {metric.direction} is better"
    return charts.scatter(dots, "fit + predict, s", error, lower_is_better=lower)


# A method


@dataclass(frozen=True)
class MethodEntry:
    """A method and its runs. A method is a name and the distribution that it comes from.

    Attributes:
        id: name of its page.
        name: its name.
        distribution: the distribution that it comes from.
        runs: its runs.
        spec: its spec, if the same distribution is installed here.
    """

    id: str
    name: str
    distribution: str
    runs: tuple[Run, ...]
    spec: MethodSpec | None

    @cached_property
    def versions(self) -> list[str]:
        """Versions of its distribution among the runs."""
        return sorted({run.record.identity.code.version for run in self.runs})


class MethodLine(NamedTuple):
    """A line of a method's matrix of results: its row on one board."""

    board: Board
    panel: str
    row: Row
    n_ranked: int


def method_page(
    options: SiteOptions, method: MethodEntry, lines: Sequence[MethodLine], citation: str
) -> str:
    """Return a method's page: its card, its parameters, and its rows on all boards."""
    return render(
        "method.html",
        title=f"{method.name}: {options.title}",
        site_title=options.title,
        root="../",
        method=method,
        maths=_maths_of(method),
        lines=lines,
        metrics=options.metrics,
        presets=PRESETS,
        citation=citation,
        terminal=shlex.join(["genebench", "show", method.name]),
    )


def _maths_of(method: MethodEntry) -> Markup | str:
    """Return the equations that the spec declares, or those of a method that genebench ships."""
    if method.spec and method.spec.equations:
        return equations(method.spec.equations)
    return _shipped_maths().get(method.name, "") if method.distribution in SHIPPED else ""


@cache
def _shipped_maths() -> dict[str, Markup]:
    """Return name of a method that genebench ships → its equations, as ``docs/maths.py`` wrote."""
    text = (Path(__file__).parent / "maths.json").read_text("utf-8")
    return {name: Markup(html) for name, html in json.loads(text).items()}  # noqa: S704  our own


# A dataset, and an environment


@dataclass(frozen=True)
class DataUse:
    """A board on a dataset, and the digests of the test profiles that its runs met.

    Several digests mean that not all runs were tested on the same profiles.
    """

    board: Board
    splits: Sequence[str]


def data_page(
    options: SiteOptions, digest: str, uses: Sequence[DataUse], dataset: Dataset | None
) -> str:
    """Return a dataset's page: the boards on it, and its coverage if it is prepared here."""
    return render(
        "data.html",
        title=f"Data {digest}: {options.title}",
        site_title=options.title,
        root="../",
        digest=digest,
        published=uses[0].board.first.published_data,
        info=dataset.info if dataset else None,
        uses=uses,
    )


def environment_page(
    options: SiteOptions, environment: Mapping[str, Any], runs: Sequence[Run]
) -> str:
    """Return the page of a command, a machine and an installation that runs share."""
    return render(
        "environment.html",
        title=options.title,
        site_title=options.title,
        root="../",
        made=environment,
        seals=SEALS,
        runs=runs,
    )


# The index, and the problems


class BoardEntry(NamedTuple):
    """A board's line of the index."""

    board: Board
    data_page: str
    failed: int
    leaders: str


def index_page(
    options: SiteOptions, boards: Sequence[BoardEntry], methods: Sequence[MethodEntry],
    problems: Sequence[str], *, n_runs: int, trials: int, n_folders: int,
) -> str:  # fmt: skip
    """Return the site's first page: every board and every method."""
    return render(
        "index.html",
        title=options.title,
        site_title=options.title,
        root="",
        boards=boards,
        metric=options.metrics[0],
        n_runs=n_runs,
        methods=methods,
        problems=problems,
        trials=trials,
        version=version(DISTRIBUTION),
        # The day alone: the same results give the same bytes twice on a day.
        made=datetime.now(UTC).date().isoformat(),
        n_folders=n_folders,
    )


def problems_page(options: SiteOptions, problems: Sequence[str]) -> str:
    """Return the page of records and folders that are not shown."""
    return render(
        "problems.html", title=options.title, site_title=options.title, root="", problems=problems
    )
