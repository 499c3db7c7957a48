"""The commands of Slurm: what squeue prints, and messages of a cluster that fails."""

from __future__ import annotations

import pytest

from genebench.errors import UserError
from genebench_slurm import commands
from genebench_slurm.commands import SlurmAwayError, Task, parsed

OUTPUT = """\
CLUSTER: main
12|1|RUNNING|n1|genebench-abc|None
12|2|PENDING||genebench-abc|Resources|and more
12|3|FAILED|n2|genebench-abc|NonZeroExitCode
13|1|COMPLETED|n2|genebench-def|None
14|N/A|RUNNING|n2|genebench-ghi|None
15|1|RUNNING|n2|other|None
"""


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Put a command of Slurm on the path that does what a line of shell says."""

    def make(name, line):
        (tmp_path / name).write_text(f"#!/bin/sh\n{line}\n")
        (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    return make


def test_tasks_of_genebench_are_read(fake):
    queue = parsed(OUTPUT)
    assert queue.tasks == {
        (12, 1): Task("RUNNING", "n1", "None"),
        (12, 2): Task("PENDING", "", "Resources|and more"),
        (12, 3): Task("FAILED", "n2", "NonZeroExitCode"),
        (13, 1): Task("COMPLETED", "n2", "None"),
    }
    # An array that has ended is not found by its name.
    assert queue.arrays == {"abc": 12}


@pytest.mark.parametrize(
    "message",
    [
        "slurm_load_jobs error: Unable to contact slurm controller (connect failure)",
        "slurm_load_jobs error: Socket timed out on send/recv operation",
        "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying",
        "slurm_load_jobs error: Zero Bytes were transmitted or received",
    ],
)
def test_a_controller_that_is_away_is_no_refusal(fake, message):
    fake("squeue", f"echo '{message}' >&2; exit 1")
    with pytest.raises(SlurmAwayError):
        commands.queue()


def test_a_refusal_is_the_users(fake, tmp_path):
    fake("sbatch", "printf 'sbatch: error: invalid partition \\033[31m' >&2; exit 1")
    with pytest.raises(UserError, match="invalid partition �"):
        commands.submit(tmp_path)


def test_a_machine_without_slurm_is_named(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(UserError, match="no command squeue here"):
        commands.queue()


def test_the_limits_of_a_job_do_not_reach_the_commands(fake, monkeypatch, tmp_path):
    monkeypatch.setenv("SLURM_MEM_PER_NODE", "100")
    monkeypatch.setenv("SLURM_CONF", "/etc/slurm.conf")
    fake("sbatch", '[ -z "$SLURM_MEM_PER_NODE" ] && [ "$SLURM_CONF" ] && echo "7;main"')
    assert commands.submit(tmp_path) == 7


def test_the_size_of_arrays_is_that_of_the_cluster(fake):
    fake("scontrol", "echo 'MaxArraySize            = 51'")
    assert commands.most_tasks(1000) == 50
    fake("scontrol", "exit 1")
    assert commands.most_tasks(1000) == 1000


@pytest.mark.parametrize(
    ("state", "reason", "is_stuck"),
    [
        ("PENDING", "Resources", False),
        ("PENDING", "JobArrayTaskLimit", False),
        ("PENDING", "JobHeldUser", True),
        ("PENDING", "PartitionTimeLimit", True),
        ("PENDING", "launch failed requeued held", True),
        ("RUNNING", "None", False),
    ],
)
def test_a_task_that_waits_for_somebody_is_told_apart(state, reason, is_stuck):
    assert Task(state, "", reason).is_stuck is is_stuck
