"""Slurm: jobs as readable arrays on a cluster."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import EngineSpec, Param

genebench_contract = 1

OPTIONS = (
    Param(name="partition", default="", help="partition, as for sbatch"),
    Param(name="account", default="", help="account, as for sbatch"),
    Param(name="qos", default="", help="quality of service, as for sbatch"),
    Param(name="constraint", default="", help="features of the nodes, as for sbatch"),
    Param(name="exclude", default="", help="nodes to avoid, as for sbatch"),
    Param(name="args", default="", help="further options of sbatch, as in a shell"),
    Param(
        name="time", default=0, minimum=0,
        help="minutes of each array task (0: as long as its jobs may take)",
    ),
    Param(name="jobs", default=0, minimum=0, help="most array tasks at once (0: no limit)"),
    Param(
        name="chunk", default=0, minimum=0, maximum=1000,
        help="jobs of each array task, one after another (0: several if they are short)",
    ),
    Param(
        name="warning", default=120, minimum=10, maximum=3600,
        help="seconds before the time limit at which a training writes a checkpoint",
    ),
    Param(
        name="restarts", default=50, minimum=0,
        help="how often a job continues after its time limit until it counts as failed",
    ),
    Param(
        name="local_copy", default=False,
        help="copy the data to each node once, instead of reading the shared disk for each job",
    ),
    Param(name="python", default="", help="Python on the nodes (default: the one of the driver)"),
    Param(name="setup", default="", help="shell command before Python, such as module load"),
    Param(
        name="poll", default=10.0, minimum=0.1, maximum=600.0,
        help="seconds between two looks at the queue",
    ),
)  # fmt: skip


@hookimpl
def genebench_engines() -> list[EngineSpec]:
    """Return the engine of Slurm."""
    return [
        EngineSpec(
            name="slurm",
            title="job arrays on a Slurm cluster",
            code="genebench_slurm.engine:run",
            contains=True,
            limits=("time", "memory"),
            many_machines=True,
            assigns_devices=True,
            options=OPTIONS,
            queue="genebench_slurm.waiting:queue",
            preview="genebench_slurm.script:preview",
        ),
    ]
