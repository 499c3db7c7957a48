"""Pages: templates filled in. Whatever came from a plugin or a file is escaped on the way."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, NamedTuple

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from genebench._util.text import printable
from genebench.errors import some
from genebench.leaderboard import charts
from genebench.leaderboard.boards import Board
from genebench.leaderboard.charts import Axis, Dot, Histogram
from genebench.leaderboard.reading import Run
from genebench.leaderboard.tables import Place, Row
from genebench.plugins.registry import Registry
from genebench.results.panels import PANELS
from genebench.results.record import Provenance, Record, Score
from genebench.specs import PRESETS, MethodSpec, MetricSpec, Value

_HERE = Path(__file__).parent
LONGEST = 300
"""Letters of a text that are shown; nobody reads more, and somebody's name may be 10 kB long."""

_LONGEST_COMMAND = 3_000
"""Letters of a command: one that is cut repeats nothing."""

_TRACEBACK_LINES = 40

PANEL_TITLES = {
    "all": "all targets",
    "strict": "strict: no landmark",
    "twin": "twin: a landmark too",
}
PANEL_NOTES = {
    "all": "All targets, comparable with the published tables.",
    "strict": "Targets that are no landmark: what has to be inferred.",
    "twin": "Targets that are a landmark too: on RNA-seq both are one measurement, to be copied.",
}


def shown(value: object, longest: int = LONGEST) -> object:
    """A text on one line, without control characters, and not endless; anything else as it is."""
    if not isinstance(value, str) or isinstance(value, Markup):
        return value
    text = value if value.isprintable() else printable(value)
    return text if len(text) <= longest else f"{text[:longest]}…"


def command(text: str) -> Markup:
    """A command, whole unless somebody wants to fill the page with it."""
    return escape(shown(text, _LONGEST_COMMAND))


def short(value: Value) -> str:
    """A parameter, or what was chosen."""
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def seconds(value: float | None) -> str:
    """Seconds to three digits, whole ones from a hundred on."""
    if value is None:
        return "–"
    if value < 0.0005:  # noqa: PLR2004
        return "<0.001"
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}" if value >= 1 else f"{value:.3f}"  # noqa: PLR2004


def whole(value: float) -> str:
    """A whole number with thousands set apart."""
    return f"{value:,.0f}"


def score(value: float) -> str:
    """A score as papers print it."""
    return f"{value:.4f}"


def lines(text: str) -> Markup:
    """The end of a text of several lines."""
    kept = text.splitlines()[-_TRACEBACK_LINES:]
    return Markup("\n").join(escape(shown(line.replace("\t", "    "))) for line in kept)


@cache
def environment() -> Environment:
    """The templates; everything is escaped, and a name that is not there is an error."""
    made = Environment(
        loader=FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        auto_reload=False,
        finalize=shown,
    )
    made.filters |= {
        "short": short, "seconds": seconds, "whole": whole, "score": score, "lines": lines,
        "some": some, "command": command,
    }  # fmt: skip
    made.globals["whisker"] = lambda axis, at: charts.whisker(axis, at.mean, at.low, at.high)
    return made


def render(template: str, **names: Any) -> str:
    """A page."""
    return environment().get_template(template).render(names)


@dataclass(frozen=True)
class Look:
    """What every page is told: the site's title, and metrics in the order of columns."""

    title: str
    metrics: tuple[MetricSpec, ...]


# A board's page


def board_page(look: Look, board: Board, panel: str, rows: Sequence[Row], **names: Any) -> str:
    """The table of one panel, and the plot of error against cost."""
    metric = look.metrics[0]
    titles = {"ranked": "", "control": "controls, not ranked", "failed": "failed"}
    parts = [
        (part, title, [row for row in rows if row.part == part]) for part, title in titles.items()
    ]
    return render(
        "board.html",
        title=f"{board.protocol_title}, {panel}: {look.title}",
        site_title=look.title,
        root="../../",
        board=board,
        panel=panel,
        panel_titles=PANEL_TITLES,
        panel_notes=PANEL_NOTES,
        metrics=look.metrics,
        parts=[part for part in parts if part[2]],
        axis=_axis([row.places[metric.name] for row in rows if row.part == "ranked"]),
        plot=_plot(rows, metric),
        with_published=board.first.published_data and panel == "all",
        **names,
    )


def _axis(places: Sequence[Place]) -> Axis | None:
    """Where the whiskers of a column are drawn: the range of the methods; controls are far off."""
    limits = [value for at in places for value in (at.low, at.high) if value is not None]
    return Axis(min(limits), max(limits), 4, 92) if limits else None


def _plot(rows: Sequence[Row], metric: MetricSpec) -> Markup | None:
    dots = [
        Dot(
            label=str(shown(row.variant.label)),
            cost=max(row.cost, 1e-3),
            error=row.places[metric.name].mean,
            control=row.variant.control,
        )
        for row in rows
        if metric.name in row.places and row.cost is not None
    ]  # fmt: skip
    if not dots:
        return None
    lower = metric.direction == "lower"
    return charts.scatter(dots, "fit + predict, s", metric.title, lower_is_better=lower)


# A run's page


class Made(NamedTuple):
    """A page, or what kept it from being made."""

    text: str = ""
    fault: str = ""


