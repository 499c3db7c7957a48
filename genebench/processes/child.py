"""The other end of a supervised subprocess: how it reads its order, sends events, and ends."""

from __future__ import annotations

import faulthandler
import json
import os
import sys
from collections.abc import Callable
from typing import Any, NoReturn

Send = Callable[[dict[str, Any]], None]
"""Function that sends an event to the process that started this one."""


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
