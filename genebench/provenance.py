"""Provenance: which code, on which machine, at what cost. Measured by the process itself."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlparse

from genebench.results.record import Provenance

_LIBRARIES = ("numpy", "scipy", "pandas", "torch")


def now() -> str:
    """The time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(command: str, started: str, device: str, distributions: Iterable[str]) -> Provenance:
    """Describe this process at the end of a job: machine, device, and what took part."""
    parts = sorted({"genebench", *distributions})
    return Provenance(
        command=command,
        started=started,
        host=socket.gethostname(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpus=len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count() or 1,
        device=device,
        accelerator=_accelerator(device),
        python=platform.python_version(),
        versions={name: metadata.version(name) for name in (*parts, *_imported_libraries())},
        git={name: commit for name in parts if (commit := _git_commit(name))},
    )


def _imported_libraries() -> list[str]:
    return [name for name in _LIBRARIES if name in sys.modules]


def _accelerator(device: str) -> str:
    if device == "cpu":
        return ""
    import torch

    return str(torch.cuda.get_device_name())


@cache
def _git_commit(distribution: str) -> str:
    """Commit of the checkout that a distribution runs from; empty for an ordinary install."""
    folder = _editable_folder(distribution)
    if folder is None:
        return ""
    commit = _git(folder, "rev-parse", "HEAD")
    changed = commit and _git(folder, "status", "--porcelain", "--", ".")
    return f"{commit}-dirty" if changed else commit


def _editable_folder(distribution: str) -> Path | None:
    text = metadata.distribution(distribution).read_text("direct_url.json")
    origin = json.loads(text) if text else {}
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(unquote(urlparse(origin["url"]).path))


def _git(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603  fixed words and a folder pip recorded
            ["git", "-C", str(folder), *arguments],  # noqa: S607  whichever git the user has
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()


class Stopwatch:
    """Wall time of the phases of a job, in seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase; entering it again adds to it."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent


class PeakMemory:
    """Peak resident memory from now on: the job's own where Linux lets the mark be reset."""

    def __init__(self) -> None:
        self.scope: Literal["job", "process"] = "process"
        try:
            Path("/proc/self/clear_refs").write_text("5")
            self.scope = "job"
        except OSError:
            pass

    def read(self) -> int:
        """The peak so far, in bytes."""
        if self.scope == "job":
            status = Path("/proc/self/status").read_text()
            kibibytes = status.partition("VmHWM:")[2].split()[0]
            return int(kibibytes) * 1024
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
