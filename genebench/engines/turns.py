"""One job after another, each claimed first. Jobs that other processes run are waited for."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from genebench._util.stopping import StoppedError, ask_to_stop, forget
from genebench.results.store import ResultsStore
from genebench.runs.claims import ClaimedError, HeldClaim, claimed
from genebench.runs.jobs import Job, Settings

log = logging.getLogger("genebench")

_POLL_SECONDS = 0.5
"""Pause between two looks at jobs that other processes run."""


def left_of(job: Job, settings: Settings) -> Job | None:
    """Return a job reduced to the evaluations without a newer record, or None if all have one.

    Raises:
        UserError: a record is damaged.
    """
    store = ResultsStore(settings.results)
    left = tuple(item for item in job.evaluations if not store.newer(item.key, item.replaces))
    return replace(job, evaluations=left) if left else None


def in_turn(
    jobs: Iterable[Job],
    settings: Settings,
    execute: Callable[[Job, HeldClaim], object],
    lost: Callable[[], object] = ask_to_stop,
) -> Iterator[Job]:
    """Execute each job that no other process has executed or runs. Yield it once it has ended.

    Args:
        jobs: the jobs.
        settings: how they are executed.
        execute: executes a job, or raises StoppedError if it was asked to stop.
        lost: asks the present job to stop, because another process has taken it over. That may
            happen to a process that stood still for long.

    Raises:
        UserError: a job has a mistake of the user's, or the results cannot be written.
    """
    waiting: list[Job] = []
    for job in jobs:
        if _is_over(job, settings, execute, lost):
            yield job
        else:
            waiting.append(job)
    if waiting:
        log.warning("%d jobs are run by other processes. Waiting for them.", len(waiting))
    while waiting:
        time.sleep(_POLL_SECONDS)
        # A list, because a job that is over is taken out of it.
        for job in list(waiting):
            if _is_over(job, settings, execute, lost):
                waiting.remove(job)
                yield job


def _is_over(
    job: Job,
    settings: Settings,
    execute: Callable[[Job, HeldClaim], object],
    lost: Callable[[], object],
) -> bool:
    """Execute a job unless another process does. Return whether it has records now."""
    try:
        with claimed(settings.results, job, lost) as claim:
            # Looked up under the claim: another process may have finished it just before.
            if left := left_of(job, settings):
                execute(left, claim)
            return True
    except (ClaimedError, StoppedError):
        return False
    finally:
        forget()
