"""Confinement of a job's process: what it may still read and write.

The process keeps Python, the installed packages, the libraries of the system, and the files that
its order names. It may write to the folders of its job only.
"""

from __future__ import annotations

import os
import site
import sys
import sysconfig
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from genebench.confinement import landlock, namespaces
from genebench.results.record import Seal

_SYSTEM = (
    "/usr", "/lib", "/lib32", "/lib64", "/bin", "/sbin", "/etc", "/opt/nvidia", "/nix/store",
    "/sys", "/proc/self", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/loadavg",
    "/proc/filesystems", "/proc/sys/vm", "/proc/sys/kernel", "/proc/driver/nvidia",
)  # fmt: skip
"""Libraries, settings and hardware of the system, to read. Other processes are not among them."""
_HIDDEN = ("/run", "/tmp", "/var/tmp")  # noqa: S108  not used for files of ours
"""Folders where programs put sockets, such as that of the user's session. Landlock restricts no
connection to a socket in a folder."""
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")
_GPUS = ("nvidia*", "nvidia-caps/*", "kfd", "dri/*")
"""Patterns of the devices of GPUs in ``/dev``."""

_ENVIRONMENT = (
    "PATH", "LANG", "LANGUAGE", "LC_", "TZ", "LD_LIBRARY_PATH", "PYTHONHASHSEED", "PYTHONWARNINGS",
    "PYTHONUTF8", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE", "OMP_", "GOMP_", "KMP_", "MKL_",
    "OPENBLAS_", "BLIS_", "NUMEXPR_", "NUMBA_", "CUDA_", "CUBLAS_", "CUDNN_", "NCCL_", "NVIDIA_",
    "TORCH_", "PYTORCH_", "TRITON_", "HIP_", "ROCR_",
)  # fmt: skip
"""Variables, or beginnings of their names, that a job's process inherits. Others may hold secrets,
or the places of data."""


@dataclass(frozen=True)
class Access:
    """Paths that a job's process needs besides Python and the system.

    Attributes:
        import_path: entries of ``sys.path``.
        read: files and folders to read, such as the code of the method.
        write: folders to write to.
        forbidden: folders that must stay out of reach: the results, and the data folder.
    """

    import_path: Sequence[str]
    read: Sequence[str]
    write: Sequence[str]
    forbidden: Sequence[str]


def environment() -> dict[str, str]:
    """Return the variables of this process that a job's process inherits."""
    return {name: value for name, value in os.environ.items() if name.startswith(_ENVIRONMENT)}


@cache
def capability() -> Seal:
    """Return the strongest seal that this machine can give, with the reason for its limits."""
    if not hasattr(os, "fork"):
        return Seal(level="no", reason="this system cannot fork processes")
    version = landlock.abi()
    if not version:
        return Seal(level="view", reason=_without_landlock())
    return Seal(level="landlock", abi=version, isolated=_isolated())


def confine(access: Access, *, landlocked: bool) -> Seal:
    """Confine this process, which must have one thread, as far as the system allows.

    Args:
        access: what it may still reach.
        landlocked: whether to use Landlock. Without it, only namespaces isolate the process.
    """
    import resource  # not on Windows

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Before folders are hidden: what is in them can be looked up no more.
    reason = _within_reach(access) or ("" if landlocked else _without_landlock())
    readable, writable = list(_readable(access)), [Path(path) for path in access.write]
    hidden = [*map(Path, access.forbidden), *map(Path, _HIDDEN)]
    isolated = namespaces.isolate(namespaces.View(hidden, readable, writable))
    os.chdir(writable[0])  # the working directory is still the one before
    if reason:
        return Seal(level="view", isolated=isolated, reason=reason)
    private = [*writable, *namespaces.private_folders(isolated)]
    rules: list[tuple[Path, int]] = [
        *((path, landlock.READ) for path in readable),
        *((Path(path), landlock.READ_DIR) for path in access.import_path),
        *((path, landlock.everything()) for path in _devices()),
        *((path, landlock.everything()) for path in private),
    ]
    return Seal(level="landlock", abi=landlock.restrict(rules), isolated=isolated)


def _without_landlock() -> str:
    if sys.platform != "linux":
        return "only Linux has Landlock"
    return "this kernel has no Landlock: it is older than 5.13, or was built or started without it"


def _isolated() -> tuple[str, ...]:
    """Return what a process here can be isolated from, tried in a process of its own."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            view = namespaces.View([*map(Path, _HIDDEN)], write=[Path(tempfile.gettempdir())])
            os.write(write_end, " ".join(namespaces.isolate(view)).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as stream:
        isolated = tuple(stream.read().split())
    os.waitpid(child, 0)
    return isolated


def _within_reach(access: Access) -> str:
    """Return why Landlock would not help: a rule on a folder covers all that is in it."""
    granted = [path.resolve() for path in (*_readable(access), *map(Path, access.write))]
    for name in access.forbidden:
        path = Path(name).resolve()
        for folder in granted:
            if path.is_relative_to(folder):
                return f"{path} lies in {folder}, which a method has to reach"
    return ""


def _readable(access: Access) -> Iterator[Path]:
    """Yield what may be read: Python, packages, the system, and what the order names."""
    yield from map(Path, _SYSTEM)
    yield from _python()
    yield from map(Path, os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep))
    yield from map(Path, access.read)
    roots = [path.resolve() for path in _python()]
    for entry in map(Path, access.import_path):
        if any(entry.resolve().is_relative_to(root) for root in roots) or _holds_packages(entry):
            yield entry
        elif entry.is_file():
            yield entry  # a zip file of modules
        else:
            # A folder of the user's, such as a checkout, may hold results or data as well.
            yield from _modules(entry)


def _python() -> Iterator[Path]:
    """Yield the folders of Python and of its installed packages."""
    folders = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()}
    if site.ENABLE_USER_SITE:
        folders.add(site.getusersitepackages())
    # A Python in /usr is among the folders of the system already.
    return (Path(folder) for folder in sorted(folders) if Path(folder).is_absolute())


def _holds_packages(entry: Path) -> bool:
    return entry.name in ("site-packages", "dist-packages")


def _modules(entry: Path) -> Iterator[Path]:
    """Yield the modules and packages in a folder of the import path."""
    try:
        paths = list(entry.iterdir())
    except OSError:
        return
    for path in paths:
        is_module = path.suffix in (".py", ".so", ".dist-info", ".egg-info")
        if is_module or (path / "__init__.py").is_file():
            yield path


def _devices() -> Iterable[Path]:
    yield from map(Path, _DEVICES)
    for pattern in _GPUS:
        yield from Path("/dev").glob(pattern)
