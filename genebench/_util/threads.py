"""Work on blocks in several threads.

numpy, hashing and file access release the interpreter's lock, so such work runs in parallel.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MAX_THREADS = 8
"""Most threads. One thread takes the results, and keeps no more of them busy.

Each thread also holds blocks in memory.
"""
_EXTRA_ITEMS = 2
"""Items beyond the number of threads, so that no thread waits while a result is taken."""


def in_order(work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """Yield ``map(work, items)``, computed in several threads, in the order of the items.

    Items are drawn in the caller's thread. At most two more than there are threads are in progress,
    which bounds the memory. An error of ``work`` or ``items`` is raised here, when the items in
    progress are done. No further item is started.
    """
    number = min(_MAX_THREADS, cpu_count())
    with ThreadPoolExecutor(number) as pool:
        in_progress: deque[Future[R]] = deque()
        try:
            for item in items:
                in_progress.append(pool.submit(work, item))
                if len(in_progress) >= number + _EXTRA_ITEMS:
                    yield in_progress.popleft().result()
            while in_progress:
                yield in_progress.popleft().result()
        finally:
            # Also if the caller closes the generator: it must not wait for items not yet started.
            pool.shutdown(cancel_futures=True)


def cpu_count() -> int:
    """Return the number of processors that this process may use.

    Containers and batch systems often allow fewer than the machine has.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1
