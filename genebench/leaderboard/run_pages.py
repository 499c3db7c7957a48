"""The page of one run. Thousands of them are rendered, in worker processes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from markupsafe import Markup

from genebench._util.text import typed
from genebench.leaderboard import charts
from genebench.leaderboard.charts import Histogram
from genebench.leaderboard.explanations import Shown
from genebench.leaderboard.pages import SiteOptions
from genebench.leaderboard.reading import Run
from genebench.leaderboard.templating import render, shown
from genebench.plugins.registry import Registry
from genebench.results.panels import PANELS
from genebench.results.record import Record
from genebench.specs import PRESETS, MethodSpec, Value

_MOST_LINES = 3
"""Lines of a curve that are drawn: the style sheet has as many colours."""


class Rendered(NamedTuple):
    """The page of a run, or the reason why there is none."""

    text: str = ""
    fault: str = ""


@dataclass(frozen=True)
class BoardLink:
    """A board that a run stands on, as the run's page names it."""

    id: str
    preset: str
    panels: tuple[str, ...]


@dataclass(frozen=True)
class RunTask:
    """The content of a run's page. It can be sent to a worker process.

    Attributes:
        run: the run, with the scores that are shown.
        spreads: metric → histogram over genes.
        boards: the boards that it stands on.
        method_page: name of the page of its method.
        data_page: name of the page of its dataset.
        environment_page: name of the page of its machine and installation.
        params: parameters that differ from the method's defaults, which the method's page lists.
        repeat: the command that repeats the run.
        set_params: the parameters that this command sets.
        explanation: landmarks that its predictions rest on, if they were explained.
    """

    run: Run
    spreads: Mapping[str, Histogram]
    boards: tuple[BoardLink, ...]
    method_page: str
    data_page: str
    environment_page: str
    params: Mapping[str, Value]
    repeat: str
    set_params: Mapping[str, Value]
    explanation: Shown | None = None


def try_run_page(task: RunTask, options: SiteOptions) -> Rendered:
    """Return a run's page. Any failure becomes a fault of that run, and not of the whole site."""
    try:
        return Rendered(run_page(task, options))
    except Exception as error:  # noqa: BLE001  known faults of records are found when they are read
        return Rendered(fault=task.run.problem(error))


def run_page(task: RunTask, options: SiteOptions) -> str:
    """Return a run's page: scores by panel, their spread, choices, costs and provenance."""
    record = task.run.record
    scored = [metric for metric in options.metrics if metric.name in record.scores]
    return render(
        "run.html",
        title=f"{record.identity.method}, {record.identity.protocol}",
        site_title=options.title,
        root="../",
        run=task.run,
        record=record,
        boards=task.boards,
        method_page=task.method_page,
        data_page=task.data_page,
        environment_page=task.environment_page,
        repeat=task.repeat,
        scores=[
            (metric, record.scores[metric.name], task.spreads.get(metric.name)) for metric in scored
        ],
        panels=PANELS,
        curves=list(_curves(record)),
        params=task.params,
        with_params=task.set_params != record.identity.params,
        metrics=options.metrics,
        explanation=task.explanation,
    )


def _curves(record: Record) -> Iterator[Markup]:
    for name, curve in record.curves.items():
        drawing = _curve(name, curve, record)
        if drawing:
            yield drawing


def _curve(name: str, curve: Mapping[str, Sequence[float]], record: Record) -> Markup | None:
    """Return the errors along a curve as a drawing, or None if there is no curve to draw.

    Losses have other scales than errors. They are drawn only where there is no error.
    """
    columns = [(str(shown(column)), values) for column, values in curve.items()]
    if not columns or len(columns[0][1]) < 2:  # noqa: PLR2004  one point is no curve
        return None
    x, *others = columns
    errors = [column for column in others if column[0].startswith("mae")] or others
    # The choice is named after the first column, such as "epoch" or "epoch (geo)".
    x_name = next(iter(curve))
    chosen = next(
        (value for choice, value in record.choices.items() if choice.startswith(x_name)), None
    )
    position = float(chosen) if isinstance(chosen, int | float) else None
    drawn = errors[:_MOST_LINES]
    title = f"{shown(name)}: {', '.join(column for column, _ in drawn)}"
    return charts.curve(drawn, x, position, title)


def environment_of(record: Record) -> dict[str, Any]:
    """Return what the runs of one command share: most of the provenance, the code and the seal."""
    shared = record.provenance.model_dump(
        include={
            "command", "host", "platform", "cpus", "device", "accelerator", "python", "versions",
            "git", "plugins",
        }
    )  # fmt: skip
    return {
        **shared, "code": record.identity.code.model_dump(), "seal": record.seal.model_dump()
    }  # fmt: skip


def chosen_params(record: Record, spec: MethodSpec | None) -> dict[str, Value]:
    """Return parameters that differ from the method's defaults, or all if there is no spec."""
    defaults = {param.name: param.default for param in spec.params} if spec else {}
    return {
        name: value for name, value in record.identity.params.items() if defaults.get(name) != value
    }


def set_params(record: Record, registry: Registry) -> dict[str, Value]:
    """Return the parameters that the command of :func:`repeat_command` sets: not the preset's."""
    identity = record.identity
    spec = registry.methods.specs.get(identity.method)
    preset = spec.values(record.preset, {}) if spec and record.preset in PRESETS else {}
    return {name: value for name, value in identity.params.items() if preset.get(name) != value}


def repeat_command(record: Record, registry: Registry) -> str:
    """Return the shortest command that makes this record again."""
    identity = record.identity
    words = ["genebench", "run", "--dataset", record.dataset, "--preset", record.preset]
    for name, origin in record.provenance.plugins.items():
        if origin.install == "file":
            words += ["--plugin", name]
    words += ["--methods", identity.method, "--protocol", identity.protocol]
    # Costly metrics are scored only on request. An unknown metric may be a costly one.
    offered = registry.metrics.specs
    requested = [name for name in record.metrics if name not in offered or offered[name].costly]
    if requested:
        words += ["--metrics", ",".join(requested)]
    if identity.seed:
        # The option is a number of seeds, which count from 0.
        words += ["--seeds", str(identity.seed + 1)]
    for name, value in set_params(record, registry).items():
        words += ["--set", f"{identity.method}.{name}={typed(value)}"]
    return shlex.join(words)
