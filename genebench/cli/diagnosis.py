"""Checks of ``genebench doctor``: what this machine can do, and the reason for what it cannot.

Each check returns findings. None raises, and none imports torch: a subprocess asks it.
"""

from __future__ import annotations

import json
import locale
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from genebench._util.text import printable
from genebench._util.threads import cpu_count
from genebench.errors import UserError, counted, describe, some
from genebench.hookspecs import DISTRIBUTION, PROJECT
from genebench.plugins.discovery import NAMESAKE_REMEDY, installed, namesake
from genebench.plugins.plugin import Plugin

Mark = Literal["ok", "limited", "missing"]

MARKS: tuple[Mark, ...] = ("ok", "limited", "missing")
"""Marks in order of gravity. Only what genebench cannot do without is ``missing``."""

EXTRAS: Mapping[str, tuple[str, ...]] = {
    "arrow": ("pyarrow",),
    "energy": ("pynvml",),
    "hub": ("huggingface_hub",),
    "report": ("docutils", "jinja2", "matplotlib"),
    "sklearn": ("sklearn",),
}
"""Extra of genebench that users install → its modules."""

_ENOUGH_DISK_BYTES = 2_000_000_000
_ENOUGH_MEMORY_BYTES = 2_000_000_000
_TORCH_SECONDS = 60
"""Time limit of the subprocess that imports torch. A cold disk takes half a minute."""
_GIT_SECONDS = 10
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
_COLUMNS = 80

_ASK_TORCH = """
import json, sys, torch
count = torch.cuda.device_count() if torch.cuda.is_available() else 0
names = [torch.cuda.get_device_name(number) for number in range(count)]
json.dump({"version": torch.__version__, "cuda": torch.version.cuda, "devices": names}, sys.stdout)
"""


@dataclass(frozen=True)
class Finding:
    """One line about this machine.

    Attributes:
        subject: what it is about.
        mark: ``ok``, ``limited`` or ``missing``.
        fact: what was found.
        remedy: what to do about it. Empty if there is nothing to do.
    """

    subject: str
    mark: Mark
    fact: str
    remedy: str = ""


def findings(*, gpu: bool = True) -> Iterator[Finding]:
    """Yield every finding, in a fixed order.

    Args:
        gpu: whether to ask torch about GPUs, in a subprocess.
    """
    # Started first, so that torch is imported while the other checks run.
    torch = _ask_torch() if gpu else None
    checks: tuple[tuple[str, Callable[[], Iterator[Finding]]], ...] = (
        ("python", _python),
        ("genebench", _genebench),
        ("libraries", _libraries),
        ("data folder", _data_folder),
        ("datasets", _datasets),
        ("results", _results),
        ("disk", _disk),
        ("memory", _memory),
        ("processors", _processors),
        ("gpu", lambda: _gpu(torch)),
        ("sealing", _sealing),
        ("plugins", _plugins),
        ("extras", _extras),
        ("browser", _browser),
        ("terminal", _terminal),
        ("locale", _locale),
        ("git", _git),
    )
    try:
        for subject, check in checks:
            try:
                yield from check()
            except Exception as error:  # noqa: BLE001  a report with a gap is better than none
                fact = str(error) if isinstance(error, UserError) else describe(error)
                yield Finding(subject, "limited", f"could not be examined: {fact}")
    finally:
        if torch is not None and torch.poll() is None:
            torch.kill()
            torch.communicate()


def _python() -> Iterator[Finding]:
    version, system = platform.python_version(), f"{platform.system()} {platform.machine()}"
    yield Finding("python", "ok", f"{version} on {system}, {sys.executable}")


