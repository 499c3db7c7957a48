"""The entry point on a node, as a scheduler starts it: real processes, signals and records."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from genebench import api
from genebench.engines.monitor import Monitor
from genebench.engines.node import BROKEN, CLAIMED, DONE, MEMORY, REFUSED, STOPPED
from genebench.results.paths import ResultPaths
from genebench.results.store import ResultsStore
from genebench.runs.claims import claimed, claims
from genebench.runs.jobs import Settings
from genebench.runs.orders import attempts, orders, write_order

LONG = {"epochs": "4000", "patience": "4000"}
LIGHT = "train-mean"
"""A method without torch, whose import takes longer than the rest of a node's work."""


def planned(method, settings, overrides=None, protocols="geo"):
    """Return the one job of a method, with its order written."""
    ResultsStore(settings.results).prepare()
    plan = api.plan_run(
        method, protocols, "sim", preset="tiny", seeds=1,
        overrides={method: overrides} if overrides else {}, results=settings.results,
    )  # fmt: skip
    [job, *_] = [job for job in plan.remaining() if job.method.name == method]
    write_order(job, settings)
    return job


@pytest.fixture
def settings(tiny, tmp_path):
    return Settings(results=tmp_path / "results")


@pytest.fixture
def start(settings, monkeypatch):
    """Start a node, and end it with the test."""
    processes = []

    def start(*keys, options=(), **variables):
        command = [sys.executable, "-P", "-m", "genebench.engines.node", *options]
        processes.append(
            subprocess.Popen(
                [*command, "--results", str(settings.results), *keys],
                stderr=subprocess.PIPE, env=os.environ | variables,
            )
        )  # fmt: skip
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.wait()
        process.stderr.close()


def trains(settings):
    """Return whether a training has ended an epoch."""
    return any(claim.done > 100 for claim in claims(settings.results))


