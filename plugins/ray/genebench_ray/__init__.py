"""Ray: jobs side by side on all cores and GPUs of a machine, or on a cluster of machines."""

from __future__ import annotations

from genebench import hookimpl
from genebench.specs import EngineSpec, Param

genebench_contract = 1

OPTIONS = (
    Param(
        name="address", default="",
        help="cluster: host:port, ray://host:port, or auto (empty: one on this machine, for now)",
    ),
    Param(
        name="cpus", default=0, minimum=0,
        help="cores that a cluster on this machine uses (0: all)",
    ),
    Param(
        name="gpus", default=0, minimum=0,
        help="GPUs that a cluster on this machine uses (0: all)",
    ),
    Param(
        name="retries", default=3, minimum=0, maximum=100,
        help="further attempts at a job whose worker or machine died",
    ),
    Param(
        name="object_store", default=80, minimum=80, maximum=10**6,
        help="megabytes of shared memory of a cluster on this machine. Jobs need none",
    ),
    Param(
        name="local_copy", default=False,
        help="copy the data to each node once, instead of reading the shared disk for each job",
    ),
    Param(
        name="autoscaling", default=False,
        help="true if the cluster adds machines on demand, so that jobs wait for larger ones",
    ),
)  # fmt: skip


@hookimpl
def genebench_engines() -> list[EngineSpec]:
    """Return the engine of Ray."""
    return [
        EngineSpec(
            name="ray",
            title="side by side on this machine or a cluster, by Ray",
            code="genebench_ray.engine:run",
            contains=True,
            limits=("time", "memory"),
            many_machines=True,
            assigns_devices=True,
            options=OPTIONS,
        ),
    ]