def _genebench() -> Iterator[Finding]:
    from genebench.runs.provenance import origin_of

    if fault := namesake():
        yield Finding("genebench", "missing", fault, NAMESAKE_REMEDY)
    file = Path(__file__).resolve().parents[1] / "__init__.py"
    origin = origin_of(PROJECT, file)
    place = {
        "built-in": "as installed",
        "path": "NOT the installed one, because PYTHONPATH or the current folder comes first",
    }[origin.install]
    commit = ""
    if origin.commit:
        commit = f", commit {origin.commit[:12]}{' with changes' if origin.dirty else ''}"
    fact = f"{origin.version} from {file.parent.parent}{commit} ({place})"
    if origin.install == "path":
        yield Finding("genebench", "limited", fact, _UNSET)
    else:
        yield Finding("genebench", "ok", fact)


def _libraries() -> Iterator[Finding]:
    """Name the libraries that genebench needs and that are not installed."""
    needed = [text for text in metadata.requires(DISTRIBUTION) or () if "extra ==" not in text]
    names = [_library_name(text) for text in needed]
    absent = []
    for name in names:
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            absent.append(name)
    if absent:
        remedy = f"Install them: pip install {' '.join(absent)}"
        yield Finding("libraries", "missing", f"not installed: {some(absent, 9)}", remedy)
    else:
        yield Finding("libraries", "ok", f"all {len(names)} that genebench needs are installed")


def _library_name(requirement: str) -> str:
    """Return the name in a requirement such as ``numpy>=2.0``."""
    end = next((i for i, letter in enumerate(requirement) if letter in "<>=!~;[ ("), None)
    return requirement[:end]


def _data_folder() -> Iterator[Finding]:
    from genebench.data.home import home

    folder = home()
    remedy = "Set GENEBENCH_HOME to a folder that you may write to."
    try:
        # The nearest folder that exists decides: genebench makes the rest.
        present = next(path for path in (folder, *folder.parents) if path.exists())
        if not (present.is_dir() and os.access(present, os.W_OK | os.X_OK)):
            yield Finding("data folder", "missing", f"{folder} cannot be written", remedy)
            return
    except OSError as error:
        fact = f"{folder} cannot be used: {error.strerror}"
        yield Finding("data folder", "missing", fact, remedy)
        return
    state = "writable" if present == folder else "not there yet, will be made"
    chosen = ", from GENEBENCH_HOME" if os.environ.get("GENEBENCH_HOME") else ""
    yield Finding("data folder", "ok", f"{folder} ({state}{chosen})")


def _datasets() -> Iterator[Finding]:
    from genebench.data.home import prepared_titles

    titles = prepared_titles()
    damaged = [name for name, title in titles.items() if title.startswith("damaged")]
    for name in damaged:
        remedy = f"Prepare it again, or run: genebench data remove {name}"
        yield Finding("datasets", "limited", f"{name} is damaged", remedy)
    sound = [name for name in titles if name not in damaged]
    if sound:
        fact = f"{len(sound)} prepared: {some(sound, 8)}"
        yield Finding("datasets", "ok", fact)
    elif not damaged:
        yield Finding("datasets", "ok", "none prepared yet. sim is built when it is first used")


def _results() -> Iterator[Finding]:
    """Describe the default folder of results, if it is there."""
    folder = Path("results")
    if not folder.is_dir():
        return
    number = sum(1 for path in folder.glob("*.json") if path.stem.isalnum())
    fact = f"{folder.resolve()} has {counted(number, 'record')}"
    if os.access(folder, os.W_OK | os.X_OK):
        yield Finding("results", "ok", fact)
    else:
        remedy = "Name another folder by --results, or correct its permissions."
        yield Finding("results", "limited", f"{fact} and cannot be written", remedy)


