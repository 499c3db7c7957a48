"""The other end of the process engine: told one job on standard input, says how it goes."""

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

_PAUSE = 0.1
"""Seconds between two words about progress."""

Say = Callable[[dict[str, Any]], None]


@dataclass(frozen=True)
class Order:
    """What a worker is told: as JSON, for nothing here trusts pickles."""

    job: Job
    settings: Settings


def encoded(order: Order) -> bytes:
    """The order as one line."""
    return TypeAdapter(Order).dump_json(order)


def main() -> None:
    """Execute the job of standard input, and say how it goes."""
    line, say = hear()
    order = TypeAdapter(Order).validate_json(line)
    logging.getLogger("genebench").addHandler(_Warnings(say))
    try:
        installed().manager.register(_Observer(say), name=__name__)
        execute(order.job, order.settings)
    except UserError as error:
        say({"refused": str(error)})
    leave()


def hear() -> tuple[bytes, Say]:
    """What a worker is told, and how it answers: through the pipe that its argument names."""
    faulthandler.enable()
    pipe = int(sys.argv[1])
    os.set_inheritable(pipe, False)

    def say(event: dict[str, Any]) -> None:
        os.write(pipe, json.dumps(event).encode() + b"\n")

    line = sys.stdin.buffer.readline()
    _let_go_of_input()
    return line, say


def leave() -> NoReturn:
    """End a worker that is done: no thread or exit handler of a plugin may hold it up."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class _Observer:
    """Says how far the method is."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._last = 0.0

    @hookimpl
    def genebench_job_progressed(self, done: int, total: int, message: str) -> None:
        if time.monotonic() - self._last < _PAUSE and done < total:
            return
        self._last = time.monotonic()
        self._say({"progress": [int(done), int(total), str(message)[:500]]})


class _Warnings(logging.Handler):
    """Sends warnings to who sees the terminal."""

    def __init__(self, say: Say) -> None:
        super().__init__(logging.WARNING)
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say({"warning": record.getMessage()})


def _let_go_of_input() -> None:
    """What runs here reads nothing from standard input: its supervisor waits for that to end."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)


if __name__ == "__main__":
    main()
