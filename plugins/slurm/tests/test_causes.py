"""Causes: why a task has ended, from its state, its exit status, its log and its claim."""

from __future__ import annotations

import pytest

from genebench_slurm.causes import cause_of

OOM = b"slurmstepd: error: Detected 1 oom_kill event in StepId=1.batch."
EXCEEDED = b"slurmstepd-n1: error: StepId=3.batch exceeded memory limit (9 > 1), being killed"


@pytest.mark.parametrize(
    ("state", "status", "log", "was_running", "cause"),
    [
        ("FAILED", 75, [], False, "terminated"),
        ("FAILED", 76, [], False, "memory"),
        ("FAILED", 77, [], False, "claimed"),
        ("FAILED", 2, [], False, "refused"),
        ("FAILED", 78, [], False, "broken"),
        ("FAILED", 79, [], False, "limit"),
        ("COMPLETED", 0, [], False, "lost"),
        ("CANCELLED", 75, [], False, "cancelled"),
        ("CANCELLED", None, [], True, "cancelled"),
        ("CANCELLED", None, [EXCEEDED], True, "memory"),
        ("FAILED", None, [OOM], True, "memory"),
        ("OUT_OF_MEMORY", None, [], True, "memory"),
        ("TIMEOUT", None, [], True, "limit"),
        ("NODE_FAIL", None, [], True, "lost"),
        ("PREEMPTED", None, [], True, "lost"),
        ("UNKNOWN", None, [], True, "lost"),
        ("FAILED", 137, [], True, "died"),
        ("FAILED", None, [b"exceeded memory limit of the method"], True, "died"),
        ("FAILED", 127, [], False, "unstarted"),
        ("FAILED", None, [], False, "unstarted"),
    ],
)
def test_the_cause_of_an_end(state, status, log, was_running, cause):
    assert cause_of(state, status, log, was_running=was_running) == cause
