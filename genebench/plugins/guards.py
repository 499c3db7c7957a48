"""Guard against plugins that end the process of genebench."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import NoReturn


@contextmanager
def no_exit() -> Iterator[None]:
    """Make ``os._exit`` raise SystemExit while the block runs.

    ``os._exit`` ends a process at once, without a message and with any exit status, 0 included.
    Forked processes may still call it. C code that ends or replaces the process is not stopped.
    """
    leave, guarded_process = os._exit, os.getpid()

    def refuse(status: int) -> NoReturn:
        # A fork inherits this function. Ending the fork by os._exit is the rule, for example in
        # multiprocessing, and does not end genebench.
        if os.getpid() != guarded_process:
            leave(status)
        # Python ignores SystemExit in a thread other than the main one, so it would pass unnoticed.
        if current_thread() is not main_thread():
            raise RuntimeError(f"os._exit({status!r}) in a thread does not end genebench")
        raise SystemExit(f"os._exit({status!r}) was called, and would have ended genebench")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = leave
