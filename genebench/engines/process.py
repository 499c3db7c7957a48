"""The process engine: jobs one after another in subprocesses, so that none can stop the run.

Nothing that a job prints reaches the terminal. ::

    run (this process) ─── Worker ──► supervisor ──► worker ──► what the method starts
                       ◄── events (JSON lines through a pipe) ──┘
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

from genebench._util.text import printable
from genebench.engines.contained import Container
from genebench.engines.turns import in_turn
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
    container = Container()

    def run_apart(job: Job, claim: HeldClaim) -> None:
        notify("genebench_job_started", watchers_only=True, job=job)
        container.run(job, settings, lambda event: pass_on(event, job, claim))
        store = ResultsStore(settings.results)
        records = [record for item in job.evaluations if (record := store.read(item.key))]
        notify("genebench_job_finished", watchers_only=True, job=job, records=records)

    try:
        yield from in_turn(jobs, settings, run_apart)
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
