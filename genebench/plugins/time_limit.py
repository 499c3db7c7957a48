"""Time limit for loading one plugin, kept by an alarm of the operating system."""

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
"""Environment variable: seconds that loading one plugin may take. 0 is no limit."""
_DEFAULT_SECONDS = 20.0
_LONGEST_SECONDS = 86_400.0
_REPEAT_SECONDS = 1.0
"""Seconds until code that has swallowed the interruption is interrupted again."""
_SOON_SECONDS = 1e-6
"""The shortest timer. A timer of 0 seconds would be no timer."""


class Overdue(BaseException):
    """Interruption of code that takes too long.

    It is no ``Exception``, so that an ``except Exception`` of that code does not swallow it.
    """


def time_limit() -> float:
    """Return the seconds that loading one plugin may take, from the environment. 0 is no limit.

    Raises:
        UserError: the variable does not hold a number of seconds.
    """
    text = os.environ.get(LIMIT) or str(_DEFAULT_SECONDS)
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 <= seconds <= _LONGEST_SECONDS:
        raise UserError(
            f"{LIMIT}={text}: this is not a time limit. Write seconds, such as 60, or 0 for none."
        )
    return seconds


def call_within(seconds: float, call: Callable[[], T]) -> T:
    """Call a function, and interrupt it when it takes longer than some seconds. 0 is no limit.

    The limit holds in the main thread of a system that has alarms. Code that does not return to
    Python, or swallows every exception, runs on. It is overdue when it returns.

    Raises:
        Overdue: the call took longer.
    """
    if not seconds or not _can_interrupt():
        return call()
    armed, rang = True, False

    def interrupt(*_: object) -> None:
        nonlocal rang
        if armed:
            rang = True
            _raise_overdue(seconds)

    handler, timer = signal.signal(signal.SIGALRM, interrupt), signal.getitimer(signal.ITIMER_REAL)
    began = time.monotonic()
    try:
        try:
            signal.setitimer(signal.ITIMER_REAL, seconds, _REPEAT_SECONDS)
            result = call()
        finally:
            # From here on the alarm must not raise: the code to interrupt has ended.
            armed = False
        if rang:  # The code swallowed the interruption, and returned late.
            _raise_overdue(seconds)
        return result
    finally:
        # The inner block may be left by an alarm before it disarms: this line makes sure.
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        _restart(*timer, time.monotonic() - began)


def _can_interrupt() -> bool:
    """Return whether the system has alarms, and a handler set before can be restored.

    ``getsignal`` returns None for a handler that C code has set, which Python cannot set again.
    """
    return (
        hasattr(signal, "setitimer")
        and current_thread() is main_thread()
        and signal.getsignal(signal.SIGALRM) is not None
    )


def _raise_overdue(seconds: float) -> NoReturn:
    raise Overdue(f"took more than {seconds:g} s to load. Set {LIMIT} to allow more seconds.")


def _restart(left: float, interval: float, spent: float) -> None:
    """Restart a timer that ran before, less the seconds spent since. Start it at once if due."""
    if left:
        signal.setitimer(signal.ITIMER_REAL, max(left - spent, _SOON_SECONDS), interval)
