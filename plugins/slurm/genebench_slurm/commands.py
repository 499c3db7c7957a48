"""The commands of Slurm: sbatch, squeue, scancel and scontrol. Accounting (sacct) is not needed."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from genebench._util.text import printable
from genebench.errors import UserError

LIVE = {
    "PENDING", "CONFIGURING", "RUNNING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT",
    "COMPLETING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "RESIZING", "RESV_DEL_HOLD",
    "SPECIAL_EXIT",
}  # fmt: skip
"""States of a task that runs, or that will run without being submitted again."""

_COMMAND_SECONDS = 60
"""Longest wait for a command. The controller of a busy cluster takes a while."""
_AWAY = re.compile(
    r"unable to contact|connection refused|connect failure|timed out|temporarily|try again"
    r"|backup controller|zero bytes|not responding|communication",
    re.IGNORECASE,
)
"""Messages of a controller that is away for a while."""
_STUCK = re.compile(
    r"held|bad ?constraints|invalid|partition(time|node)limit|maxwall|maxmemper", re.IGNORECASE
)
"""Reasons for which a task waits until somebody does something."""
_FORMAT = "%F|%K|%T|%N|%j|%r"
_NAME = "genebench-"


class SlurmAwayError(Exception):
    """The controller of Slurm does not respond for now."""


@dataclass(frozen=True)
class Task:
    """A task of an array, as the queue shows it."""

    state: str
    """State in long form, such as ``RUNNING``."""
    node: str
    """Node that it runs or ran on. Empty if there is none."""
    reason: str
    """Reason why it waits or has failed."""

    @property
    def is_stuck(self) -> bool:
        """Return whether it waits until somebody does something."""
        return self.state == "PENDING" and bool(_STUCK.search(self.reason))

    @property
    def is_live(self) -> bool:
        """Return whether it runs, or will run without being submitted again."""
        return self.state in LIVE


@dataclass(frozen=True)
class Queue:
    """The queue of this user, as far as arrays of genebench are concerned."""

    tasks: Mapping[tuple[int, int], Task]
    """Number of the array and of the task → the task."""
    arrays: Mapping[str, int]
    """Name of an array with a live task → its number."""


def submit(script: Path) -> int:
    """Submit a script, and return the number of its array.

    Raises:
        UserError: Slurm refuses it.
        SlurmAwayError: the controller does not respond. The array may have been submitted.
    """
    output = _run("sbatch", "--parsable", str(script))
    # With several clusters, the name of one follows a semicolon.
    return int(output.strip().partition(";")[0])


def queue() -> Queue:
    """Return the tasks of this user that wait, run, or ended in the last minutes.

    Raises:
        UserError: there is no such command.
        SlurmAwayError: the controller does not respond.
    """
    return parsed(_run("squeue", "--me", "--noheader", "--array", "--states=all", "-o", _FORMAT))


def parsed(output: str) -> Queue:
    """Return the queue that squeue has printed. Jobs of other programs are left out."""
    tasks, arrays = {}, {}
    for line in output.splitlines():
        match line.strip().split("|", 5):
            case [array, index, state, node, name, reason] if (
                name.startswith(_NAME) and array.isdecimal() and index.isdecimal()
            ):
                task = Task(state, "" if node == "(null)" else node, printable(reason))
                tasks[int(array), int(index)] = task
                if task.is_live:
                    arrays[name.removeprefix(_NAME)] = int(array)
    return Queue(tasks, arrays)


def cancel(numbers: Iterable[int], *options: str) -> None:
    """Cancel arrays, or signal them.

    Raises:
        SlurmAwayError: the controller does not respond.
    """
    # All of them may have ended already.
    with suppress(UserError):
        _run("scancel", "--quiet", *options, *map(str, numbers))


def exclude(numbers: Iterable[int], nodes: Iterable[str]) -> None:
    """Keep the waiting tasks of arrays away from nodes.

    Raises:
        SlurmAwayError: the controller does not respond.
    """
    for number in numbers:
        # The array may have ended already.
        with suppress(UserError):
            _run("scontrol", "update", f"JobId={number}", f"ExcNodeList={','.join(sorted(nodes))}")


def most_tasks(default: int) -> int:
    """Return how many tasks an array of this cluster may have, or the default."""
    try:
        found = re.search(r"MaxArraySize\s*=\s*(\d+)", _run("scontrol", "show", "config"))
    except (SlurmAwayError, UserError):
        return default
    # The size limits the largest number of a task, which is counted from 0.
    return max(int(found[1]) - 1, 1) if found else default


def _run(*command: str) -> str:
    """Run a command of Slurm and return its output."""
    # Inside a job, variables would apply the limits of that job to the commands.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("SLURM_") or name in {"SLURM_CONF", "SLURM_CONF_SERVER"}
    }
    try:
        result = subprocess.run(  # noqa: S603  commands of Slurm, without a shell
            command, capture_output=True, text=True, errors="replace", check=False,
            timeout=_COMMAND_SECONDS, stdin=subprocess.DEVNULL, env=kept,
        )  # fmt: skip
    except FileNotFoundError:
        raise UserError(
            f"engine slurm: there is no command {command[0]} here. Use a login node of the "
            "cluster, or another --engine."
        ) from None
    except subprocess.TimeoutExpired:
        raise SlurmAwayError(f"{command[0]} took more than {_COMMAND_SECONDS} s") from None
    if result.returncode == 0:
        return result.stdout
    message = printable(result.stderr)
    if _AWAY.search(message):
        raise SlurmAwayError(message)
    raise UserError(f"{command[0]} refuses: {message}. Change --engine-set slurm.… and run again.")
