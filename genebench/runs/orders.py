"""Orders: jobs as files, for a process on any machine that sees the results folder.

An order is JSON. It names code by import string, as specs do. A node compares these specs with
those of its own registry, so that an order runs nothing that is not installed there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cache, partial
from importlib import metadata
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from genebench._util.files import atomic_write, user_errors
from genebench._util.hashing import KEY, code_digest, key_of
from genebench._util.retries import retried
from genebench._util.schema import first_fault
from genebench.errors import UserError
from genebench.hookspecs import DISTRIBUTION
from genebench.plugins.registry import registry
from genebench.results.paths import OTHER_FOLDER, ResultPaths
from genebench.results.untrusted import read_file
from genebench.runs.claims import claims, discard
from genebench.runs.jobs import Job, Settings
from genebench.runs.plan import NUMERICS, metric_digests, wanted_metrics
from genebench.runs.provenance import now

_ORDER_BYTES = 4 << 20
"""Most bytes of an order. That of a method with 500 parameters has 200 kB."""
_ATTEMPTS_BYTES = 1 << 20
"""Most bytes of the attempts at a job."""

Cause = Literal["terminated", "time", "memory", "refused", "broken", "lost"]
"""Why an attempt at a job ended without a record. One that ended for lack of ``time`` has left no
checkpoint. A machine is broken for a job if it sees no data, or cannot write results."""


@cache
def _version() -> str:
    """Return the version of genebench, which takes a millisecond to read."""
    return metadata.version(DISTRIBUTION)


@dataclass(frozen=True, kw_only=True)
class Order:
    """A job, how to execute it, and the versions that it was planned with."""

    genebench: str
    """Version of genebench."""
    numerics: int
    """Version of its arithmetic."""
    metrics: Mapping[str, str]
    """Metric → digest of its code."""
    job: Job
    """The job."""
    settings: Settings
    """How to execute it."""

    @classmethod
    def of(cls, job: Job, settings: Settings) -> Order:
        """Return the order for a job that was planned in this process."""
        metrics = metric_digests(wanted_metrics(registry(), settings.metrics))
        return cls(
            genebench=_version(), numerics=NUMERICS, metrics=metrics, job=job,
            settings=settings,
        )  # fmt: skip

    def encoded(self) -> bytes:
        """Return the order as one line of JSON."""
        return _ADAPTER.dump_json(self)

    def check(self) -> None:
        """Check that this machine would do what was planned.

        Raises:
            UserError: genebench, a plugin or a metric is another one here, or the order was edited.
        """
        here = f"on {socket.gethostname()}"
        job, remedy = self.job, "Install the same version on all machines, and run again."
        installed = _version()
        if (self.genebench, self.numerics) != (installed, NUMERICS):
            raise UserError(
                f"genebench is version {installed} (numerics {NUMERICS}) {here}, and the job was "
                f"planned by {self.genebench} (numerics {self.numerics}). {remedy}"
            )
        if registry().methods.get(job.method.name) != job.method:
            raise UserError(f"method {job.method.name} is declared in another way {here}. {remedy}")
        for item in job.evaluations:
            identity, known = item.identity, registry().protocols.get(item.protocol.name)
            if item.protocol not in (known, known.trial()):
                raise UserError(
                    f"protocol {item.protocol.name} is declared in another way {here}. {remedy}"
                )
            if identity.code.digest != code_digest(job.method.code):
                raise UserError(f"method {job.method.name} has other code {here}. {remedy}")
            planned = (identity.method, dict(identity.params), identity.seed, identity.data)
            edited = planned != (job.method.name, dict(job.params), job.seed, job.data)
            if edited or item.key != key_of(identity.model_dump()):
                raise UserError(f"the order of {item.key} was edited. Plan the run again.")
        metrics = metric_digests(wanted_metrics(registry(), self.settings.metrics))
        if metrics != self.metrics:
            raise UserError(f"a metric has other code {here}. {remedy}")


_ADAPTER = TypeAdapter(Order)


def decoded(content: bytes) -> Order:
    """Return the order that a line of JSON holds.

    Raises:
        pydantic.ValidationError: it holds none.
    """
    return _ADAPTER.validate_json(content)


def write_order(job: Job, settings: Settings) -> Path:
    """Write the order for a job into the results folder, and return its path.

    Raises:
        UserError: the folder cannot be written to.
    """
    path = ResultPaths(settings.results).order(job.key)

    content = Order.of(job, settings).encoded()

    def write() -> None:
        with atomic_write(path) as stream:
            stream.write(content)

    with user_errors(settings.results, OTHER_FOLDER):
        retried(partial(_in_folder, path.parent, write))
    return path


def _in_folder(folder: Path, write: Callable[[], None]) -> None:
    """Write a file in a folder that another process may remove while it is empty."""
    while True:
        folder.mkdir(exist_ok=True)
        with suppress(FileNotFoundError):
            return write()


def read_order(results: Path, key: str) -> Order:
    """Return the order for a job.

    The folder may have another path here than where the job was planned.

    Raises:
        UserError: there is no such order, or it is damaged.
    """
    if not KEY.fullmatch(key):
        raise UserError(f"{key[:40]}: not the key of a job. List them with genebench jobs.")
    path = ResultPaths(results).order(key)
    with user_errors(path, OTHER_FOLDER, trouble="cannot be read"):
        try:
            content = retried(lambda: read_file(path, _ORDER_BYTES))
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(
                f"{results}: no order for job {key}. Write one with genebench jobs."
            ) from None
    try:
        order = decoded(content)
    except ValidationError as error:
        raise UserError(
            f"{path}: not an order of this version ({first_fault(error)}). Plan the run again."
        ) from None
    if order.job.key != key:
        raise UserError(f"{path}: the order of another job. Plan the run again.")
    return replace(order, settings=replace(order.settings, results=results))


def orders(results: Path) -> list[str]:
    """Return the keys of the jobs that have an order.

    Raises:
        UserError: the folder cannot be read.
    """
    paths = ResultPaths(results)
    suffix = paths.order("").name
    with user_errors(paths.root, OTHER_FOLDER, trouble="cannot be read"):
        try:
            names = [path.name for path in paths.jobs.iterdir()]
        except (FileNotFoundError, NotADirectoryError):
            return []
    keys = (name.removesuffix(suffix) for name in names if name.endswith(suffix))
    return sorted(key for key in keys if KEY.fullmatch(key))


def remove_order(results: Path, key: str, *, keep_attempts: bool = False) -> None:
    """Remove the order for a job, and the attempts at it unless it is to be continued."""
    paths = ResultPaths(results)
    for path in (paths.order(key), *(() if keep_attempts else (paths.attempts(key),))):
        with suppress(OSError):
            path.unlink(missing_ok=True)
    with suppress(OSError):  # it holds orders or claims of other jobs
        paths.jobs.rmdir()


def is_left(results: Path, key: str) -> bool:
    """Return whether a job is still to be done, as far as that is known without its plan.

    A job that replaces a record has an order until it is done.
    """
    paths = ResultPaths(results)
    return paths.order(key).exists() or not paths.record(key).exists()


def has_checkpoints(results: Path, job: Job) -> bool:
    """Return whether a job has left files to continue from."""
    identity = job.evaluations[0].identity
    # Another machine may be able to seal a method, unlike this one.
    return any(
        any(ResultPaths(results).checkpoints(identity, sealed=sealed).glob("checkpoints/*"))
        for sealed in (False, True)
    )


def remove_outdated(results: Path) -> None:
    """Remove what drivers and nodes that were killed have left of jobs that are done.

    That is an order older than a record of its key, and a lost claim to a key with a record.

    Raises:
        UserError: the folder cannot be read.
    """
    paths = ResultPaths(results)
    for key in orders(results):
        with suppress(OSError):  # there is no such record, or another process removes the order
            if paths.record(key).stat().st_mtime > paths.order(key).stat().st_mtime:
                remove_order(results, key)
    for claim in claims(results):
        if claim.is_stale and paths.record(claim.key).exists():
            discard(results, claim)


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """An attempt at a job that ended without a record."""

    cause: Cause
    """Why it ended."""
    host: str
    """Machine that it ran on. Empty if it is not known."""
    device: str = ""
    """Device that the method ran on. Empty if it is not known."""
    message: str = ""
    """Details, in one line."""
    memory: int = 0
    """Most memory that it held, in bytes."""
    ended: str = ""
    """When it ended (UTC, ISO 8601)."""


def write_attempt(results: Path, key: str, attempt: Attempt) -> None:
    """Add an attempt to those of a job.

    Raises:
        UserError: the folder cannot be written to.
    """
    path = ResultPaths(results).attempts(key)
    line = _ATTEMPT.dump_json(replace(attempt, ended=attempt.ended or now())) + b"\n"

    def write() -> None:
        with path.open("ab") as stream:
            stream.write(line)

    with user_errors(results, OTHER_FOLDER):
        retried(partial(_in_folder, path.parent, write))


def attempts(results: Path, key: str) -> list[Attempt]:
    """Return the attempts at a job that ended without a record, in their order."""

    def read() -> Iterator[Attempt]:
        with suppress(OSError):
            content = retried(
                lambda: read_file(ResultPaths(results).attempts(key), _ATTEMPTS_BYTES)
            )
            for line in content.splitlines():
                # A line that was cut off by a full disk counts for nothing.
                with suppress(ValidationError):
                    yield _ATTEMPT.validate_json(line)

    return list(read())


_ATTEMPT = TypeAdapter(Attempt)
