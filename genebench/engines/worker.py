"""The subprocess that executes jobs: it reads orders from standard input and sends events back.

Orders and events are lines of JSON. Nothing here loads a pickle.
"""

from __future__ import annotations

import logging
import sys
import time

from genebench._util.stopping import forget, stop_is_asked
from genebench.errors import UserError
from genebench.hookspecs import hookimpl
from genebench.methods.device import resolve_device
from genebench.plugins.discovery import installed
from genebench.processes.child import Send, end_process, receive_orders
from genebench.runs.execute import execute
from genebench.runs.orders import decoded

_PROGRESS_SECONDS = 0.1
"""Least time between two events of progress: more often than a person can read."""
_MESSAGE_CHARACTERS = 500
"""Most of a message of progress that is sent: an event stays one short line."""


def main() -> None:
    """Execute the jobs of standard input, and send their progress, warnings and refusals.

    After each job comes ``{"ended": true}``, and the process waits for the next one.
    """
    lines, send = receive_orders()
    logging.getLogger("genebench").addHandler(_WarningSender(send))
    progress = _ProgressSender(send)
    for line in lines:
        forget()
        try:
            order = decoded(line)
            order.check()
            # Found out here, because the process that gives the order may be on a machine without.
            send({"device": resolve_device(order.settings.device, order.job.method)})
            installed().manager.register(progress, name=__name__)
            execute(order.job, order.settings)
        except UserError as error:
            send({"refused": str(error)})
        except KeyboardInterrupt as error:
            if not stop_is_asked():
                raise
            send({"stopped": str(error)})
            end_process()
        finally:
            installed().manager.unregister(name=__name__)
        # What a job has printed belongs to it, also if it is still in a buffer.
        sys.stdout.flush()
        sys.stderr.flush()
        send({"ended": True})


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
