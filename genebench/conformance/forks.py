"""Server of fresh processes: each is a fork of it that fits a method or opens a saved model.

Importing torch takes seconds, and the checks of a method need several processes. The server imports
what all of them use. It never has a plugin, a method or data, so a fork knows no more than a new
process does.

Run as a module, this is the server. Its standard input is a socket. One byte orders a fork, with
the descriptors of a connection and of a file for the errors. The server answers with the exit
status of the fork. The fork reads one JSON line from the connection: what to do. The landmarks
follow after the fit.
"""

from __future__ import annotations

import io
import json
import os
import select
import signal
import socket
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module
from typing import IO, TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from genebench.conformance.base import Models

STATUS_BYTES = 2
RUN = b"."
"""Message to the server: a fork is wanted."""
READY = b"."
"""Message of a fork that has its models: now it may be given landmarks."""

_LIBRARIES = ("torch", "genebench.conformance.method_under_check", "genebench.models.saved")


def _main() -> None:
    # On macOS, libraries may not be used after a fork.
    if sys.platform == "linux":
        for name in _LIBRARIES:
            import_module(name)
    commands = socket.socket(fileno=0)
    while True:
        message, descriptors, _, _ = socket.recv_fds(commands, len(RUN), 2)
        if not message:
            return  # the process of the checks has ended
        with warnings.catch_warnings():
            # From Python 3.12 on, a fork beside the idle threads of numpy brings a warning.
            warnings.simplefilter("ignore", DeprecationWarning)
            pid = os.fork()
        if pid == 0:
            commands.detach()
            _become_new(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)
        commands.sendall(_status(pid, commands).to_bytes(STATUS_BYTES, "big", signed=True))


def _status(pid: int, commands: socket.socket) -> int:
    """Return the exit status of a fork. It is ended if the process of the checks ends."""
    if sys.platform == "linux":
        fork = os.pidfd_open(pid)
        # No message comes while a fork runs, but only the end of the connection.
        ended, _, _ = select.select([fork, commands.fileno()], [], [])
        os.close(fork)
        if fork not in ended:
            os.kill(pid, signal.SIGKILL)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _become_new(connection: int, errors: int) -> NoReturn:
    """Take over what a new process would be started with, and do what is asked for."""
    status = 1
    try:
        os.dup2(errors, 2)
        # This closes the socket of the server.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        with socket.socket(fileno=connection) as checks, checks.makefile("rb") as sent:
            order = json.loads(sent.readline())
            os.chdir(order["folder"])
            sys.path[:] = order["import_path"]
            os.environ.clear()
            os.environ.update(order["environment"])
            tempfile.tempdir = None
            _do(order["request"], sent, partial(checks.sendall, READY))
        status = 0
    except BaseException as error:  # noqa: BLE001  a method may raise anything
        sys.excepthook(type(error), error, error.__traceback__)
    sys.stderr.flush()
    # Threads and exit handlers of a plugin could keep the process alive for ever.
    os._exit(status)


def _do(request: Mapping[str, Any], sent: IO[bytes], say_ready: Callable[[], None]) -> None:
    """Fit or open models, and write what they predict from the landmarks that are sent then."""
    import numpy as np

    models, seconds = (_open_models if "model" in request else _fit)(request)
    say_ready()
    with np.load(io.BytesIO(sent.read()), allow_pickle=False) as landmarks:
        predictions = {
            name: np.asarray(models[name].predict(landmarks[name])) for name in landmarks
        }
    np.savez(request["answer"], seconds=seconds, **predictions)  # type: ignore[arg-type]


def _fit(request: Mapping[str, Any]) -> tuple[Models, float]:
    """Fit a method, and return its models and the seconds that the fit took."""
    from genebench.conformance.method_under_check import MethodUnderCheck
    from genebench.conformance.temporary_home import open_training_set, open_validation_sets
    from genebench.specs import values_from_json

    method = MethodUnderCheck(request["method"])
    # Importing libraries takes seconds on a busy machine, and is not part of the fit.
    params = values_from_json(request["params"])
    method.create(params)
    train, validation_sets = open_training_set(), open_validation_sets()
    began = time.monotonic()
    models = method.fit(train, validation_sets, params)
    return models, time.monotonic() - began


def _open_models(request: Mapping[str, Any]) -> tuple[Models, float]:
    """Open saved models, and return them and the seconds of no fit."""
    from genebench.models.saved import open_model

    paths, device = request["model"], request["device"]
    return {name: open_model(path, device).model for name, path in paths.items()}, 0.0


if __name__ == "__main__":
    _main()
