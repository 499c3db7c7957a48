"""Downloads of public files. They are continued after a break, and verified.

A file under its final name is whole and has the published checksum. An unfinished download is
``<file>.part``, and the next call continues it. If no SHA-256 is published, ``<file>.sha256``
records that of the first download, so that a later change is noticed.
"""

from __future__ import annotations

import fcntl
import logging
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pooch
import requests
from urllib3.exceptions import HTTPError

from genebench._util.files import atomic_write, sha256_of, user_errors
from genebench._util.progress import Progress, silent
from genebench.datasets.sources import Source
from genebench.errors import UserError

CHUNK_BYTES = 1 << 16
"""Bytes that are written at a time. A broken connection loses at most as many."""

_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""Client errors that pass by themselves, so that asking again can help."""


@dataclass(frozen=True)
class RetryPolicy:
    """Limits after which a server is given up.

    Args:
        connect: seconds to wait for a connection.
        stall: seconds without a byte before the connection counts as dead.
        attempts: number of requests to one mirror before the next one is asked.
        pause: seconds before the second attempt, doubled before each later one.
    """

    connect: float = 10.0
    stall: float = 30.0
    attempts: int = 4
    pause: float = 1.0


DEFAULT_RETRIES = RetryPolicy()


class _MirrorError(Exception):
    """A mirror did not give the file. If ``passing``, asking it again may help."""

    def __init__(self, reason: str, *, passing: bool = False) -> None:
        super().__init__(reason)
        self.passing = passing


def fetch(
    source: Source,
    folder: Path,
    progress: Progress = silent,
    *,
    retries: RetryPolicy = DEFAULT_RETRIES,
) -> Path:
    """Fetch a file into a folder, or accept the one that is there, and return its path.

    A file that is there is verified and never overwritten, even if the user put it there. If
    several processes or threads fetch the same file, one downloads it and the others wait.

    Args:
        source: the file.
        folder: destination. It is made if it is missing.
        progress: called with bytes done, bytes in all (at least those done) and the file's name.
        retries: limits after which a server is given up.

    Raises:
        UserError: no mirror gave the file, there is no mirror, the file there is another one, or
            the folder cannot be written. The message tells how to get the file by hand.
    """
    path = folder / source.file
    with user_errors(folder, "Set GENEBENCH_HOME to another folder."):
        if path.exists():
            _verify(source, path)
            return path
        folder.mkdir(parents=True, exist_ok=True)
        if not source.urls:
            raise UserError(_by_hand(source, path))
        with _alone(path):
            if not path.exists():
                _download(source, path, progress, retries)
    return path


def assurance(source: Source, folder: Path) -> str:
    """Return a phrase about the integrity of a fetched file: how it was verified."""
    if source.sha256:
        return "sha256 as published"
    recorded = f"its sha256 {_recorded(folder / source.file)} is recorded beside it"
    if source.md5:
        return f"md5 as published. No sha256 is published, so {recorded}"
    return f"NOT verified, because no checksum is published. {recorded[0].upper()}{recorded[1:]}"


# Files that are there


def _verify(source: Source, path: Path) -> None:
    """Refuse a file that is not the published one, or no longer the one first seen."""
    remedy = f"Move it away and run: genebench data fetch {source.name}"
    if not path.is_file():
        raise UserError(f"{path}: not a file. {remedy}")
    size = path.stat().st_size
    if not size or (source.size and size != source.size):
        expected = f"{source.size:,}" if source.size else "more"
        raise UserError(f"{path}: {size:,} bytes, expected {expected}. {remedy}")
    if source.checksum:
        algorithm, _, expected = source.checksum.partition(":")
        checksum = pooch.file_hash(str(path), alg=algorithm)
        if checksum != expected:
            raise UserError(
                f"{path}: another file than published "
                f"({algorithm} {checksum}, expected {expected}). {remedy}"
            )
    if source.sha256:
        return
    recorded = _recorded(path)
    if not recorded:
        _record(path)
    elif recorded != sha256_of(path):
        raise UserError(
            f"{path}: changed since it was first seen (its sha256 is no longer {recorded}). "
            f"If the change is yours, delete {_record_of(path).name}. Otherwise, move the file "
            f"away and run: genebench data fetch {source.name}"
        )


def _record(path: Path) -> None:
    """Record the sha256 of a file for which none is published, as sha256sum writes it."""
    with atomic_write(_record_of(path)) as stream:
        stream.write(f"{sha256_of(path)}  {path.name}\n".encode())


def _recorded(path: Path) -> str | None:
    """Return the sha256 that was recorded beside a file, or None."""
    try:
        return _record_of(path).read_text("utf-8").split()[0]
    except (FileNotFoundError, IndexError, UnicodeDecodeError):
        return None


def _record_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


# Files that have to come


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Wait until no other thread or process is fetching the file."""
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("w") as stream:
        with suppress(OSError):  # some network file systems know no locks
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield
        # Only now that the file is there. A process that takes a new lock finds it.
        lock.unlink(missing_ok=True)


def _download(source: Source, path: Path, progress: Progress, retries: RetryPolicy) -> None:
    """Fetch a file from the first mirror that gives it."""
    part = path.with_name(source.part)
    faults = []
    for url in source.urls:
        if not source.checksum:
            # Without a checksum, nothing shows that two mirrors gave pieces of different files.
            part.unlink(missing_ok=True)
        try:
            _from_mirror(source, url, path, _Continuing(source, part, progress, retries))
        except _MirrorError as fault:
            faults.append(f"{urlsplit(url).netloc} {fault}")
        else:
            break
    else:
        raise UserError(_by_hand(source, path, faults))
    if not source.sha256:
        _record(path)


