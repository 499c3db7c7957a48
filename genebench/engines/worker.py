"""The subprocess of one job: it reads its order from standard input and sends events back.

Orders and events are lines of JSON. Nothing here loads a pickle.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from pydantic import TypeAdapter

from genebench.errors import UserError
from genebench.hookspecs import hookimpl
from genebench.plugins.discovery import installed
from genebench.processes.child import Send, end_process, receive_order
from genebench.runs.execute import execute
from genebench.runs.jobs import Job, Settings

_PROGRESS_SECONDS = 0.1
"""Least time between two events of progress: more often than a person can read."""
_MESSAGE_CHARACTERS = 500
"""Most of a message of progress that is sent: an event stays one short line."""


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