def children_of(folder: Path) -> list[str]:
    """Return the workers whose orders are for a results folder, by their open files or memory."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes()
            marked = f"MARK={folder}".encode() in (process / "environ").read_bytes()
            state = (process / "stat").read_text(errors="replace").rpartition(")")[2].split()[0]
        except OSError:
            continue
        if marked and state not in "ZX" and b"genebench.engines" in command:
            found.append(process.name)
    return found


def test_a_node_gives_the_records_of_a_run_here_and_cleans_up(start, settings, tmp_path):
    job = planned("knn", settings)
    assert start(job.key).wait() == DONE
    record = ResultsStore(settings.results).read(job.key)
    here = api.run("knn", "geo", "sim", preset="tiny", results=tmp_path / "here").records
    [same] = [item for item in here if item.key == job.key]
    assert record.scores == same.scores
    assert orders(settings.results) == []
    assert claims(settings.results) == []
    # A scheduler may start a task again after its job was done.
    assert start(job.key).wait() == DONE
    assert ResultsStore(settings.results).read(job.key) == record


def test_several_jobs_share_a_process(start, settings):
    jobs = [planned("knn", settings, {"k_max": str(number)}) for number in (3, 4, 5)]
    assert start(*[job.key for job in jobs]).wait() == DONE
    assert all(ResultsStore(settings.results).read(job.key).status == "done" for job in jobs)


def test_a_job_with_a_newer_record_is_skipped(start, settings):
    job = planned(LIGHT, settings)
    api.run(LIGHT, "geo", "sim", preset="tiny", results=settings.results)
    before = ResultsStore(settings.results).read(job.key)
    write_order(job, settings)
    assert start(job.key).wait() == DONE
    assert ResultsStore(settings.results).read(job.key) == before
    assert orders(settings.results) == []


def test_a_job_that_another_process_runs_is_left_to_it(start, settings):
    job = planned(LIGHT, settings)
    with claimed(settings.results, job):
        assert start(job.key).wait() == CLAIMED
    assert ResultsStore(settings.results).read(job.key) is None
    assert orders(settings.results) == [job.key]


@pytest.fixture
def stop_in_training(start, settings, wait_until):
    """Return a function that starts a node, and asks it to stop by a signal when it trains."""

    def stop(job, number):
        node = start(job.key)
        wait_until(lambda: trains(settings))
        node.send_signal(number)
        assert node.wait() == STOPPED
        assert ResultsStore(settings.results).read(job.key) is None
        assert [attempt.cause for attempt in attempts(settings.results, job.key)] == ["terminated"]
        assert list(settings.results.rglob("training.safetensors"))

    return stop


def test_a_job_that_is_asked_to_stop_by_slurm_has_a_checkpoint_and_no_record(
    settings, stop_in_training
):
    stop_in_training(planned("dgex", settings, LONG), signal.SIGUSR1)


def test_a_job_that_is_terminated_continues_to_the_same_bits(
    start, settings, tmp_path, wait_until, stop_in_training
):
    params = {"epochs": "400", "patience": "400"}
    job = planned("dgex", settings, params)
    stop_in_training(job, signal.SIGTERM)
    node = start(job.key)
    # It goes on where it was, not at the beginning.
    wait_until(lambda: any(claim.message for claim in claims(settings.results)))
    assert claims(settings.results)[0].done > 100
    assert node.wait() == DONE
    whole = Settings(results=tmp_path / "whole")
    api.run("dgex", "geo", "sim", preset="tiny", results=whole.results, params={"dgex": params})
    interrupted, uninterrupted = (ResultsStore(item.results) for item in (settings, whole))
    record, same = interrupted.read(job.key), uninterrupted.read(job.key)
    assert record.scores == same.scores
    for name, values in uninterrupted.vectors(same).items():
        assert (interrupted.vectors(record)[name] == values).all(), name


def test_an_interrupt_ends_a_job_at_once(start, settings, wait_until):
    pytest.importorskip("torch")
    job = planned("dgex", settings, LONG)
    node = start(job.key, MARK=str(settings.results))
    wait_until(lambda: trains(settings))
    node.send_signal(signal.SIGINT)
    assert node.wait() == STOPPED
    wait_until(lambda: children_of(settings.results) == [])
    assert claims(settings.results) == []
    assert ResultsStore(settings.results).read(job.key) is None


@pytest.mark.parametrize("killed", ["node", "all"])
def test_a_node_that_is_killed_leaves_no_record_and_no_process(start, settings, killed, wait_until):
    """Node and supervisor die together: the worker must not call this a failure of the method."""
    pytest.importorskip("torch")
    job = planned("dgex", settings, LONG)
    node = start(job.key, MARK=str(settings.results))
    wait_until(lambda: trains(settings))
    below = [int(pid) for pid in children_of(settings.results) if int(pid) != node.pid]
    supervisors = [
        pid for pid in below if b"supervisor.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    ]
    assert supervisors
    victims = [node.pid, *(supervisors if killed == "all" else [])]
    for pid in victims:  # stopped first: nobody learns that another has gone before
        os.kill(pid, signal.SIGSTOP)
    for pid in victims:
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: children_of(settings.results) == [])
    assert ResultsStore(settings.results).keys() == []
    assert start(job.key, options=["--grace", "0"]).poll() is None
    wait_until(lambda: any(claim.generation == 2 for claim in claims(settings.results)))


def test_a_machine_without_the_data_is_broken_but_refuses_no_job(start, settings, tmp_path):
    job = planned(LIGHT, settings)
    node = start(job.key, GENEBENCH_HOME=str(tmp_path / "empty"))
    message = node.communicate()[1].decode()
    assert (node.returncode, message.count("\n")) == (BROKEN, 1)
    assert "dataset sim" in message
    [attempt] = attempts(settings.results, job.key)
    assert attempt.cause == "broken"
    assert start(job.key).wait() == DONE


def test_an_order_of_another_version_is_refused_in_one_line(start, settings):
    job = planned(LIGHT, settings)
    path = ResultPaths(settings.results).order(job.key)
    path.write_bytes(path.read_bytes().replace(b'"numerics":1', b'"numerics":7', 1))
    node = start(job.key)
    message = node.communicate()[1].decode()
    assert node.returncode == REFUSED
    assert message.count("\n") == 1
    assert "numerics 7" in message
    [attempt] = attempts(settings.results, job.key)
    assert attempt.cause == "refused"


def test_too_little_memory_is_an_attempt_or_a_failed_record(start, settings):
    from dataclasses import replace

    from genebench.specs import Resources

    job = replace(planned(LIGHT, settings), resources=Resources(memory=1 << 20))
    write_order(job, settings)
    assert start(job.key, options=["--retry-memory"]).wait() == MEMORY
    [attempt] = attempts(settings.results, job.key)
    assert (attempt.cause, attempt.memory > 1 << 20) == ("memory", True)
    assert ResultsStore(settings.results).read(job.key) is None
    assert start(job.key).wait() == DONE


def test_a_monitor_sees_jobs_start_and_end(start, settings, monkeypatch):
    # Progress is written once a second, so the job takes some seconds on any machine.
    job = planned("dgex", settings, {"epochs": "100000", "minutes": "0.07"})
    seen = []
    monkeypatch.setattr(
        "genebench.engines.monitor.notify",
        lambda hook, **details: seen.append((hook, details["job"].key)),
    )
    monitor, ended = Monitor([job], settings), []
    node = start(job.key)
    deadline = time.monotonic() + 300
    while not ended:
        ended = monitor.poll()
        assert time.monotonic() < deadline
        time.sleep(0.05)
    assert [item.key for item in ended] == [job.key]
    assert monitor.pending == {}
    assert seen[0] == ("genebench_job_started", job.key)
    assert ("genebench_job_progressed", job.key) in seen
    assert seen[-1] == ("genebench_job_finished", job.key)
    assert node.wait() == DONE
