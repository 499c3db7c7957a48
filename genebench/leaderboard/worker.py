"""A worker process of the pool, started with ``python -m genebench.leaderboard.worker``.

It reads requests from its standard input and writes one response for each to its standard output.
It ends when its input is closed, and so never outlives the process that started it.
"""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from typing import Any


def _main() -> None:
    requests = sys.stdin.buffer
    responses = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Code that prints must not write between two responses.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while True:
        try:
            function, tasks = pickle.load(requests)  # noqa: S301  sent by the parent process
        except EOFError:
            return
        responses.write(pickle.dumps(_response(function, tasks)))
        responses.flush()


def _response(function: Any, tasks: list[Any]) -> list[Any] | BaseException:
    try:
        return [function(task) for task in tasks]
    except Exception as error:  # noqa: BLE001  it is raised again in the parent process
        error.add_note(f"In a worker process:\n{traceback.format_exc()}")
        return error


if __name__ == "__main__":
    _main()
