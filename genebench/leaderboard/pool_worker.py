"""A worker process of the pool, started with ``python -m genebench.leaderboard.pool_worker``.

It reads requests from its standard input and writes one response for each to its standard output.
It ends when its input is closed, and so never outlives the process that started it.
"""

from __future__ import annotations

import os
import sys
import traceback

from genebench.errors import describe

# The functions that workers call. Imported now, while the parent reads the records, and not when
# the first task arrives.
from genebench.leaderboard import run_pages, tables, vectors  # noqa: F401
from genebench.leaderboard.pipes import pack, receive, send, unpack


def _main() -> None:
    requests = sys.stdin.buffer
    responses = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    # Code that prints must not write between two responses.
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    while True:
        try:
            request = receive(requests)
        except EOFError:
            return
        send(responses, _response(request))


def _response(request: bytes) -> bytes:
    """Return the results of a request, or the exception that keeps them from being sent."""
    try:
        function, tasks = unpack(request)
        return pack([function(task) for task in tasks])
    except Exception as error:  # noqa: BLE001  it is raised again in the parent process
        return _packed(error, f"In a worker process:\n{traceback.format_exc()}")


def _packed(error: Exception, note: str) -> bytes:
    """Return an exception as bytes, or a RuntimeError with its description."""
    error.add_note(note)
    try:
        message = pack(error)
        # An exception whose __init__ takes other arguments than its ``args`` cannot be unpickled.
        unpack(message)
    except Exception:  # noqa: BLE001  it may raise anything
        described = RuntimeError(describe(error))
        described.add_note(note)
        return pack(described)
    return message


if __name__ == "__main__":
    _main()
