"""How long a plugin may hold up the process that loads it, kept by an alarm of the system's."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from threading import current_thread, main_thread
from typing import NoReturn, TypeVar

from genebench.errors import UserError

T = TypeVar("T")

LIMIT = "GENEBENCH_PLUGIN_TIME_LIMIT"
"""Seconds that loading one plugin may take; 0 is no limit."""
_DEFAULT, _LONGEST = 20.0, 86_400.0
_AGAIN = 1.0
"""Seconds until code that has swallowed the interruption is interrupted again."""


class Overdue(BaseException):
    """Raised in code that takes too long; no ``except Exception`` of that code's swallows it."""


def time_limit() -> float:
    """Seconds that loading one plugin may take, by the environment; 0 is no limit.

    Raises:
        UserError: the environment holds no such number.
    """
    text = os.environ.get(LIMIT) or str(_DEFAULT)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST:
        raise UserError(f"{LIMIT}={text}: write it in seconds, such as 60; 0 is no limit")
    return seconds


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Call something, and interrupt it when it takes longer than that; 0 is no limit.

    The limit holds in the main thread of a system that has alarms. Code that does not return to
    Python, or swallows whatever is raised in it, goes on regardless; it is overdue when it is done.

    Raises:
        Overdue: it took longer.
    """
    if not seconds or not _can_interrupt():
        return call()
    armed, rang = True, False

    def interrupt(*_: object) -> None:
        nonlocal rang
        if armed:
            rang = True
            _stop(seconds)

    handler, timer = signal.signal(signal.SIGALRM, interrupt), signal.getitimer(signal.ITIMER_REAL)
    began = time.monotonic()
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, _AGAIN)
            result = call()
        finally:
            armed = False
        if rang:  # and was swallowed
            _stop(seconds)
        return result
    finally:  # even if the alarm rang as the call returned
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        _resume(*timer, time.monotonic() - began)


def _can_interrupt() -> bool:
    """Whether there are alarms, and whoever uses them already can be given them back."""
    return (
        hasattr(signal, "setitimer")
        and current_thread() is main_thread()
        and signal.getsignal(signal.SIGALRM) is not None
    )


def _stop(seconds: float) -> NoReturn:
    raise Overdue(f"took more than {seconds:g} s to load; {LIMIT}=SECONDS allows more")


def _resume(left: float, interval: float, spent: float) -> None:
    """Set a timer going that was running before; at once, if it has become due."""
    if left:
        signal.setitimer(signal.ITIMER_REAL, max(left - spent, 1e-6), interval)
