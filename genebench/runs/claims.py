"""Claims: files in the results folder that say which process works on a record now.

A job claims all of its records, so that two jobs exclude each other also if they have only one
record in common. A claim has a heartbeat: its process touches the file. Its age is judged by the
clock of the file system, because the clocks of two machines may differ.

A claim that nobody touched for long is lost, and another process takes over: it creates a claim of
a higher generation. A file can be created once only, so just one process succeeds. A process that
finds a higher generation than its own has lost the job, and stops.

A claim also holds the progress of the job, which other processes read.
"""

from __future__ import annotations

import errno
import json
import os
import re
import socket
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from pathlib import Path
from threading import Event, Thread
from typing import Any

from pydantic import TypeAdapter, ValidationError

from genebench._util.files import user_errors
from genebench._util.hashing import KEY
from genebench._util.retries import retried
from genebench._util.text import encodable
from genebench.errors import UserError
from genebench.results.limits import LINE_LETTERS, NAME_LETTERS, cut
from genebench.results.paths import CLAIMS_SUFFIX, OTHER_FOLDER, ResultPaths
from genebench.results.untrusted import read_file
from genebench.runs.jobs import Job
from genebench.runs.provenance import now

LOST_AFTER = "GENEBENCH_LOST_AFTER"
"""Environment variable: seconds without a heartbeat after which a job counts as lost."""
_LOST_SECONDS = 90.0
"""Default of it. A server of NFS may stand still for a minute."""
_BEATS = 6
"""Heartbeats in that time."""
_CLAIM_BYTES = 16 << 10
"""Most bytes of a claim's file."""
_GENERATION = re.compile(r"[1-9]\d{0,8}")
_DISPLAYED_SECONDS = 1.0
"""Least time between two writes of progress."""


@dataclass(frozen=True, kw_only=True)
class Claim:
    """A process that runs a job, and how far it is."""

    key: str = ""
    """Key of the record."""
    generation: int = 0
    """Number of the claim among all claims to this key."""
    job: str = ""
    """Key of the job."""
    host: str
    """Machine of the process."""
    namespace: str
    """Boot and namespace in which the process id is valid. Empty if they are not known."""
    pid: int
    """Id of the process."""
    start_ticks: str
    """When the process was started, in ticks since the boot. Ids are used again."""
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
        here = (self.host, self.namespace) == (_host(), _namespace())
        if here and self.namespace:
            return _start_ticks(self.pid) != self.start_ticks
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
    """Return the claims in a results folder: for each key, that of the last generation.

    A file that is not written yet, or damaged, is left out: its process writes it again.

    Raises:
        UserError: the folder cannot be read.
    """
    paths = ResultPaths(results)
    with user_errors(paths.root, OTHER_FOLDER, trouble="cannot be read"):
        try:
            names = retried(lambda: [path.name for path in paths.jobs.iterdir()])
        except FileNotFoundError:
            return []
        folders = (name for name in names if name.endswith(CLAIMS_SUFFIX))
        keys = filter(KEY.fullmatch, (name.removesuffix(CLAIMS_SUFFIX) for name in folders))
        last = {key: max(_generations(paths, key), default=0) for key in keys}
        if not any(last.values()):
            return []
        present = _clock(paths.jobs)
        read = (_read(paths, key, number, present) for key, number in last.items() if number)
        return [claim for claim in read if claim]


def discard(results: Path, claim: Claim) -> None:
    """Remove the claim of a process that is lost, so that nobody waits for it."""
    _remove(ResultPaths(results), claim.key, [claim.generation])


class HeldClaim:
    """The claims of this process to the records of a job.

    Args:
        paths: paths of the results folder.
        claims: their content.
        lost: called, in a thread, when another process has taken the job over.
    """

    def __init__(
        self, paths: ResultPaths, claims: Sequence[Claim], lost: Callable[[], object]
    ) -> None:
        self._paths = paths
        self._claims = list(claims)
        self._lost = lost
        self._pause = lost_seconds() / _BEATS
        self._changed = Event()
        self._ended = Event()
        self._thread = Thread(target=self._beat, daemon=True)
        self._thread.start()

    def report(self, done: int, total: int, message: str) -> None:
        """Write the progress of the job, unless the last was written just now."""
        self._change(done=done, total=total, message=cut(encodable(message), LINE_LETTERS))

    def runs_on(self, device: str) -> None:
        """Write the device of the job."""
        self._change(device=cut(encodable(device), NAME_LETTERS))

    def _change(self, **changes: Any) -> None:
        self._claims = [replace(claim, **changes) for claim in self._claims]
        self._changed.set()

    def release(self) -> None:
        """Remove the claims, and those that came before them."""
        self._ended.set()
        self._changed.set()
        self._thread.join()
        for claim in self._claims:
            _release(self._paths, claim)

    def _beat(self) -> None:
        """Touch the files now and then, and write what has changed, until they are released."""
        is_lost = False
        while not self._ended.is_set():
            is_changed = self._changed.wait(self._pause)
            self._changed.clear()
            for claim in self._claims:
                # The next beat tries again: a server that is away for a moment takes no job.
                with suppress(OSError):
                    if not is_lost and _is_taken_over(self._paths, claim):
                        is_lost = True
                        self._lost()
                    path = self._paths.claims(claim.key) / str(claim.generation)
                    if is_changed:
                        _write(path, claim)
                    os.utime(path)
            if is_changed:
                self._ended.wait(min(_DISPLAYED_SECONDS, self._pause))


