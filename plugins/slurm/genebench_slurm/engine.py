"""The engine: submits arrays, watches the results folder and the queue, and starts lost jobs again.

A driver keeps nothing in memory that another one could not read from the results folder. So it may
die at any time, and several may run at once.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace

from genebench import UserError
from genebench.files import Lock
from genebench.scheduling import (
    Claim,
    Job,
    Monitor,
    Settings,
    attempts,
    claims,
    describe_job,
    discard,
    fail,
    is_left,
    left_of,
    now,
    remove_order,
    write_attempt,
    write_order,
)
from genebench.text import counted, some
from genebench_slurm import commands
from genebench_slurm.causes import MOST_MEMORY, MOST_TIME, End, EndCause, Lost, judge
from genebench_slurm.commands import Queue, SlurmAwayError, Task
from genebench_slurm.runs import Ended, Run, Runs
from genebench_slurm.script import MAX_ARRAY, Array, arrays, folder_of, render

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
    settings = replace(settings, local_copy=bool(settings.options["local_copy"]))
    driver = Driver(jobs, settings)
    try:
        yield from driver.ended()
    finally:
        driver.leave()


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
        self._is_waiting = False
        """True if an array with pending jobs was in the queue at the last look."""
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
        submitted = sorted(
            (self._numbered(array, present) for array in submitted), key=lambda array: array.number
        )
        nowhere = Run(self._runs.folder, 0, ()), 0
        latest: dict[str, tuple[Run, int]] = {}
        for array in submitted:
            for index, keys in enumerate(array.tasks, start=1):
                latest.update(dict.fromkeys(keys, (array, index)))
        missing: list[Job] = []
        lost: dict[tuple[str, int], Lost] = {}
        self._is_waiting = False
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
        self._is_waiting = True
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
            item.key in held and not held[item.key].is_stale
            for job in lost.jobs
            for item in job.evaluations
        ):
            return []
        else:
            again = self._judge(lost, held) != "cancelled"
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

    def _judge(self, lost: Lost, held: dict[str, Claim]) -> EndCause:
        """Decide what follows from the end of a task, and write it down for all drivers.

        Raises:
            UserError: nothing that this driver could do would help.
        """
        results, node = self._settings.results, lost.task.node
        # Jobs are done in turn, so the first one that is left ran last.
        last = next(
            key
            for key in lost.array.tasks[lost.index - 1]
            if (key in self._monitor.pending if key in self._jobs else is_left(results, key))
        )
        job = next((job for job in lost.jobs if job.key == last), None)
        claims_of_job = [claim for claim in held.values() if claim.job == last]
        end = judge(
            lost, job, self._settings, self._runs.ends_of(last), was_running=bool(claims_of_job)
        )
        avoided = self._runs.avoided()
        blamed = node if end.blames_node and node else "-"
        self._runs.add(
            Ended(
                lost.array.name, lost.index, end.cause, lost.task.state, blamed,
                job.key if job else "-",
            )
        )  # fmt: skip
        if end.refusal:
            raise UserError(end.refusal)
        if job and end.attempt:
            write_attempt(results, job.key, end.attempt)
        if job and end.failure:
            self._fail(job, end, node, claims_of_job)
        if new := self._runs.avoided() - avoided:
            log.warning("tasks have died on node %s, which is avoided from now on", some(new))
            numbers = (run.number for run in self._runs.all() if run.name in self._owned)
            commands.exclude(filter(None, numbers), self._runs.avoided())
        return end.cause

    def _fail(self, job: Job, end: End, node: str, held: list[Claim]) -> None:
        """Write failed records for a job, and count it as ended. Its claims are held no more."""
        assert end.failure
        if left := left_of(job, self._settings):
            claim = held[0] if held else None
            facts = describe_job(job, self._settings, (claim and claim.device) or "cpu")
            fail(
                left, self._settings, end.failure, started=claim.started if claim else now(),
                seconds=0.0, peak_memory=end.memory, facts=facts, host=node,
            )  # fmt: skip
        for claim in held:
            discard(self._settings.results, claim)
        remove_order(self._settings.results, job.key)
        del self._monitor.pending[job.key]
        self._failed.append(job)

    def _submit(self, jobs: list[Job]) -> None:
        """Submit jobs. Those that had too little memory or time get twice as much."""
        results, avoided = self._settings.results, self._runs.avoided()
        enlarged = []
        for job in jobs:
            short = Counter(attempt.cause for attempt in attempts(results, job.key))
            resources = replace(
                job.resources,
                memory=job.resources.memory << min(short["memory"], MOST_MEMORY),
                seconds=job.resources.seconds * 2 ** min(short["time"], MOST_TIME),
            )
            enlarged.append(replace(job, resources=resources))
        broken = defaultdict[str, set[str]](set)
        for ended in self._runs.ended().values():
            if ended.cause == "broken" and ended.node != "-":
                broken[ended.job].add(ended.node)
        for array in arrays(enlarged, self._settings.options, self._most_tasks):
            elsewhere = avoided.union(*(broken[job.key] for job in array.jobs))
            try:
                try:
                    self._submit_array(array, elsewhere)
                except UserError:
                    if elsewhere == avoided:
                        raise
                    # All nodes were tried. The next message of one says what is wrong with them.
                    self._submit_array(array, avoided)
            except UserError as error:
                if not self._is_waiting:
                    raise
                # A limit of submitted jobs, perhaps, which holds until some have ended.
                self._warn(f"{error} Waiting for the arrays that are in the queue.")
                return
            self._is_waiting = True

    def _submit_array(self, array: Array, avoided: set[str]) -> None:
        """Submit an array, and leave nothing behind if it is refused.

        Raises:
            UserError: Slurm refuses it.
        """
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
            del self._owned[name]
            for job in array.jobs:
                remove_order(self._settings.results, job.key, keep_attempts=True)
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
        if left := live():
            commands.cancel(left)
        while (left := live()) and time.monotonic() - start < _EMPTY_SECONDS:
            time.sleep(_CANCEL_POLL_SECONDS)
        if left:
            log.warning("Slurm still ends arrays %s. See squeue --me.", some(map(str, left)))
        for array in owned:
            for key in (key for task in array.tasks for key in task):
                remove_order(self._settings.results, key, keep_attempts=True)
            array.remove()
        with self._runs.locked():
            self._runs.tidy()

    def _clean(self) -> None:
        """Remove the folders of arrays whose jobs all have records, or that were not submitted."""
        ended = self._jobs.keys() - self._cancelled
        with self._runs.locked():
            for array in self._runs.all():
                keys = {key for task in array.tasks for key in task}
                if keys <= ended or not array.number:
                    array.remove()
            self._runs.tidy()
