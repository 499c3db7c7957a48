"""A supervised subprocess: its order, its events, its output, its memory and its end.

::

    this process ─── Worker ──► supervisor ──► module ──► what it starts
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
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from queue import Empty, SimpleQueue
from threading import Thread
from typing import IO, Any

from genebench._util.subprocesses import import_path
from genebench._util.text import MAX_CHARACTERS, printable_line
from genebench.errors import some
from genebench.processes import supervisor
from genebench.processes.child import STOP
from genebench.results.record import Failure

log = logging.getLogger("genebench")

_POLL_SECONDS = 0.1
"""Longest wait for an event of a job before its limits are checked again."""
_JOIN_SECONDS = 1
"""Longest wait for the end of a pipe. A process that would not die may hold it open."""
_TAIL_BYTES = 32_768
"""How much of a job's output is kept: the last 32 KiB."""
MAX_TAIL_LINES = 40
"""How many of the last lines go into the record."""

_SUPERVISOR = (sys.executable, "-I", "-S", supervisor.__file__)
"""Command that supervises another command. It imports nothing but the standard library."""

Event = dict[str, Any]
"""A message of a worker: progress, a warning, or the refusal of its order."""


class Worker:
    """The subprocess of one job, with its supervisor and all processes that the job starts.

    Args:
        order: the order, as one line.
        module: the module that reads the order and executes it.
        environment: all variables of the subprocess but ``PYTHONPATH``. By default, those of this
            process.
        output: file descriptor for the output of the job. By default, its end is kept.
        pass_fds: file descriptors that the subprocess inherits under the same numbers.
        relay: function that is given the output as it arrives, in a thread.
    """

    def __init__(
        self,
        order: bytes,
        module: str,
        *,
        environment: Mapping[str, str] | None = None,
        output: int = subprocess.PIPE,
        pass_fds: tuple[int, ...] = (),
        relay: Callable[[bytes], None] | None = None,
    ) -> None:
        self._start = time.monotonic()
        self.peak_memory = 0
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._tail = b""
        self._relay = relay
        variables = os.environ if environment is None else environment
        read_end, write_end = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603  this Python, and a module of ours
                # -P: no module in the working directory may stand in for another.
                [*_SUPERVISOR, sys.executable, "-P", "-m", module, str(write_end)],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                pass_fds=(write_end, *pass_fds),
                # A session of its own: its id finds the job's processes even when the job has
                # killed the supervisor, and Ctrl-C in the terminal does not reach them.
                start_new_session=True,
                env={**variables, "PYTHONPATH": import_path()},
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
        self._send(order + b"\n")

    def give(self, order: bytes) -> None:
        """Give a further order to a process that has ended its last one. Measure anew."""
        self._start = time.monotonic()
        self.peak_memory = 0
        self._tail = b""
        self._send(order + b"\n")

    def ask_to_stop(self) -> None:
        """Ask the present job to stop, if the process reads orders one after another."""
        self._send(STOP)

    @property
    def seconds(self) -> float:
        """Wall time since the process was given its order."""
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
        return self.failure("ProcessDied", f"its process {ending(self._process.returncode)}")

    def failure(self, kind: str, message: str) -> Failure:
        """Return a failure with the last output of the job in place of a traceback."""
        return last_words(kind, message, self._tail.splitlines())

    def _send(self, line: bytes) -> None:
        # A process that has died already breaks the pipe. has_ended() reports its end.
        with suppress(BrokenPipeError):
            self._input.write(line)
            self._input.flush()

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
                if self._relay:
                    self._relay(block)


def ending(status: int) -> str:
    """Return how a process ended, by its exit status. A negative one is that of a signal."""
    if status >= 0:
        return f"ended with exit status {status}"
    # Linux sends SIGKILL when memory is exhausted, and leaves no other trace here.
    hint = " (by the system, when memory is short)" if status == -signal.SIGKILL else ""
    return f"was ended by {_signal_name(status)}{hint}"


def last_words(kind: str, message: str, lines: Iterable[bytes]) -> Failure:
    """Return a failure with the last lines of output in place of a traceback."""
    texts = (line.decode("utf-8", "replace") for line in deque(lines, MAX_TAIL_LINES))
    shown = [printable_line(text)[:MAX_CHARACTERS] for text in texts if text.strip()]
    return Failure(
        kind=kind,
        message=message,
        traceback="\n".join(["Printed last:", *shown] if shown else ["Nothing was printed."]),
    )


def _signal_name(status: int) -> str:
    """Return the name of the signal of a negative exit status."""
    try:
        return signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"
