"""Arrays of a results folder: everything that a driver must know after another one has died.

::

    <results>/.slurm/lock                 held by the driver that looks at the queue and submits
    <results>/.slurm/ended.txt            tasks that ended without a result, and what became of them
    <results>/.slurm/<run>/script.sh      what was submitted. The array's name is genebench-<run>
    <results>/.slurm/<run>/keys.txt       line i: the keys of the jobs of task i
    <results>/.slurm/<run>/job            number of the array, written after it was submitted
    <results>/.slurm/<run>/driver         locked by the driver that cancels the array when it stops
    <results>/.slurm/<run>/<i>.log        output of task i
    <results>/.slurm/<run>/<i>.status     exit status of task i, unless it was killed
"""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from genebench.files import Lock, LocksUnsupportedError, atomic_write, lock, user_errors
from genebench.scheduling import KEY

FOLDER = ".slurm"
"""Folder in a results folder that holds a folder for each array."""
MARKER = "genebench task"
"""Beginning of the line that each start of a task adds to its log."""
MOST_DEATHS = 3
"""Tasks that die on a node before it is avoided."""

_LOCK, _ENDED = "lock", "ended.txt"
_SCRIPT, _KEYS, _NUMBER, _DRIVER = "script.sh", "keys.txt", "job", "driver"
_RUN = re.compile(r"[0-9a-f]{12}")
"""Names of arrays."""
_TAIL_BYTES = 32_768
"""How much of a log is read: the last 32 KiB."""


@dataclass(frozen=True)
class Run:
    """An array that was submitted, or was about to be."""

    folder: Path
    number: int
    """Number that Slurm gave it. 0 if it was not submitted, or its driver died just then."""
    tasks: tuple[tuple[str, ...], ...]
    """The keys of the jobs of each task. The first task has number 1."""

    @property
    def name(self) -> str:
        """Name of the array, without ``genebench-``."""
        return self.folder.name

    @property
    def script(self) -> Path:
        """Path of the script."""
        return self.folder / _SCRIPT

    def with_number(self, number: int) -> Run:
        """Write down the number that Slurm has given to the array."""
        with atomic_write(self.folder / _NUMBER) as stream:
            stream.write(b"%d\n" % number)
        return replace(self, number=number)

    def log(self, index: int) -> list[bytes]:
        """Return the last lines of a task's log, since it was last started."""
        try:
            with (self.folder / f"{index}.log").open("rb") as stream:
                stream.seek(max(stream.seek(0, 2) - _TAIL_BYTES, 0))
                lines = stream.read().splitlines()
        except OSError:
            return []
        starts = [i for i, line in enumerate(lines) if line.startswith(MARKER.encode())]
        return lines[starts[-1] :] if starts else lines

    def status(self, index: int) -> int | None:
        """Return the exit status of a task, or None if it was killed."""
        try:
            return int((self.folder / f"{index}.status").read_text("ascii"))
        except (OSError, ValueError):
            return None

    def own(self) -> Lock | None:
        """Return a lock that makes this process the one that cancels the array.

        Raises:
            BlockingIOError: another process is.
        """
        try:
            return lock(self.folder / _DRIVER)
        except LocksUnsupportedError:
            return None

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.folder, ignore_errors=True)


@dataclass(frozen=True)
class Ended:
    """A task that ended without a result of each of its jobs."""

    run: str
    index: int
    cause: str
    """Why it ended, one of :data:`genebench_slurm.causes.EndCause`."""
    state: str
    """State that Slurm gave it."""
    node: str
    """Node to blame, or ``-``."""
    job: str
    """Key of the job that ran last, or ``-`` if the driver did not plan it."""


class Runs:
    """All arrays of a results folder.

    Args:
        folder: the folder, which is created.

    Raises:
        UserError: the folder cannot be created.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with user_errors(folder, "Name another results folder."):
            folder.mkdir(exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Wait until no other driver submits arrays, and keep them from it meanwhile.

        Without locks, two drivers may submit a job twice. Claims then keep it from running twice.
        """
        path = self.folder / _LOCK
        path.touch()
        try:
            held = lock(path, wait=True)
        except LocksUnsupportedError:
            yield
            return
        with held:
            yield

    def create(self, name: str, script: str, keys: str) -> Run:
        """Create the folder of an array."""
        folder = self.folder / name
        folder.mkdir()
        (folder / _DRIVER).touch()
        for file, text in ((_KEYS, keys), (_SCRIPT, script)):
            with atomic_write(folder / file) as stream:
                stream.write(text.encode())
        return Run(folder, 0, _tasks(keys))

    def all(self) -> list[Run]:
        """Return all arrays. The latest is last."""
        runs = []
        for folder in self.folder.iterdir():
            # Another driver may remove a folder meanwhile.
            with suppress(OSError):
                if _RUN.fullmatch(folder.name):
                    # By the time of the script: a controller may begin to count anew.
                    runs.append(((folder / _SCRIPT).stat().st_mtime_ns, _read(folder)))
        return [run for _, run in sorted(runs, key=lambda item: item[0])]

    def add(self, ended: Ended) -> None:
        """Write down what became of a task."""
        line = f"{ended.run} {ended.index} {ended.cause} {ended.state} {ended.node} {ended.job}\n"
        with (self.folder / _ENDED).open("a") as stream:
            stream.write(line)

    def ended(self) -> dict[tuple[str, int], Ended]:
        """Return the tasks that ended without a result, by run and number.

        Tasks of arrays that were removed do not count, so that a corrected mistake is forgotten.
        """
        found = {}
        with suppress(OSError):
            for line in (self.folder / _ENDED).read_text("utf-8", "replace").splitlines():
                match line.split():
                    case [run, index, cause, state, node, job] if (
                        index.isdecimal() and _RUN.fullmatch(run)
                    ):
                        found[run, int(index)] = Ended(run, int(index), cause, state, node, job)
        present = {run for run, _ in found if (self.folder / run).is_dir()}
        return {place: ended for place, ended in found.items() if place[0] in present}

    def ends_of(self, job: str) -> list[Ended]:
        """Return the ends of tasks in which a job ran last."""
        return [ended for ended in self.ended().values() if ended.job == job]

    def avoided(self) -> set[str]:
        """Return the nodes on which too many tasks have died."""
        deaths = Counter(ended.node for ended in self.ended().values())
        return {
            node for node, n_deaths in deaths.items() if n_deaths >= MOST_DEATHS and node != "-"
        }

    def tidy(self) -> None:
        """Remove what is known of tasks, once there is no array any more."""
        if not self.all():
            (self.folder / _ENDED).unlink(missing_ok=True)


def _read(folder: Path) -> Run:
    tasks = _tasks((folder / _KEYS).read_text("utf-8", "replace"))
    number = 0
    with suppress(OSError, ValueError):
        number = int((folder / _NUMBER).read_text("ascii"))
    return Run(folder, number, tasks)


def _tasks(keys: str) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(filter(KEY.fullmatch, line.split())) for line in keys.splitlines())
