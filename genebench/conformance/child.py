"""Fresh processes for checks: a fit in another home, or a saved model without its fit.

The landmarks of the test profiles are sent after the fit. So they are in no file during the fit.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import send_fds
from typing import IO, Any
from weakref import finalize

import numpy as np

from genebench._util.subprocesses import import_path
from genebench.conformance.base import Landmarks, Predictions
from genebench.conformance.forks import READY, RUN, STATUS_BYTES

_SHORTEST_SECONDS = 0.001
"""A timeout of zero would mean not to wait at all."""


class ChildError(Exception):
    """A child process failed or exceeded its time. The message is the reason."""


@dataclass(frozen=True)
class Result:
    """The result of a child process.

    Attributes:
        predictions: test set → predictions, profiles × targets.
        seconds: wall time of the fit, 0 if there was none.
    """

    predictions: Predictions
    seconds: float


def ask(home: Path, request: Mapping[str, Any], landmarks: Landmarks, timeout: float) -> Result:
    """Fit a method or open a saved model in a fresh process, and return its predictions.

    Args:
        home: the genebench home of the process.
        request: ``method`` and ``params`` to fit, or ``model`` and ``device`` to open.
        landmarks: test set → landmarks to predict from, profiles × landmarks.
        timeout: seconds that the process may take.

    Raises:
        ChildError: the process failed, or was not done in time.
    """
    answer = home / "answer.npz"
    answer.unlink(missing_ok=True)
    stream = io.BytesIO()
    # numpy 2.0 has no allow_pickle, which would tell the types apart.
    np.savez(stream, **landmarks)  # type: ignore[arg-type]
    order = {
        "request": {**request, "answer": str(answer)},
        "folder": str(Path.cwd()),
        "import_path": import_path().split(os.pathsep),
        "environment": {**os.environ, "GENEBENCH_HOME": str(home)},
    }
    with tempfile.TemporaryFile() as errors:
        try:
            status = _ready_server().run(order, stream.getvalue(), errors, timeout)
        except TimeoutError:
            raise ChildError(f"it was not done after {timeout:.0f} seconds") from None
        except ConnectionError:
            raise ChildError("its process was ended from outside") from None
        errors.seek(0)
        lines = errors.read().decode(errors="replace").strip().splitlines()
    if status or not answer.exists():
        # The last line of a traceback is the error.
        raise ChildError(lines[-1] if lines else f"it ended with status {status}")
    with np.load(answer, allow_pickle=False) as arrays:
        predictions = {name: arrays[name] for name in landmarks}
        return Result(predictions, float(arrays["seconds"]))


class _Server:
    """The server of fresh processes. It ends with this object, or with this process."""

    def __init__(self) -> None:
        self._commands, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "genebench.conformance.forks"],
                stdin=theirs.fileno(), stdout=subprocess.DEVNULL,
                env=os.environ | {"PYTHONPATH": import_path()},
                # So that its fork can be ended with it.
                start_new_session=True,
            )  # fmt: skip
        self._end = finalize(self, _end, self._commands, self._process)

    def is_alive(self) -> bool:
        """Return whether it can run further processes."""
        return self._end.alive and self._process.poll() is None

    def run(
        self, order: Mapping[str, Any], landmarks: bytes, errors: IO[bytes], timeout: float
    ) -> int:
        """Run one process, and return its exit status.

        Raises:
            TimeoutError: it was not done in time. The server is ended as well.
            ConnectionError: the server was ended.
        """
        deadline = time.monotonic() + timeout

        def limited(connection: socket.socket) -> socket.socket:
            connection.settimeout(max(deadline - time.monotonic(), _SHORTEST_SECONDS))
            return connection

        ours, theirs = socket.socketpair()
        try:
            with ours:
                with theirs:
                    send_fds(limited(self._commands), [RUN], [theirs.fileno(), errors.fileno()])
                # A process that has ended has a status, whatever it has not read.
                with suppress(ConnectionError):
                    limited(ours).sendall(json.dumps(order).encode() + b"\n")
                    if limited(ours).recv(len(READY)):
                        limited(ours).sendall(landmarks)
                        ours.shutdown(socket.SHUT_WR)
                status = limited(self._commands).recv(STATUS_BYTES)
            if not status:
                raise ConnectionResetError  # noqa: TRY301  ended in one place
        except BaseException:
            self._end()
            raise
        return int.from_bytes(status, "big", signed=True)


def _end(commands: socket.socket, process: subprocess.Popen[bytes]) -> None:
    """End a server, and the process that it has forked."""
    commands.close()
    # Until it is waited for, a server that has died keeps its number, and its fork may still run.
    if process.returncode is None:
        # macOS refuses to end a group of the dead.
        with suppress(PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()


_servers: list[_Server] = []
"""The server of this process, if there is one."""


def _ready_server() -> _Server:
    if not _servers or not _servers[0].is_alive():
        _servers[:] = [_Server()]
    return _servers[0]


def run_python(arguments: list[str], *, timeout: float) -> subprocess.CompletedProcess[bytes]:
    """Run a Python process that imports from the same folders as this one.

    Raises:
        subprocess.TimeoutExpired: it was not done in time.
    """
    return subprocess.run(  # noqa: S603  this Python, and modules that it has already
        [sys.executable, *arguments],
        capture_output=True, timeout=timeout, check=False,
        env=os.environ | {"PYTHONPATH": import_path()},
    )  # fmt: skip
