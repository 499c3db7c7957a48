"""The driver's look at jobs that run elsewhere. It reads the results folder, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from genebench.results.store import ResultsStore
from genebench.runs.claims import Claim, claims
from genebench.runs.execute import notify
from genebench.runs.jobs import Evaluation, Job, Settings


class Monitor:
    """A watch over jobs that other processes execute. It notifies the observers of this process.

    Attributes:
        pending: key → job, for the jobs that have not ended.
        claims: key → claim, for the jobs that ran at the last look.
    """

    def __init__(self, jobs: Iterable[Job], settings: Settings) -> None:
        self.pending = {job.key: job for job in jobs}
        self.claims: dict[str, Claim] = {}
        self._store = ResultsStore(settings.results)
        self._started: dict[str, int] = {}
        self._earlier: dict[str, int] = {}

    def poll(self) -> list[Job]:
        """Return the jobs that have ended since the last look: those with newer records.

        Raises:
            UserError: the folder or a record cannot be read.
        """
        keys = set(self._store.keys())
        ended = [
            job
            for job in self.pending.values()
            if all(item.key in keys and self._has_ended(item) for item in job.evaluations)
        ]
        claims_before = self.claims
        self.claims = {
            claim.key: claim
            for claim in claims(self._store.root)
            if claim.key in self.pending and not claim.is_stale
        }
        for key, claim in self.claims.items():
            self._notify(self.pending[key], claim, claims_before.get(key))
        for job in ended:
            del self.pending[job.key]
            self.claims.pop(job.key, None)
            records = [self._store.read(item.key) for item in job.evaluations]
            notify(
                "genebench_job_finished", watchers_only=True,
                job=job, records=[record for record in records if record],
            )  # fmt: skip
        return ended

    def _has_ended(self, evaluation: Evaluation) -> bool:
        """Return whether an evaluation whose record exists has a newer one."""
        if not evaluation.replaces:
            return True
        # Reading 10,000 records takes seconds, and looking at their times does not.
        changed = self._store.paths.record(evaluation.key).stat().st_mtime_ns
        if self._earlier.get(evaluation.key) == changed:
            return False
        has_ended = self._store.newer(evaluation.key, evaluation.replaces) is not None
        if not has_ended:
            self._earlier[evaluation.key] = changed
        return has_ended

    def _notify(self, job: Job, claim: Claim, before: Claim | None) -> None:
        # A job that another process has taken over starts again.
        if self._started.get(job.key) != claim.generation:
            self._started[job.key] = claim.generation
            notify("genebench_job_started", watchers_only=True, job=job)
        seen = before and (before.done, before.total, before.message)
        if claim.message and seen != (claim.done, claim.total, claim.message):
            notify(
                "genebench_job_progressed", watchers_only=True,
                job=job, done=claim.done, total=claim.total, message=claim.message,
            )  # fmt: skip
