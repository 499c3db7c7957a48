"""Work spread over processes: a pool of workers, or this process where there is little to do.

The workers are started with ``python -m``, and not with :mod:`multiprocessing`. Its ``spawn`` and
``forkserver`` methods run the caller's script again in each worker, unless the script guards
itself with ``if __name__ == "__main__"``. Boards must build from any script, notebook or prompt.
Its ``fork`` method copies locks that other threads hold, and no thread of the copy releases them.
"""

from __future__ import annotations

import os
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
from genebench.errors import describe
from genebench.leaderboard.pipes import pack, receive, send, unpack

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
            Exception: any exception of the function.
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
        self._workers: list[subprocess.Popen[bytes]] = []
        self._idle: SimpleQueue[subprocess.Popen[bytes]] = SimpleQueue()
        self._threads = ThreadPoolExecutor(size)
        try:
            for _ in range(size):
                worker = _start_worker()
                self._workers.append(worker)
                self._idle.put(worker)
        except BaseException:
            # The system may refuse one more process. Those that run already must not stay.
            self.kill()
            raise

    def map(  # noqa: D102
        self, function: Callable[[Task], Result], tasks: Iterable[Task], chunk: int = _CHUNK_TASKS
    ) -> Iterator[Result]:
        # Everything is submitted now: the caller does other work before it takes the results.
        remaining = iter(tasks)
        chunks = iter(lambda: list(islice(remaining, chunk)), [])
        return _results([self._threads.submit(self._apply, function, part) for part in chunks])

    def close(self) -> None:
        """Drop the tasks that have not started, wait for those that have, and end the workers."""
        self._threads.shutdown(cancel_futures=True)
        for worker in self._workers:
            worker.communicate()

    def kill(self) -> None:
        """End the workers at once, with the tasks that they are doing."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.kill()
        self.close()

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
        [sys.executable, "-P", "-m", "genebench.leaderboard.pool_worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | _ONE_THREAD | {"PYTHONPATH": import_path()},
        # Ctrl-C must not reach the workers: this process alone decides when the work ends.
        start_new_session=True,
    )


def _ask(worker: subprocess.Popen[bytes], function: Callable[..., Any], tasks: list[Any]) -> Any:
    """Return a worker's results for some tasks.

    Raises:
        RuntimeError: the worker process ended, or its results cannot be read.
        Exception: any exception of the function.
    """
    assert worker.stdin
    assert worker.stdout
    request = pack((function, tasks))
    try:
        send(worker.stdin, request)
        message = receive(worker.stdout)
    except (BrokenPipeError, EOFError) as error:
        status = worker.wait()
        raise RuntimeError(f"A worker process ended with exit status {status}.") from error
    try:
        response = unpack(message)
    except Exception as error:
        raise RuntimeError(
            f"The results of a worker process cannot be read: {describe(error)}."
        ) from error
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
    except BaseException:
        # The results are no longer needed. Ctrl-C must not wait for tasks that take seconds.
        pool.kill()
        raise
    pool.close()
