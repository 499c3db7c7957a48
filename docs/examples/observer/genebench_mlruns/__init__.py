"""Logs jobs as MLflow runs: an observer, which has job hooks and offers no specs.

The hooks keep nothing between calls: a job may start in one process, and be found to have died by
another.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING

from genebench import hookimpl

if TYPE_CHECKING:
    from genebench.results.record import Record
    from genebench.runs.jobs import Job

genebench_contract = 1

log = logging.getLogger("genebench")


@hookimpl
def genebench_job_started(job: Job) -> None:
    """Begin a run, in place of an earlier one of the same job."""
    from genebench_mlruns.runs import Run

    with _harmless():
        Run(job).begin()


@hookimpl
def genebench_job_progressed(job: Job, done: int, total: int, message: str) -> None:
    """Log how far it is, and the errors that the message names."""
    from genebench_mlruns.runs import Run

    with _harmless():
        Run(job).progressed(done, total, message)


@hookimpl
def genebench_job_finished(job: Job, records: list[Record]) -> None:
    """Log curves and scores, and end the run."""
    from genebench_mlruns.runs import Run

    with _harmless():
        Run(job).end(records)


@contextmanager
def _harmless() -> Iterator[None]:
    """A disk may be full: say so once, not at each step."""
    try:
        yield
    except OSError as error:
        _complain(error.strerror or str(error))


@cache
def _complain(reason: str) -> None:
    from genebench_mlruns.runs import root

    log.warning("mlruns: %s: %s; what cannot be written is left out", root(), reason.lower())
