"""Causes: why a task has ended without a result, and what follows from it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from genebench._util.text import printable
from genebench.engines.node import CLAIMED, DONE, MEMORY, REFUSED, STOPPED
from genebench.processes.worker import MAX_TAIL_LINES, last_words
from genebench.results.record import Failure
from genebench.runs.claims import Claim
from genebench.runs.jobs import Job, Settings
from genebench.runs.orders import Attempt, attempts
from genebench_slurm.commands import Task
from genebench_slurm.runs import Run

Cause = Literal[
    "cancelled", "refused", "memory", "terminated", "lost", "claimed", "died", "unstarted"
]  # fmt: skip
"""Why a task has ended: ``died`` in its job, or ``unstarted`` before it."""

MOST_MEMORY, MOST_LOST, MOST_UNSTARTED = 2, 10, 3
"""How often a job may run out of memory, be lost, or not be started by its task."""

_STATUSES: dict[int, Cause] = {
    DONE: "lost", REFUSED: "refused", STOPPED: "terminated", MEMORY: "memory", CLAIMED: "claimed",
}  # fmt: skip
"""Exit status of a node → the cause."""
_STATES: dict[str, Cause] = {
    "OUT_OF_MEMORY": "memory", "TIMEOUT": "terminated", "NODE_FAIL": "lost", "BOOT_FAIL": "lost",
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
    """The jobs without records. They are done in turn, so the first is the one that was running."""

    @property
    def may_be_redone(self) -> bool:
        """Return whether an earlier command submitted the task, and has seen its end."""
        was_replaced = any(item.replaces for job in self.jobs for item in job.evaluations)
        return self.task.state == "CANCELLED" or was_replaced


@dataclass(frozen=True, kw_only=True)
class End:
    """What follows from the end of a task for its first job without a record."""

    cause: Cause
    attempt: Attempt | None = None
    """Attempt to write down, if the node could not."""
    failure: Failure | None = None
    """Failure to record."""
    refusal: str = ""
    """Message for the user, if no further task would do better."""
    blames_node: bool = False
    """True if the node may be broken."""
    device: str = "cpu"
    """Device of the job, as far as it is known."""
    started: str = ""
    """When the job was started (UTC, ISO 8601). Empty if it is not known."""
    memory: int = 0
    """Most memory that the job held, in bytes. 0 if it is not known."""


def judge(lost: Lost, settings: Settings, claim: Claim | None) -> End:
    """Decide what follows from the end of a task.

    Args:
        lost: the task.
        settings: how its jobs were executed.
        claim: claim to its first job, whose process has ended. None if there is none.
    """
    array, index, task, job = lost.array, lost.index, lost.task, lost.jobs[0]
    status, log = array.status(index), array.log(index)
    cause = cause_of(task.state, status, log, was_running=claim is not None)
    past = attempts(settings.results, job.key)
    attempt = None
    if cause in ("memory", "terminated") and status not in _STATUSES:
        attempt = Attempt(cause=cause, host=task.node)
    if cause in ("lost", "unstarted"):
        attempt = Attempt(cause="lost", host=task.node, message=f"{cause}: {task.state}")
    noted = [*past, attempt] if attempt else past
    times = Counter(item.cause for item in noted)
    memory = max((item.memory for item in noted), default=0)
    failure, refusal = None, ""
    match cause:
        case "memory" if times["memory"] >= MOST_MEMORY:
            failure = _failure("MemoryLimit", f"out of memory {times['memory']} times", log)
        case "terminated" if times["terminated"] > int(settings.options["restarts"]):
            failure = _failure(
                "TimeLimit", f"stopped {times['terminated']} times before it had a result", log
            )
        case "lost" if times["lost"] >= MOST_LOST:
            failure = _failure("ProcessDied", f"its node was lost {times['lost']} times", log)
        case "died":
            failure = _failure("ProcessDied", f"its task ended in state {task.state}", log)
        case "refused":
            messages = [item.message for item in past if item.cause == "refused"]
            refusal = messages[-1] if messages else _last(log)
        case "unstarted" if times["lost"] >= MOST_UNSTARTED:
            refusal = (
                f"tasks of Slurm end before they start {job.label}: {_last(log)} "
                "Correct slurm.setup, slurm.python or slurm.args."
            )
    return End(
        cause=cause,
        attempt=attempt, failure=failure, refusal=refusal,
        blames_node=cause in ("died", "unstarted") or task.state == "NODE_FAIL",
        device=(claim and claim.device) or "cpu", started=claim.started if claim else "",
        memory=memory,
    )  # fmt: skip


def cause_of(state: str, status: int | None, log: list[bytes], *, was_running: bool) -> Cause:
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
    return last_words(kind, message, log[-MAX_TAIL_LINES:])


def _last(log: list[bytes]) -> str:
    """Return the last line of a log."""
    return printable(log[-1].decode("utf-8", "replace")) if log else "they print nothing."
