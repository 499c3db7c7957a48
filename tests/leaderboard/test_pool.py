"""Work spread over processes: order, errors, and what a worker inherits."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from threading import Lock

import pytest

from genebench.leaderboard.pool import ThisProcess, WorkerPool, pool_for


@pytest.fixture(scope="module")
def pool():
    workers = WorkerPool(2)
    yield workers
    workers.close()


def test_results_come_in_the_order_of_the_tasks(pool):
    assert list(pool.map(operator.neg, range(10), chunk=3)) == [-i for i in range(10)]
    assert list(pool.map(operator.neg, [])) == []


def test_workers_use_one_thread_each_and_the_environment_here_stays(pool, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert list(pool.map(os.getenv, ["OMP_NUM_THREADS"])) == ["1"]
    assert os.environ["OMP_NUM_THREADS"] == "7"


def test_an_error_of_a_task_is_raised_where_the_result_is_taken(pool):
    results = pool.map(operator.truediv, [1])
    with pytest.raises(TypeError, match="expected 2 arguments") as caught:
        list(results)
    assert "In a worker process" in caught.value.__notes__[0]
    assert list(pool.map(abs, [-1])) == [1]


def test_what_a_task_prints_is_no_response(pool, capfd):
    assert list(pool.map(print, ["a word"])) == [None]
    assert list(pool.map(abs, [-1])) == [1]
    assert capfd.readouterr().out == ""


class TwoArgumentsError(Exception):
    """An exception that can be pickled, but not unpickled."""

    def __init__(self, name, fault):
        super().__init__(f"{name}: {fault}")


class OneWay:
    """A result that can be pickled, but not unpickled in the test's process."""

    def __init__(self, pid):
        self.pid = pid

    def __reduce__(self):
        return check_process, (self.pid,)


def check_process(pid):
    if os.getpid() != pid:
        raise ValueError("another process")


def fail_with_two_arguments(task):
    raise TwoArgumentsError("x", f"no {task}")


def lock(_):
    return Lock()


def one_way(_):
    return OneWay(os.getpid())


@pytest.fixture(scope="module")
def importing_pool():
    """A pool whose workers can import this file."""
    folder = str(Path(__file__).parent)
    sys.path.insert(0, folder)
    workers = WorkerPool(1)
    sys.path.remove(folder)
    yield workers
    workers.close()


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (fail_with_two_arguments, "TwoArgumentsError: x: no luck"),
        (lock, "cannot pickle"),
        (one_way, "The results of a worker process cannot be read: ValueError: another process"),
    ],
)
def test_responses_that_cannot_be_sent_or_read_are_errors_and_the_worker_goes_on(
    importing_pool, function, message, monkeypatch
):
    monkeypatch.setattr(function, "__module__", "test_pool")
    monkeypatch.setitem(sys.modules, "test_pool", sys.modules[__name__])
    with pytest.raises((RuntimeError, TypeError), match=message):
        list(importing_pool.map(function, ["luck"]))
    assert list(importing_pool.map(abs, [-1])) == [1]


def test_a_request_that_cannot_be_sent_is_an_error_and_the_worker_goes_on(pool):
    with pytest.raises(TypeError, match="cannot pickle"):
        list(pool.map(abs, [Lock()]))
    assert list(pool.map(abs, [-1])) == [1]


def test_workers_end_if_a_later_one_cannot_be_started(monkeypatch):
    started = []

    def start():
        if started:
            raise OSError("no more processes")
        started.append(subprocess.Popen(["sleep", "60"], stdin=-1, stdout=-1))
        return started[0]

    monkeypatch.setattr("genebench.leaderboard.pool._start_worker", start)
    with pytest.raises(OSError, match="no more processes"):
        WorkerPool(2)
    assert started[0].returncode == -signal.SIGKILL


def test_an_interrupt_does_not_wait_for_tasks(monkeypatch):
    monkeypatch.setattr("genebench.leaderboard.pool.cpu_count", lambda: 2)
    began = time.monotonic()
    pools = []

    def work_until_interrupted():
        with pool_for(1000) as workers:
            pools.append(workers)
            assert list(workers.map(abs, [-1])) == [1]
            workers.map(time.sleep, [600, 600], chunk=1)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work_until_interrupted()
    assert time.monotonic() - began < 300
    assert all(worker.returncode is not None for worker in pools[0]._workers)


def test_a_worker_that_dies_is_an_error_and_not_a_hang():
    workers = WorkerPool(1)
    try:
        with pytest.raises(RuntimeError, match="exit status 3"):
            list(workers.map(os._exit, [3]))
    finally:
        workers.close()


def test_tasks_that_have_not_started_are_dropped_when_the_pool_closes(tmp_path):
    workers = WorkerPool(1)
    workers.map(os.mkdir, [tmp_path / str(number) for number in range(5_000)], chunk=1)
    workers.close()
    assert len(list(tmp_path.iterdir())) < 5_000


def test_a_worker_ends_when_its_input_ends():
    """So no worker outlives a process that is killed."""
    workers = WorkerPool(2)
    workers.close()
    assert [worker.returncode for worker in workers._workers] == [0, 0]


def test_few_tasks_stay_in_this_process():
    with pool_for(3) as chosen:
        assert isinstance(chosen, ThisProcess)
        assert list(chosen.map(abs, [-1, 2])) == [1, 2]
