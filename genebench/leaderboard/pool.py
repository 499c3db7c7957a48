"""Work spread over processes: a pool of workers, or this process where there is little to do.

The workers are started with ``python -m``, and not with :mod:`multiprocessing`. Its ``spawn`` and
``forkserver`` methods run the caller's script again in each worker, unless the script guards
itself with ``if __name__ == "__main__"``. Boards must build from any script, notebook or prompt.
Its ``fork`` method copies the locks of other threads in whatever state they are.
"""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice
from queue import SimpleQueue
from typing import Any, Protocol, TypeVar

from genebench._util.subprocesses import import_path
from genebench._util.threads import cpu_count

PARALLEL_FROM_TASKS = 200
"""Number of tasks from which workers save more time than their start costs."""

_CHUNK_TASKS = 25
"""Tasks that are sent to a worker together, where each takes milliseconds."""

_ONE_THREAD = {"OMP_NUM_THREADS": "1"}
"""Environment of a worker. With more threads each, the workers compete for the same processors."""

Task = TypeVar("Task")
Result = TypeVar("Result")


class Pool(Protocol):
    """A way to apply a function to many tasks."""

    def map(
        self, function: Callable[[Task], Result], tasks: Iterable[Task], chunk: int = _CHUNK_TASKS
    ) -> Iterator[Result]:
        """Yield the result of each task, in the order of the tasks.

        Args:
            function: a function that can be pickled.
            tasks: its arguments. All are consumed at once where there are workers.
            chunk: the number of tasks that are sent to a worker together.

        Raises:
            Exception: whatever the function raises.
        """


class ThisProcess:
    """A pool without workers: it does each task when its result is asked for."""

    def map(  # noqa: D102
        self, function: Callable[[Task], Result], tasks: Iterable[Task], chunk: int = _CHUNK_TASKS
    ) -> Iterator[Result]:
        del chunk
        return map(function, tasks)


class WorkerPool:
    """A pool of worker processes, one for each processor.

    Each worker is driven by one thread of this process, which waits for its responses.
    """

    def __init__(self, size: int) -> None:
        """Start the workers. They import what they need while the caller goes on.

        Args:
            size: the number of workers.
        """
        self._workers = [_start_worker() for _ in range(size)]
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        for worker in self._workers:
            self._idle.put(worker)
        self._threads = ThreadPoolExecutor(size)

    def map(  # noqa: D102
        self, function: Callable[[Task], Result], tasks: Iterable[Task], chunk: int = _CHUNK_TASKS
    ) -> Iterator[Result]:
        # Everything is submitted now: the caller does other work before it takes the results.
        remaining = iter(tasks)
        chunks = iter(lambda: list(islice(remaining, chunk)), [])
        return _results([self._threads.submit(self._apply, function, part) for part in chunks])

    def close(self) -> None:
        """Drop the tasks that have not started, and end the workers."""
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.communicate()

    def _apply(self, function: Callable[[Task], Result], tasks: list[Task]) -> list[Result]:
        # There are as many threads as workers, so a worker is always idle here.
        worker = self._idle.get()
        try:
            results: list[Result] = _ask(worker, function, tasks)
            return results
        finally:
            self._idle.put(worker)


def _results(futures: list[Future[list[Result]]]) -> Iterator[Result]:
    for future in futures:
        yield from future.result()


def _start_worker() -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        # -P leaves the current folder out of sys.path, because its files could shadow modules.
        [sys.executable, "-P", "-m", "genebench.leaderboard.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | _ONE_THREAD | {"PYTHONPATH": import_path()},
        # Ctrl-C must not reach the workers: this process alone decides when the work ends.
        start_new_session=True,
    )


def _ask(worker: subprocess.Popen[bytes], function: Callable[..., Any], tasks: list[Any]) -> Any:
    """Return a worker's results for some tasks.

    Raises:
        RuntimeError: the worker process ended.
        Exception: whatever the function raises.
    """
    assert worker.stdin
    assert worker.stdout
    request = pickle.dumps((function, tasks))
    try:
        worker.stdin.write(request)
        worker.stdin.flush()
        response = pickle.load(worker.stdout)  # noqa: S301  sent by a worker of this process
    except (BrokenPipeError, EOFError, pickle.UnpicklingError) as error:
        status = worker.wait()
        raise RuntimeError(f"A worker process ended with exit status {status}.") from error
    if isinstance(response, BaseException):
        raise response
    return response


@contextmanager
def pool_for(n_tasks: int) -> Iterator[Pool]:
    """Yield workers where there are enough tasks and processors for them, else this process.

    Args:
        n_tasks: the number of tasks to expect, more or less.
    """
    cpus = cpu_count()
    if n_tasks < PARALLEL_FROM_TASKS or cpus == 1:
        yield ThisProcess()
        return
    pool = WorkerPool(cpus)
    try:
        yield pool
    finally:
        pool.close()
