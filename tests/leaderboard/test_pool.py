"""Work spread over processes: order, errors, and what a worker inherits."""

from __future__ import annotations

import operator
import os

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
