"""Progress of long work: a live bar in a terminal, a line now and then elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from genebench._util.progress import BLOCKS, Progress, silent
from genebench._util.text import printable
from genebench.hookspecs import hookimpl
from genebench.plugins.discovery import installed

if TYPE_CHECKING:
    from genebench.results.record import Record
    from genebench.runs.jobs import Job


LINE_SECONDS = 30.0
"""Least time between lines, where there is no terminal."""
_NO_CURVES = dict.fromkeys(map(ord, BLOCKS), "")
_ASCII = str.maketrans(BLOCKS, "_.:-=+*#")


@contextmanager
def bar(*, quiet: bool) -> Iterator[Progress]:
    """A progress callable for one stretch of work; in a terminal it leaves nothing at the end."""
    if quiet:
        yield silent
    elif sys.stderr.isatty():
        with _live() as progress:
            yield progress
    else:
        yield _Lines()


@contextmanager
def _live() -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as RichProgress
    from rich.table import Column

    # A column of its own settings, as the usual one cuts off what a narrow terminal has no room
    # for: the curves, which come last.
    text = TextColumn("{task.description}", markup=False, table_column=Column())
    # Asked now: the live display puts a stream of its own in the place of this one.
    drawn = _drawn(sys.stderr.encoding)
    columns = (text, BarColumn(bar_width=20), TimeRemainingColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)

        def progress(done: int, total: int, message: str) -> None:
            shown.update(task, completed=done, total=total, description=message.translate(drawn))

        yield progress


class _Lines:
    """Progress as plain lines: none in the first seconds, and then one now and then."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def __call__(self, done: int, total: int, message: str) -> None:
        if time.monotonic() - self._told < LINE_SECONDS:
            return
        self._told = time.monotonic()
        line = f"{message.translate(_NO_CURVES)} ({done / max(total, 1):.0%})"
        typer.echo(printable(line).replace(" ,", ","), err=True)


def _drawn(encoding: str) -> dict[int, int]:
    """What curves are drawn with where text has an encoding: ASCII if it has no blocks."""
    try:
        BLOCKS.encode(encoding)
    except UnicodeEncodeError:
        return _ASCII
    return {}


class JobProgress:
    """An observer, like any plugin's, that shows where a run is."""

    def __init__(self, jobs: int, show: Progress) -> None:
        self._jobs = jobs
        self._show = show
        self._ended = 0
        self._began = time.perf_counter()

    @hookimpl
    def genebench_job_started(self, job: Job) -> None:
        """Name the job."""
        self._began = time.perf_counter()
        self._show(0, 1, self._title(job))

    @hookimpl
    def genebench_job_progressed(self, job: Job, done: int, total: int, message: str) -> None:
        """Show what the method says."""
        self._show(done, total, printable(f"{self._title(job)}: {message}"))

    @hookimpl
    def genebench_job_finished(self, job: Job, records: list[Record]) -> None:
        """Leave a line for the finished job."""
        spent = time.perf_counter() - self._began
        failures = [record.failure for record in records if record.failure]
        outcome = "done"
        if failures:
            outcome = f"failed: {failures[0].kind}: {failures[0].message}"
        line = f"{self._title(job)}: {outcome} in {spent:.1f} s"
        typer.echo(printable(line), err=True)
        self._ended += 1

    def _title(self, job: Job) -> str:
        return f"[{self._ended + 1}/{self._jobs}] {job.label}"


@contextmanager
def jobs_shown(jobs: int, *, quiet: bool) -> Iterator[None]:
    """Show the progress of jobs executed in this process."""
    if quiet:
        yield
        return
    manager = installed().manager
    with bar(quiet=quiet) as show:
        observer = JobProgress(jobs, show)
        manager.register(observer, name="genebench.cli.progress")
        try:
            yield
        finally:
            manager.unregister(observer)