def _disk() -> Iterator[Finding]:
    from genebench.data.home import home

    folder = home()
    data = next((path for path in (folder, *folder.parents) if path.exists()), Path.cwd())
    places = {"data folder": data, "current folder": Path.cwd()}
    places["temporary files"] = Path(tempfile.gettempdir())
    free = {name: shutil.disk_usage(path).free for name, path in places.items()}
    fact = "free: " + ", ".join(f"{_size(number)} for {name}" for name, number in free.items())
    short = [name for name, number in free.items() if number < _ENOUGH_DISK_BYTES]
    if short:
        names = {"data folder": "GENEBENCH_HOME", "temporary files": "TMPDIR"}
        settable = [names[name] for name in short if name in names]
        remedy = "Free some space"
        remedy += f", or set {' and '.join(settable)} to another disk." if settable else "."
        yield Finding("disk", "limited", fact, remedy)
    else:
        yield Finding("disk", "ok", fact)


def _memory() -> Iterator[Finding]:
    total, available = _system_memory()
    limit = cgroup_limit("memory.max")
    fact = f"{_size(available)} of {_size(total)} are available"
    if limit is not None and limit < total:
        fact += f", and this process may use {_size(int(limit))} (cgroup)"
        available = min(available, int(limit))
    if available < _ENOUGH_MEMORY_BYTES:
        remedy = "End other programs, or raise the limit of the container or batch job."
        yield Finding("memory", "limited", fact, remedy)
    else:
        yield Finding("memory", "ok", fact)


def _system_memory() -> tuple[int, int]:
    """Return the bytes of memory in all, and those that are available."""
    try:
        lines = Path("/proc/meminfo").read_text("ascii").splitlines()
        sizes = {name: int(value.split()[0]) << 10 for name, _, value in _parted(lines)}
        return sizes["MemTotal"], sizes["MemAvailable"]
    except (OSError, KeyError):  # not Linux
        total = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return total, total


def _parted(lines: list[str]) -> Iterator[tuple[str, str, str]]:
    return (line.partition(":") for line in lines)


def cgroup_limit(
    name: str, *, membership: Path = Path("/proc/self/cgroup"), root: Path = Path("/sys/fs/cgroup")
) -> float | None:
    """Return the lowest limit of this process's control groups (version 2), or None.

    Args:
        name: ``memory.max``, in bytes, or ``cpu.max``, in processors.
        membership: the file that names the group of this process.
        root: the folder of all groups.
    """
    try:
        line = next(x for x in membership.read_text("utf-8").splitlines() if x.startswith("0::"))
    except (OSError, StopIteration):
        return None
    group = root / line.removeprefix("0::").strip("/")
    limits = []
    while group.is_relative_to(root):
        try:
            limit, _, period = (group / name).read_text("ascii").strip().partition(" ")
        except OSError:  # the group at the top has no limits
            limit, period = "max", ""
        if limit != "max":
            limits.append(int(limit) / int(period or 1))
        group = group.parent
    return min(limits, default=None)


def _processors() -> Iterator[Finding]:
    machine, allowed = os.cpu_count() or 1, cpu_count()
    quota = cgroup_limit("cpu.max")
    usable = min(float(allowed), quota) if quota else float(allowed)
    fact = f"{allowed} of {machine} may be used"
    if quota and quota < allowed:
        fact += f", for the time of {quota:.3g} (cgroup)"
    threads = {name: os.environ[name] for name in _THREADS if os.environ.get(name)}
    if threads:
        fact += ". " + ", ".join(f"{name}={value}" for name, value in threads.items())
    number = max((int(value) for value in threads.values() if value.isdecimal()), default=0)
    remedy = f"Set OMP_NUM_THREADS={max(1, int(usable))}."
    if number > usable:
        yield Finding("processors", "limited", f"{fact}: more threads than processors", remedy)
    elif quota and quota < allowed and not threads:
        yield Finding("processors", "limited", f"{fact}: libraries start {allowed} threads", remedy)
    else:
        yield Finding("processors", "ok", fact)


