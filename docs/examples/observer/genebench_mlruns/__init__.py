"""Observer that logs jobs as MLflow runs. It has job hooks, and offers no specs.

The hooks keep nothing in memory between calls. A job may start in one process, and another process
may report that it has died.
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
    """Begin a run, which replaces an earlier one of the same job."""
    from genebench_mlruns.runs import Run

    with _logged():
        Run(job).begin()


@hookimpl
def genebench_job_progressed(job: Job, done: int, total: int, message: str) -> None:
    """Log the progress, and the errors in the message."""
    from genebench_mlruns.runs import Run

    with _logged():
        Run(job).progressed(done, total, message)


@hookimpl
def genebench_job_finished(job: Job, records: list[Record]) -> None:
    """Log curves and scores, and end the run."""
    from genebench_mlruns.runs import Run

    with _logged():
        Run(job).end(records)


@contextmanager
def _logged() -> Iterator[None]:
    """Log an error of the disk once, instead of at each step."""
    try:
        yield
    except OSError as error:
        _complain(error.strerror or str(error))


@cache
def _complain(reason: str) -> None:
    # Cached, so that each reason is logged once in a process.
    from genebench_mlruns.runs import FOLDER, root

    message = "mlruns: %s: %s. The log is incomplete. Set %s to another folder."
    log.warning(message, root(), reason.lower(), FOLDER)
