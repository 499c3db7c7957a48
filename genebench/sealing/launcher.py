"""The launcher: it starts the processes of jobs by fork, so that each is ready at once.

Importing torch takes seconds. The launcher imports the libraries that methods use, and no code of a
method. It is given no data. Each job gets a fork of it, so nothing of one job reaches the next.

Run as a module, this is the launcher. Commands come through a socket, as JSON lines:

- ``{"preload": [names]}``: import libraries, for jobs to come.
- ``{"start": order}``, with the descriptor of a connection: fork the process of a job.
- ``{"end": mark, "patience": seconds}``: end that process, unless it ends by itself soon, and all
  below it, print the mark, and tell how it ended.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
import warnings
from contextlib import suppress
from importlib import import_module
from typing import Any

from genebench.processes import supervisor
from genebench.processes.child import receive_order
from genebench.sealing.job import serve

_MAX_COMMAND_BYTES = 1 << 20
_POLL_SECONDS = 0.05
"""Pause between two looks at a process, where the system has no descriptors of processes."""


class Ended(Exception):  # noqa: N818  no error
    """The process that gives the commands is gone."""


class Commands:
    """The socket that commands come through."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._received = b""
        self._descriptors: list[int] = []

    def read(self) -> dict[str, Any]:
        """Return the next command.

        Raises:
            Ended: nobody gives commands any more.
        """
        while b"\n" not in self._received:
            data, descriptors, _, _ = socket.recv_fds(self.connection, _MAX_COMMAND_BYTES, 1)
            if not data:
                raise Ended
            self._received += data
            # Two commands may arrive at once. The descriptor is that of the one that starts a job.
            self._descriptors += descriptors
        line, _, self._received = self._received.partition(b"\n")
        command: dict[str, Any] = json.loads(line)
        return command

    def descriptor(self) -> int:
        """Return the descriptor that came with a command to start a job."""
        return self._descriptors.pop(0)

    def answer(self, content: dict[str, Any]) -> None:
        """Answer a command."""
        self.connection.sendall(json.dumps(content).encode() + b"\n")


def main() -> None:
    """Follow commands until the process that gives them is gone."""
    line, _ = receive_order()
    supervisor.adopt_orphans()
    commands = Commands(socket.socket(fileno=json.loads(line)["commands"]))
    with suppress(Ended):
        while True:
            command = commands.read()
            if "preload" in command:
                for name in command["preload"]:
                    with suppress(ImportError):
                        import_module(name)
            else:
                _run(command["start"], commands.descriptor(), commands)
    supervisor.kill_descendants(os.getpid())
    os._exit(0)


def _run(order: dict[str, Any], descriptor: int, commands: Commands) -> None:
    """Fork the process of a job, and wait until it is to be ended."""
    with warnings.catch_warnings():
        # From Python 3.12 on, a fork beside the idle threads of numpy brings a warning.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        commands.connection.close()
        _reopen_output()
        serve(order, socket.socket(fileno=descriptor))
    os.close(descriptor)
    commands.answer({"started": pid})
    usage = _wait(pid, commands.connection)
    killed = False
    try:
        command = commands.read()
        deadline = time.monotonic() + command["patience"]
        while usage is None and time.monotonic() < deadline:
            ended, status, used = os.wait4(pid, os.WNOHANG)
            usage = (status, used) if ended else None
            time.sleep(_POLL_SECONDS / 10)
        killed = usage is None
    finally:
        if usage is None:
            os.kill(pid, signal.SIGKILL)
            usage = os.wait4(pid, 0)[1:]
        # What the job has left holds its connection and the output open.
        supervisor.kill_descendants(os.getpid())
        _reap()
    sys.stdout.write(f"\n{command['end']}\n")
    sys.stdout.flush()
    status, used = usage
    commands.answer(
        {"ended": os.waitstatus_to_exitcode(status), "killed": killed, "peak": used.ru_maxrss}
    )


def _reopen_output() -> None:
    """Open the output anew. Its modes, such as O_NONBLOCK, are then not those of other jobs."""
    for number in (sys.stdout.fileno(), sys.stderr.fileno()):
        descriptor = os.open(f"/dev/fd/{number}", os.O_WRONLY)
        os.dup2(descriptor, number)
        os.close(descriptor)


def _wait(pid: int, commands: socket.socket) -> tuple[int, Any] | None:
    """Wait for the end of a process, or for a command. Return how it ended, or None."""
    # With pidfd_open, one call waits for both. Without it, each is looked at by turns.
    watched: list[Any] = [commands]
    timeout: float | None = _POLL_SECONDS
    if hasattr(os, "pidfd_open"):
        with suppress(OSError):
            watched.append(os.pidfd_open(pid))
            timeout = None
    try:
        while True:
            ready = select.select(watched, (), (), timeout)[0]
            ended, status, usage = os.wait4(pid, os.WNOHANG)
            if ended:
                supervisor.kill_descendants(os.getpid())
                return status, usage
            if commands in ready:
                return None
    finally:
        for descriptor in watched[1:]:
            os.close(descriptor)


def _reap() -> None:
    """Wait for orphans that this process has adopted."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


if __name__ == "__main__":
    main()