def _ask_torch() -> subprocess.Popen[str] | None:
    try:
        return subprocess.Popen(  # noqa: S603  this Python, and fixed words
            # -P: a file torch.py in the current folder is not torch.
            [sys.executable, "-P", "-c", _ASK_TORCH],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
    except OSError:
        return None


def _gpu(process: subprocess.Popen[str] | None) -> Iterator[Finding]:
    """Describe torch and the GPUs that it can use."""
    if process is None:
        yield Finding("gpu", "ok", "not examined")
        return
    remedy = "Install torch again: https://pytorch.org/get-started/locally"
    try:
        out, err = process.communicate(timeout=_TORCH_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.communicate()
        fact = f"torch was not imported within {_TORCH_SECONDS} seconds"
        yield Finding("gpu", "limited", fact, "Check whether the disk of Python is slow.")
        return
    if process.returncode:
        reason = (err.strip().splitlines() or [f"exit status {process.returncode}"])[-1]
        yield Finding("gpu", "missing", f"torch cannot be imported: {reason}", remedy)
        return
    answer: dict[str, Any] = json.loads(out.splitlines()[-1])
    torch = f"torch {answer['version']}"
    if answer["devices"]:
        counts = Counter(answer["devices"])
        names = ", ".join(f"{n} x {name}" if n > 1 else name for name, n in counts.items())
        yield Finding("gpu", "ok", f"{names} ({torch}, CUDA {answer['cuda']})")
        return
    has_card = Path("/dev/nvidia0").exists() or shutil.which("nvidia-smi") is not None
    if answer["cuda"] is None:
        fact = f"none in use: {torch} is built without CUDA. Methods run on the processor"
        remedy = f"There is a card. {remedy}" if has_card else ""
    else:
        fact = f"none: {torch} for CUDA {answer['cuda']} finds no device"
        remedy = "Check the driver with nvidia-smi, and CUDA_VISIBLE_DEVICES." if has_card else ""
    yield Finding("gpu", "limited", fact, remedy)


def _sealing() -> Iterator[Finding]:
    """Describe how well a method can be kept from test data."""
    # Late, because it imports numpy and pandas.
    from genebench.confinement.policy import capability

    able = capability()
    if able.level == "no":
        remedy = "Methods run where the test data are. Their records say so."
        yield Finding("sealing", "limited", f"not possible: {able.reason}", remedy)
    elif able.level == "view":
        remedy = "Use a Linux kernel of 5.13 or later with Landlock."
        yield Finding("sealing", "limited", f"no Landlock: {able.reason}", remedy)
    else:
        fact = f"Landlock ABI {able.abi}"
        if able.isolated:
            fact += f", and apart from others by namespaces: {', '.join(able.isolated)}"
        yield Finding("sealing", "ok", fact)


def _plugins() -> Iterator[Finding]:
    """Yield a finding for each plugin that is not of genebench itself."""
    found = [plugin for plugin in installed().all if plugin.distribution != PROJECT]
    if not found:
        yield Finding("plugins", "ok", "none besides those of genebench")
    for plugin in found:
        subject = f"plugin {plugin.name}"
        fact = f"{plugin.distribution} {plugin.version}, {_origin(plugin)}"
        if plugin.error:
            remedy = "Repair or uninstall it. genebench list plugins --traceback shows more."
            yield Finding(subject, "limited", f"{fact} is broken: {plugin.error}", remedy)
            continue
        offers = [
            counted(len(specs), kind.removesuffix("s"))
            for kind, specs in plugin.offers.items()
            if specs
        ]
        fact = f"{fact}: {', '.join(offers) or 'no specs'}"
        if _OTHER_FILES in fact:
            yield Finding(subject, "limited", fact, _UNSET)
        else:
            yield Finding(subject, "ok", fact)


_OTHER_FILES = "NOT the installed files"
_UNSET = "Unset PYTHONPATH if this is not intended."


def _origin(plugin: Plugin) -> str:
    """Return where a plugin's code comes from, in words."""
    from genebench.runs.provenance import imported_file, origin_of

    if plugin.file:
        return f"file {plugin.file}"
    if plugin.distribution == "?":
        return "origin unknown"
    file = imported_file(plugin)
    origin = origin_of(plugin.distribution, file)
    words = {"editable": "editable", "path": _OTHER_FILES}.get(origin.install, "wheel")
    if origin.commit:
        words += f", commit {origin.commit[:12]}{' with changes' if origin.dirty else ''}"
    return f"{words}, {file.parent}" if file else words


def _extras() -> Iterator[Finding]:
    present = [extra for extra in EXTRAS if not _absent(extra)]
    absent = [extra for extra in EXTRAS if _absent(extra)]
    fact = f"installed: {', '.join(present) or 'none'}"
    if absent:
        lacking = sorted({module for extra in absent for module in _absent(extra)})
        fact += f". Not installed: {', '.join(absent)} ({', '.join(lacking)})"
        remedy = f"If you need them: pip install '{DISTRIBUTION}[{','.join(absent)}]'"
        yield Finding("extras", "limited", fact, remedy)
    else:
        yield Finding("extras", "ok", fact)


def _absent(extra: str) -> list[str]:
    return [module for module in EXTRAS[extra] if find_spec(module) is None]


def _browser() -> Iterator[Finding]:
    chosen = os.environ.get("GENEBENCH_CHROMIUM")
    if chosen and not os.access(chosen, os.X_OK):
        remedy = "Correct or unset GENEBENCH_CHROMIUM."
        yield Finding("browser", "limited", f"{chosen} is no program", remedy)
        return
    path = chosen or next(filter(None, map(shutil.which, _BROWSERS)), None)
    if path:
        yield Finding("browser", "ok", f"{path} (only for screenshots and tests)")
    else:
        # Nobody needs one to use genebench, so that nothing is limited.
        yield Finding("browser", "ok", "none, needed only for screenshots and tests")


def _terminal() -> Iterator[Finding]:
    encoding = (getattr(sys.stdout, "encoding", None) or "unknown").lower()
    columns = shutil.get_terminal_size().columns
    kind = os.environ.get("TERM") or "TERM not set"
    fact = f"{columns} columns, {kind}" if sys.stdout.isatty() else "output is no terminal"
    if encoding.replace("-", "") != "utf8":
        remedy = "Set PYTHONUTF8=1, or LC_ALL=C.UTF-8."
        yield Finding("terminal", "limited", f"{fact}, {encoding} lacks letters", remedy)
    elif sys.stdout.isatty() and columns < _COLUMNS:
        remedy = f"Widen it to {_COLUMNS} columns, so that tables fit."
        yield Finding("terminal", "limited", f"{fact}, {encoding}", remedy)
    else:
        yield Finding("terminal", "ok", f"{fact}, {encoding}")


def _locale() -> Iterator[Finding]:
    names = ("LC_ALL", "LC_CTYPE", "LANG")
    setting = next((f"{name}={os.environ[name]}" for name in names if os.environ.get(name)), "")
    encoding = locale.getpreferredencoding(do_setlocale=False)
    files = sys.getfilesystemencoding()
    fact = f"{setting or 'not set'}, text is {encoding}, names of files are {files}"
    if files.lower().replace("-", "") == "utf8":
        yield Finding("locale", "ok", fact)
    else:
        yield Finding("locale", "limited", fact, "Set LC_ALL=C.UTF-8.")


def _git() -> Iterator[Finding]:
    path = shutil.which("git")
    if path is None:
        fact = "not installed. Records of checkouts will name no commit"
        yield Finding("git", "limited", fact, "Install git if you run from a checkout.")
        return
    done = subprocess.run(  # noqa: S603  the git on PATH
        [path, "--version"], capture_output=True, text=True, timeout=_GIT_SECONDS, check=True
    )
    yield Finding("git", "ok", f"{printable(done.stdout).removeprefix('git version ')}, {path}")


def _size(number: int) -> str:
    """Return a number of bytes in gigabytes, for people."""
    return f"{number / 1e9:,.1f} GB"
