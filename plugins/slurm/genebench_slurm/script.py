"""Job arrays: jobs that need the same resources, and the script that a person can read."""

from __future__ import annotations

import shlex
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from genebench import UserError
from genebench.scheduling import GRACE_SECONDS, Job, Settings, node_environment
from genebench.specs import Resources, Scalar
from genebench.text import counted, visible
from genebench_slurm.runs import FOLDER, MARKER

MAX_ARRAY = 1000
"""Most tasks of an array under Slurm's default ``MaxArraySize``, which is 1001."""

_TASK_SECONDS = 3600
"""Longest task of short jobs. Most jobs take much less than they may, and starting a task takes
seconds, for Slurm and for Python: 50 tiny jobs took 3.6 s each in 50 tasks, and 1.2 s in 13."""
_LEAST_TASKS = 16
"""Short jobs are still spread over this many tasks."""
_START_SECONDS = 60
"""Time of a task beside its jobs: to start Python, and to import torch from a shared disk."""
_EARLY_SECONDS = 60
"""Slurm looks at time limits once a minute, so its signal may come that much too early."""
_START_BYTES = 512 << 20
"""Memory of a task beside that of its jobs: the process that watches them."""
_MEBIBYTE = 2**20
_PLAIN = ("partition", "account", "qos", "constraint")
"""Options of the engine that are those of sbatch."""
_TAKEN = {
    "-a", "--array", "-J", "--job-name", "-o", "--output", "-e", "--error", "-M", "--clusters",
    "--open-mode", "--signal", "-t", "--time", "--no-requeue", "--wrap", "-W", "--wait", "-H",
    "--hold",
}  # fmt: skip
"""Options of sbatch that would break what the engine relies on."""

_TEMPLATE = """\
#!/bin/bash
# {title} of genebench. Line i of keys.txt has the keys of the jobs of task i.
{directives}

{exports}
{setup}
run={run}
results={results}
task=$SLURM_ARRAY_TASK_ID
keys=$(sed -n "${{task}}p" "$run/keys.txt")
rm -f "$run/$task.status"
echo "{marker} $task on ${{SLURMD_NODENAME:-$HOSTNAME}}"

# Slurm sends USR1 before the time limit, and TERM when others need the node. The jobs then stop.
# After TERM it kills soon. INT comes before, because a process that is killed leaves its claims.
trap 'asked=yes; near_limit=yes; kill -TERM $node' USR1
trap 'asked=yes; kill -TERM $node; (sleep {grace}; kill -INT $node) &' TERM
trap 'asked=yes; kill -INT $node' INT
{python} -P -m genebench.engines.node --results "$results" \\
    --grace {limit_grace} --retry-memory $keys &
node=$!
wait $node; status=$?
# A signal ends the wait, but not the jobs.
while [ "$asked" ]; do asked=; wait $node; status=$?; done

# Returns 0 if the job that was stopped has checkpoints. It is the first that still has an order.
has_checkpoints() {{
    for key in $keys; do
        [ -e "$results/.jobs/$key.order.json" ] || continue
        for record in "$results"/.*.work/records/$key; do
            [ "$(ls -A "${{record%/records/*}}/checkpoints" 2>/dev/null)" ] && return 0
        done
        return 1
    done
    return 1
}}

# Status 75: stopped without a result. With checkpoints, the job continues in the same task.
if [ $status = 75 ] && [ "$near_limit" ]; then
    status={timed_out}
    if has_checkpoints && [ "${{SLURM_RESTART_COUNT:-0}}" -lt {restarts} ]; then
        scontrol requeue "${{SLURM_ARRAY_JOB_ID}}_$task" && exit
    fi
fi
echo $status > "$run/$task.status"
exit $status
"""
TIMED_OUT = 79
"""Exit status of a task that was stopped at its time limit, and does not put itself back."""


@dataclass(frozen=True)
class Array:
    """A job array: the jobs of each task, which all need the same resources."""

    resources: Resources
    """Resources of each job."""
    tasks: Sequence[Sequence[Job]]
    """The jobs of each task, one after another."""

    @property
    def jobs(self) -> list[Job]:
        """All jobs of all tasks."""
        return [job for task in self.tasks for job in task]

    @property
    def keys(self) -> str:
        """Content of the file of keys: a line for each task."""
        return "".join(f"{' '.join(job.key for job in task)}\n" for task in self.tasks)

    def minutes(self, options: Mapping[str, Scalar]) -> int:
        """Return the time limit of each task."""
        if given := int(options["time"]):
            return given
        longest = max(map(len, self.tasks))
        seconds = longest * self.resources.seconds + _START_SECONDS + float(options["warning"])
        return ceil(seconds / 60)


def arrays(
    jobs: Iterable[Job], options: Mapping[str, Scalar], most: int = MAX_ARRAY
) -> Iterator[Array]:
    """Group jobs into arrays, because all tasks of an array have the same resources.

    Args:
        jobs: the jobs.
        options: options of the engine.
        most: most tasks of an array.
    """
    groups: defaultdict[Resources, list[Job]] = defaultdict(list)
    for job in jobs:
        groups[_rounded(job.resources)].append(job)
    for resources, members in groups.items():
        chunk = int(options["chunk"]) or _chunk(resources.seconds, len(members))
        tasks = [members[start : start + chunk] for start in range(0, len(members), chunk)]
        for start in range(0, len(tasks), most):
            yield Array(resources, tasks[start : start + most])


