"""The engine on a real cluster of three nodes: results, deaths, preemption, limits, interruption."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from genebench.runs.orders import attempts
from genebench_slurm.engine import queue


def scores(records):
    return {record.key: record.scores for record in records}


def test_records_are_those_of_the_local_engine(bench, tmp_path):
    chosen = ("--methods", "lsr-l2,knn,dgex", "--set", "dgex.epochs=5")
    bench.finish(bench.start(*chosen, chunk=1))
    here = tmp_path / "local"
    subprocess.run(
        [sys.executable, "-m", "genebench", "run", "--dataset", "sim", "--preset", "tiny",
         "--results", here, *chosen], check=True, capture_output=True,
    )  # fmt: skip
    from genebench.results.store import ResultsStore

    local, remote = ResultsStore(here), ResultsStore(bench.results)
    assert local.keys() == remote.keys()
    for key in local.keys():
        assert local.read(key).scores == remote.read(key).scores
        assert local.read(key).vectors == remote.read(key).vectors


def test_nothing_is_left_in_the_results_folder(bench):
    bench.finish(bench.step(numbers=3))
    assert [path.name for path in (bench.results / ".slurm").iterdir()] == ["lock"]
    assert list((bench.results / ".jobs").iterdir()) == []


def test_a_killed_driver_is_replaced_and_nothing_starts_twice(bench, cluster):
    first = bench.step(steps=12, pause=0.5, numbers=2)
    bench.wait_for_start()
    bench.wait_for_start(number=1)
    first.kill()
    first.communicate()
    assert cluster.queue() == ["RUNNING"] * 2
    bench.finish(bench.step(steps=12, pause=0.5, numbers=2))
    assert [len(bench.starts(number)) for number in (0, 1)] == [1, 1]
    assert {record.status for record in bench.records()} == {"done"}


def test_two_drivers_share_the_jobs(bench):
    drivers = [bench.step(steps=6, pause=0.5, numbers=3) for _ in range(2)]
    for driver in drivers:
        bench.finish(driver)
    assert [len(bench.starts(number)) for number in range(3)] == [1, 1, 1]


def test_an_interrupted_driver_leaves_an_empty_queue(bench, cluster):
    driver = bench.step(steps=200, pause=0.5, numbers=10, chunk=1)
    bench.wait_for_start()
    began = time.monotonic()
    driver.send_signal(signal.SIGINT)
    bench.finish(driver, 130)
    print(f"interrupted in {time.monotonic() - began:.1f} s")
    assert cluster.queue() == []
    assert bench.records() == []
    assert [path.name for path in (bench.results / ".slurm").iterdir()] == ["lock"]


def test_a_preempted_job_continues(bench, cluster):
    driver = bench.step(steps=20, pause=0.5)
    bench.wait_for_start()
    bench.wait_for(lambda: queue(bench.results), "not in the queue")
    urgent = cluster.command(
        "sbatch", "--parsable", "--partition=urgent", "--nodes=3", "--exclusive",
        "--wrap=sleep 3", "--output=/dev/null",
    ).strip()  # fmt: skip
    _, _, done = bench.wait_for_start(2)
    assert done > 0
    bench.finish(driver)
    assert [record.status for record in bench.records()] == ["done"]
    assert len(bench.starts()) == 2, urgent


def test_a_task_continues_after_its_time_limit(bench, cluster):
    driver = bench.step(steps=20, pause=0.5)
    bench.wait_for_start()
    task = cluster.command("squeue", "--me", "-h", "-o", "%F_%K").strip()
    # The signal that Slurm sends before the time limit.
    cluster.command("scancel", "--signal=USR1", "--batch", task)
    _, _, done = bench.wait_for_start(2)
    assert done > 0
    bench.finish(driver)
    assert [record.status for record in bench.records()] == ["done"]
    assert len(bench.starts()) == 2


def test_jobs_of_a_dead_node_run_elsewhere(bench, cluster):
    driver = bench.step(steps=20, pause=0.5)
    node, _, _ = bench.wait_for_start()
    cluster.kill_node(node)
    other, _, done = bench.wait_for_start(2)
    cluster.start_node(node)
    assert other != node
    assert done > 0
    bench.finish(driver)
    assert [record.status for record in bench.records()] == ["done"]


@pytest.mark.parametrize("below", [False, True], ids=["node", "worker"])
def test_a_killed_process_is_a_failure(bench, cluster, below):
    driver = bench.step(steps=100, pause=0.5)
    node, worker, _ = bench.wait_for_start()
    if below:
        victim = worker
    else:
        [victim] = [
            number
            for number in cluster.processes(node)
            if b"genebench.engines.node\0" in open(f"/proc/{number}/cmdline", "rb").read()
        ]
    os.kill(victim, signal.SIGKILL)
    bench.finish(driver, 1)
    [record] = bench.records()
    assert record.failure.kind == "ProcessDied"
    # The same command does not try it again, unless it is told to.
    bench.finish(bench.step(steps=100, pause=0.5), 1)
    assert len(bench.starts()) == 1
    again = bench.step("--retry-failed", steps=100, pause=0.5)
    bench.wait_for_start(2)
    again.send_signal(signal.SIGINT)
    bench.finish(again, 130)


def test_a_job_that_runs_out_of_memory_gets_more(bench):
    arguments = ("--resources", "memory=1G")
    bench.finish(bench.step(*arguments, steps=4, pause=0.5, memory=1_300_000_000))
    [record] = bench.records()
    assert record.status == "done"
    assert len(bench.starts()) == 2


def test_a_job_that_needs_too_much_memory_fails(bench):
    arguments = ("--resources", "memory=512M")
    bench.finish(bench.step(*arguments, steps=4, pause=0.5, memory=2_000_000_000), 1)
    [record] = bench.records()
    assert record.failure.kind == "MemoryLimit"
    assert len(bench.starts()) == 2


def test_jobs_that_somebody_cancels_are_named(bench, cluster):
    driver = bench.step(steps=100, pause=0.5)
    bench.wait_for_start()
    cluster.command("scancel", "--user=root")
    output = bench.finish(driver, 2)
    assert "1 job cancelled in Slurm: stepper" in output
    assert "Run the same command again" in output
    assert bench.records() == []
    bench.finish(bench.step(steps=100, pause=0.0, numbers=1))


def test_a_partition_that_does_not_exist_is_refused(bench):
    output = bench.finish(bench.step(partition="none"), 2)
    assert "invalid partition" in output
    assert [path.name for path in (bench.results / ".slurm").iterdir()] == ["lock"]


def test_a_node_of_another_version_is_refused(bench, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import os\n"
        "if 'SLURM_JOB_ID' in os.environ:\n"
        "    import genebench.runs.provenance as p\n"
        "    p.version = lambda *_: '9.9'\n"
    )
    output = bench.finish(bench.step(setup=f"export PYTHONPATH={tmp_path}:$PYTHONPATH"), 2)
    assert "genebench is version 9.9" in output
    assert bench.records() == []


def test_a_python_that_does_not_exist_ends_the_run(bench):
    output = bench.finish(bench.step(python="/no/such/python"), 2)
    assert "/no/such/python" in output
    assert bench.records() == []


def test_a_node_where_tasks_die_is_avoided(bench, cluster):
    setup = "[ $SLURMD_NODENAME = n1 ] && exit 1"
    output = bench.finish(bench.step(numbers=6, chunk=1, setup=setup))
    assert "tasks have died on node n1" in output
    assert len(bench.records()) == 6
    assert {bench.starts(number)[0][0] for number in range(6)} <= {"n2", "n3"}


def test_a_controller_that_is_away_is_waited_for(bench, cluster):
    driver = bench.step(steps=10, pause=0.5)
    bench.wait_for_start()
    cluster.kill("slurmctld")
    time.sleep(3)
    cluster.start_controller()
    output = bench.finish(driver)
    assert "Slurm does not respond" in output
    assert len(bench.starts()) == 1


def test_a_drained_node_finishes_its_task(bench, cluster):
    driver = bench.step(steps=10, pause=0.5)
    node, _, _ = bench.wait_for_start()
    cluster.command("scontrol", "update", f"NodeName={node}", "State=DRAIN", "Reason=test")
    bench.finish(driver)
    cluster.command("scontrol", "update", f"NodeName={node}", "State=RESUME")
    assert len(bench.starts()) == 1


def test_the_queue_shows_what_waits_and_runs(bench, cluster):
    driver = bench.step(steps=100, pause=0.5, numbers=8, chunk=1, jobs=2)
    bench.wait_for_start()
    shown = queue(bench.results)
    assert sorted({item.state for item in shown}) == ["PENDING", "RUNNING"]
    assert len(shown) == 8
    assert {item.reason for item in shown if item.state == "PENDING"} == {"JobArrayTaskLimit"}
    driver.send_signal(signal.SIGINT)
    bench.finish(driver, 130)
    assert queue(bench.results) == []
