"""Provenance: which code ran, on which machine, at what cost. The process measures it itself."""

from __future__ import annotations

import json
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlparse

from genebench._util.threads import cpu_count
from genebench.hookspecs import PROJECT
from genebench.plugins.plugin import Plugin
from genebench.results.limits import TEXT_LETTERS, cut
from genebench.results.record import PluginOrigin, Provenance

_LIBRARIES = {
    "numpy": "numpy", "scipy": "scipy", "pandas": "pandas", "torch": "torch",
    "sklearn": "scikit-learn",
}  # fmt: skip
"""Module → distribution of libraries whose version can change a result."""

_SOURCES = ("genebench", "pyproject.toml")
"""Paths of genebench itself in its checkout, which holds plugins, tests and documents besides."""

_GIT_SECONDS = 10
"""Time limit of a git command: a checkout on a network drive may never answer."""

_RESET_PEAK = "5"
"""Written to ``/proc/self/clear_refs``, this resets VmHWM to the present size (see proc(5))."""


def now() -> str:
    """Return the time as text: UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(command: str, started: str, device: str, plugins: Iterable[Plugin]) -> Provenance:
    """Describe this process at the end of a job: machine, device, libraries and plugins.

    Args:
        command: the command line.
        started: when the job was started.
        device: device that the method was told to use.
        plugins: plugins whose code took part.
    """
    origins = _origins(plugins)
    return Provenance(
        command=cut(command, TEXT_LETTERS),
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
    """Return distribution → its origin, sorted by name. genebench itself is always included."""
    origins = {PROJECT: origin_of(PROJECT)}
    for plugin in plugins:
        if plugin.file:
            origin = PluginOrigin(version=plugin.version, install="file", digest=plugin.digest)
        else:
            origin = origin_of(plugin.distribution)
        origins[plugin.distribution] = origin
    return dict(sorted(origins.items()))


@cache
def origin_of(distribution: str) -> PluginOrigin:
    """Return the origin of an installed distribution: a wheel, or a checkout and its state.

    A checkout is dirty when files of this distribution differ from the commit. Changes elsewhere in
    a repository that several distributions share do not count.

    Cached: it starts git twice, and every record asks for it.
    """
    folder, commit = _source(distribution)
    editable = folder is not None
    dirty = False
    if folder is not None:
        commit = _git(folder, "rev-parse", "HEAD")
        paths = _SOURCES if distribution == PROJECT else (".",)
        dirty = bool(commit and _git(folder, "status", "--porcelain", "--", *paths))
    return PluginOrigin(
        version=metadata.version(distribution),
        install="built-in" if distribution == PROJECT else "editable" if editable else "wheel",
        commit=commit,
        dirty=dirty,
    )


def _libraries() -> dict[str, str]:
    """Return distribution → version of the libraries that this process has imported."""
    return {
        name: metadata.version(name) for module, name in _LIBRARIES.items() if module in sys.modules
    }


def _accelerator(device: str) -> str:
    if device == "cpu":
        return ""
    import torch

    return str(torch.cuda.get_device_name())


def _source(distribution: str) -> tuple[Path | None, str]:
    """Return the checkout that a distribution runs from, or the commit that it was built from.

    Installers write both to ``direct_url.json`` (PEP 610). Without this file, None and "".
    """
    text = metadata.distribution(distribution).read_text("direct_url.json")
    direct_url = json.loads(text) if text else {}
    if direct_url.get("dir_info", {}).get("editable"):
        return Path(unquote(urlparse(direct_url["url"]).path)), ""
    return None, direct_url.get("vcs_info", {}).get("commit_id", "")


def _git(folder: Path, *arguments: str) -> str:
    """Return the output of a git command, or "" where there is no git or no repository."""
    try:
        process = subprocess.run(  # noqa: S603  fixed words and a folder pip recorded
            ["git", "-C", str(folder), *arguments],  # noqa: S607  whichever git the user has
            capture_output=True,
            text=True,
            timeout=_GIT_SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return process.stdout.strip()


class Stopwatch:
    """Wall time of the phases of a job, in seconds.

    Args:
        seconds: phase → seconds that were measured already.
    """

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        self.seconds = dict(seconds or {})

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase. Entering it again adds to its time."""
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent


class Peak:
    """Peak memory of a job that ran in another process, as measured there."""

    scope: Literal["job", "process"] = "job"

    def __init__(self, memory: int) -> None:
        self._memory = memory

    def read(self) -> int:
        """Return the peak so far, in bytes."""
        return self._memory


class PeakMemory(Peak):
    """Peak resident memory of this process from now on.

    ``scope`` is "job" where Linux lets the peak be reset. Elsewhere it is "process": the peak is
    that of the process since its start, earlier jobs included.
    """

    def __init__(self) -> None:
        self.scope = "process"
        with suppress(OSError):
            Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
            self.scope = "job"

    def read(self) -> int:
        """Return the peak so far, in bytes."""
        if self.scope == "job":
            status = Path("/proc/self/status").read_text()
            kibibytes = status.partition("VmHWM:")[2].split()[0]
            return int(kibibytes) * 1024
        import resource  # not on Windows

        # macOS gives bytes, all other systems kibibytes.
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
