"""Progress of long work: a live bar in a terminal, a line now and then elsewhere, or nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from threading import Lock
from typing import TYPE_CHECKING, Protocol

from genebench._util.amounts import spoken
from genebench._util.progress import BLOCKS, Progress, silent, without_curves
from genebench._util.text import printable
from genebench.cli import output
from genebench.hookspecs import hookimpl
from genebench.plugins.discovery import installed

if TYPE_CHECKING:
    from genebench.results.record import Record
    from genebench.runs.jobs import Job


LINE_SECONDS = 30.0
"""Least time between lines, where there is no terminal. Logs of long runs stay readable."""
_LEAST_REMAINING = 60.0
"""Seconds from which on the time that is left is shown."""
_TELLING_SHARE = 0.1
"""Share of the remaining work that must have been done before estimates are corrected by it."""
_ASCII: dict[int, int | str] = str.maketrans(BLOCKS, "_.:-=+*#") | {ord("…"): "..."}
"""Translation of block characters, lowest to highest, and of the ellipsis, into ASCII."""


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
    console = Console(stderr=True)
    with (
        output.lines_above(console),
        RichProgress(*columns, console=console, transient=True, redirect_stdout=False) as shown,
    ):
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
        output.message(f"{without_curves(message)} ({done / max(total, 1):.0%})")


def _translation(encoding: str) -> dict[int, int | str]:
    """Return how to translate curves for an encoding: into ASCII if it has no block characters."""
    try:
        BLOCKS.encode(encoding)
    except UnicodeEncodeError:
        return _ASCII
    return {}


class JobDisplay(Protocol):
    """The display of jobs that run at once."""

    ended: str
    """Number of jobs that have ended, of how many, as ``[3/10]``."""

    def show(self, key: str, text: str, done: int, total: int) -> None:
        """Show a job, or its progress. Its clock starts when it is first shown."""

    def remove(self, key: str) -> None:
        """Show a job no longer, if it is shown."""


class _JobLines:
    """Jobs as plain lines, for each job at least ``LINE_SECONDS`` apart."""

    ended = ""

    def __init__(self) -> None:
        self._lines: dict[str, _Lines] = {}

    def show(self, key: str, text: str, done: int, total: int) -> None:
        self._lines.setdefault(key, _Lines())(done, total, f"{self.ended} {text}")

    def remove(self, key: str) -> None:
        self._lines.pop(key, None)


class JobProgress:
    """Observer of jobs, like a plugin's, that shows the progress of a run.

    Any number of jobs may run at once, and notifications may come from any thread. A job that ends
    is numbered by the order of ends. Its line shows the time since it started. That is shorter than
    the work if the job had begun before this process watched it, or ran in another run. Then the
    line shows the seconds that its records hold.
    """

    def __init__(
        self, jobs: int, display: JobDisplay, expected: Mapping[str, float | None] | None = None
    ) -> None:
        self._jobs = jobs
        self._expected = dict(expected or {})
        """Key of a job that has not ended → seconds that it is estimated to take."""
        self._foreseen = self._spent = 0.0
        """Estimated and real seconds of the jobs that have ended."""
        self._display = display
        self._lock = Lock()
        self._starts: dict[str, float] = {}
        self._job_of: dict[str, str] = {}
        """Key of an evaluation → key of its job. A job may end with a part of its evaluations."""
        self._ended: set[str] = set()
        self._count()

    @hookimpl
    def genebench_job_started(self, job: Job) -> None:
        """Show the name of the job, and start its clock."""
        with self._lock:
            if job.key not in self._ended:
                self._start(job)

    @hookimpl
    def genebench_job_progressed(self, job: Job, done: int, total: int, message: str) -> None:
        """Show the message of the method."""
        with self._lock:
            # A message may be late, or that of a job which another process has started.
            if job.key in self._ended:
                return
            if job.key not in self._starts:
                self._start(job)
            self._count()
            self._display.show(job.key, printable(f"{job.label}: {message}"), done, total)

    @hookimpl
    def genebench_job_finished(self, job: Job, records: list[Record]) -> None:
        """Print a line for the finished job."""
        with self._lock:
            key = self._job_of.get(job.key, job.key)
            if key in self._ended:
                return
            self._ended.add(key)
            self._display.remove(key)
            present = time.perf_counter()
            seconds = max(present - self._starts.pop(key, present), _seconds_of(records))
            if (foreseen := self._expected.pop(key, None)) is not None:
                self._foreseen += foreseen
                self._spent += seconds
            self._count()
            failures = [record.failure for record in records if record.failure]
            outcome = "done"
            if failures:
                outcome = f"failed: {failures[0].kind}: {failures[0].message}"
            elif reasons := [record.reason for record in records if record.reason]:
                outcome = f"not applicable ({reasons[0]})"
            # Nothing was run for a method that is not applicable, so it has no time.
            time_spent = "" if outcome.startswith("not") else f" in {seconds:.1f} s"
            output.message(printable(f"{self._display.ended} {job.label}: {outcome}{time_spent}"))

    def _start(self, job: Job) -> None:
        # A job that a scheduler runs once more starts again.
        self._display.remove(job.key)
        self._starts[job.key] = time.perf_counter()
        self._job_of |= {evaluation.key: job.key for evaluation in job.evaluations}
        self._display.show(job.key, printable(job.label), 0, 1)

    def _count(self) -> None:
        self._display.ended = f"[{len(self._ended)}/{self._jobs}{self._remaining()}]"

    def _remaining(self) -> str:
        """Return the time that is left, or nothing if it is short, or unknown for any job.

        Estimates of the jobs that have ended say by how much those of the others are wrong.
        """
        if not self._expected or None in self._expected.values():
            return ""
        present = time.perf_counter()
        left = [
            max(seconds - (present - self._starts.get(key, present)), 0.0)
            for key, seconds in self._expected.items()
            if seconds is not None
        ]
        # Short jobs are mostly what any job costs, so they say little about long ones.
        tried = self._foreseen >= _TELLING_SHARE * sum(left)
        factor = self._spent / self._foreseen if tried and self._foreseen else 1.0
        seconds = factor * sum(left)
        return f", ~{spoken(seconds)} left" if seconds >= _LEAST_REMAINING else ""


def _seconds_of(records: list[Record]) -> float:
    """Return the seconds of work that the records of a job hold.

    Each record has the time of the fit, which all share. That of a process that died has the time
    of the process.
    """
    phases = [
        # Members were fitted by jobs of their own.
        {phase: spent for phase, spent in record.seconds.items() if phase != "members"}
        for record in records
    ]
    shared = [phase.pop("fit", 0.0) + phase.pop("process", 0.0) for phase in phases]
    return max(shared, default=0.0) + sum(sum(phase.values()) for phase in phases)


@contextmanager
def jobs_shown(
    jobs: int, *, quiet: bool, expected: Mapping[str, float | None] | None = None
) -> Iterator[None]:
    """Show the progress of jobs that this process executes, or waits for.

    Args:
        jobs: their number.
        quiet: whether to show nothing.
        expected: key of a job → seconds that it is estimated to take, None if that is unknown.
    """
    if quiet:
        yield
        return
    display, drawn = _job_display()
    observer = JobProgress(jobs, display, expected)
    manager = installed().manager
    with drawn:
        manager.register(observer, name="genebench.cli.progress")
        try:
            yield
        finally:
            manager.unregister(observer)


def _job_display() -> tuple[JobDisplay, AbstractContextManager[object]]:
    """Return the display of jobs that suits standard error, and a block that draws it."""
    if not sys.stderr.isatty():
        return _JobLines(), nullcontext()
    from genebench.cli.job_bars import JobBars

    bars = JobBars(_translation(sys.stderr.encoding))
    return bars, bars.drawn()
