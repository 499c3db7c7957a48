"""The subprocess of one job: it reads its order from standard input and sends events back.

Orders and events are lines of JSON. Nothing here loads a pickle.
"""

from __future__ import annotations

import faulthandler
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import TypeAdapter

from genebench.errors import UserError
from genebench.hookspecs import hookimpl
from genebench.plugins.discovery import installed
from genebench.runs.execute import execute
from genebench.runs.jobs import Job, Settings

_PROGRESS_SECONDS = 0.1
"""Least time between two events of progress: more often than a person can read."""
_MESSAGE_CHARACTERS = 500
"""Most of a message of progress that is sent: an event stays one short line."""

Send = Callable[[dict[str, Any]], None]
"""Function that sends an event to the process that started this one."""


@dataclass(frozen=True)
class Order:
    """The order of a worker: one job, and how to execute it."""

    job: Job
    settings: Settings


def encoded(order: Order) -> bytes:
    """Return the order as one line of JSON."""
    return TypeAdapter(Order).dump_json(order)


def main() -> None:
    """Execute the job of standard input, and send its progress, warnings and refusal."""
    line, send = receive_order()
    order = TypeAdapter(Order).validate_json(line)
    logging.getLogger("genebench").addHandler(_WarningSender(send))
    try:
        installed().manager.register(_ProgressSender(send), name=__name__)
        execute(order.job, order.settings)
    except UserError as error:
        send({"refused": str(error)})
    end_process()


def receive_order() -> tuple[bytes, Send]:
    """Return the line of standard input, and the function that sends events.

    Events go through a pipe of their own, whose file descriptor is the first argument. So the
    output of a method cannot be taken for an event.
    """
    # On a crash, Python prints the stack: the last output of the job names the line.
    faulthandler.enable()
    pipe = int(sys.argv[1])
    # A process that the method starts must not hold the pipe open, or the reader waits for it.
    os.set_inheritable(pipe, False)

    def send(event: dict[str, Any]) -> None:
        # Not buffered: an event must not be lost when the process is killed.
        os.write(pipe, json.dumps(event).encode() + b"\n")

    line = sys.stdin.buffer.readline()
    # From here on standard input is empty. The pipe stays open for the supervisor, which notices
    # its end, so a method that reads from it would wait for ever.
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return line, send


def end_process() -> NoReturn:
    """End a worker that is done, without its threads and exit handlers.

    A thread or an exit handler of a plugin could keep the process alive for ever.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class _ProgressSender:
    """Observer that sends the progress of the method."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._last_seconds = 0.0

    @hookimpl
    def genebench_job_progressed(self, done: int, total: int, message: str) -> None:
        """Send one event, unless the last was sent just now. The final step is always sent."""
        now = time.monotonic()
        if now - self._last_seconds < _PROGRESS_SECONDS and done < total:
            return
        self._last_seconds = now
        self._send({"progress": [int(done), int(total), str(message)[:_MESSAGE_CHARACTERS]]})


class _WarningSender(logging.Handler):
    """Handler that sends warnings to the process that has the terminal."""

    def __init__(self, send: Send) -> None:
        super().__init__(logging.WARNING)
        self._send = send

    def emit(self, record: logging.LogRecord) -> None:
        """Send one warning."""
        self._send({"warning": record.getMessage()})


if __name__ == "__main__":
    main()
