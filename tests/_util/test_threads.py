"""Work in several threads, in order."""

from __future__ import annotations

import threading
import time

import pytest

from genebench._util import threads
from genebench._util.threads import in_order


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