@dataclass(frozen=True)
class RunTask:
    """What a run's page is made of; it can be sent to another process."""

    run: Run
    spreads: Mapping[str, Histogram]
    boards: tuple[Link, ...]
    method_page: str
    data_page: str
    environment_page: str
    params: Mapping[str, Value]
    """Parameters that are not the method's defaults, which its own page has."""
    repeat: str


@dataclass(frozen=True)
class Link:
    """What a run's page says of a board that the run stands on."""

    id: str
    preset: str
    panels: tuple[str, ...]


def attempted(task: RunTask, look: Look) -> Made:
    """A run's page; whatever goes wrong is that run's fault, and not the board's."""
    try:
        return Made(run_page(task, look))
    except Exception as error:  # noqa: BLE001  what was foreseen is checked where it is read
        return Made(fault=task.run.problem(error))


def run_page(task: RunTask, look: Look) -> str:
    """Scores by panel, how they spread over genes, how the model was chosen, and its provenance."""
    record = task.run.record
    return render(
        "run.html",
        title=f"{record.identity.method}, {record.identity.protocol}",
        site_title=look.title,
        root="../",
        run=task.run,
        record=record,
        boards=task.boards,
        method_page=task.method_page,
        data_page=task.data_page,
        environment_page=task.environment_page,
        repeat=task.repeat,
        scores=_scores(record, look.metrics),
        panels=PANELS,
        figures=list(_figures(task, look)),
        params=task.params,
    )


def _scores(
    record: Record, metrics: Sequence[MetricSpec]
) -> list[tuple[MetricSpec, Mapping[str, Score]]]:  # fmt: skip
    return [(m, record.scores[m.name]) for m in metrics if m.name in record.scores]


def _figures(task: RunTask, look: Look) -> Iterator[Markup]:
    for metric in look.metrics:
        spread = task.spreads.get(metric.name)
        if spread:
            yield charts.histogram(spread, metric.title)
    for name, curve in task.run.record.curves.items():
        drawn = _curve(name, curve, task.run.record)
        if drawn:
            yield drawn


def _curve(name: str, curve: Mapping[str, Sequence[float]], record: Record) -> Markup | None:
    """The errors along a curve; losses have scales of their own and are in the record."""
    columns = [(str(shown(column)), values) for column, values in curve.items()]
    if not columns or len(columns[0][1]) < 2:  # noqa: PLR2004  one point is no curve
        return None
    x, *others = columns
    errors = [column for column in others if column[0].startswith("mae")] or others
    chosen = next(
        (value for choice, value in record.choices.items() if choice.startswith(next(iter(curve)))),
        None,
    )
    at = float(chosen) if isinstance(chosen, int | float) else None
    return charts.curve(errors[:3], x, at, f"{shown(name)}: {', '.join(n for n, _ in errors[:3])}")


def environment_of(provenance: Provenance) -> dict[str, Any]:
    """What runs of one command share: it has a page of its own."""
    return provenance.model_dump(
        include={
            "command", "host", "platform", "cpus", "device", "accelerator", "python", "versions",
            "git", "plugins",
        }
    )  # fmt: skip


def chosen_params(record: Record, spec: MethodSpec | None) -> dict[str, Value]:
    """Parameters in effect that are not the method's defaults; all of a method not known here."""
    usual = {param.name: param.default for param in spec.params} if spec else {}
    return {name: v for name, v in record.identity.params.items() if usual.get(name) != v}


def repeat_command(record: Record, registry: Registry) -> str:
    """The command that gives this record again, and no more than it must."""
    identity = record.identity
    spec = registry.methods.specs.get(identity.method)
    usual = spec.values(record.preset, {}) if spec and record.preset in PRESETS else {}
    words = ["genebench", "run", "--dataset", record.dataset, "--preset", record.preset]
    for name, origin in record.provenance.plugins.items():
        if origin.install == "file":
            words += ["--plugin", name]
    words += ["--methods", identity.method, "--protocol", identity.protocol]
    if asked := _asked_metrics(record, registry):
        words += ["--metrics", ",".join(asked)]
    if identity.seed:
        words += ["--seeds", str(identity.seed + 1)]
    for name, value in identity.params.items():
        if usual.get(name) != value:
            words += ["--set", f"{identity.method}.{name}={_typed(value)}"]
    return shlex.join(words)


def _asked_metrics(record: Record, registry: Registry) -> list[str]:
    """Metrics that are not scored unless somebody asks; of one not installed nobody knows."""
    offered = registry.metrics.specs
    return [name for name in record.metrics if name not in offered or offered[name].costly]


def _typed(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


# The other pages


@dataclass(frozen=True)
class MethodEntry:
    """A method: a name and who it comes from, and its runs."""

    id: str
    name: str
    distribution: str
    runs: tuple[Run, ...]
    spec: MethodSpec | None

    @cached_property
    def versions(self) -> list[str]:
        """Versions of its distribution among the runs."""
        return sorted({run.record.identity.code.version for run in self.runs})


@dataclass(frozen=True)
class Group:
    """A method's rows on one board."""

    board: Board
    rows: Sequence[Row]


def method_page(look: Look, method: MethodEntry, groups: Iterable[Group]) -> str:
    """What a method is, and how it did on every board."""
    return render(
        "method.html",
        title=f"{method.name}: {look.title}",
        site_title=look.title,
        root="../",
        method=method,
        groups=list(groups),
        metrics=look.metrics,
        presets=PRESETS,
    )
