"""The process engine: each job in a process of its own, which cannot take the run with it.

A method that loops for ever, ends its process, crashes it or takes all memory becomes a failed
record, written from here. What it prints is kept for that record and never reaches the terminal.
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
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from genebench._util.text import MAX_CHARACTERS, printable
from genebench.engines import supervisor
from genebench.engines.worker import Order, encoded
from genebench.errors import UserError, some
from genebench.plugins.discovery import installed
from genebench.results.record import Failure
from genebench.results.store import ResultsStore
from genebench.runs.execute import fail
from genebench.runs.jobs import Job, Settings
from genebench.runs.provenance import now

log = logging.getLogger("genebench")

_POLL = 0.1
"""Seconds between two looks at a job."""
_TAIL_BYTES, _TAIL_LINES = 32_768, 40
"""How much is kept of what a job prints last."""

_SUPERVISOR = (sys.executable, "-I", "-S", supervisor.__file__)
"""Runs a command, without a look at anything but the standard library."""

Event = dict[str, Any]


def run(jobs: Iterable[Job], settings: Settings) -> Iterator[Job]:
    """Execute each job in a process of its own, one after another; yield it once it has ended.

    Raises:
        UserError: a job says that the user is to blame, or memory cannot be watched here.
    """
    if settings.memory_limit is not None and not supervisor.can_be_watched():
        raise UserError("a memory limit needs /proc, which this system lacks; leave it out")
    for job in jobs:
        _contain(job, settings)
        yield job


def _contain(job: Job, settings: Settings) -> None:
    store = ResultsStore(settings.results)
    keys = [evaluation.key for evaluation in job.evaluations]
    before = {key: store.read(key) for key in keys}
    started = now()
    _tell("genebench_job_started", job=job)
    worker = Worker(encoded(Order(job, settings)))
    try:
        failure = _watch(worker, job, settings)
    finally:
        worker.stop()
    records = {key: store.read(key) for key in keys}
    unwritten = [key for key in keys if records[key] is None or records[key] == before[key]]
    if unwritten:
        left = tuple(item for item in job.evaluations if item.key in unwritten)
        fail(
            replace(job, evaluations=left), settings, failure or worker.death(),
            started=started, seconds=worker.seconds, peak_memory=worker.peak_memory,
        )  # fmt: skip
    else:
        written = [record for record in records.values() if record]
        _tell("genebench_job_finished", job=job, records=written)


def _watch(worker: Worker, job: Job, settings: Settings) -> Failure | None:
    """Pass on what the job says until its process ends, or has to be stopped: then say why."""
    while not worker.has_ended():
        for event in worker.events():
            _pass_on(event, job)
        if settings.time_limit is not None and worker.seconds > settings.time_limit:
            return worker.failure("TimeLimit", f"stopped after {settings.time_limit:g} s")
        memory = worker.memory()
        if settings.memory_limit is not None and memory > settings.memory_limit:
            held = f"{_mebibytes(memory)} held, {_mebibytes(settings.memory_limit)} allowed"
            return worker.failure("MemoryLimit", f"stopped: {held}")
    worker.stop()
    for event in worker.events():
        _pass_on(event, job)
    return None


def _mebibytes(memory: int) -> str:
    return f"{memory / 2**20:,.0f} MiB"


def _pass_on(event: Event, job: Job) -> None:
    match event:
        case {"progress": [int(done), int(total), str(message)]}:
            _tell("genebench_job_progressed", job=job, done=done, total=total, message=message)
        case {"warning": str(message)}:
            log.warning(printable(message))
        case {"refused": str(message)}:
            raise UserError(message)


def _tell(hook: str, **arguments: Any) -> None:
    """Tell who watches in this process; observers of plugins are told where the job runs."""
    for complaint in installed().notify(hook, watchers_only=True, **arguments):
        log.warning(complaint)


class Worker:
    """The process of one job, its supervisor, and all processes that it starts.

    Args:
        order: what it is told, as one line.
        module: what it runs.
        environment: on top of ours.
        output: a file descriptor that it prints to; otherwise what it prints last is kept.
    """

    def __init__(
        self,
        order: bytes,
        module: str = "genebench.engines.worker",
        *,
        environment: Mapping[str, str] | None = None,
        output: int = subprocess.PIPE,
    ) -> None:
        self._began = time.monotonic()
        self.peak_memory = 0
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._tail = b""
        said, say = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  this Python, and a module of ours
                [*_SUPERVISOR, sys.executable, "-P", "-m", module, str(say)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(say,),
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": _import_path()} | dict(environment or {}),
            )
        except BaseException:
            os.close(said)
            raise
        finally:
            os.close(say)
        self._readers = [
            Thread(target=self._read_events, args=(os.fdopen(said, "rb"),), daemon=True),
        ]
        if printed := self._process.stdout:
            self._readers.append(Thread(target=self._read_output, args=(printed,), daemon=True))
        for reader in self._readers:
            reader.start()
        with suppress(BrokenPipeError):  # it has died: has_ended() will tell
            self._input.write(order + b"\n")
            self._input.flush()

    @property
    def seconds(self) -> float:
        """Wall time since the process was started."""
        return time.monotonic() - self._began

    def events(self) -> Iterator[Event]:
        """What the job has said since the last look; wait a little when it says nothing."""
        with suppress(Empty):
            yield self._events.get(timeout=_POLL)
            # Only what is there by now: who never stops talking is stopped all the same.
            for _ in range(self._events.qsize()):
                yield self._events.get_nowait()

    def has_ended(self) -> bool:
        """Whether the process is no more; it stays a zombie, so that its id is not given away."""
        how = os.WEXITED | os.WNOHANG | os.WNOWAIT
        return self._process.returncode is not None or bool(
            os.waitid(os.P_PID, self._process.pid, how)
        )

    def memory(self) -> int:
        """Bytes that the process and those it started hold now; mapped files do not count."""
        held = supervisor.memory_of(self._process.pid)
        self.peak_memory = max(self.peak_memory, held)
        return held

    def stop(self) -> None:
        """Kill what is left of the process and of those that it started."""
        if self._process.returncode is None:
            if left := supervisor.kill(self._process.pid):
                named = some(map(str, left))
                log.warning("processes that a job has left cannot be ended: %s", named)
            self._process.wait()
        with suppress(BrokenPipeError):
            self._input.close()
        for reader in self._readers:
            reader.join(timeout=1)

    def death(self) -> Failure:
        """Why there is no record, when the process ended by itself."""
        status = self._process.returncode
        how = (
            f"ended with exit status {status}" if status >= 0 else f"was ended by {_named(status)}"
        )
        hint = " (by the system, when memory is short)" if status == -signal.SIGKILL else ""
        return self.failure("ProcessDied", f"its process {how}{hint}")

    def failure(self, kind: str, message: str) -> Failure:
        """A failure that ends in what the job printed last."""
        lines = self._tail.decode("utf-8", "replace").splitlines()[-_TAIL_LINES:]
        shown = [_indented(line) for line in lines if line.strip()]
        return Failure(
            kind=kind,
            message=message,
            traceback="\n".join(["Printed last:", *shown] if shown else ["Nothing was printed."]),
        )

    @property
    def _input(self) -> IO[bytes]:
        assert self._process.stdin
        return self._process.stdin

    def _read_events(self, said: IO[bytes]) -> None:
        with said:
            for line in said:
                with suppress(ValueError):
                    self._events.put(json.loads(line))

    def _read_output(self, output: IO[bytes]) -> None:
        with output:
            while block := os.read(output.fileno(), _TAIL_BYTES):
                self._tail = (self._tail + block)[-_TAIL_BYTES:]


def _import_path() -> str:
    """What can be imported here can be imported there."""
    return os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)


def _named(status: int) -> str:
    """The signal that a negative status stands for."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _indented(line: str) -> str:
    return " " * (len(line) - len(line.lstrip(" "))) + printable(line)[:MAX_CHARACTERS]
