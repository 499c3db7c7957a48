"""The other end of a supervised subprocess: how it reads its orders, sends events, and ends."""

from __future__ import annotations

import faulthandler
import json
import os
import signal
import sys
from collections.abc import Callable, Iterator
from functools import partial
from queue import SimpleQueue
from threading import Thread
from typing import Any, NoReturn

from genebench._util.stopping import ask_to_stop, forget

Send = Callable[[dict[str, Any]], None]
"""Function that sends an event to the process that started this one."""

STOP = b"stop\n"
"""Line in place of an order: the present job is asked to stop."""


def receive_order() -> tuple[bytes, Send]:
    """Return the line of standard input, and the function that sends events.

    Events go through a pipe of their own, whose file descriptor is the first argument. So the
    output of a method cannot be taken for an event.
    """
    send = _sender()
    line = sys.stdin.buffer.readline()
    _close_input()
    return line, send


def receive_orders() -> tuple[Iterator[bytes], Send]:
    """Return the lines of standard input as they come, and the function that sends events.

    A thread reads the lines. It ends this process when no more can come, because then the process
    that gives the orders is gone. An exception after that would be no result of the job.
    """
    send = _sender()
    # A scheduler may send it to all processes of a job, instead of to the first one only.
    stop_on_sigterm()
    orders = os.fdopen(os.dup(0), "rb")
    _close_input()
    waiting: SimpleQueue[bytes] = SimpleQueue()

    def read() -> None:
        for line in orders:
            if line == STOP:
                ask_to_stop()
            else:
                # Here, because a request to stop may follow before the job begins.
                forget()
                waiting.put(line)
        os._exit(0)

    Thread(target=read, daemon=True).start()
    return iter(waiting.get, None), send


def stop_on_sigterm() -> None:
    """Make SIGTERM a request to stop in this process. Processes that it forks end as usual."""
    signal.signal(signal.SIGTERM, ask_to_stop)
    # Blocked meanwhile: a child that is ended at once must not take it for a request.
    os.register_at_fork(
        before=partial(signal.pthread_sigmask, signal.SIG_BLOCK, {signal.SIGTERM}),
        after_in_parent=partial(signal.pthread_sigmask, signal.SIG_UNBLOCK, {signal.SIGTERM}),
        after_in_child=_end_on_sigterm,
    )


def _end_on_sigterm() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})


def _sender() -> Send:
    # On a crash, Python prints the stack: the last output of the job names the line.
    faulthandler.enable()
    pipe = int(sys.argv[1])
    # A process that the method starts must not hold the pipe open, or the reader waits for it.
    os.set_inheritable(pipe, False)

    def send(event: dict[str, Any]) -> None:
        # Not buffered: an event must not be lost when the process is killed.
        try:
            os.write(pipe, json.dumps(event).encode() + b"\n")
        except BrokenPipeError:
            # The process that gave the order is gone. An exception would look like a failure of
            # the method that reports its progress.
            os._exit(0)

    return send


def _close_input() -> None:
    """Make standard input empty.

    The pipe stays open for the supervisor, which notices its end. So a method that reads from it
    would wait for ever.
    """
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


def end_process() -> NoReturn:
    """End a worker that is done, without its threads and exit handlers.

    A thread or an exit handler of a plugin could keep the process alive for ever.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)
