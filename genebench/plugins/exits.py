"""Ends of this process that plugins may not bring about: nobody would learn of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import NoReturn


@contextmanager
def no_exit() -> Iterator[None]:
    """Have ``os._exit`` raise SystemExit meanwhile; processes that are forked may end with it.

    It would end the process at once, with success for a status if so wished, and nothing said.
    C code that ends the process, or has it become another, is not stopped.
    """
    leave, here = os._exit, os.getpid()

    def refuse(status: int) -> NoReturn:
        if os.getpid() != here:
            leave(status)
        if current_thread() is not main_thread():  # where SystemExit would say nothing
            raise RuntimeError(f"os._exit({status!r}) in a thread does not end genebench")
        raise SystemExit(f"os._exit({status!r}) was called, and would have ended genebench")

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = leave
