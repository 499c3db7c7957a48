"""The jobs that wait or run in Slurm, for ``genebench status``, which must answer at once."""

from __future__ import annotations

from pathlib import Path

from genebench.scheduling import Queued
from genebench_slurm import commands
from genebench_slurm.runs import FOLDER, Runs


def queue(results: Path) -> list[Queued]:
    """Return the jobs of a results folder that wait or run, for ``genebench status``.

    Raises:
        UserError: there is no Slurm here.
        SlurmAwayError: the controller does not respond.
    """
    if not (results / FOLDER).is_dir():
        return []
    submitted = Runs(results / FOLDER).all()
    tasks = commands.queue().tasks
    return [
        Queued(key=key, engine="slurm", state=task.state, host=task.node, reason=task.reason)
        for array in submitted
        for index, keys in enumerate(array.tasks, start=1)
        if (task := tasks.get((array.number or 0, index))) and task.is_live
        for key in keys
    ]
