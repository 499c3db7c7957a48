"""The tasks of one run, as the driver sees them."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import ray
from ray.exceptions import (
    LocalRayletDiedError,
    NodeDiedError,
    OutOfMemoryError,
    RayError,
    WorkerCrashedError,
)

from genebench import UserError
from genebench.scheduling import (
    BROKEN,
    MEMORY,
    REFUSED,
    Attempt,
    Failure,
    Job,
    Monitor,
    Settings,
    attempts,
    claims,
    describe_job,
    fail,
    left_of,
    remove_order,
    write_attempt,
    write_order,
)
from genebench.text import printable
from genebench_ray import cluster
from genebench_ray.task import work

log = logging.getLogger("genebench")

_POLL_SECONDS = 0.5
"""Longest wait for the end of a task before the results folder is looked at again."""

_MOST_BROKEN = 3
"""Nodes that may be unable to run a job."""
_LAST_SECONDS = 2.0
"""Time in which a task ends that has written its records. Others still wait for a worker."""


class Tasks:
    """The tasks of one run.

    A job is submitted whenever it has no record, no task, and no other process that runs it. So it
    makes no difference why an earlier task has left it.
    """

    def __init__(self, monitor: Monitor, settings: Settings) -> None:
        self._monitor = monitor
        self._settings = settings
        self._jobs: dict[Any, Job] = {}
        self._memory: dict[str, int] = {}
        self._broken: Counter[str] = Counter()

    def submit(self) -> None:
        """Submit the jobs that nobody executes."""
        keys = {job.key for job in self._jobs.values()}
        for key, job in self._monitor.pending.items():
            if key not in keys and key not in self._monitor.claims:
                self._submit(job)

    def wait(self) -> Iterator[Job]:
        """Wait a little for the end of tasks. Yield the jobs whose failure is recorded from here.

        Raises:
            UserError: a node refuses a job.
        """
        if not self._jobs:  # Other processes run what is left.
            time.sleep(_POLL_SECONDS)
            return
        for task in self._ended(_POLL_SECONDS):
            job = self._jobs.pop(task)
            try:
                status, reason, warnings = ray.get(task)
            except (WorkerCrashedError, NodeDiedError, LocalRayletDiedError) as error:
                yield from self._lose(job, "WorkerDied", error)
            except OutOfMemoryError as error:
                # Ray ends workers when a node has little memory left.
                note = Attempt(cause="memory", host="", message=_line(error))
                write_attempt(self._settings.results, job.key, note)
                if not self._enlarge(job):
                    yield from self._lose(job, "OutOfMemory", error)
            else:
                self._conclude(job, status, reason, warnings)

    def settle(self) -> None:
        """Wait a moment for tasks whose records are written, so that their workers serve again."""
        if self._jobs:
            ended, _ = ray.wait(
                list(self._jobs), num_returns=len(self._jobs), timeout=_LAST_SECONDS
            )
            for task in ended:
                del self._jobs[task]

    def cancel(self) -> None:
        """End all tasks at once, and remove their orders. Attempts stay for the next run."""
        for task, job in self._jobs.items():
            ray.cancel(task, force=True)
            remove_order(self._settings.results, job.key, keep_attempts=True)

    def _ended(self, seconds: float) -> list[Any]:
        """Return the tasks that have ended. Wait for all of them, but not for longer than this."""
        tasks = list(self._jobs)
        ended: list[Any] = ray.wait(tasks, num_returns=len(tasks), timeout=seconds)[0]
        return ended

    def _submit(self, job: Job) -> None:
        memory = self._memory.get(job.key)
        if memory:
            job = replace(job, resources=replace(job.resources, memory=memory))
        write_order(job, self._settings)
        task = ray.remote(work).options(
            name=f"genebench {job.key}",
            num_cpus=job.resources.cpus,
            num_gpus=job.resources.gpus,
            memory=job.resources.memory,
            max_retries=int(self._settings.options["retries"]),
        )
        self._jobs[task.remote(str(self._settings.results), job.key, memory is None)] = job

    def _conclude(self, job: Job, status: int, reason: str, warnings: list[str]) -> None:
        for warning in warnings:
            log.warning("%s", printable(warning))
        if status == MEMORY:
            self._enlarge(job)
        elif status == BROKEN:
            # Another node may see the data, or have the device.
            self._broken[job.key] += 1
            if self._broken[job.key] >= _MOST_BROKEN:
                raise UserError(attempts(self._settings.results, job.key)[-1].message)
        elif status == REFUSED and left_of(job, self._settings):
            # Otherwise the task of another driver has finished the job, and removed its order.
            raise UserError(reason)

    def _enlarge(self, job: Job) -> bool:
        """Give a job twice the memory, once. Return whether it gets another attempt."""
        if job.key in self._memory:
            return False
        memory = 2 * job.resources.memory
        if not self._settings.options["autoscaling"]:
            memory = min(memory, cluster.largest_memory())
        self._memory[job.key] = memory
        return True

    def _lose(self, job: Job, kind: str, error: RayError) -> Iterator[Job]:
        """Record the failure of a job whose worker died for the last time."""
        settings = self._settings
        left = left_of(job, settings)
        if left is None:
            return  # Its records were written before.
        claim = next((item for item in claims(settings.results) if item.key == job.key), None)
        now = datetime.now(UTC)
        started = claim.started if claim else now.isoformat(timespec="seconds")
        seconds = (now - datetime.fromisoformat(started)).total_seconds()
        fail(
            left, settings, Failure(kind=kind, message=_line(error), traceback=""),
            started=started, seconds=max(seconds, 0.0), peak_memory=0,
            facts=describe_job(left, settings, (claim and claim.device) or "cpu"),
            host=claim.host if claim else "",
        )  # fmt: skip
        remove_order(settings.results, job.key)
        del self._monitor.pending[job.key]
        yield job


def _line(error: RayError) -> str:
    """Return the first sentence of an error of Ray, which goes on with advice on Ray."""
    return str(error).strip().partition("\n")[0].partition(". ")[0]
