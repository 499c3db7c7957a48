"""The entry point on a node: a process of a scheduler, which executes jobs by their orders.

::

    python -P -m genebench.engines.node --results DIR KEY…

The results folder is the only channel. Orders come from there, and records, claims with progress
and attempts go there. So a driver, a scheduler or a node may die at any time.

Exit status:

====  ==============================================================================
0     all jobs have records, written here or elsewhere
2     a job was refused: this machine would not do what was planned, or has no order for it
75    stopped by a signal, without a record (EX_TEMPFAIL of sysexits.h: try again)
76    the memory that the scheduler gives was too little, and there is no record
77    another process runs a job
78    this machine cannot run a job: it sees no data, or cannot write results (EX_CONFIG)
====  ==============================================================================

SIGTERM and SIGUSR1 ask to stop: a training finishes its epoch, and writes a checkpoint. SIGINT
stops at once.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from genebench._util.hashing import KEY
from genebench._util.text import printable
from genebench._util.threads import cap_threads
from genebench.data.home import HOME, SHARED_HOME, home
from genebench.data.local_copy import local_home
from genebench.engines.contained import Container, Ending, Stop
from genebench.engines.turns import left_of
from genebench.errors import UserError
from genebench.processes.worker import Event
from genebench.results.store import ResultsStore
from genebench.runs.claims import ClaimedError, HeldClaim, claimed
from genebench.runs.jobs import Job
from genebench.runs.orders import (
    Attempt,
    Cause,
    Order,
    read_order,
    remove_order,
    write_attempt,
)

log = logging.getLogger("genebench")

DONE, REFUSED, STOPPED, MEMORY, CLAIMED, BROKEN = 0, 2, 75, 76, 77, 78
"""Exit statuses."""

GRACE_SECONDS = 25.0
"""Default grace after SIGTERM: Slurm kills after 30 seconds, unless it is told otherwise."""


class Node:
    """Executor of jobs by their orders.

    Args:
        results: folder of the results.
        stop: request to stop.
        retry_memory: whether a job that has too little memory ends without a record.
    """

    def __init__(
        self, results: Path, stop: Stop | None = None, *, retry_memory: bool = False
    ) -> None:
        self._results = results
        self._stop = stop or Stop()
        self._retry_memory = retry_memory
        self._container: Container | None = None
        self._environment: Mapping[str, str] = {}

    def run(self, key: str) -> int:
        """Execute a job, unless it has newer records. Return an exit status.

        Raises:
            UserError: there is no such order, or this machine would not do what was planned.
        """
        try:
            order = read_order(self._results, key)
        except UserError:
            # An order goes when its job is done. A task that is started again finds none.
            if KEY.fullmatch(key) and ResultsStore(self._results).read(key):
                return DONE
            raise
        try:
            order.check()
        except UserError as error:
            self._note(key, "refused", str(error))
            raise
        try:
            with claimed(self._results, order.job, self._lose) as claim:
                job = left_of(order.job, order.settings)
                ending = self._execute(job, order, claim) if job else None
        except ClaimedError:
            return CLAIMED
        except UserError as error:
            log.error("%s", printable(str(error)))  # noqa: TRY400  a mistake, no bug
            self._note(key, "broken", str(error))
            return BROKEN
        if ending is None or ending.cause == "recorded":
            remove_order(self._results, key)
            return DONE
        is_memory = ending.cause == "memory"
        self._note(key, "memory" if is_memory else "terminated", ending=ending)
        return MEMORY if is_memory else STOPPED

    def _note(
        self, key: str, cause: Cause, message: str = "", ending: Ending | None = None
    ) -> None:
        """Write down an attempt that has ended without a record, where that is possible."""
        device, memory = (ending.device, ending.memory) if ending else ("", 0)
        attempt = Attempt(
            cause=cause, host=socket.gethostname(), device=device, message=message, memory=memory
        )
        try:
            write_attempt(self._results, key, attempt)
        except UserError as error:
            log.error("%s", printable(str(error)))  # noqa: TRY400  a mistake, no bug

    def close(self) -> None:
        """End the subprocess of the jobs."""
        if self._container:
            self._container.close()
            self._container = None

    def _execute(self, job: Job, order: Order, claim: HeldClaim) -> Ending:
        def pass_on(event: Event) -> None:
            match event:
                case {"progress": [int(done), int(total), str(message)]}:
                    claim.report(done, total, message)
                case {"device": str(device)}:
                    claim.runs_on(device)
                case {"warning": str(message)}:
                    log.warning(printable(message))

        allocation = job.resources.memory if self._retry_memory else None
        with self._data_of(job, order) as variables:
            return self._container_with(
                variables | cap_threads(os.environ, job.resources.cpus)
            ).run(job, order.settings, pass_on, stop=self._stop, allocation=allocation)

    @contextmanager
    def _data_of(self, job: Job, order: Order) -> Iterator[dict[str, str]]:
        """Provide the variables of the data folder: a copy on this node, if that is asked for."""
        if not order.settings.local_copy:
            yield {}
            return
        shared = home()
        with local_home([(job.store, job.data)]) as folder:
            yield {} if folder == shared else {HOME: str(folder), SHARED_HOME: str(shared)}

    def _container_with(self, variables: Mapping[str, str]) -> Container:
        """Return the container, or another one if the variables are others than those of it."""
        environment = {**os.environ, **variables}
        if self._container and environment != self._environment:
            self.close()
        if self._container is None:
            self._container, self._environment = Container(environment), environment
        return self._container

    def _lose(self) -> None:
        """Stop at once: another process has taken the job over."""
        self._stop.ask(0.0)


def main() -> None:
    """Execute the jobs of the command line, and end with an exit status."""
    parser = argparse.ArgumentParser(prog="genebench.engines.node", description=__doc__)
    parser.add_argument("--results", type=Path, required=True)
    parser.add_argument("--grace", type=float, default=GRACE_SECONDS)
    parser.add_argument("--retry-memory", action="store_true")
    parser.add_argument("keys", nargs="+")
    options = parser.parse_args()
    logging.basicConfig(format="genebench: %(message)s")
    sys.exit(
        run_jobs(
            options.results.absolute(), options.keys,
            grace=options.grace, retry_memory=options.retry_memory,
        )
    )  # fmt: skip


def run_jobs(results: Path, keys: list[str], *, grace: float, retry_memory: bool) -> int:
    """Execute jobs one after another, and return the exit status of the last that had no record.

    Args:
        results: folder of the results.
        keys: keys of the jobs.
        grace: seconds that a job has to stop after SIGTERM.
        retry_memory: whether a job that has too little memory ends without a record.
    """
    stop, status = Stop(), DONE
    for number in (signal.SIGTERM, signal.SIGUSR1):
        signal.signal(number, lambda *_: stop.ask(grace))
    signal.signal(signal.SIGINT, lambda *_: stop.ask(0.0))
    node = Node(results, stop, retry_memory=retry_memory)
    try:
        for key in keys:
            if stop.deadline is not None:
                return STOPPED
            try:
                status = node.run(key) or status
            except UserError as error:
                log.error("%s", printable(str(error)))  # noqa: TRY400  a mistake, no bug
                status = REFUSED
    finally:
        node.close()
    return status


if __name__ == "__main__":
    main()
