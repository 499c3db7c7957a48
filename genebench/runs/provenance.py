"""Provenance: which code, on which machine, at what cost. Measured by the process itself."""

from __future__ import annotations

import json
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

from genebench._util.threads import cpu_count
from genebench.hookspecs import PROJECT
from genebench.plugins.plugin import Plugin
from genebench.results.record import PluginOrigin, Provenance

_LIBRARIES = {
    "numpy": "numpy", "scipy": "scipy", "pandas": "pandas", "torch": "torch",
    "sklearn": "scikit-learn",
}  # fmt: skip
"""Module → distribution of libraries whose version can change a result."""

_OWN = ("genebench", "pyproject.toml")
"""What genebench itself is in its checkout, which has plugins, tests and documents beside it."""


def now() -> str:
    """The time, UTC, ISO 8601."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(command: str, started: str, device: str, plugins: Iterable[Plugin]) -> Provenance:
    """Describe this process at the end of a job: machine, device, and what took part."""
    origins = _origins(plugins)
    return Provenance(
        command=command,
        started=started,
        host=socket.gethostname(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpus=cpu_count(),
        device=device,
        accelerator=_accelerator(device),
        python=platform.python_version(),
        versions={name: origin.version for name, origin in origins.items()} | _libraries(),
        git={
            name: f"{origin.commit}-dirty" if origin.dirty else origin.commit
            for name, origin in origins.items()
            if origin.commit
        },
        plugins=origins,
    )


def _origins(plugins: Iterable[Plugin]) -> dict[str, PluginOrigin]:
    """Distribution → where it came from, by name; genebench itself is always one of them."""
    origins = {PROJECT: origin_of(PROJECT)}
    for plugin in plugins:
        name, digest = plugin.distribution, plugin.digest
        origins[name] = (
            PluginOrigin(version=plugin.version, install="file", digest=digest)
            if plugin.file
            else origin_of(name)
        )
    return dict(sorted(origins.items()))


@cache
def origin_of(distribution: str) -> PluginOrigin:
    """Where an installed distribution came from: a wheel, or a checkout and its state.

    A checkout is dirty when files of the distribution's own have changed: others of the repository
    that it shares may.
    """
    folder, commit = _source(distribution)
    editable = folder is not None
    dirty = False
    if folder is not None:
        commit = _git(folder, "rev-parse", "HEAD")
        parts = _OWN if distribution == PROJECT else (".",)
        dirty = bool(commit and _git(folder, "status", "--porcelain", "--", *parts))
    return PluginOrigin(
        version=metadata.version(distribution),
        install="built-in" if distribution == PROJECT else "editable" if editable else "wheel",
        commit=commit,
        dirty=dirty,
    )


def _libraries() -> dict[str, str]:
    return {
        name: metadata.version(name) for module, name in _LIBRARIES.items() if module in sys.modules
    }


def _accelerator(device: str) -> str:
    if device == "cpu":
        return ""
    import torch

    return str(torch.cuda.get_device_name())


def _source(distribution: str) -> tuple[Path | None, str]:
    """The checkout that a distribution runs from, or the commit that its wheel was built from.

    Both are what the installer noted (PEP 610); None and "" where it noted nothing.
    """
    text = metadata.distribution(distribution).read_text("direct_url.json")
    noted = json.loads(text) if text else {}
    if noted.get("dir_info", {}).get("editable"):
        return Path(unquote(urlparse(noted["url"]).path)), ""
    return None, noted.get("vcs_info", {}).get("commit_id", "")


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


class Peak:
    """Peak memory of a job that somebody else has watched."""

    scope: Literal["job", "process"] = "job"

    def __init__(self, memory: int) -> None:
        self._memory = memory

    def read(self) -> int:
        """The peak so far, in bytes."""
        return self._memory


class PeakMemory(Peak):
    """Peak resident memory from now on: the job's own where Linux lets the mark be reset."""

    def __init__(self) -> None:
        self.scope = "process"
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
