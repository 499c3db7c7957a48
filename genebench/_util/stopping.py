"""A request to stop a job: a machine is needed by others, or its time is nearly over.

A training that is asked to stop finishes its epoch, writes a checkpoint and raises
:class:`StoppedError`. The job ends without a record, and continues when it is run again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_state = {"asked": False}
_listeners: list[Callable[[], object]] = []


class StoppedError(KeyboardInterrupt):
    """A job was stopped on request. It is no failure of its method."""


def ask_to_stop(*_: object) -> None:
    """Ask the job of this process to stop. May be used as a handler of signals."""
    # A plain value: a handler of signals may interrupt whoever holds a lock.
    _state["asked"] = True
    for listener in _listeners:
        listener()


def stop_is_asked() -> bool:
    """Return whether the job of this process was asked to stop."""
    return _state["asked"]


def forget() -> None:
    """Forget a request, before the next job."""
    _state["asked"] = False


@contextmanager
def passed_on(listener: Callable[[], object]) -> Iterator[None]:
    """Call a function when the job is asked to stop, at once if it was already."""
    _listeners.append(listener)
    try:
        if stop_is_asked():
            listener()
        yield
    finally:
        _listeners.remove(listener)
