"""Printing of reports, for every command that prints one."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from genebench.cli import output
from genebench.errors import UserError, describe, unknown
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.specs import ALL, ReporterSpec

if TYPE_CHECKING:
    from genebench.reports.report import Report
    from genebench.results.record import Record


def print_results(
    name: str,
    records: Sequence[Record],
    *,
    metrics: Sequence[str] | None = None,
    out: Path | None = None,
    format_: str = "terminal",
    **fields: Any,
) -> None:
    """Print a report of records that were just run.

    Args:
        name: the report in the registry, such as ``scores`` or ``suite``.
        records: the records to show.
        metrics: names of the metrics to show, or None for the published ones.
        out: a folder for figures, if any are wanted.
        format_: the reporter in the registry.
        fields: other fields of the report's class.

    Raises:
        UserError: there is nothing to show, or the folder cannot be written to.
    """
    from genebench.reports.report import SHOWN_METRICS

    report = folds_pooled(make_report(name, records, metrics=metrics or SHOWN_METRICS, **fields))
    check_report(name, report)
    print_report(name, report, format_, out)


def make_report(name: str, records: Sequence[Record], **fields: Any) -> Report:
    """Return a report by its name in the registry, for the terminal that there is.

    Args:
        name: the report, such as ``scores``.
        records: the records to show.
        fields: other fields of the report's class.

    Raises:
        UserError: there is no such report, or its plugin is broken.
    """
    from genebench.reports.report import Report

    code = registry().reports.get(name).code
    cls = _load(f"Report {name}", code)
    if not (isinstance(cls, type) and issubclass(cls, Report)):
        raise UserError(
            f"Report {name}: {code} is not a subclass of genebench.reports.report.Report. "
            "Correct the plugin that offers it."
        )
    with plugin_errors(f"Report {name}", code):
        return cls(
            tuple(records),
            registry(),
            colour=output.colour(),
            width=output.width(),
            **fields,
        )


def folds_pooled(report: Report) -> Report:
    """Return a report with one record for all folds of a protocol, unless it shows single folds."""
    from genebench.analysis.folds import pooled

    if report.shows_folds:
        return report
    named = report.record_filter.protocols
    shown = pooled(report.records, report.vectors_of, named)
    others = pooled(report.all_records, report.vectors_of, named)

    def vectors_of(record: Record) -> Any:
        # A filter may have taken some of the folds that all records have.
        return (shown if record.key in shown.members else others).vectors_of(record)

    return replace(report, records=shown.records, all_records=others.records, vectors_of=vectors_of)


def check_report(name: str, report: Report) -> None:
    """Refuse a report without content.

    Raises:
        UserError: there is nothing to show, or a plugin is broken.
    """
    with plugin_errors(f"Report {name}", type(report).__module__):
        report.check()


def print_report(
    name: str, report: Report, format_: str = "terminal", out: Path | None = None
) -> None:
    """Lay out a report with a reporter, print it, and draw its figures into a folder.

    Args:
        name: the report in the registry, for messages.
        report: the report.
        format_: the reporter in the registry.
        out: a folder for figures, if any are wanted.

    Raises:
        UserError: there is no such format, the folder cannot be written to, or a plugin is broken.
    """
    code, report_code = reporter_of(format_).code, type(report).__module__
    what = f"Report {name} in format {format_}"
    render = _load(what, code)
    with plugin_errors(what, code, report_code):
        text = render(report)
    if not isinstance(text, str):
        raise UserError(f"{what}: {code} returned {text!r}, which is no text. Correct the plugin.")
    # Only the reporter of genebench colours text, and it escapes every cell before.
    (output.styled if format_ == "terminal" else output.block)(text)
    if out:
        with plugin_errors(f"Drawing of report {name}", report_code):
            paths = list(report.draw(out))
        if not paths:
            output.message("note: nothing to draw here. genebench figures draws all that can be.")
        for path in paths:
            output.message(f"drawn: {path}")


def format_of(format_: str, *, json: bool) -> str:
    """Return the format that ``--format`` and ``--json`` name.

    Raises:
        UserError: they name two.
    """
    if json and format_ not in {"terminal", "json"}:
        raise UserError(f"--json contradicts --format {format_}. Remove one of them.")
    return "json" if json else format_


def reporter_of(format_: str) -> ReporterSpec:
    """Return the reporter of a format.

    Raises:
        UserError: there is no such format.
    """
    reporters = registry().reporters.specs
    if format_ not in reporters:
        raise unknown("report format", format_, reporters)
    return reporters[format_]


@contextmanager
def plugin_errors(what: str, *code: str) -> Iterator[None]:
    """Turn a fault of a plugin into one line that names the file and the line.

    A plugin may raise anything, SystemExit included. A fault of genebench itself stays as it is,
    because its traceback is needed.

    Args:
        what: the thing that was attempted, for the message.
        code: the modules or import strings that are executed.
    """
    try:
        yield
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:
        frame = _frame_of_plugin(error, code)
        if frame is None:
            raise
        place = f"{Path(frame.filename).name}, line {frame.lineno}"
        raise UserError(
            f"{what} failed: {describe(error)} ({place}). Correct the plugin."
        ) from error


def _frame_of_plugin(error: BaseException, code: Sequence[str]) -> traceback.FrameSummary | None:
    """Return the deepest frame in a plugin's own code, or None if the fault is not a plugin's.

    The very deepest frame is often in pandas or rich, which tells the author of a plugin little.
    """
    plugins = {name.partition(":")[0].partition(".")[0] for name in code} - {"genebench"}
    if not plugins:
        return None
    modules = [sys.modules[name] for name in plugins if name in sys.modules]
    files = {str(module.__file__) for module in modules}
    folders = [folder for module in modules for folder in getattr(module, "__path__", ())]
    frames = traceback.extract_tb(error.__traceback__)
    for frame in reversed(frames):
        path = Path(frame.filename)
        if frame.filename in files or any(path.is_relative_to(folder) for folder in folders):
            return frame
    # No frame below this module means that the call itself failed: the plugin's function takes
    # other arguments, or returned something else.
    return frames[-1] if frames[-1].filename == __file__ else None


def _load(what: str, code: str) -> Any:
    """Import code that a spec names.

    Raises:
        UserError: the code of a plugin cannot be imported.
    """
    try:
        return load_code(code)
    except (KeyboardInterrupt, UserError):
        raise
    except BaseException as error:
        if code.startswith("genebench."):
            raise
        raise UserError(
            f"{what}: {code} cannot be imported: {describe(error)}. Correct the plugin."
        ) from error


def metrics_of(records: Sequence[Record], names: str | None) -> Sequence[str]:
    """Return the metrics to show: those that the user names, else the published ones.

    Args:
        records: the records, which must have a score by each of the metrics.
        names: comma-separated names, ``all``, or None.

    Raises:
        UserError: an unknown name, or one that no record was scored by.
    """
    from genebench.reports.report import SHOWN_METRICS

    if names is None:
        return SHOWN_METRICS
    scored = list(dict.fromkeys(name for record in records for name in record.scores))
    if names.strip() == ALL:
        return scored
    wanted = [name.strip() for name in names.split(",") if name.strip()]
    if not wanted:
        raise UserError(f"--metrics names no metric. Name one of {', '.join(scored)}.")
    installed = registry().metrics.specs
    for name in wanted:
        if name not in scored and name not in installed:
            raise unknown("metric", name, {*installed, *scored})
        if name not in scored:
            raise UserError(_no_score(records, name))
    return wanted


def _no_score(records: Sequence[Record], metric: str) -> str:
    """Return why no record has a score by a metric, and what to do."""
    start = f"metric {metric} failed: "
    for record in records:
        for note in record.notes:
            if note.startswith(start):
                return (
                    f"Metric {metric} failed on these results: {note.removeprefix(start)}. "
                    f"Correct its code, and run genebench run --metrics {metric}."
                )
    return f"No result has a score by {metric}. Score them with genebench run --metrics {metric}."
