"""The engine: submits arrays, watches the results folder and the queue, and starts lost jobs again.

A driver keeps nothing in memory that another one could not read from the results folder. So it may
die at any time, and several may run at once.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from genebench._util.locks import Lock
from genebench._util.text import printable
from genebench.engines.monitor import Monitor
from genebench.engines.queue import Queued
from genebench.errors import UserError, counted, some
from genebench.processes.worker import MAX_TAIL_LINES, last_words
from genebench.results.store import ResultsStore
from genebench.runs.claims import claims
from genebench.runs.execute import fail
from genebench.runs.jobs import Job, Settings
from genebench.runs.orders import Attempt, Cause, attempts, remove_order, write_attempt, write_order
from genebench.runs.provenance import now
from genebench_slurm import commands
from genebench_slurm.commands import Queue, SlurmAwayError, Task
from genebench_slurm.runs import Ended, Run, Runs, Verdict
from genebench_slurm.script import FOLDER, MAX_ARRAY, arrays, folder_of, render

log = logging.getLogger("genebench")

MOST_ATTEMPTS = {"memory": 2, "lost": 10}
"""How often a job may end for a cause until it counts as failed. Each counts on its own."""
MOST_UNSTARTED = 3
"""Tasks of a job that end before the job starts, until the run ends."""
_SCAN_SECONDS = 1.0
"""Longest pause between two looks at the results folder."""
_SLOWEST = 6
"""The pause between two looks at the queue grows up to this many times the option ``poll``."""
_CANCEL_SECONDS = 1.5
"""Time that jobs have to end after SIGINT, before they are cancelled."""
_EMPTY_SECONDS = 30.0
"""Longest wait until the queue is empty."""

_LOST_STATES = {"NODE_FAIL", "BOOT_FAIL", "PREEMPTED", "REVOKED", "DEADLINE"}
"""States of tasks that ended for no fault of their own."""
_OUT_OF_MEMORY = re.compile(rb"slurmstepd.*(memory limit|oom|out of memory)", re.IGNORECASE)
"""Lines of Slurm in a log. Without cgroups, the state of the task is only FAILED or CANCELLED."""
_STUCK = re.compile(r"held|hold|bad ?constraints|invalid|partition.*limit", re.IGNORECASE)
"""Reasons for which a task waits until somebody does something."""


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
    """Return the jobs of a results folder that wait or run, for ``genebench status``."""
    if not (results / FOLDER).is_dir():
        return []
    arrays_ = Runs(results / FOLDER).all()
    try:
        tasks = commands.queue().tasks
    except (SlurmAwayError, UserError) as error:
        log.warning("the queue of Slurm is not known: %s", error)
        return []
    return [
        Queued(key=key, engine="slurm", state=task.state, host=task.node, reason=task.reason)
        for array in arrays_
        for index, keys in enumerate(array.tasks, start=1)
        if (task := tasks.get((array.number or 0, index))) and task.is_live
        for key in keys
    ]


class Driver:
    """The process that submits jobs and waits for them."""

    def __init__(self, jobs: Iterable[Job], settings: Settings) -> None:
        self.jobs = {job.key: job for job in jobs}
        self.settings = settings
        self.store = ResultsStore(settings.results)
        self.runs = Runs(folder_of(settings))
        self.monitor = Monitor(list(self.jobs.values()), settings)
        self.most_tasks = commands.most_tasks(MAX_ARRAY)
        self.cancelled: set[str] = set()
        self._watched: set[str] = set()
        self._owned: dict[str, Lock | None] = {}
        self._absent: Counter[tuple[str, int]] = Counter()
        self._warned: set[str] = set()
        self._states: object = None

    @property
    def pending(self) -> dict[str, Job]:
        """The jobs without a record, by key, that nobody has cancelled."""
        return {
            job.key: job for job in self.monitor.pending if job.key not in self.cancelled
        }

    def ended(self) -> Iterator[Job]:
        """Submit jobs, and yield each once it has a record.

        Raises:
            UserError: jobs are refused, or were cancelled.
        """
        poll = float(self.settings.options["poll"])
        pause, due = poll, 0.0
        while self.pending:
            yield from self.monitor.poll()
            self.monitor.notify()
            if time.monotonic() >= due and self.pending:
                before = self._states
                self._look()
                pause = poll if self._states != before else min(1.5 * pause, _SLOWEST * poll)
                due = time.monotonic() + pause
            time.sleep(min(poll, _SCAN_SECONDS))
        if self.cancelled:
            names = some(self.jobs[key].label for key in self.cancelled)
            raise UserError(
                f"{counted(len(self.cancelled), 'job')} were cancelled in Slurm: {names}. "
                "Run the same command again to submit them."
            )

    def _look(self) -> None:
        """Compare the queue with the jobs that have no record, and submit what is not in it."""
        try:
            with self.runs.locked():
                self._compare()
        except SlurmAwayError as error:
            self._warn(f"Slurm does not respond ({error}). Waiting for it.")

    def _compare(self) -> None:
        # The queue after the arrays: an array that is known is in the queue, or has ended.
        runs = self.runs.all()
        present = commands.queue()
        self._states = present.tasks
        latest = {}
        for array in [self._numbered(array, present) for array in runs]:
            for index, keys in enumerate(array.tasks, start=1):
                latest.update(dict.fromkeys(keys, (array, index)))
        missing, gone = [], defaultdict(list)
        for key, job in self.pending.items():
            array, index = latest.get(key, (None, 0))
            if array is None or array.number is None:
                missing.append(job)
            elif (task := present.tasks.get((array.number, index))) and task.is_live:
                self._watch(array, task)
            else:
                gone[array, index].append(job)
        known = self.runs.ended()
        for (array, index), jobs in gone.items():
            task = present.tasks.get((array.number, index), Task("UNKNOWN", "", ""))
            missing += self._lost(array, index, task, jobs, known.get((array.name, index)))
        self._submit(missing)

    def _numbered(self, array: Run, present: Queue) -> Run:
        """Return an array with the number that the queue has, if its driver died before."""
        if array.number is None and (number := present.arrays.get(array.name)):
            return array.with_number(number)
        return array

    def _watch(self, array: Run, task: Task) -> None:
        """Adopt an array that is in the queue, and warn of a task that waits for somebody."""
        self._watched.add(array.name)
        if array.name not in self._owned:
            with suppress(OSError):
                self._owned[array.name] = array.own()
        if task.state == "PENDING" and _STUCK.search(task.reason):
            self._warn(f"array {array.number} of Slurm does not start: {task.reason}.")

    def _lost(
        self, array: Run, index: int, task: Task, jobs: list[Job], known: Ended | None
    ) -> list[Job]:
        """Decide what becomes of jobs whose task has ended without their records.

        Returns:
            The jobs to submit again.
        """
        # A task that ended before this driver began says nothing about the jobs of now.
        is_old = array.name not in self._watched
        if known or (is_old and self._is_over(task, jobs)):
            if known and known.verdict == "cancelled" and not is_old:
                self.cancelled |= {job.key for job in jobs}
                return []
            return jobs
        # A record may be written, but not yet be seen from here.
        self._absent[array.name, index] += 1
        held = {claim.key: claim for claim in claims(self.settings.results)}
        if self._absent[array.name, index] < 2 or any(
            job.key in held and not held[job.key].is_stale for job in jobs
        ):
            return []
        # The jobs of a task are done one after another. So the first is the one that was running.
        verdict = self._judge(array, index, task, jobs[0], died=jobs[0].key in held)
        died = verdict in ("failed", "unstarted") or task.state == "NODE_FAIL"
        node = task.node if died and task.state != "OUT_OF_MEMORY" else ""
        avoided = self.runs.avoided()
        self.runs.add(Ended(array.name, index, verdict, task.state, node or "-"))
        if verdict == "cancelled":
            self.cancelled |= {job.key for job in jobs}
            return []
        if new := self.runs.avoided() - avoided:
            log.warning("node %s is avoided from now on: tasks have died there.", some(new))
            self._exclude()
        return jobs[1:] if verdict == "failed" else jobs