def _rounded(resources: Resources) -> Resources:
    """Round memory and time up, so that jobs that hardly differ share an array."""
    return replace(
        resources,
        memory=_rounded_up(resources.memory, 64 * _MEBIBYTE),
        seconds=_rounded_up(ceil(resources.seconds), 60),
    )


def _rounded_up(size: int, unit: int) -> int:
    """Round up to a multiple of the unit, or to three binary digits: by 25 % at most."""
    step = max(unit, 1 << max(size.bit_length() - 3, 0))
    return max(-(-size // step), 1) * step


def _chunk(seconds: float, n_jobs: int) -> int:
    """Return how many jobs of this length a task should have."""
    return max(1, min(int(_TASK_SECONDS / seconds), ceil(n_jobs / _LEAST_TASKS)))


def folder_of(settings: Settings) -> Path:
    """Return the folder of all arrays of a results folder.

    Raises:
        UserError: Slurm could not write logs there.
    """
    folder = settings.results / FOLDER
    # With a backslash in it, Slurm takes the name of a log literally.
    if "\\" in str(folder) or visible(str(folder)) != str(folder):
        raise UserError(
            f"{visible(str(folder))}: Slurm cannot write logs into a folder of this name. "
            "Name another results folder."
        )
    return folder


def render(array: Array, name: str, settings: Settings, *, exclude: Iterable[str] = ()) -> str:
    """Return the script of an array.

    Args:
        array: the array.
        name: its name, and that of its folder.
        settings: how the jobs are executed.
        exclude: nodes to avoid, besides those that the user excludes.

    Raises:
        UserError: an option of the engine cannot be used.
    """
    options = settings.options
    for option, value in options.items():
        if isinstance(value, str) and visible(value) != value:
            raise UserError(
                f"slurm.{option}={visible(value)} has control characters. Give it on one line."
            )
    minutes, warning = int(options["time"]), int(options["warning"])
    if minutes and minutes * 60 <= warning + _EARLY_SECONDS:
        raise UserError(
            f"slurm.time={minutes} minutes must exceed slurm.warning={warning} seconds by more "
            "than a minute, because Slurm may warn a minute early. Raise slurm.time."
        )
    folder = folder_of(settings) / name
    title = f"{counted(len(array.jobs), 'job')} in {counted(len(array.tasks), 'task')}"
    return _TEMPLATE.format(
        title=title,
        directives="\n".join(
            f"#SBATCH {line}" for line in _directives(array, name, folder, options, exclude)
        ),
        exports="\n".join(f"export {variable}" for variable in _exports(settings)),
        setup=f"{options['setup']}\n" if options["setup"] else "",
        run=shlex.quote(str(folder)),
        marker=MARKER,
        python=shlex.quote(str(options["python"]) or sys.executable),
        results=shlex.quote(str(settings.results)),
        # The signal comes up to a minute early, but never late.
        limit_grace=max(warning - 5, 5),
        grace=f"{GRACE_SECONDS:g}",
        restarts=options["restarts"],
        timed_out=TIMED_OUT,
    )


def _directives(
    array: Array, name: str, folder: Path, options: Mapping[str, Scalar], exclude: Iterable[str]
) -> Iterator[str]:
    """Yield the options of sbatch."""
    resources = array.resources
    at_once = f"%{options['jobs']}" if options["jobs"] else ""
    yield f"--job-name=genebench-{name}"
    yield f"--array=1-{len(array.tasks)}{at_once}"
    for option in _PLAIN:
        if options[option]:
            yield shlex.quote(f"--{option}={options[option]}")
    if nodes := ",".join(filter(None, [str(options["exclude"]), *sorted(exclude)])):
        yield shlex.quote(f"--exclude={nodes}")
    yield "--nodes=1 --ntasks=1"
    yield f"--cpus-per-task={resources.cpus}"
    yield f"--mem={ceil((resources.memory + _START_BYTES) / _MEBIBYTE)}M"
    if resources.gpus:
        yield f"--gres=gpu:{resources.gpus}"
    yield f"--time={array.minutes(options)}"
    yield f"--signal=B:USR1@{options['warning']}"
    yield "--requeue --open-mode=append"
    # Slurm replaces %a by the number of the task.
    logs = str(folder).replace("%", "%%")
    yield shlex.quote(f"--output={logs}/%a.log")
    if extra := _extra(str(options["args"])):
        yield shlex.join(extra)


def _extra(args: str) -> list[str]:
    """Return further options of sbatch.

    Raises:
        UserError: they cannot be read, or would break what the engine relies on.
    """
    try:
        words = shlex.split(args)
    except ValueError as error:
        raise UserError(
            f"slurm.args={args}: {error}. Write options of sbatch, such as --nice=100."
        ) from None
    for word in words:
        name = word.partition("=")[0] if word.startswith("--") else word[:2]
        if name in _TAKEN:
            raise UserError(f"slurm.args={args}: genebench sets {name} itself. Leave it out.")
    return words


def _exports(settings: Settings) -> Iterator[str]:
    """Yield the variables that make a process on a node find the same data and plugins."""
    variables = node_environment(settings)
    # Another Python has libraries of its own.
    if settings.options["python"]:
        del variables["PYTHONPATH"]
    yield from (f"{name}={shlex.quote(value)}" for name, value in variables.items())


def preview(jobs: Iterable[Job], settings: Settings) -> str:
    """Return the scripts that a run would submit, for ``genebench run --dry-run``."""
    return "\n".join(render(array, "preview", settings) for array in arrays(jobs, settings.options))
