"""Provenance: which code ran, on which machine, at what cost. The process measures it itself."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import time
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Literal
from urllib.parse import unquote, urlparse

from genebench._util.text import encodable
from genebench._util.threads import cpu_count
from genebench.hookspecs import DISTRIBUTION, PROJECT
from genebench.plugins.plugin import Plugin
from genebench.results.limits import NAME_LETTERS, TEXT_LETTERS, cut
from genebench.results.record import Energy, Install, PluginOrigin, Provenance
from genebench.runs.energy import COUNTER_METHOD, EnergyCounter

_LIBRARIES = {
    "numpy": "numpy", "scipy": "scipy", "pandas": "pandas", "torch": "torch",
    "sklearn": "scikit-learn",
}  # fmt: skip
"""Module → distribution of libraries whose version can change a result."""

_SOURCES = ("genebench", "pyproject.toml")
"""Paths of genebench itself in its checkout, which holds plugins, tests and documents besides."""

_PROJECT_FILES = ("pyproject.toml", "setup.py")

_GIT_PLACES = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX")

_COMMAND_SECONDS = 10
"""Time limit of a command: git in a checkout on a network drive may never answer."""

_RESET_PEAK = "5"
"""Written to ``/proc/self/clear_refs``, this resets VmHWM to the present size (see proc(5))."""


def now() -> str:
    """Return the time as text: UTC, ISO 8601, whole seconds."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(
    command: str,
    started: str,
    device: str,
    plugins: Iterable[Plugin],
    modules: Iterable[str] = (),
) -> Provenance:
    """Describe this process at the end of a job: machine, device, libraries and plugins.

    Args:
        command: the command line.
        started: when the job was started.
        device: device that the method was told to use.
        plugins: plugins whose code took part.
        modules: modules that the method imported in another process.
    """
    imported = {name.partition(".")[0] for name in (*sys.modules, *modules)}
    origins = _origins(plugins)
    return Provenance(
        command=cut(encodable(command), TEXT_LETTERS),
        started=started,
        host=encodable(socket.gethostname()),
        platform=encodable(f"{platform.system()} {platform.release()} {platform.machine()}"),
        processor=cut(encodable(processor()), NAME_LETTERS),
        cpus=cpu_count(),
        device=device,
        accelerator=_accelerator(device),
        python=platform.python_version(),
        versions={name: origin.version for name, origin in origins.items()} | _libraries(imported),
        git={
            name: f"{origin.commit}-dirty" if origin.dirty else origin.commit
            for name, origin in origins.items()
            if origin.commit
        },
        plugins=origins,
    )


def _origins(plugins: Iterable[Plugin]) -> dict[str, PluginOrigin]:
    """Return distribution → its origin, sorted by name. genebench itself is always included."""
    origins = {PROJECT: origin_of(PROJECT, Path(__file__).parents[1] / "__init__.py")}
    for plugin in plugins:
        if plugin.file:
            origin = PluginOrigin(version=plugin.version, install="file", digest=plugin.digest)
        elif plugin.distribution == PROJECT:
            continue
        else:
            origin = origin_of(plugin.distribution, imported_file(plugin))
        origins[plugin.distribution] = origin
    return dict(sorted(origins.items()))


def imported_file(plugin: Plugin) -> Path | None:
    """Return the file that the module of a plugin was imported from, or would be imported from."""
    file = getattr(plugin.module, "__file__", None)
    if file is None:
        points = metadata.distribution(plugin.distribution).entry_points
        module = next((p.module for p in points.select(group=PROJECT, name=plugin.name)), "")
        # Only its top-level package, because finding a module inside one would import it.
        spec = find_spec(module.partition(".")[0]) if module else None
        file = spec.origin if spec and spec.has_location else None
    return Path(file) if file else None


@cache
def origin_of(distribution: str, file: Path | None) -> PluginOrigin:
    """Return the origin of the code of a distribution: a wheel, or a checkout and its state.

    The file decides, not what the installer wrote: ``PYTHONPATH`` can put another checkout before
    an installed one. The origin is then ``path``, with the commit of that checkout.

    A checkout is dirty when files of this distribution differ from the commit. Changes elsewhere in
    a repository that several distributions share do not count.

    Cached: it starts git several times, and every record asks for it.

    Args:
        distribution: its name, or genebench for genebench itself.
        file: a file of it that was imported. None if there is none.
    """
    built_in = distribution == PROJECT
    name = DISTRIBUTION if built_in else distribution
    version = metadata.version(name)
    folder, built_from = _installed(name)
    if file is None:
        install: Install = "editable" if folder else "wheel"
        return PluginOrigin(version=version, install=install, commit=built_from)
    file = file.resolve()
    site = Path(str(metadata.distribution(name).locate_file(""))).resolve()
    if folder is None and file.is_relative_to(site):
        install = "built-in" if built_in else "wheel"
        return PluginOrigin(version=version, install=install, commit=built_from)
    project = _project(file)
    install = "path"
    # Equal, because a second checkout may lie inside the installed one, such as a worktree of git.
    if folder is not None and project == folder.resolve():
        install = "built-in" if built_in else "editable"
    paths = _SOURCES if built_in else (".",) if project.is_dir() else (project.name,)
    commit, dirty = _state(file, project if project.is_dir() else project.parent, paths)
    return PluginOrigin(version=version, install=install, commit=commit, dirty=dirty)


