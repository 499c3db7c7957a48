"""Progress of jobs and of other long work in a notebook."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from genebench._util.notebook import Line, in_notebook
from genebench._util.progress import Progress, silent, without_curves
from genebench.errors import counted
from genebench.hookspecs import hookimpl
from genebench.plugins.discovery import installed
from genebench.results.record import Record
from genebench.runs.jobs import Job

_SECONDS = 0.3
"""Least time between two updates of a line. Each is a message to the browser."""


class JobsLine:
    """Observer of jobs, like a plugin's, that shows in one line how far they are.

    Args:
        jobs: how many jobs there are.
        line: the line.
    """

    def __init__(self, jobs: int, line: Line) -> None:
        self._jobs = jobs
        self._line = line
        # Showing a line may run code of the kernel that comes back here.
        self._lock = RLock()
        self._ended: set[str] = set()
        self._failed = 0
        self._shown = 0.0
        self._started = time.monotonic()

    @hookimpl
    def genebench_job_started(self, job: Job) -> None:
        """Show the name of the job."""
        self._show(job.label)

    @hookimpl
    def genebench_job_progressed(self, job: Job, done: int, total: int, message: str) -> None:
        """Show the message of the method."""
        self._show(f"{job.label}: {without_curves(message)}", done / max(total, 1))

    @hookimpl
    def genebench_job_finished(self, job: Job, records: list[Record]) -> None:
        """Count the job."""
        with self._lock:
            if job.key not in self._ended:
                self._ended.add(job.key)
                self._failed += any(record.failure for record in records)
        self._show(job.label)

    def end(self) -> None:
        """Show how many jobs were done."""
        failed = f", {self._failed} failed" if self._failed else ""
        seconds = time.monotonic() - self._started
        self._line.show(f"{counted(len(self._ended), 'job')}{failed} in {seconds:.1f} s")

    def _show(self, text: str, part: float = 0.0) -> None:
        with self._lock:
            if time.monotonic() - self._shown < _SECONDS:
                return
            self._shown = time.monotonic()
            ended = len(self._ended)
            share = min((ended + min(part, 1.0)) / max(self._jobs, 1), 1.0)
            self._line.show(f"[{ended}/{self._jobs}] {text}", share)


@contextmanager
def jobs_line(jobs: int) -> Iterator[None]:
    """Show the progress of jobs while the block runs, in a notebook."""
    if not (jobs and in_notebook()):
        yield
        return
    observer, manager = JobsLine(jobs, Line()), installed().manager
    manager.register(observer, name="genebench.runs.live")
    try:
        yield
    finally:
        manager.unregister(observer)
        observer.end()


@contextmanager
def work_line() -> Iterator[Progress]:
    """Yield a progress callable for one piece of work, which shows a line in a notebook."""
    if not in_notebook():
        yield silent
        return
    line = Line()
    shown = 0.0

    def progress(done: int, total: int, message: str) -> None:
        nonlocal shown
        if done < total and time.monotonic() - shown < _SECONDS:
            return
        shown = time.monotonic()
        line.show(without_curves(message), done / max(total, 1))

    yield progress
