"""Work on blocks in several threads: numpy, hashing and files let go of the interpreter's lock."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MOST = 8
"""Threads: what takes up the results, which is one, keeps no more busy; each holds some blocks."""


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """``map(work, items)``, several at once, the results in the order of the items.

    Items are drawn here, in the caller's thread, and only as many as there are threads, and two
    more, are under way: memory stays bounded. What ``work`` or ``items`` raises is raised here,
    once what is under way has ended; the rest is not begun.
    """
    number = min(_MOST, cpu_count())
    with ThreadPoolExecutor(number) as pool:
        under_way: deque[Future[R]] = deque()
        try:
            for item in items:
                under_way.append(pool.submit(work, item))
                if len(under_way) > number + 1:
                    yield under_way.popleft().result()
            while under_way:
                yield under_way.popleft().result()
        finally:
            pool.shutdown(cancel_futures=True)


def cpu_count() -> int:
    """Return the number of processors that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