def _from_mirror(source: Source, url: str, path: Path, downloader: _Continuing) -> None:
    """Let pooch download, verify and move into place."""
    pooch.get_logger().setLevel(logging.WARNING)
    for continued in (downloader.part.exists(), False):
        try:
            pooch.retrieve(url, source.checksum, path.name, path.parent, downloader=downloader)
        except ValueError as error:  # pooch raises it if the checksum differs
            if not continued:
                raise _MirrorError("gives another file: its checksum differs") from error
            # The rest of an earlier download may be to blame: once more, from the start.
        else:
            return


def _by_hand(source: Source, path: Path, faults: Iterable[str] = ()) -> str:
    """Return a message: what went wrong, and how to get the file without a download."""
    marks = [f"{source.size:,} bytes"] if source.size else []
    marks += [source.checksum.replace(":", " ")] if source.checksum else []
    place = f"{path} ({', '.join(marks)})" if marks else str(path)
    again = f"run again: genebench data fetch {source.name}"
    if not source.urls:
        return (
            f"{source.file}: not served in public. Ask {source.ask}. Put the file at {place} and "
            f"{again}"
        )
    return (
        f"{source.file}: not downloaded ({', '.join(faults)}). Try again later. Or put the file, "
        f"from {source.urls[0]} or {source.ask}, at {place} and {again}"
    )


class _Continuing:
    """A downloader for pooch that continues where an earlier one stopped."""

    def __init__(
        self, source: Source, part: Path, progress: Progress, retries: RetryPolicy
    ) -> None:
        self._source = source
        self.part = part
        self._progress = progress
        self._retries = retries

    def __call__(self, url: str, output_file: str, pooch: object) -> None:  # noqa: ARG002
        """Download a file to ``output_file``. Faults that may pass are tried again."""
        for attempt in range(self._retries.attempts):
            if attempt:
                time.sleep(self._retries.pause * 2 ** (attempt - 1))
            try:
                self._continue(url, reached=attempt > 0)
                break
            except _MirrorError as fault:
                if not fault.passing or attempt + 1 == self._retries.attempts:
                    raise
        self.part.replace(output_file)

    def _continue(self, url: str, *, reached: bool) -> None:
        """Request the missing part of the file and append it.

        A connection that fails is worth another attempt only if the server was reached before.
        """
        have = self._have()
        if have and have == self._source.size:
            return
        # Without "identity", a server may compress, and ranges would count compressed bytes.
        headers = {"User-Agent": "genebench", "Accept-Encoding": "identity"}
        if have:
            headers["Range"] = f"bytes={have}-"
        # requests counts the second wait anew after each byte, so that it limits stalls, not sizes.
        waits = (self._retries.connect, self._retries.stall)
        try:
            with requests.get(url, headers=headers, stream=True, timeout=waits) as response:
                self._receive(response, have)
        except requests.ConnectionError as error:
            reason = f"cannot be reached ({type(error).__name__})"
            raise _MirrorError(reason, passing=reached) from error
        except (requests.Timeout, HTTPError) as error:
            reason = f"stalled or broke off after {self._have():,} bytes"
            raise _MirrorError(reason, passing=True) from error
        except requests.RequestException as error:
            raise _MirrorError(f"cannot be asked ({type(error).__name__})") from error

    def _have(self) -> int:
        """Return the number of bytes that are there. A part longer than the file is discarded."""
        have = self.part.stat().st_size if self.part.exists() else 0
        if self._source.size and have > self._source.size:
            self.part.unlink()
            return 0
        return have

    def _receive(self, response: requests.Response, have: int) -> None:
        """Append the body of a response to the part file."""
        start, total = self._announced(response, have)
        size = self._source.size
        if size and total and total != size:
            raise _MirrorError(f"gives another file: {total:,} bytes, expected {size:,}")
        done, most = start, total or size
        with self.part.open("ab") as stream:
            stream.truncate(start)
            self._progress(done, max(most or 0, done), self._source.file)
            # Raw bytes: a server may declare .gz as an encoding, but the file must stay compressed.
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                stream.write(chunk)
                done += len(chunk)
                if most and done > most:
                    raise _MirrorError(f"gives another file: more than {most:,} bytes")
                self._progress(done, max(most or 0, done), self._source.file)
        if not done:
            raise _MirrorError("gives an empty file")
        if most and done < most:
            raise _MirrorError(f"broke off after {done:,} of {most:,} bytes", passing=True)

    def _announced(self, response: requests.Response, have: int) -> tuple[int, int | None]:
        """Return the offset at which a response starts, and the size of the file if announced."""
        status = response.status_code
        if status == HTTPStatus.OK:  # a server without ranges sends the whole file
            return 0, _number(response.headers.get("Content-Length"))
        if status == HTTPStatus.PARTIAL_CONTENT:
            start, total = _content_range(response.headers.get("Content-Range", ""))
            if start == have:
                return have, total
        if status in (HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE):
            self.part.unlink(missing_ok=True)
            raise _MirrorError("gives other bytes than asked for", passing=True)
        passing = status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in _BUSY
        raise _MirrorError(f"answers {status} {response.reason}", passing=passing)


def _content_range(header: str) -> tuple[int | None, int | None]:
    """Return the first byte and the size of the whole file from ``bytes 5-9/10``."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", header.strip())
    return (int(match[1]), _number(match[2])) if match else (None, None)


def _number(text: Any) -> int | None:
    return int(text) if text and text.isdecimal() else None
