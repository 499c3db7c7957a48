"""The local engine: jobs one after another, in this process."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from genebench._util.text import escaped_output
from genebench.engines.turns import in_turn
from genebench.plugins.guards import no_exit
from genebench.runs.claims import HeldClaim
from genebench.runs.execute import execute
from genebench.runs.jobs import Job, Settings
from genebench.sealing.client import close_launchers


def run(jobs: Iterable[Job], settings: Settings) -> Iterator[Job]:
    """Execute each job in this process, or in a sealed one. Yield it once it has ended."""

    def run_here(job: Job, _: HeldClaim) -> None:
        # A method may print control sequences, or call os._exit.
        with escaped_output(), no_exit():
            execute(job, settings)

    try:
        yield from in_turn(jobs, settings, run_here)
    finally:
        # They serve all jobs of a run, and would stay until this process ends.
        close_launchers()