def _project(file: Path) -> Path:
    """Return the folder of the project that a file belongs to, or else its package or itself."""
    for folder in file.parents:
        # A package may hold such files for its own purposes.
        is_package = (folder / "__init__.py").exists()
        if not is_package and any((folder / name).is_file() for name in _PROJECT_FILES):
            return folder
        # Beyond its checkout, a file of that name is of something else.
        if (folder / ".git").exists():
            break
    return file.parent if file.name == "__init__.py" else file


def _state(file: Path, folder: Path, paths: Iterable[str]) -> tuple[str, bool]:
    """Return the commit of the checkout that a file lies in, and True if ``paths`` differ from it.

    A file that git ignores is in no commit, such as one in an environment inside a checkout.
    """
    if _git(folder, "check-ignore", str(file)):
        return "", False
    commit = _git(folder, "rev-parse", "HEAD")
    return commit, bool(commit and _git(folder, "status", "--porcelain", "--", *paths))


def _libraries(imported: Container[str]) -> dict[str, str]:
    """Return distribution → version of the libraries among imported packages."""
    return {
        name: metadata.version(name) for module, name in _LIBRARIES.items() if module in imported
    }


@cache
def processor() -> str:
    """Return the model of the processor, or an empty text if the system does not say it."""
    if sys.platform == "darwin":
        return _output("sysctl", "-n", "machdep.cpu.brand_string")
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        values = {
            name.strip(): " ".join(value.split())
            for name, _, value in (line.partition(":") for line in reversed(lines))
        }
        # A kernel for Arm has numbers of the maker and of the core, and no name.
        arm = ("CPU implementer", "CPU part", "CPU variant")
        return values.get("model name") or " ".join(values[name] for name in arm if name in values)
    return platform.processor()


def _accelerator(device: str) -> str:
    if device == "cpu":
        return ""
    import torch

    return str(torch.cuda.get_device_name())


def _installed(distribution: str) -> tuple[Path | None, str]:
    """Return the checkout of an editable install, or the commit that a wheel was built from.

    Installers write both to ``direct_url.json`` (PEP 610). Without this file, None and "".
    """
    text = metadata.distribution(distribution).read_text("direct_url.json")
    direct_url = json.loads(text) if text else {}
    if direct_url.get("dir_info", {}).get("editable"):
        return Path(unquote(urlparse(direct_url["url"]).path)), ""
    return None, direct_url.get("vcs_info", {}).get("commit_id", "")


def _git(folder: Path, *arguments: str) -> str:
    """Return the output of a git command, or "" where there is no git or no repository."""
    # A hook of git sets these, and every git that it starts would look at the hook's repository.
    environment = {name: value for name, value in os.environ.items() if name not in _GIT_PLACES}
    return _output("git", "-C", str(folder), *arguments, environment=environment)


def _output(*command: str, environment: Mapping[str, str] | None = None) -> str:
    """Return what a command prints, or an empty text if it fails or is not there."""
    try:
        process = subprocess.run(  # noqa: S603  fixed words and the folder of imported files
            command, capture_output=True, text=True, timeout=_COMMAND_SECONDS, check=True,
            env=environment,
        )  # fmt: skip
    except (OSError, ValueError, subprocess.SubprocessError):
        return ""
    return process.stdout.strip()


class Stopwatch:
    """Wall time of the phases of a job in seconds, and the energy of its GPU in joules.

    Args:
        seconds: phase → seconds that were measured already.
        energy: the counter of the assigned GPU, or None if there is none to read.
        joules: phase → energy that was measured already.
    """

    def __init__(
        self,
        seconds: Mapping[str, float] | None = None,
        energy: EnergyCounter | None = None,
        joules: Mapping[str, float] | None = None,
    ) -> None:
        self.seconds = dict(seconds or {})
        self._counter = energy
        self._joules = dict(joules or {})

    def continued(self) -> Stopwatch:
        """Return a stopwatch that goes on from here, and leaves this one as it is."""
        return Stopwatch(self.seconds, self._counter, self._joules)

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """Time a phase. Entering it again adds to its time."""
        before = self._counter.read() if self._counter else None
        start = time.perf_counter()
        try:
            yield
        finally:
            spent = time.perf_counter() - start
            self.seconds[name] = self.seconds.get(name, 0.0) + spent
            after = self._counter.read() if self._counter and before is not None else None
            if before is None or after is None or after < before:
                # A sum that lacks a part would be an estimate.
                self._counter = None
                self._joules = {}
            else:
                self._joules[name] = self._joules.get(name, 0.0) + after - before

    def energy(self) -> Energy | None:
        """Return the energy of the phases, or None if it was not measured in every one."""
        return Energy(joules=self._joules, method=COUNTER_METHOD) if self._joules else None


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
