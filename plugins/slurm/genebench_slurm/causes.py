"""Causes: why a task has ended without a result, and what follows from it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from genebench.scheduling import (
    BROKEN,
    CLAIMED,
    DONE,
    MEMORY,
    REFUSED,
    STOPPED,
    Attempt,
    Failure,
    Job,
    Settings,
    attempts,
    has_checkpoints,
    last_words,
)
from genebench.text import printable
from genebench_slurm.commands import Task
from genebench_slurm.runs import Ended, Run
from genebench_slurm.script import TIMED_OUT

EndCause = Literal[
    "cancelled", "refused", "broken", "memory", "terminated", "limit", "lost", "claimed", "died",
    "unstarted",
]  # fmt: skip
"""Why a task has ended: at its time ``limit``, ``terminated`` for another reason, in its job
(``died``), or before it (``unstarted``)."""

MOST_TIME, MOST_MEMORY, MOST_LOST, MOST_BROKEN, MOST_UNSTARTED = 3, 2, 10, 3, 3
"""How often a job may have too little time for a checkpoint, have too little memory, be lost, find
its node broken, or not be started by its task."""

_STATUSES: dict[int, EndCause] = {
    DONE: "lost", REFUSED: "refused", STOPPED: "terminated", MEMORY: "memory", CLAIMED: "claimed",
    BROKEN: "broken", TIMED_OUT: "limit",
}  # fmt: skip
"""Exit status of a node → the cause."""
_STATES: dict[str, EndCause] = {
    "OUT_OF_MEMORY": "memory", "TIMEOUT": "limit", "NODE_FAIL": "lost", "BOOT_FAIL": "lost",
    "PREEMPTED": "lost", "REVOKED": "lost", "DEADLINE": "lost", "UNKNOWN": "lost",
}  # fmt: skip
"""State of a task that was killed → the cause."""
_OUT_OF_MEMORY = re.compile(rb"slurmstepd.*(memory limit|oom|out of memory)", re.IGNORECASE)
"""Line of Slurm in a log. Without cgroups, the state says only that the task has failed."""


@dataclass(frozen=True)
class Lost:
    """A task that has ended without a record of each of its jobs."""

    array: Run
    """The array."""
    index: int
    """Number of the task."""
    task: Task
    """The task as the queue shows it."""
    jobs: list[Job]
    """The jobs of this driver that have no records yet, in the order of its plan."""

    @property
    def may_be_redone(self) -> bool:
        """Return whether an earlier command submitted the task, and has seen its end."""
        was_replaced = any(item.replaces for job in self.jobs for item in job.evaluations)
        return self.task.state == "CANCELLED" or was_replaced


@dataclass(frozen=True, kw_only=True)
class End:
    """What follows from the end of a task for the job that ran last."""

    cause: EndCause
    attempt: Attempt | None = None
    """Attempt to write down, if the node could not."""
    failure: Failure | None = None
    """Failure to record."""
    refusal: str = ""
    """Message for the user, if no further task would do better."""
    blames_node: bool = False
    """True if the node may be broken."""
    memory: int = 0
    """Most memory that the job held, in bytes. 0 if it is not known."""


def judge(
    lost: Lost, job: Job | None, settings: Settings, earlier: list[Ended], *, was_running: bool
) -> End:
    """Decide what follows from the end of a task.

    Args:
        lost: the task.
        job: the job that ran last. None if this driver has not planned it, and must not judge it.
        settings: how its jobs were executed.
        earlier: earlier ends of tasks in which this job ran last.
        was_running: whether a process of the job has ended without giving it back.
    """
    array, index, task = lost.array, lost.index, lost.task
    status, log = array.status(index), array.log(index)
    cause = cause_of(task.state, status, log, was_running=was_running)
    if job is None:
        return End(cause=cause)
    past = attempts(settings.results, job.key)
    ends = Counter(ended.cause for ended in earlier)
    ends[cause] += 1
    may_continue = cause != "limit" or has_checkpoints(settings.results, job)
    attempt = _unwritten(cause, status, task, may_continue=may_continue)
    noted = [*past, attempt] if attempt else past
    times = Counter(item.cause for item in noted)
    memory = max((item.memory for item in noted), default=0)
    failure, refusal = None, ""
    match cause:
        case "memory" if times["memory"] >= MOST_MEMORY:
            failure = _failure("MemoryLimit", f"out of memory {times['memory']} times", log)
        case "limit" if not may_continue and times["time"] >= MOST_TIME:
            failure = _failure(
                "TimeLimit",
                f"stopped at its time limit {times['time']} times without a checkpoint. Give it "
                f"more time: --resources {job.method.name}.time=4h, or slurm.time",
                log,
            )
        case "limit" | "terminated" if times["terminated"] > int(settings.options["restarts"]):
            failure = _failure(
                "TimeLimit", f"stopped {times['terminated']} times before it had a result", log
            )
        case "lost" if times["lost"] >= MOST_LOST:
            failure = _failure("ProcessDied", f"its node was lost {times['lost']} times", log)
        case "died":
            failure = _failure("ProcessDied", f"its task ended in state {task.state}", log)
        case "refused":
            refusal = _message("refused", past, log)
        case "broken" if ends["broken"] >= MOST_BROKEN:
            refusal = _message("broken", past, log)
        case "unstarted" if ends["unstarted"] >= MOST_UNSTARTED:
            refusal = (
                f"tasks of Slurm end before they start {job.label}: {_last(log)} "
                "Correct slurm.setup, slurm.python or slurm.args."
            )
    return End(
        cause=cause,
        attempt=attempt, failure=failure, refusal=refusal,
        # A task that does not start may have a mistake of the user, which no other node avoids.
        blames_node=cause in ("died", "broken") or task.state == "NODE_FAIL",
        memory=memory,
    )  # fmt: skip


def _unwritten(
    cause: EndCause, status: int | None, task: Task, *, may_continue: bool
) -> Attempt | None:
    """Return the attempt that the node has not written down, or None if there is none."""
    if cause == "lost":
        return Attempt(cause="lost", host=task.node, message=task.state)
    if not may_continue:
        return Attempt(cause="time", host=task.node)
    if cause == "limit" and status is None:
        return Attempt(cause="terminated", host=task.node)
    if cause == "memory" and status not in _STATUSES:
        return Attempt(cause="memory", host=task.node)
    return None


def cause_of(state: str, status: int | None, log: list[bytes], *, was_running: bool) -> EndCause:
    """Return why a task has ended.

    Args:
        state: its state in Slurm, or ``UNKNOWN`` if it has left the queue.
        status: its exit status, or None if it was killed.
        log: the end of its log.
        was_running: whether a process of its job has ended without giving the job back.
    """
    if any(map(_OUT_OF_MEMORY.search, log)):
        return "memory"
    if state == "CANCELLED":
        return "cancelled"
    if status in _STATUSES:
        return _STATUSES[status]
    if state in _STATES:
        return _STATES[state]
    return "died" if was_running else "unstarted"


def _failure(kind: str, message: str, log: list[bytes]) -> Failure:
    return last_words(kind, message, log)


def _message(cause: str, past: list[Attempt], log: list[bytes]) -> str:
    """Return what a node has written down, or else the last line of its log."""
    messages = [item.message for item in past if item.cause == cause]
    return messages[-1] if messages else _last(log)


def _last(log: list[bytes]) -> str:
    """Return the last line of a log."""
    return printable(log[-1].decode("utf-8", "replace")) if log else "they print nothing."
