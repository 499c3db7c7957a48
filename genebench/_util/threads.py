"""Work on blocks in several threads, and the number of threads that a process may use.

numpy, hashing and file access release the interpreter's lock, so such work runs in parallel.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

_MAX_THREADS = 8
"""Most threads. One thread takes the results, and keeps no more of them busy.

Each thread also holds blocks in memory.
"""
_VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "NUMEXPR_MAX_THREADS",
    "NUMBA_NUM_THREADS",
)
"""Variables that numpy, scipy, pandas, torch and numba read once, when they are imported."""
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

    Containers and batch systems often allow fewer than the machine has. ``OMP_NUM_THREADS`` can
    lower the number further.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    allowed = len(affinity(0)) if affinity else os.cpu_count() or 1
    return min(allowed, _threads(os.environ, "OMP_NUM_THREADS") or allowed)


def cap_threads(environment: Mapping[str, str], cpus: int) -> dict[str, str]:
    """Return the variables that keep a worker's libraries to as many threads as it has processors.

    Set them before the worker starts, because libraries read them only once. A smaller number in
    the environment stays. Other numbers of threads can change the last digits of a result, because
    libraries then add numbers in another order.

    Args:
        environment: the variables that the worker would inherit.
        cpus: the processors of the worker, at least 1.
    """
    return {name: str(min(cpus, _threads(environment, name) or cpus)) for name in _VARIABLES}


def _threads(environment: Mapping[str, str], name: str) -> int | None:
    """Return the number of threads that a variable sets, or None if it sets none."""
    # OpenMP allows a list, one number for each level of nested parallel code: "4,2".
    text = environment.get(name, "").partition(",")[0].strip()
    return int(text) if text.isascii() and text.isdecimal() and int(text) > 0 else None
