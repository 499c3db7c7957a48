"""The Ray cluster of this process: one that lives as long as the process, or one that is there.

A process connects to one cluster at a time. The connection stays for the next run, because a
cluster takes seconds to start. It ends with the process.
"""

from __future__ import annotations

import atexit
import logging
import os
import secrets
import socket
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, ExitStack
from functools import cache
from pathlib import Path
from typing import Any

from genebench import UserError
from genebench.files import sweep, temporary_folder
from genebench.scheduling import Job, Settings, node_environment
from genebench.specs import Scalar

log = logging.getLogger("genebench")

_FOLDER = "genebench-ray-"
"""Start of the name of a cluster's temporary folder."""
_LONGEST_FOLDER = 43
"""Most bytes of its path. Ray adds 64 for its sockets, whose paths may have 107 (see unix(7))."""
_MOST_LETTERS = 300
"""Most of an error of Ray that a message repeats."""
_CONNECT_SECONDS = 10.0
"""Longest wait for the answer of a cluster."""
_RAYS_OWN = "thirdparty_files"
"""End of the path of Ray's copies of libraries."""
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    # Ray prints messages about workers on standard output, between the lines of genebench.
    "RAY_DEDUP_LOGS_SKIP_REGEX": "^",
    # The engine decides what follows from too little memory. Ray would try again for ever.
    "RAY_task_oom_retries": "0",
}
"""Settings of Ray that it reads from the environment when it is imported."""


class _Connection:
    """The connection of this process.

    Attributes:
        arguments: options and environment that it was made with. None if there is none.
    """

    def __init__(self) -> None:
        self.arguments: tuple[Any, ...] | None = None
        self._folder: Path | None = None
        self._files = ExitStack()

    def open(self, options: Mapping[str, Scalar], environment: Mapping[str, str]) -> None:
        """Connect, or start a cluster here.

        Raises:
            UserError: there is no such cluster, or it cannot be used.
        """
        import ray

        names = ("address", "cpus", "gpus", "object_store")
        arguments = ({name: options[name] for name in names}, environment)
        if self.arguments == arguments and ray.is_initialized():
            return
        self.close()
        address = str(options["address"])
        _check_answer(address)
        special = {"address": address} if address else self._local(options)
        # Ray announces its token before it applies logging_level.
        logging.getLogger("ray").setLevel(logging.ERROR)
        try:
            ray.init(
                **special,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": dict(environment)},
            )
        except (ImportError, OSError, ValueError, RuntimeError, ray.exceptions.RayError) as error:
            self.close()
            where = f"the Ray cluster {address}" if address else "a Ray cluster on this machine"
            raise UserError(
                f"{where} cannot be used ({str(error)[:_MOST_LETTERS]}). "
                "Check ray.address, and that both have the same versions of Python and Ray."
            ) from error
        except BaseException:  # Ctrl-C
            self.close()
            raise
        self.arguments = arguments

    def close(self) -> None:
        """End all tasks and the connection, and a cluster that was started here."""
        import ray

        if self.arguments or ray.is_initialized():
            ray.shutdown()
        self.arguments = None

    def end(self) -> None:
        """End the connection, and remove the files of clusters."""
        if self._folder or self.arguments:
            self.close()
        self._files.close()

    def _local(self, options: Mapping[str, Scalar]) -> dict[str, Any]:
        """Return the arguments that start a cluster on this machine, with all files in a folder."""
        # One folder and one token for all clusters of a process: Ray caches the token.
        if self._folder is None:
            self._folder = self._files.enter_context(_temporary_folder())
            token = self._folder / "token"
            token.touch(mode=0o600)
            token.write_text(secrets.token_hex(32), "ascii")
        # Without it, Ray writes a token into the home folder.
        os.environ["RAY_AUTH_TOKEN_PATH"] = str(self._folder / "token")
        return {
            "address": "local",
            "num_cpus": options["cpus"] or _allowed_cores(),
            "num_gpus": options["gpus"] or None,
            "object_store_memory": int(options["object_store"]) * 2**20,
            "include_dashboard": False,
            "_temp_dir": str(self._folder),
            "_node_ip_address": "127.0.0.1",
        }


def _allowed_cores() -> int | None:
    """Return the number of cores that this process may use, or None to let Ray count them."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else None


def _check_answer(address: str) -> None:
    """Check that there is a server at an address with a port. Ray would try for two minutes.

    Raises:
        UserError: there is none.
    """
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdecimal()):
        return
    try:
        socket.create_connection((host, int(port)), _CONNECT_SECONDS).close()
    except (OSError, OverflowError) as error:
        raise UserError(
            f"the Ray cluster {address} does not answer ({error}). "
            "Check ray.address, and that the cluster is up."
        ) from error


def _temporary_folder() -> AbstractContextManager[Path]:
    """Return a new folder with a short path, and remove those that killed processes left."""
    system = Path("/tmp")  # noqa: S108  the new folder is private
    chosen = Path(tempfile.gettempdir())
    longest = chosen / f"{_FOLDER}12345678.tmp"
    parent = chosen if len(os.fsencode(longest)) <= _LONGEST_FOLDER else system
    sweep(parent, f"{_FOLDER}*.tmp")
    return temporary_folder(parent, _FOLDER)


_connection = _Connection()


def connect(settings: Settings) -> None:
    """Connect this process to the cluster of the options, unless it is connected already.

    Raises:
        UserError: there is no such cluster, or it cannot be used.
    """
    _import_ray()
    environment = node_environment(settings)
    entries = environment["PYTHONPATH"].split(os.pathsep)
    environment |= {
        # Ray adds a folder with its own copies of libraries.
        "PYTHONPATH": os.pathsep.join(item for item in entries if not item.endswith(_RAYS_OWN)),
        # A job without GPUs sees none, rather than all.
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",
    }
    _connection.open(settings.options, environment)


@cache
def _import_ray() -> None:
    for name, value in _QUIET.items():
        os.environ.setdefault(name, value)
    import ray  # noqa: F401  its exit handler must be registered before ours, to be called later

    atexit.register(_connection.end)


def largest_memory() -> int:
    """Return the most memory of a node, in bytes."""
    return int(max((node.get("memory", 0) for node in _nodes()), default=0))


def check_resources(jobs: Iterable[Job], *, autoscaling: bool) -> None:
    """Check that each job fits on a node. Ray would wait for ever.

    Raises:
        UserError: a job fits on no node, and the cluster adds none.
    """
    nodes = _nodes()
    for resources, job in {job.resources: job for job in jobs}.items():
        wanted = {"CPU": resources.cpus, "GPU": resources.gpus, "memory": resources.memory}
        if any(all(node.get(name, 0) >= wanted[name] for name in wanted) for node in nodes):
            continue
        problem = (
            f"{job.label} needs {resources.cpus} cores, {resources.gpus} GPUs and "
            f"{resources.memory / 2**30:.1f} GiB of memory, and no node of the Ray cluster has them"
        )
        if not autoscaling:
            raise UserError(f"{problem}. Ask for less with --resources, or use a larger cluster.")
        log.warning("%s. It waits for a larger one.", problem)


def _nodes() -> list[dict[str, float]]:
    """Return the resources of each living node."""
    import ray

    nodes = ray.nodes()  # type: ignore[no-untyped-call]
    return [node["Resources"] for node in nodes if node["Alive"]]
