"""The process engine: jobs one after another in subprocesses, so that none can stop the run.

Nothing that a job prints reaches the terminal. ::

    run (this process) ─── Worker ──► supervisor ──► worker ──► what the method starts
                       ◄── events (JSON lines through a pipe) ──┘
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from genebench._util.stopping import StoppedError
from genebench._util.text import printable
from genebench.engines.contained import Container, Stop
from genebench.engines.turns import in_turn
from genebench.errors import UserError
from genebench.processes.worker import Event
from genebench.results.store import ResultsStore
from genebench.runs.claims import HeldClaim
from genebench.runs.execute import notify
from genebench.runs.jobs import Job, Settings

log = logging.getLogger("genebench")


def run(jobs: Iterable[Job], settings: Settings) -> Iterator[Job]:
    """Execute each job in a subprocess, one after another. Yield it once it has ended.

    Raises:
        UserError: a job failed because of a mistake of the user, or memory cannot be measured.
    """
    container, stop = Container(), Stop()

    def run_apart(job: Job, claim: HeldClaim) -> None:
        notify("genebench_job_started", watchers_only=True, job=job)
        ending = container.run(job, settings, lambda event: pass_on(event, job, claim), stop=stop)
        if stop.deadline is not None:
            stop.deadline = None
            raise StoppedError
        if ending.cause == "stopped":
            raise UserError(
                f"{job.label} was stopped. Run the same command again. It continues where the "
                "method has left a checkpoint."
            )
        store = ResultsStore(settings.results)
        records = [record for item in job.evaluations if (record := store.read(item.key))]
        notify("genebench_job_finished", watchers_only=True, job=job, records=records)

    try:
        yield from in_turn(jobs, settings, run_apart, lost=lambda: stop.ask(0.0))
    finally:
        container.close()


def pass_on(event: Event, job: Job, claim: HeldClaim) -> None:
    """Notify the observers in this process of an event. Events of another shape are ignored."""
    match event:
        case {"progress": [int(done), int(total), str(message)]}:
            claim.report(done, total, message)
            notify(
                "genebench_job_progressed", watchers_only=True,
                job=job, done=done, total=total, message=message,
            )  # fmt: skip
        case {"device": str(device)}:
            claim.runs_on(device)
        case {"warning": str(message)}:
            log.warning(printable(message))
