"""The engine on a real cluster of three nodes: results, deaths, preemption, limits, Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from genebench import api
from genebench.results.store import ResultsStore
from genebench.runs.claims import claims
from genebench.runs.orders import attempts
from genebench_slurm.waiting import queue


def test_records_are_those_of_the_local_engine(bench, tmp_path):
    chosen = ("--methods", "lsr-l2,knn,dgex", "--set", "dgex.epochs=5")
    bench.finish(bench.start(*chosen, chunk=1))
    here = tmp_path / "local"
    subprocess.run(
        [sys.executable, "-m", "genebench", "run", "--dataset", "sim", "--preset", "tiny",
         "--results", here, *chosen], check=True, capture_output=True,
    )  # fmt: skip
    local, remote = (ResultsStore(folder).records() for folder in (here, bench.results))
    # The digest of vectors is that of their bits.
    assert {r.key: (r.scores, r.vectors) for r in local} == {
        r.key: (r.scores, r.vectors) for r in remote
    }


def test_nothing_is_left_in_the_results_folder(bench):
    bench.finish(bench.step(numbers=3))
    assert [path.name for path in (bench.results / ".slurm").iterdir()] == ["lock"]
    assert not [*bench.results.glob(".jobs/*")]


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
    driver.send_signal(signal.SIGINT)
    bench.finish(driver, 130)
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
            if b"genebench.engines.node"
            in Path(f"/proc/{number}/cmdline").read_bytes().split(b"\0")
            and Path(f"/proc/{number}/comm").read_text().startswith("python")
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


def test_a_node_with_other_code_is_refused(bench):
    edit = f"sed -i s/stepping/walking/ {bench.folder}/stepper.py"
    output = bench.finish(bench.step(setup=edit), 2)
    assert "method stepper has other code" in output
    assert "Install the same version on all machines" in output
    assert bench.records() == []


def test_a_python_that_does_not_exist_ends_the_run(bench):
    output = bench.finish(bench.step(python="/no/such/python"), 2)
    assert "/no/such/python" in output
    assert bench.records() == []


def test_a_node_without_the_data_is_avoided(bench, cluster):
    setup = f"[ $SLURMD_NODENAME = n1 ] && export GENEBENCH_HOME={bench.folder}/nowhere"
    output = bench.finish(bench.step(numbers=9, steps=4, pause=0.5, chunk=1, setup=setup))
    assert "tasks have died on node n1" in output
    assert len(bench.records()) == 9
    assert {bench.starts(number)[0][0] for number in range(9)} <= {"n2", "n3"}


def test_a_cluster_without_the_data_says_so(bench):
    setup = f"export GENEBENCH_HOME={bench.folder}/nowhere"
    output = bench.finish(bench.step(setup=setup), 2)
    # The message of the node, and not one of sbatch that no node is left.
    assert "dataset sim" in output
    assert "sbatch" not in output
    assert bench.records() == []


def test_a_controller_that_is_away_is_waited_for(bench, cluster):
    driver = bench.step(steps=10, pause=0.5)
    bench.wait_for_start()
    cluster.stop_controller()
    assert "Slurm does not respond" in driver.stdout.readline()
    cluster.start_controller()
    bench.finish(driver)
    assert len(bench.starts()) == 1


def test_an_array_whose_number_was_not_written_is_found_by_its_name(bench):
    first = bench.step(steps=12, pause=0.5)
    bench.wait_for_start()
    # A task may start before its driver has written the number down.
    bench.wait_for(lambda: [*bench.results.glob(".slurm/*/job")], "no number")
    first.kill()
    first.communicate()
    [number] = bench.results.glob(".slurm/*/job")
    number.unlink()
    bench.finish(bench.step(steps=12, pause=0.5))
    assert len(bench.starts()) == 1


def test_a_training_that_was_stopped_gives_the_same_bits(bench, cluster):
    chosen = ("--methods", "dgex", "--protocol", "geo", "--set", "dgex.epochs=900")
    whole = bench.folder / "whole"
    api.run("dgex", "geo", "sim", preset="tiny", params={"dgex": {"epochs": 900}}, results=whole)
    driver = bench.start(*chosen)
    bench.wait_for(lambda: any(claim.done > 3 for claim in claims(bench.results)), "no epoch")
    task = cluster.command("squeue", "--me", "-h", "-o", "%F_%K").strip()
    cluster.command("scancel", "--signal=USR1", "--batch", task)
    [key] = {claim.key for claim in claims(bench.results)}
    bench.wait_for(lambda: attempts(bench.results, key), "it was not stopped")
    bench.finish(driver)
    [record] = bench.records("dgex")
    assert record.vectors == ResultsStore(whole).read(record.key).vectors


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
