"""The engine: one task of Ray for each job. Records, progress and claims lie in the results folder.

Ray decides only where a job runs. A task is given the key of a job. It reads the order from the
results folder, and writes the records there. So nothing is lost with Ray: the next run does what is
left.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from genebench.scheduling import Job, Monitor, Settings
from genebench_ray import cluster


def run(jobs: Iterable[Job], settings: Settings) -> Iterator[Job]:
    """Execute jobs as tasks of Ray. Yield each once it has ended.

    Raises:
        UserError: there is no such cluster, no node has what a job needs, or a node refuses a job.
    """
    settings = replace(settings, local_copy=bool(settings.options["local_copy"]))
    monitor = Monitor(jobs, settings)
    if not monitor.pending:
        return
    cluster.connect(settings)
    autoscaling = bool(settings.options["autoscaling"])
    cluster.check_resources(monitor.pending.values(), autoscaling=autoscaling)
    # Only now, because it imports Ray, which reads its settings then.
    from genebench_ray.tasks import Tasks

    tasks = Tasks(monitor, settings)
    try:
        while monitor.pending:
            tasks.submit()
            yield from tasks.wait()
            yield from monitor.poll()
        tasks.settle()
    finally:
        tasks.cancel()
