"""Jobs in supervised subprocesses, so that a crash or hang stops neither a run nor a node.

A method that loops for ever, ends or crashes its process, or takes all memory becomes a failed
record. The record is written from here, and holds the last output of the job.

A subprocess in which no stranger's method ran serves the next job as well. It has imported torch
already, which takes seconds.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from genebench.errors import UserError
from genebench.plugins.discovery import SHIPPED
from genebench.plugins.registry import registry
from genebench.processes import supervisor
from genebench.processes.worker import Event, Worker
from genebench.results.record import Failure
from genebench.results.store import ResultsStore
from genebench.runs.execute import describe_job, fail
from genebench.runs.jobs import Job, Settings
from genebench.runs.orders import Order
from genebench.runs.provenance import now
from genebench.runs.seals import is_sealed

_MODULE = "genebench.engines.worker"
"""The module that executes jobs."""
_FULL = 0.8
"""Share of the allocated memory above which a process that was killed had too little of it."""

PassOn = Callable[[Event], object]
"""Function that is given the events of a job."""


@dataclass
class Stop:
    """A request to stop the present job and all that come after it."""

    deadline: float | None = None
    """When the job is ended if it has not stopped by itself, on the monotonic clock. None if
    nobody asks."""

    def ask(self, grace_seconds: float) -> None:
        """Ask to stop within some seconds, or sooner if that was asked before."""
        deadline = time.monotonic() + grace_seconds
        self.deadline = deadline if self.deadline is None else min(self.deadline, deadline)


@dataclass(frozen=True)
class Ending:
    """How a job has ended.

    Attributes:
        cause: ``recorded`` if all its evaluations have records now. Otherwise ``stopped`` on
            request, or ``memory`` if its allocation was too small.
        memory: most memory that its process held, in bytes.
        device: device of its method. Empty if it was not started.
    """

    cause: Literal["recorded", "stopped", "memory"]
    memory: int
    device: str


class Container:
    """Executor of jobs in supervised subprocesses, one after another.

    Args:
        environment: variables of the subprocesses. By default, those of this process.
    """

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        self._environment = os.environ if environment is None else environment
        self._worker: Worker | None = None

    def close(self) -> None:
        """End the subprocess, and all that it has started."""
        if self._worker:
            self._worker.stop()
            self._worker = None

    def run(
        self,
        job: Job,
        settings: Settings,
        pass_on: PassOn,
        *,
        stop: Stop | None = None,
        allocation: int | None = None,
    ) -> Ending:
        """Execute a job, and record the evaluations that it left without a record.

        The subprocess writes its records itself, as it goes. So an evaluation that ended before the
        subprocess died is kept.

        Args:
            job: the job.
            settings: how it is executed. Its limits are kept here.
            pass_on: called with each event.
            stop: request to stop. The job then ends without a record.
            allocation: bytes that a scheduler gives to the job. A job that holds more ends without
                a record, so that it can be tried again with more.

        Raises:
            UserError: the job failed because of a mistake of the user.
        """
        store = ResultsStore(settings.results)
        before = {item.key: store.read(item.key) for item in job.evaluations}
        stop = stop or Stop()
        started, watch = now(), _Watch(settings, pass_on, stop, allocation)
        worker = self._ready(Order.of(job, settings))
        try:
            # While the worker starts, which takes longer. A dataset that is replaced during the job
            # must not cost the record of its failure.
            facts = describe_job(job, settings, device=watch.device)
            watch.follow(worker)
        except BaseException:
            self.close()
            raise
        # A record that is retried exists before: it counts as written only when it has changed.
        unwritten = [
            item for item in job.evaluations if store.read(item.key) in (None, before[item.key])
        ]
        seconds, peak = worker.seconds, worker.peak_memory
        if unwritten or not _is_trusted(job, settings):
            self.close()
        if watch.cause == "recorded" and stop.deadline is not None:
            # A scheduler may signal all processes, so that this one died of the request.
            watch.cause = "stopped"
        if unwritten and watch.cause == "recorded":
            failure = watch.failure or worker.death()
            if failure.kind == "ProcessDied" and allocation and peak > _FULL * allocation:
                return Ending("memory", peak, watch.device)
            fail(
                replace(job, evaluations=tuple(unwritten)), settings, failure,
                started=started, seconds=seconds, peak_memory=peak,
                facts=replace(facts, device=watch.device),
            )  # fmt: skip
        return Ending(watch.cause if unwritten else "recorded", peak, watch.device)

    def _ready(self, order: Order) -> Worker:
        """Give the order to the subprocess that is there, or to a new one."""
        if self._worker and not self._worker.has_ended():
            self._worker.give(order.encoded())
            return self._worker
        self.close()
        self._worker = Worker(order.encoded(), _MODULE, environment=self._environment)
        return self._worker


def _is_trusted(job: Job, settings: Settings) -> bool:
    """Return whether the subprocess of a job executes no method of a stranger."""
    plugins = registry().methods.plugins
    shipped = all(plugins[name].distribution in SHIPPED for name in job.methods)
    return shipped or is_sealed(job.methods, settings.sealed)


class _Watch:
    """The watch over one job: its limits, the request to stop, and its events.

    Attributes:
        device: device of the method, once it is known.
        failure: the limit that was exceeded, if any.
        cause: how the job has ended.
    """

    def __init__(
        self, settings: Settings, pass_on: PassOn, stop: Stop, allocation: int | None
    ) -> None:
        self.device: str = "cpu" if settings.device == "auto" else settings.device
        self.failure: Failure | None = None
        self.cause: Literal["recorded", "stopped", "memory"] = "recorded"
        self._settings, self._pass_on = settings, pass_on
        self._stop, self._allocation = stop, allocation
        self._ended = False
        if settings.memory_limit is not None and not supervisor.can_be_watched():
            raise UserError(
                "a memory limit needs /proc, which this system lacks. Remove --memory-limit."
            )

    def follow(self, worker: Worker) -> None:
        """Pass on the events of a job until it has ended, exceeds a limit, or is to stop."""
        asked = False
        while not worker.has_ended():
            # Waits for an event, but not for long.
            self._take(worker)
            if self._ended:
                return
            deadline = self._stop.deadline
            if deadline is not None and not asked:
                worker.ask_to_stop()
                asked = True
            if deadline is not None and time.monotonic() > deadline:
                self.cause = "stopped"
                return
            if self._exceeds_a_limit(worker):
                return
        # First end what the job left behind, so that the pipe has an end. Then read the last
        # events.
        worker.stop()
        self._take(worker)

    def _exceeds_a_limit(self, worker: Worker) -> bool:
        time_limit, memory_limit = self._settings.time_limit, self._settings.memory_limit
        if time_limit is not None and worker.seconds > time_limit:
            self.failure = worker.failure("TimeLimit", f"stopped after {time_limit:g} s")
            return True
        memory = worker.memory()
        if memory_limit is not None and memory > memory_limit:
            message = f"stopped: {_mebibytes(memory)} held, {_mebibytes(memory_limit)} allowed"
            self.failure = worker.failure("MemoryLimit", message)
            return True
        if self._allocation is not None and memory > self._allocation:
            self.cause = "memory"
            return True
        return False

    def _take(self, worker: Worker) -> None:
        """Take the events that have arrived, and pass all of them on.

        Raises:
            UserError: the worker has refused the job.
        """
        for event in worker.events():
            match event:
                case {"ended": True}:
                    self._ended = True
                case {"device": str(device)}:
                    self.device = device
                case {"stopped": str()}:
                    self.cause = "stopped"
                case {"refused": str(message)}:
                    raise UserError(message)
            self._pass_on(event)


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"
