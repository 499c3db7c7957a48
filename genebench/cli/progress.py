"""Progress of long work: a live bar in a terminal, a line now and then elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from genebench._util.progress import BLOCKS, Progress, silent
from genebench._util.text import printable
from genebench.cli import output
from genebench.hookspecs import hookimpl
from genebench.plugins.discovery import installed

if TYPE_CHECKING:
    from genebench.results.record import Record
    from genebench.runs.jobs import Job


LINE_SECONDS = 30.0
"""Least time between lines, where there is no terminal. Logs of long runs stay readable."""
_NO_CURVES = dict.fromkeys(map(ord, BLOCKS), "")
"""Translation that removes the block characters of curves."""
_ASCII = str.maketrans(BLOCKS, "_.:-=+*#")
"""Translation of block characters, lowest to highest, into ASCII."""


@contextmanager
def bar(*, quiet: bool) -> Iterator[Progress]:
    """Yield a progress callable for one piece of work. A bar in a terminal vanishes at its end."""
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

    # The usual column cuts off text that does not fit, which would be the curves at its end. A
    # plain column wraps.
    text = TextColumn("{task.description}", markup=False, table_column=Column())
    # Before the live display replaces sys.stderr by a stream of its own.
    translation = _translation(sys.stderr.encoding)
    columns = (text, BarColumn(bar_width=20), TimeRemainingColumn())
    with RichProgress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=None)

        def progress(done: int, total: int, message: str) -> None:
            shown.update(
                task, completed=done, total=total, description=message.translate(translation)
            )

        yield progress


class _Lines:
    """Progress as plain lines, at least ``LINE_SECONDS`` apart. Short work prints none."""

    def __init__(self) -> None:
        self._last_line = time.monotonic()

    def __call__(self, done: int, total: int, message: str) -> None:
        if time.monotonic() - self._last_line < LINE_SECONDS:
            return
        self._last_line = time.monotonic()
        line = f"{message.translate(_NO_CURVES)} ({done / max(total, 1):.0%})"
        # A curve that was removed leaves a blank before the comma.
        output.message(printable(line).replace(" ,", ","))


def _translation(encoding: str) -> dict[int, int]:
    """Return how to translate curves for an encoding: into ASCII if it has no block characters."""
    try:
        BLOCKS.encode(encoding)
    except UnicodeEncodeError:
        return _ASCII
    return {}


class JobProgress:
    """Observer of jobs, like a plugin's, that shows the progress of a run."""

    def __init__(self, jobs: int, show: Progress) -> None:
        self._jobs = jobs
        self._show = show
        self._ended = 0
        self._start = time.perf_counter()

    @hookimpl
    def genebench_job_started(self, job: Job) -> None:
        """Show the name of the job."""
        self._start = time.perf_counter()
        self._show(0, 1, self._title(job))

    @hookimpl
    def genebench_job_progressed(self, job: Job, done: int, total: int, message: str) -> None:
        """Show the message of the method."""
        self._show(done, total, printable(f"{self._title(job)}: {message}"))

    @hookimpl
    def genebench_job_finished(self, job: Job, records: list[Record]) -> None:
        """Print a line for the finished job."""
        seconds = time.perf_counter() - self._start
        failures = [record.failure for record in records if record.failure]
        outcome = "done"
        if failures:
            outcome = f"failed: {failures[0].kind}: {failures[0].message}"
        line = f"{self._title(job)}: {outcome} in {seconds:.1f} s"
        output.message(printable(line))
        self._ended += 1

    def _title(self, job: Job) -> str:
        return f"[{self._ended + 1}/{self._jobs}] {job.label}"


@contextmanager
def jobs_shown(jobs: int, *, quiet: bool) -> Iterator[None]:
    """Show the progress of jobs that this process executes, or waits for."""
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
