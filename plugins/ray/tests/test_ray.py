"""The engine on a real cluster of two nodes: results, devices, deaths, several drivers."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from genebench.api import execute_plan, plan_run
from genebench.errors import UserError
from genebench.results.store import ResultsStore
from genebench.runs.claims import claimed
from genebench.runs.jobs import Settings
from genebench.specs import Resources
from genebench_ray import engine

pytest.importorskip("ray", reason="Ray is not installed")

from ray_helpers import InBackground, processes_with, record_of, wait_for


def lines(marks) -> list[str]:
    return marks.read_text().splitlines()


def run(jobs, settings):
    return list(engine.run(jobs, settings))


def test_records_are_those_of_the_local_engine(settings, tmp_path):
    request = {"preset": "tiny", "seeds": 1, "overrides": {"dgex": {"epochs": "3"}}}
    there = settings()
    plan = plan_run("lsr-l2,knn,dgex", "geo,gtex", "sim", results=there.results, **request)
    jobs = plan.remaining()
    here = Settings(results=tmp_path / "local", device="cpu", sealed="off")
    assert {job.key for job in run(jobs, there)} == {job.key for job in jobs}
    list(execute_plan(jobs, here, "local"))
    expected = ResultsStore(here.results)
    for _, evaluation in plan.evaluations:
        record = ResultsStore(there.results).read(evaluation.key)
        assert record.status == "done"
        assert record.scores == expected.read(evaluation.key).scores
    assert not (there.results / ".jobs").exists()


def test_each_job_sees_its_own_gpus(settings, planned, marks):
    with_gpu = planned("waits 1", "waits 2", resources=Resources(gpus=1, memory=2**30))
    run([*with_gpu, *planned("waits 3")], settings())
    seen = dict(line.rsplit(" ", 1) for line in lines(marks))
    # Each of the two nodes has the one GPU that it calls 0.
    assert seen == {"waits 1": "0", "waits 2": "0", "waits 3": ""}


def test_the_device_is_chosen_on_the_node(settings, planned, marks):
    torch = pytest.importorskip("torch")
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    jobs = planned("works", resources=Resources(gpus=1, memory=2**30))
    with pytest.raises(UserError, match=r"(?i)cuda"):
        run(jobs, replace(settings(), device="cuda"))


def test_a_job_that_dies_is_a_failed_record_and_not_repeated(settings, planned, marks):
    [job] = planned("dies always")
    run([job], settings(retries=3))
    record = record_of(job, settings())
    assert record.failure.kind == "ProcessDied"
    assert len(lines(marks)) == 1


def test_a_job_whose_worker_dies_is_repeated(settings, planned, marks):
    [job] = planned("kills the worker")
    run([job], settings(retries=1))
    assert record_of(job, settings()).status == "done"
    assert len(lines(marks)) == 2


def test_a_job_whose_worker_always_dies_is_a_failed_record(settings, planned, marks):
    [job] = planned("kills the worker always")
    assert run([job], settings(retries=1)) == [job]
    record = record_of(job, settings())
    assert record.failure.kind == "WorkerDied"
    assert record.provenance.device == "cpu"
    assert len(lines(marks)) == 2


def test_a_job_whose_node_dies_goes_to_another(nodes, settings, planned, marks):
    # Four cores are only on a node that is added here.
    [job] = planned("sleeps", resources=Resources(cpus=4, memory=2**30))
    node = nodes.add_node(num_cpus=4, object_store_memory=80 << 20)
    running = InBackground(lambda: run([job], settings(retries=1)))
    wait_for(marks.exists)
    other = nodes.add_node(num_cpus=4, object_store_memory=80 << 20)
    nodes.remove_node(node, allow_graceful=False)
    running.join()
    assert record_of(job, settings()).status == "done"
    assert len(lines(marks)) == 2
    nodes.remove_node(other)


def test_a_job_whose_node_dies_without_retries_is_a_failed_record(nodes, settings, planned, marks):
    [job] = planned("sleeps", resources=Resources(cpus=4, memory=2**30))
    node = nodes.add_node(num_cpus=4, object_store_memory=80 << 20)
    running = InBackground(lambda: run([job], settings(retries=0)))
    wait_for(marks.exists)
    nodes.remove_node(node, allow_graceful=False)
    running.join()
    assert record_of(job, settings()).failure.kind == "WorkerDied"


def test_a_job_with_too_little_memory_is_repeated_with_twice_as_much(settings, planned, marks):
    [job] = planned("takes memory", resources=Resources(memory=2**30))
    run([job], settings())
    assert record_of(job, settings()).status == "done"
    assert len(lines(marks)) == 2


def test_a_job_that_fits_on_no_node_is_refused(settings, planned):
    [job] = planned("works", resources=Resources(gpus=2, memory=2**30))
    with pytest.raises(UserError, match=r"needs 1 cores, 2 GPUs and 1\.0 GiB .* Ask for less"):
        run([job], settings())


def test_a_job_that_another_process_gives_up_is_executed(settings, planned, marks):
    [job] = planned("works")
    ours = settings()
    with claimed(ours.results, job):
        running = InBackground(lambda: run([job], ours))
        wait_for((ours.results / f".jobs/{job.key}.order.json").exists)
    running.join()
    assert record_of(job, ours).status == "done"
    assert len(lines(marks)) == 1


DRIVER = """
import json, sys
from pathlib import Path
from genebench.api import plan_run
from genebench.runs.jobs import Settings
from genebench_ray import engine, genebench_engines

