"""The other end of a supervised subprocess: orders, requests to stop, and the end."""

from __future__ import annotations

import time

import pytest

from genebench.processes.worker import Worker

MODULE = """
import multiprocessing, os, sys, time
from genebench._util.stopping import stop_is_asked
from genebench.processes.child import receive_orders

lines, send = receive_orders()
if "slow" in sys.path[-1]:
    time.sleep(1)
for line in lines:
    word = line.decode().strip()
    if word == "wait":
        while not stop_is_asked():
            time.sleep(0.01)
        send({"asked": True})
    elif word == "look":
        send({"asked": stop_is_asked()})
    elif word == "fork":
        process = multiprocessing.get_context("fork").Process(target=time.sleep, args=(600,))
        process.start()
        send({"forked": process.pid})
        process.terminate()
        process.join(20)
        send({"ended": process.exitcode})
"""


@pytest.fixture
def start(tmp_path, monkeypatch):
    """Start the module above with an order."""
    workers = []

    def start(order, folder="plain"):
        place = tmp_path / folder
        place.mkdir()
        (place / "child_of_a_test.py").write_text(MODULE)
        monkeypatch.syspath_prepend(place)
        import sys

        sys.path.append(sys.path.pop(0))
        workers.append(Worker(order, "child_of_a_test"))
        return workers[-1]

    yield start
    for worker in workers:
        worker.stop()


def events_of(worker, number):
    """Return as many events."""
    seen, deadline = [], time.monotonic() + 300
    while len(seen) < number:
        assert time.monotonic() < deadline
        assert not worker.has_ended(), worker.failure("", "").traceback
        seen += worker.events()
    return seen


def test_a_request_to_stop_that_comes_before_the_job_begins_is_kept(start):
    worker = start(b"look", "slow")
    worker.ask_to_stop()
    assert events_of(worker, 1) == [{"asked": True}]


def test_a_request_ends_with_its_job(start):
    worker = start(b"wait")
    worker.ask_to_stop()
    assert events_of(worker, 1) == [{"asked": True}]
    worker.give(b"look")
    assert events_of(worker, 1) == [{"asked": False}]


def test_processes_that_a_job_forks_end_when_they_are_terminated(start):
    _, ended = events_of(start(b"fork"), 2)
    assert ended == {"ended": -15}


def test_a_process_whose_parent_is_gone_ends_silently(start, wait_until):
    worker = start(b"wait")
    worker._input.close()  # as the system does for a parent that is no more
    wait_until(worker.has_ended)
    assert "Nothing was printed" in worker.failure("", "").traceback
