"""The engine: submits arrays, watches the results folder and the queue, and starts lost jobs again.

A driver keeps nothing in memory that another one could not read from the results folder. So it may
die at any time, and several may run at once.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from genebench._util.locks import Lock
from genebench.engines.monitor import Monitor
from genebench.engines.queue import Queued
from genebench.engines.turns import left_of
from genebench.errors import UserError, counted, some
from genebench.results.paths import ResultPaths
from genebench.runs.claims import Claim, claims
from genebench.runs.execute import describe_job, fail
from genebench.runs.jobs import Job, Settings
from genebench.runs.orders import attempts, remove_order, write_attempt, write_order
from genebench.runs.provenance import now
from genebench_slurm import commands
from genebench_slurm.causes import MOST_MEMORY, End, Lost, judge
from genebench_slurm.commands import Queue, SlurmAwayError, Task
from genebench_slurm.runs import Ended, Run, Runs
from genebench_slurm.script import FOLDER, MAX_ARRAY, arrays, folder_of, render

log = logging.getLogger("genebench")

_SCAN_SECONDS = 1.0
"""Longest pause between two looks at the results folder."""
_SLOWEST = 6
"""The pause between two looks at the queue grows up to this many times the option ``poll``."""
_INTERRUPT_SECONDS = 1.5
"""Time that jobs have to end after SIGINT, before they are cancelled."""
_EMPTY_SECONDS = 30.0
"""Longest wait until the queue is empty."""
_CANCEL_POLL_SECONDS = 0.2
"""Pause between two looks at the queue while arrays are cancelled."""


def run(jobs: Iterable[Job], settings: Settings) -> Iterator[Job]:
    """Execute the jobs on the cluster. Yield each once it has ended.

    Raises:
        UserError: Slurm or a node refuses the jobs, or somebody has cancelled them.
    """
    driver = Driver(jobs, settings)
    try:
        yield from driver.ended()
    finally:
        driver.leave()


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


class Driver:
    """The process that submits jobs and waits for them."""

    def __init__(self, jobs: Iterable[Job], settings: Settings) -> None:
        self._jobs = {job.key: job for job in jobs}
        self._settings = settings
        self._runs = Runs(folder_of(settings))
        self._monitor = Monitor(self._jobs.values(), settings)
        self._most_tasks = commands.most_tasks(MAX_ARRAY)
        self._cancelled: set[str] = set()
        """Keys of jobs that somebody has cancelled."""
        self._failed: list[Job] = []
        """Jobs that this driver has written failed records of."""
        self._watched: set[str] = set()
        """Names of arrays that were in the queue while this driver ran."""
        self._owned: dict[str, Lock | None] = {}
        """Names of arrays that this driver cancels when it stops, with their locks."""
        self._lost: set[tuple[str, int]] = set()
        """Tasks that have ended without a record of each job: array and number."""
        self._warned: set[str] = set()
        self._states: object = None

    def _pending(self) -> dict[str, Job]:
        """Return the jobs without a record that nobody has cancelled, by key."""
        return {
            key: job for key, job in self._monitor.pending.items() if key not in self._cancelled
        }

    def ended(self) -> Iterator[Job]:
        """Submit jobs, and yield each once it has a record.

        Raises:
            UserError: jobs are refused, or were cancelled.
        """
        poll = float(self._settings.options["poll"])
        pause, due = poll, 0.0
        while self._pending():
            yield from self._monitor.poll()
            if time.monotonic() >= due and self._pending():
                before = self._states
                self._look()
                pause = poll if self._states != before else min(1.5 * pause, _SLOWEST * poll)
                due = time.monotonic() + pause
                yield from self._failed
                self._failed = []
            if self._pending():
                time.sleep(min(poll, _SCAN_SECONDS))
        if self._cancelled:
            names = some(self._jobs[key].label for key in self._cancelled)
            raise UserError(
                f"{counted(len(self._cancelled), 'job')} cancelled in Slurm: {names}. "
                "Run the same command again to submit them."
            )

    def _look(self) -> None:
        """Compare the queue with the jobs that have no record, and submit what is missing."""
        try:
            with self._runs.locked():
                self._compare()
        except SlurmAwayError as error:
            self._warn(f"Slurm does not respond, so genebench waits for it ({error}).")

    def _compare(self) -> None:
        # The queue is read last. So an array that is known is in the queue, or has ended.
        submitted = self._runs.all()
        present = commands.queue()
        self._states = present.tasks
        nowhere = Run(self._runs.folder, 0, ()), 0
        latest: dict[str, tuple[Run, int]] = {}
        for array in [self._numbered(array, present) for array in submitted]:
            for index, keys in enumerate(array.tasks, start=1):
                latest.update(dict.fromkeys(keys, (array, index)))
        missing: list[Job] = []
        lost: dict[tuple[str, int], Lost] = {}
        for key, job in self._pending().items():
            array, index = latest.get(key, nowhere)
            if not array.number:
                missing.append(job)
                continue
            task = present.tasks.get((array.number, index), Task("UNKNOWN", "", ""))
            if task.is_live:
                self._watch(array, task)
            else:
                new = Lost(array, index, task, [])
                lost.setdefault((array.name, index), new).jobs.append(job)
        known, held = self._runs.ended(), claims(self._settings.results)
        for place, item in lost.items():
            missing += self._left(item, known.get(place), {claim.key: claim for claim in held})
        self._submit(missing)

    def _numbered(self, array: Run, present: Queue) -> Run:
        """Return an array with its number, also if its driver died before writing that."""
        if not array.number and (number := present.arrays.get(array.name)):
            return array.with_number(number)
        return array

    def _watch(self, array: Run, task: Task) -> None:
        """Adopt an array that is in the queue. Warn of a task that waits for somebody."""
        self._watched.add(array.name)
        if array.name not in self._owned:
            with suppress(OSError):  # another driver owns it
                self._owned[array.name] = array.own()
        if task.is_stuck:
            self._warn(f"tasks of array {array.number} of Slurm do not start: {task.reason}.")

    def _left(self, lost: Lost, known: Ended | None, held: dict[str, Claim]) -> list[Job]:
        """Decide what becomes of the jobs of a lost task, and return those to submit again."""
        is_watched = lost.array.name in self._watched
        if known:
            again = known.cause != "cancelled" or not is_watched
        elif not is_watched and lost.may_be_redone:
            again = True
        elif self._is_new(lost) or any(
            job.key in held and not held[job.key].is_stale for job in lost.jobs
        ):
            return []
        else:
            end = judge(lost, self._settings, held.get(lost.jobs[0].key))
            self._write(lost, end)
            again = end.cause != "cancelled"
        if not again:
            self._cancelled |= {job.key for job in lost.jobs}
            return []
        return [job for job in lost.jobs if job.key in self._monitor.pending]

    def _is_new(self, lost: Lost) -> bool:
        """Return whether a task was lost just now. Its records may not be seen from here yet."""
        place = lost.array.name, lost.index
        is_new = place not in self._lost
        self._lost.add(place)
        return is_new

    def _write(self, lost: Lost, end: End) -> None:
        """Write down how a task has ended, for all drivers.

        Raises:
            UserError: nothing that this driver could do would help.
        """
        job, node = lost.jobs[0], lost.task.node
        avoided = self._runs.avoided()
        blamed = node if end.blames_node and node else "-"
        self._runs.add(Ended(lost.array.name, lost.index, end.cause, lost.task.state, blamed))
        if end.refusal:
            raise UserError(end.refusal)
        if end.attempt:
            write_attempt(self._settings.results, job.key, end.attempt)
        if end.failure:
            self._fail(job, end, node)
        if new := self._runs.avoided() - avoided:
            log.warning("tasks have died on node %s, which is avoided from now on", some(new))
            numbers = (run.number for run in self._runs.all() if run.name in self._owned)
            commands.exclude(filter(None, numbers), self._runs.avoided())

    def _fail(self, job: Job, end: End, node: str) -> None:
        """Write failed records for a job, and count it as ended."""
        assert end.failure
        if left := left_of(job, self._settings):
            facts = describe_job(job, self._settings, end.device)
            fail(
                left, self._settings, end.failure, started=end.started or now(), seconds=0.0,
                peak_memory=end.memory, facts=facts, host=node,
            )  # fmt: skip
        remove_order(self._settings.results, job.key)
        del self._monitor.pending[job.key]
        self._failed.append(job)

    def _submit(self, jobs: list[Job]) -> None:
        """Submit jobs. Those that ran out of memory get more."""
        results, avoided = self._settings.results, self._runs.avoided()
        enlarged = []
        for job in jobs:
            short = sum(attempt.cause == "memory" for attempt in attempts(results, job.key))
            memory = job.resources.memory << min(short, MOST_MEMORY)
            enlarged.append(replace(job, resources=replace(job.resources, memory=memory)))
        for array in arrays(enlarged, self._settings.options, self._most_tasks):
            name = secrets.token_hex(6)
            script = render(array, name, self._settings, exclude=avoided)
            for job in array.jobs:
                write_order(replace(job, resources=array.resources), self._settings)
            submitted = self._runs.create(name, script, array.keys)
            self._watched.add(name)
            self._owned[name] = submitted.own()
            try:
                submitted.with_number(commands.submit(submitted.script))
            except UserError:
                submitted.remove()
                raise

    def _warn(self, message: str) -> None:
        """Log a warning, but only once."""
        if message not in self._warned:
            self._warned.add(message)
            log.warning("%s", message)

    def leave(self) -> None:
        """Cancel what this driver has submitted, if jobs are left. Otherwise clean up."""
        try:
            if self._pending():
                self._cancel()
            else:
                self._clean()
        except SlurmAwayError as error:
            log.warning(
                "Slurm does not respond (%s). See its queue: squeue --me. Cancel arrays: scancel.",
                error,
            )
        finally:
            for held in filter(None, self._owned.values()):
                held.release()

    def _cancel(self) -> None:
        """Cancel the arrays of this driver, and wait until they have left the queue."""
        owned = [array for array in self._runs.all() if array.name in self._owned]

        def live() -> set[int]:
            present = commands.queue()
            return {present.arrays[array.name] for array in owned if array.name in present.arrays}

        numbers, start = live(), time.monotonic()
        if numbers:
            commands.cancel(numbers, "--state=PENDING")
            # A node that is interrupted gives its claims back. One that is killed cannot.
            commands.cancel(numbers, "--signal=INT", "--full")
        while live() and time.monotonic() - start < _INTERRUPT_SECONDS:
            time.sleep(_CANCEL_POLL_SECONDS)
        commands.cancel(numbers)
        while (left := live()) and time.monotonic() - start < _EMPTY_SECONDS:
            time.sleep(_CANCEL_POLL_SECONDS)
        if left:
            log.warning("Slurm still ends arrays %s. See squeue --me.", some(map(str, left)))
        paths = ResultPaths(self._settings.results)
        for array in owned:
            for key in (key for task in array.tasks for key in task):
                paths.order(key).unlink(missing_ok=True)
            array.remove()

    def _clean(self) -> None:
        """Remove the folders of arrays whose jobs all have records."""
        ended = self._jobs.keys() - self._cancelled
        for array in self._runs.all():
            keys = {key for task in array.tasks for key in task}
            if keys <= ended:
                array.remove()
        with self._runs.locked():
            if not self._runs.all():
                self._runs.forget()
