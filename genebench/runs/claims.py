"""Claims: files in the results folder that say which process runs a job now.

A claim has a heartbeat: its process touches the file. Its age is judged by the clock of the file
system, because the clocks of two machines may differ. A claim that nobody touched for long is
lost, and another process takes over: it creates a claim of the next generation. A file can be
created once only, so just one process succeeds. A process that finds a higher generation than its
own has lost the job, and stops.

The claim also holds the progress of the job, which other processes read.
"""

from __future__ import annotations

import json
import os
import re
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from threading import Event, Thread

from pydantic import TypeAdapter, ValidationError

from genebench._util.files import user_errors
from genebench._util.hashing import KEY
from genebench._util.retries import retried
from genebench._util.text import encodable
from genebench.errors import UserError
from genebench.results.limits import LINE_LETTERS, NAME_LETTERS, cut
from genebench.results.paths import OTHER_FOLDER, ResultPaths
from genebench.results.untrusted import read_file
from genebench.runs.provenance import now

LOST_AFTER = "GENEBENCH_LOST_AFTER"
"""Environment variable: seconds without a heartbeat after which a job counts as lost."""
_LOST_SECONDS = 90.0
"""Default of it. A server of NFS may stand still for a minute."""
_BEATS = 6
"""Heartbeats in that time."""
_CLAIM_BYTES = 16 << 10
"""Most bytes of a claim's file."""
_FILE = re.compile(rf"({KEY.pattern})\.(\d{{1,9}})\.claim")
_DISPLAYED_SECONDS = 1.0
"""Least time between two writes of progress."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A process that runs a job, and how far it is."""

    key: str = ""
    """Key of the job."""
    generation: int = 0
    """Number of the claim among all claims to this job."""
    host: str
    """Machine of the process."""
    space: str
    """Boot and namespace that its number is valid in."""
    pid: int
    """Number of the process."""
    born: str
    """When the process was started, in ticks since the boot. Numbers are used again."""
    started: str
    """When the job was started (UTC, ISO 8601)."""
    label: str = ""
    """Name of the job in messages."""
    device: str = ""
    """Device that the method runs on. Empty if it is not known yet."""
    done: int = 0
    """Steps done."""
    total: int = 1
    """Steps in all."""
    message: str = ""
    """Description of the present step."""
    age_seconds: float = 0.0
    """Seconds since the last heartbeat."""

    @property
    def is_stale(self) -> bool:
        """Return whether the process is lost: it has ended, or has no heartbeat any more."""
        here = (self.host, self.space) == (_host(), _space())
        if here and self.space:
            return _born(self.pid) != self.born
        return self.age_seconds > lost_seconds()


class ClaimedError(Exception):
    """Another process runs the job. ``claim`` says which."""

    def __init__(self, claim: Claim) -> None:
        super().__init__(f"process {claim.pid} on {claim.host} runs it")
        self.claim = claim


def lost_seconds() -> float:
    """Return the seconds without a heartbeat after which a job counts as lost.

    Raises:
        UserError: the environment variable holds no number.
    """
    try:
        return max(float(os.environ.get(LOST_AFTER, _LOST_SECONDS)), 1.0)
    except ValueError:
        text = os.environ[LOST_AFTER]
        raise UserError(
            f"{LOST_AFTER}={text}: not a number of seconds. Write one, such as 90."
        ) from None


def claims(results: Path) -> list[Claim]:
    """Return the claims to jobs of a results folder: for each job, that of the last generation.

    A file that is not written yet, or damaged, is left out: its process writes it again.

    Raises:
        UserError: the folder cannot be read.
    """
    paths = ResultPaths(results)
    with user_errors(paths.root, OTHER_FOLDER, trouble="cannot be read"):
        try:
            names = [path.name for path in paths.jobs.iterdir()]
        except FileNotFoundError:
            return []
        last: dict[str, int] = {}
        for match in filter(None, map(_FILE.fullmatch, names)):
            last[match[1]] = max(last.get(match[1], 0), int(match[2]))
        try:
            present = _clock(paths.jobs) if last else 0.0
        except FileNotFoundError:  # the folder went with the last claim
            return []
        read = (_read(paths, key, generation, present) for key, generation in last.items())
        return [claim for claim in read if claim]


def discard(results: Path, claim: Claim) -> None:
    """Remove the claim of a process that is lost, so that nobody waits for it."""
    with suppress(OSError):
        ResultPaths(results).claim(claim.key, claim.generation).unlink()


