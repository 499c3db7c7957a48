"""The process engine: each job in its own process, so that a crash or hang cannot stop the run.

A method that loops for ever, ends or crashes its process, or takes all memory becomes a failed
record. The record is written from here, and holds the last output of the job. Nothing that a job
prints reaches the terminal.

::

    run (this process) ─── Worker ──► supervisor ──► worker ──► what the method starts
                       ◄── events (JSON lines through a pipe) ──┘
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from genebench._util.subprocesses import import_path
from genebench._util.text import MAX_CHARACTERS, printable, printable_line
from genebench.engines import supervisor
from genebench.engines.worker import Order, encoded
from genebench.errors import UserError, some
from genebench.results.record import Failure
from genebench.results.store import ResultsStore
from genebench.runs.execute import describe_job, fail, notify
from genebench.runs.jobs import Job, Settings
from genebench.runs.provenance import now

log = logging.getLogger("genebench")

_POLL_SECONDS = 0.1
"""Longest wait for an event of a job before its limits are checked again."""
_JOIN_SECONDS = 1
"""Longest wait for the end of a pipe. A process that would not die may hold it open."""
_TAIL_BYTES = 32_768
"""How much of a job's output is kept: the last 32 KiB."""
_TAIL_LINES = 40
"""How many of the last lines go into the record."""

_SUPERVISOR = (sys.executable, "-I", "-S", supervisor.__file__)
"""Command that supervises another command. It imports nothing but the standard library."""

Event = dict[str, Any]
"""A message of a worker: progress, a warning, or the refusal of its order."""


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
    worker = Worker(encoded(Order(job, settings)))
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


class Worker:
    """The subprocess of one job, with its supervisor and all processes that the job starts.

    Args:
        order: the order, as one line.
        module: the module that reads the order and executes it.
        environment: variables on top of those of this process.
        output: file descriptor for the output of the job. By default, its end is kept.
    """

    def __init__(
        self,
        order: bytes,
        module: str = "genebench.engines.worker",
        *,
        environment: Mapping[str, str] | None = None,
        output: int = subprocess.PIPE,
    ) -> None:
        self._start = time.monotonic()
        self.peak_memory = 0
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._tail = b""
        read_end, write_end = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  this Python, and a module of ours
                # -P: no module in the working directory may stand in for another.
                [*_SUPERVISOR, sys.executable, "-P", "-m", module, str(write_end)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(write_end,),
                # A session of its own: its id finds the job's processes even when the job has
                # killed the supervisor, and Ctrl-C in the terminal does not reach them.
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": import_path()} | dict(environment or {}),
            )
        except BaseException:
            os.close(read_end)
            raise
        finally:
            # The worker has its own copy. With ours open, the pipe would never end.
            os.close(write_end)
        self._readers = [
            Thread(target=self._read_events, args=(os.fdopen(read_end, "rb"),), daemon=True),
        ]
        if stdout := self._process.stdout:
            self._readers.append(Thread(target=self._read_output, args=(stdout,), daemon=True))
        for reader in self._readers:
            reader.start()
        # A process that has died already breaks the pipe. has_ended() reports its end.
        with suppress(BrokenPipeError):
            self._input.write(order + b"\n")
            self._input.flush()

    @property
    def seconds(self) -> float:
        """Wall time since the process was started."""
        return time.monotonic() - self._start

    def events(self) -> Iterator[Event]:
        """Yield the events that have arrived. Wait a little for the first one."""
        with suppress(Empty):
            yield self._events.get(timeout=_POLL_SECONDS)
            # No more than have arrived by now: a job that sends without end has limits, too.
            for _ in range(self._events.qsize()):
                yield self._events.get_nowait()

    def has_ended(self) -> bool:
        """Return whether the process has ended.

        It stays a zombie (WNOWAIT) until :meth:`stop`. So no other process can be given its id, and
        be killed in its place.
        """
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._process.returncode is not None or bool(
            os.waitid(os.P_PID, self._process.pid, how)
        )

    def memory(self) -> int:
        """Return the bytes that the job's processes hold now. Mapped files do not count."""
        size = supervisor.memory_of(self._process.pid)
        self.peak_memory = max(self.peak_memory, size)
        return size

    def stop(self) -> None:
        """Kill what is left of the process and of those that it started."""
        if self._process.returncode is None:
            if left := supervisor.kill(self._process.pid):
                log.warning(
                    "processes that a job has left cannot be ended: %s. End them by hand.",
                    some(map(str, left)),
                )
            self._process.wait()
        with suppress(BrokenPipeError):
            self._input.close()
        for reader in self._readers:
            reader.join(timeout=_JOIN_SECONDS)

    def death(self) -> Failure:
        """Return the failure of a process that has ended by itself, without a record."""
        status = self._process.returncode
        if status >= 0:
            how = f"ended with exit status {status}"
        else:
            how = f"was ended by {_signal_name(status)}"
        # Linux sends SIGKILL when memory is exhausted, and leaves no other trace here.
        hint = " (by the system, when memory is short)" if status == -signal.SIGKILL else ""
        return self.failure("ProcessDied", f"its process {how}{hint}")

    def failure(self, kind: str, message: str) -> Failure:
        """Return a failure with the last output of the job in place of a traceback."""
        lines = self._tail.decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        shown = [printable_line(line)[:MAX_CHARACTERS] for line in lines if line.strip()]
        return Failure(
            kind=kind,
            message=message,
            traceback="\n".join(["Printed last:", *shown] if shown else ["Nothing was printed."]),
        )

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin
        return self._process.stdin

    def _read_events(self, pipe: IO[bytes]) -> None:
        with pipe:
            for line in pipe:
                # The method can write to the pipe as well: what is no JSON is ignored.
                with suppress(ValueError):
                    self._events.put(json.loads(line))

    def _read_output(self, output: IO[bytes]) -> None:
        # Read without a pause, or a job that prints a lot would wait for ever.
        with output:
            while block := os.read(output.fileno(), _TAIL_BYTES):
                self._tail = (self._tail + block)[-_TAIL_BYTES:]


def _signal_name(status: int) -> str:
    """Return the name of the signal of a negative exit status."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
