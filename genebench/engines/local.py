"""The local engine: jobs one after another, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from genebench.job import Settings, execute
from genebench.plan import Job


def run(jobs: Iterable[Job], settings: Settings) -> Iterator[Job]:
    """Execute each job here; yield it once it has ended."""
    for job in jobs:
        execute(job, settings)
        yield job