class HeldClaim:
    """A claim of this process.

    Args:
        paths: paths of the results folder.
        claim: its content.
        lost: called, in a thread, when another process has taken the job over.
    """

    def __init__(self, paths: ResultPaths, claim: Claim, lost: Callable[[], object]) -> None:
        self._path = paths.claim(claim.key, claim.generation)
        self._next = paths.claim(claim.key, claim.generation + 1)
        self._paths = paths
        self._claim = claim
        self._lost = lost
        self._changed = Event()
        self._ended = Event()
        self._thread = Thread(target=self._beat, daemon=True)
        self._thread.start()

    def report(self, done: int, total: int, message: str) -> None:
        """Write the progress of the job, unless the last was written just now."""
        self._claim = replace(
            self._claim, done=done, total=total, message=cut(encodable(message), LINE_LETTERS)
        )
        self._changed.set()

    def runs_on(self, device: str) -> None:
        """Write the device of the job."""
        self._claim = replace(self._claim, device=cut(encodable(device), NAME_LETTERS))
        self._changed.set()

    def release(self) -> None:
        """Remove the claim, and those that came before it."""
        self._ended.set()
        self._changed.set()
        self._thread.join()
        generation = self._claim.generation
        # The lowest first: a process that finds the highest still sees that the job is claimed.
        for earlier in range(1, generation + 1):
            with suppress(OSError):
                self._paths.claim(self._claim.key, earlier).unlink(missing_ok=True)
        with suppress(OSError):  # it holds claims or orders of other jobs
            self._paths.jobs.rmdir()

    def _beat(self) -> None:
        """Touch the file now and then, and write what has changed, until the claim is released."""
        pause = lost_seconds() / _BEATS
        while not self._ended.is_set():
            is_changed = self._changed.wait(pause)
            self._changed.clear()
            # The next beat tries again: a server that is away for a moment takes no job.
            with suppress(OSError):
                if self._next.exists():
                    self._lost()
                    return
                if is_changed:
                    _write(self._path, self._claim)
                os.utime(self._path)
            if is_changed:
                self._ended.wait(min(_DISPLAYED_SECONDS, pause))


@contextmanager
def claimed(
    results: Path, key: str, label: str, lost: Callable[[], object] = lambda: None
) -> Iterator[HeldClaim]:
    """Claim a job while the block runs.

    Args:
        results: folder of the results.
        key: key of the job.
        label: name of the job in messages.
        lost: called, in a thread, when another process has taken the job over.

    Raises:
        ClaimedError: another process runs the job.
        UserError: the folder cannot be written to.
    """
    paths = ResultPaths(results)
    with user_errors(results, OTHER_FOLDER):
        held = HeldClaim(paths, _create(paths, key, label), lost)
    try:
        yield held
    finally:
        held.release()


def _create(paths: ResultPaths, key: str, label: str) -> Claim:
    """Create the file of a claim: the first one, or the one after a claim that is lost."""
    claim = Claim(
        key=key, generation=1, host=_host(), space=_space(), pid=os.getpid(),
        born=_born(os.getpid()), started=now(), label=cut(encodable(label), LINE_LETTERS),
    )  # fmt: skip
    while True:
        path = paths.claim(key, claim.generation)
        try:
            retried(partial(_create_file, path))
        except FileExistsError:
            if not paths.claim(key, claim.generation + 1).exists():
                other = _living(paths, key, claim.generation)
                if other:
                    raise ClaimedError(other) from None
            claim = replace(claim, generation=claim.generation + 1)
        else:
            retried(partial(_write, path, claim))
            return claim


def _create_file(path: Path) -> None:
    while True:
        path.parent.mkdir(exist_ok=True)
        # Another process may remove the folder, which was empty until now.
        with suppress(FileNotFoundError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return


def _living(paths: ResultPaths, key: str, generation: int) -> Claim | None:
    """Return a claim, or None if its process is lost, or has released it just now."""
    path = paths.claim(key, generation)
    try:
        present = retried(partial(_clock, paths.jobs))
    except FileNotFoundError:  # the folder went with the last claim
        return None
    claim = _read(paths, key, generation, present)
    if claim is None:
        # A file without content is one that its process writes just now, or died writing.
        try:
            age = present - path.stat().st_mtime
        except FileNotFoundError:
            return None
        claim = Claim(host="another machine", space="", pid=0, born="", started="", age_seconds=age)
    return None if claim.is_stale else claim


def _write(path: Path, claim: Claim) -> None:
    """Write the content of a claim into its file, which must exist: it may have been removed."""
    content = json.dumps(asdict(claim)).encode()
    handle = os.open(path, os.O_WRONLY)
    try:
        os.pwrite(handle, content, 0)
        os.ftruncate(handle, len(content))
    finally:
        os.close(handle)


def _read(paths: ResultPaths, key: str, generation: int, present: float) -> Claim | None:
    """Return a claim with its age, or None if the file is gone, unfinished or damaged."""
    path = paths.claim(key, generation)
    try:
        content = read_file(path, _CLAIM_BYTES)
        age = max(present - path.stat().st_mtime, 0.0)
        claim = _ADAPTER.validate_json(content)
    except (OSError, ValidationError):
        return None
    return replace(claim, key=key, generation=generation, age_seconds=age)


_ADAPTER = TypeAdapter(Claim)


def _clock(folder: Path) -> float:
    """Return the time of the file system that a folder is on."""
    with tempfile.TemporaryFile(dir=folder) as new:
        return os.fstat(new.fileno()).st_mtime


def _host() -> str:
    return encodable(socket.gethostname())


def _space() -> str:
    """Return what the number of a process is valid in. Empty where that cannot be known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except (OSError, UnicodeError):
        return ""


def _born(pid: int) -> str:
    """Return when a process was started, in ticks since the boot. Empty if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    # The state is the first field after the name, and the start time is the 20th (see proc(5)).
    return "" if fields[0] in ("Z", "X") else fields[19]