@contextmanager
def claimed(
    results: Path, job: Job, lost: Callable[[], object] = lambda: None
) -> Iterator[HeldClaim]:
    """Claim the records of a job while the block runs.

    Args:
        results: folder of the results.
        job: the job.
        lost: called, in a thread, when another process has taken the job over.

    Raises:
        ClaimedError: another process works on one of the records.
        UserError: the folder cannot be written to.
    """
    paths, taken = ResultPaths(results), list[Claim]()
    try:
        with user_errors(results, OTHER_FOLDER):
            # In one order everywhere, so that of two processes one gets all.
            for key in sorted(evaluation.key for evaluation in job.evaluations):
                taken.append(_create(paths, key, job))
        held = HeldClaim(paths, taken, lost)
    except BaseException:
        for claim in taken:
            _release(paths, claim)
        raise
    try:
        yield held
    finally:
        held.release()


def _create(paths: ResultPaths, key: str, job: Job) -> Claim:
    """Create the file of a claim: the first one, or the one after a claim that is lost."""
    claim = Claim(
        key=key, job=job.key, host=_host(), namespace=_namespace(), pid=os.getpid(),
        start_ticks=_start_ticks(os.getpid()), started=now(),
        label=cut(encodable(job.label), LINE_LETTERS),
    )  # fmt: skip
    while True:
        before = retried(partial(_generations, paths, key))
        _check_lost(paths, key, before)
        claim = replace(claim, generation=max(before, default=0) + 1)
        path = paths.claims(key) / str(claim.generation)
        try:
            retried(partial(_create_file, path))
        except FileExistsError:
            continue  # another process was faster
        retried(partial(_write, path, claim))
        # A process that found no claim, because the lost one was removed just then, may have
        # created a lower one.
        try:
            _check_lost(paths, key, [n for n in _generations(paths, key) if n < claim.generation])
        except ClaimedError:
            _remove(paths, key, [claim.generation])
            raise
        return claim


def _check_lost(paths: ResultPaths, key: str, generations: Iterable[int]) -> None:
    """Check that the processes of claims are lost, or have released them just now.

    Raises:
        ClaimedError: one is not.
    """
    for generation in generations:
        path = paths.claims(key) / str(generation)
        try:
            present = retried(partial(_clock, paths.jobs))
            claim = _read(paths, key, generation, present)
            if claim is None:
                # A file without content is one that its process writes just now, or died writing.
                claim = Claim(
                    key=key, host="another machine", namespace="", pid=0, start_ticks="",
                    started="", age_seconds=present - path.stat().st_mtime,
                )  # fmt: skip
        except FileNotFoundError:
            continue
        if not claim.is_stale:
            raise ClaimedError(claim)


def _generations(paths: ResultPaths, key: str) -> list[int]:
    """Return the generations of the claims to a key, in no order."""
    try:
        names = [path.name for path in paths.claims(key).iterdir()]
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [int(name) for name in names if _GENERATION.fullmatch(name)]


def _is_taken_over(paths: ResultPaths, claim: Claim) -> bool:
    return max(_generations(paths, claim.key), default=0) > claim.generation


def _release(paths: ResultPaths, claim: Claim) -> None:
    """Remove a claim of this process and those before it, unless another has taken over."""
    with suppress(OSError):
        if not _is_taken_over(paths, claim):
            # The lowest first: until the end, others find one that is held.
            _remove(paths, claim.key, sorted(_generations(paths, claim.key)))


def _remove(paths: ResultPaths, key: str, generations: Iterable[int]) -> None:
    """Remove claims, and the folders that they leave empty."""
    for generation in generations:
        with suppress(OSError):
            (paths.claims(key) / str(generation)).unlink(missing_ok=True)
    with suppress(OSError):  # it holds claims or orders of other jobs
        paths.claims(key).rmdir()
        paths.jobs.rmdir()


def _create_file(path: Path) -> None:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another process may remove the folder, which was empty until now.
        with suppress(FileNotFoundError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
            return


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
    path = paths.claims(key) / str(generation)
    try:
        content = read_file(path, _CLAIM_BYTES)
        age = max(present - path.stat().st_mtime, 0.0)
        claim = _ADAPTER.validate_json(content)
    except (OSError, ValidationError):
        return None
    return replace(claim, key=key, generation=generation, age_seconds=age)


_ADAPTER = TypeAdapter(Claim)


def _clock(folder: Path) -> float:
    """Return the time of the file system that a folder is on, or of this machine if read-only."""
    try:
        with tempfile.TemporaryFile(dir=folder) as new:
            return os.fstat(new.fileno()).st_mtime
    except OSError as error:
        if error.errno not in {errno.EACCES, errno.EROFS, errno.EPERM}:
            raise
        return time.time()


def _host() -> str:
    return encodable(socket.gethostname())


@cache
def _namespace() -> str:
    """Return the boot and the namespace in which process ids are valid. Empty if not known."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except (OSError, UnicodeError):
        return ""


def _start_ticks(pid: int) -> str:
    """Return when a process was started, in ticks since the boot. Empty if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    except OSError:
        return ""
    # The state is the first field after the name, and the start time is the 20th (see proc(5)).
    return "" if fields[0] in ("Z", "X") else fields[19]
