"""Work in several threads, in order, and no more threads than are allowed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from genebench._util import threads
from genebench._util.threads import cap_threads, in_order


@pytest.mark.parametrize("number", [1, 2, 5])
def test_results_come_in_the_order_of_the_items(monkeypatch, number):
    monkeypatch.setattr(threads, "cpu_count", lambda: number)

    def work(item):
        time.sleep(0.002 * (item % 3 == 0))
        return item**2

    assert list(in_order(work, range(20))) == [item**2 for item in range(20)]
    assert list(in_order(work, [])) == []


def test_work_is_done_at_the_same_time(monkeypatch):
    monkeypatch.setattr(threads, "cpu_count", lambda: 2)
    together = threading.Barrier(2, timeout=10)
    assert list(in_order(lambda _: together.wait() in (0, 1), range(4))) == [True] * 4


def test_few_items_are_under_way_however_many_there_are(monkeypatch):
    monkeypatch.setattr(threads, "cpu_count", lambda: 2)
    drawn = []
    results = in_order(lambda item: item, (drawn.append(item) or item for item in range(100)))
    assert [next(results), next(results)] == [0, 1]
    assert len(drawn) <= 5
    results.close()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_errors_of_items_and_of_work_are_raised_and_end_the_work(error):
    before = threading.active_count()
    begun = []

    def work(item):
        begun.append(item)
        if item == 3:
            raise error
        return item

    with pytest.raises(error):
        list(in_order(work, range(1000)))
    assert len(begun) < 100

    def items():
        yield 1
        raise error

    with pytest.raises(error):
        list(in_order(work, items()))
    assert threading.active_count() == before


@pytest.mark.parametrize(
    ("allowed", "variable", "count"),
    [
        (8, None, 8),
        (8, "3", 3),
        (2, "16", 2),
        (8, "4,2", 4),
        (8, "0", 8),
        (8, "many", 8),
        (8, "", 8),
    ],
)
def test_processors_are_those_of_the_allocation(monkeypatch, allowed, variable, count):
    monkeypatch.setattr("os.sched_getaffinity", lambda _: set(range(allowed)), raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if variable is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", variable)
    assert threads.cpu_count() == count


def test_a_worker_has_no_more_threads_than_processors():
    capped = cap_threads({"MKL_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "64", "PATH": "/bin"}, 4)
    assert capped.pop("MKL_NUM_THREADS") == "2"
    assert set(capped.values()) == {"4"}


ASK = """
import json, numba, torch
from genebench._util.threads import cpu_count
print(json.dumps([torch.get_num_threads(), numba.get_num_threads(), cpu_count()]))
"""


def test_libraries_of_a_worker_keep_to_the_cap():
    environment = {
        **os.environ,
        "OMP_NUM_THREADS": "",
        "NUMBA_NUM_THREADS": "",
        "MKL_NUM_THREADS": "",
    }
    capped = environment | cap_threads(environment, 1)
    done = subprocess.run(
        [sys.executable, "-c", ASK], env=capped, capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout) == [1, 1, 1]