results, address, tasks = Path(sys.argv[1]), sys.argv[2], sys.argv[3:]
plan = plan_run("odd", "geo", "sim", preset="tiny", seeds=1, overrides={},
    grid={"odd": {"task": tasks}}, results=results)
options = genebench_engines()[0].values({"address": address})
jobs = [job for job in plan.remaining() if job.method.name == "odd"]
print("planned", flush=True)
sys.stdin.readline()
done = engine.run(jobs, Settings(results=results, options=options, sealed="off"))
print(json.dumps(sorted(job.key for job in done)))
"""


def test_two_drivers_execute_each_job_once(nodes, settings, planned, marks):
    tasks = [f"waits {number}" for number in range(4)]
    jobs, ours = planned(*tasks), settings()
    command = [sys.executable, "-c", DRIVER, str(ours.results), nodes.address, *tasks]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, **pipes) as other:
        assert other.stdout.readline() == "planned\n"
        other.stdin.write("\n")
        other.stdin.flush()
        done = run(jobs, ours)
        theirs, _ = other.communicate(timeout=300)
    keys = sorted(job.key for job in jobs)
    assert sorted(job.key for job in done) == keys
    assert json.loads(theirs) == keys
    assert sorted(line.rsplit(" ", 1)[0] for line in lines(marks)) == tasks


@pytest.fixture
def surroundings(tmp_path):
    """Return an empty home folder, an empty temporary folder, and variables that name them."""
    home = tmp_path / "home"
    home.mkdir()
    # Short, for the sockets.
    with tempfile.TemporaryDirectory(prefix="t", dir="/tmp") as temporary:
        yield home, Path(temporary), {**os.environ, "HOME": str(home), "TMPDIR": temporary}


def start_driver(results, task, environment):
    """Start a driver with a cluster of its own."""
    return subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(results), "", task],
        env=environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    )  # fmt: skip


def test_ctrl_c_leaves_neither_processes_nor_files(planned, settings, marks, surroundings):
    home, temporary, environment = surroundings
    [job], ours = planned("sleeps always"), settings()
    driver = start_driver(ours.results, "sleeps always", environment)
    wait_for(marks.exists)
    assert processes_with(str(temporary))
    # Like a terminal, which signals every process of the group.
    os.killpg(driver.pid, signal.SIGINT)
    out, err = driver.communicate(timeout=300)
    assert out == "planned\n"
    assert err.rstrip().endswith("KeyboardInterrupt")
    wait_for(lambda: not processes_with(str(temporary)))
    assert [*home.iterdir(), *temporary.iterdir()] == []
    assert ResultsStore(ours.results).read(job.key) is None


def test_what_a_killed_driver_has_left_is_done_by_the_next(planned, settings, marks, surroundings):
    _, temporary, environment = surroundings
    [job], ours = planned("sleeps"), settings()
    driver = start_driver(ours.results, "sleeps", environment)
    wait_for(marks.exists)
    driver.kill()
    driver.communicate()
    wait_for(lambda: not any("worker" in name for name in processes_with(str(temporary))))
    assert ResultsStore(ours.results).read(job.key) is None
    out, err = start_driver(ours.results, "sleeps", environment).communicate(timeout=300)
    assert (out, err) == (f'planned\n["{job.key}"]\n', "")
    assert record_of(job, ours).status == "done"
    assert len(lines(marks)) == 2
