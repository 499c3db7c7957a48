"""The process engine: each job in its own process, so that a crash or hang cannot stop the run.

A method that loops for ever, ends or crashes its process, or takes all memory becomes a failed
record. The record is written from here, and holds the last output of the job. Nothing that a job
prints reaches the terminal.

::

    run (this process) ─── Worker ──► supervisor ──► worker ──► what the method starts
                       ◄── events (JSON lines through a pipe) ──┘
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from dataclasses import replace

from genebench._util.text import printable
from genebench.engines.worker import Order, encoded
from genebench.errors import UserError
from genebench.processes import supervisor
from genebench.processes.worker import Event, Worker
from genebench.results.record import Failure
from genebench.results.store import ResultsStore
from genebench.runs.execute import describe_job, fail, notify
from genebench.runs.jobs import Job, Settings
from genebench.runs.provenance import now

log = logging.getLogger("genebench")

_MODULE = "genebench.engines.worker"
"""The module that executes one job."""


def run(jobs: Iterable[Job], settings: Settings) -> Iterator[Job]:
    """Execute each job in its own process, one after another. Yield it once it has ended.

    Raises:
        UserError: a job failed because of a mistake of the user, or memory cannot be measured.
    """
    if settings.memory_limit is not None and not supervisor.can_be_watched():
        raise UserError(
            "a memory limit needs /proc, which this system lacks. Remove --memory-limit."
        )
    for job in jobs:
        _execute_apart(job, settings)
        yield job


def _execute_apart(job: Job, settings: Settings) -> None:
    """Execute a job in its own process, and record the evaluations that it left without a record.

    The worker writes its records itself, as it goes. So an evaluation that ended before the process
    died is kept.
    """
    store = ResultsStore(settings.results)
    keys = [evaluation.key for evaluation in job.evaluations]
    before = {key: store.read(key) for key in keys}
    started = now()
    notify("genebench_job_started", watchers_only=True, job=job)
    worker = Worker(encoded(Order(job, settings)), _MODULE)
    try:
        # While the worker starts, which takes longer. A dataset that is replaced during the job
        # must not cost the record of its failure.
        facts = describe_job(job, settings)
        failure = _watch(worker, job, settings)
    finally:
        worker.stop()
    records = {key: store.read(key) for key in keys}
    # A record that is retried exists before: it counts as written only when it has changed.
    unwritten = [key for key in keys if records[key] is None or records[key] == before[key]]
    if unwritten:
        left = tuple(item for item in job.evaluations if item.key in unwritten)
        fail(
            replace(job, evaluations=left), settings, failure or worker.death(),
            started=started, seconds=worker.seconds, peak_memory=worker.peak_memory, facts=facts,
        )  # fmt: skip
    else:
        written = [record for record in records.values() if record]
        notify("genebench_job_finished", watchers_only=True, job=job, records=written)


def _watch(worker: Worker, job: Job, settings: Settings) -> Failure | None:
    """Pass on the events of a job until its process ends or exceeds a limit.

    Returns:
        The limit that was exceeded, or None when the process has ended by itself.
    """
    while not worker.has_ended():
        # Waits for an event, but no longer than _POLL_SECONDS.
        for event in worker.events():
            _pass_on(event, job)
        if settings.time_limit is not None and worker.seconds > settings.time_limit:
            return worker.failure("TimeLimit", f"stopped after {settings.time_limit:g} s")
        memory = worker.memory()
        if settings.memory_limit is not None and memory > settings.memory_limit:
            limit = _mebibytes(settings.memory_limit)
            message = f"stopped: {_mebibytes(memory)} held, {limit} allowed"
            return worker.failure("MemoryLimit", message)
    # First end what the job left behind, so that the pipe has an end. Then read the last events.
    worker.stop()
    for event in worker.events():
        _pass_on(event, job)
    return None


def _mebibytes(size: int) -> str:
    return f"{size / 2**20:,.0f} MiB"


def _pass_on(event: Event, job: Job) -> None:
    """Notify the observers in this process of an event. Events of another shape are ignored.

    Raises:
        UserError: the worker has refused the job.
    """
    match event:
        case {"progress": [int(done), int(total), str(message)]}:
            notify(
                "genebench_job_progressed", watchers_only=True,
                job=job, done=done, total=total, message=message,
            )  # fmt: skip
        case {"warning": str(message)}:
            log.warning(printable(message))
        case {"refused": str(message)}:
            raise UserError(message)
