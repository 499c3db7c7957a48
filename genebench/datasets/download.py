"""Downloads of public files. They are continued after a break, and verified.

A file under its final name is whole and has the published checksum. An unfinished download is
``<file>.part``, and the next call continues it. If no SHA-256 is published, ``<file>.sha256``
records that of the first download, so that a later change is noticed.

A server is not trusted: the size, the time and the rate of a download have limits, and some of the
disk always stays free.
"""

from __future__ import annotations

import codecs
import fcntl
import logging
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import pooch
import requests
from urllib3.exceptions import HTTPError

from genebench._util.files import atomic_write, sha256_of, user_errors
from genebench._util.progress import Progress, silent
from genebench._util.text import printable
from genebench.datasets.sources import Source
from genebench.datasets.watchdog import RetryPolicy, Watchdog
from genebench.errors import UserError

CHUNK_BYTES = 1 << 16
"""Bytes that are written at a time. A broken connection loses at most as many."""

RESERVE_BYTES = 64 << 20
"""Bytes of the disk that a download leaves free."""

_SPACE_CHECK_BYTES = 8 << 20
"""Bytes after which the free space is looked at again."""

_SIGNATURES = {
    ".gz": b"\x1f\x8b",
    ".gctx": b"\x89HDF\r\n\x1a\n",
    ".npy": b"\x93NUMPY",
    ".zip": b"PK\x03\x04",
}
"""Ending of a file's name → first bytes of such files. A login page has others."""

_REPLACED = (
    "The address always serves the newest version, and this one is not the version that genebench "
    "knows. Numbers from it would not compare"
)
"""Remark about a file that its publisher has replaced."""

_MOST_REDIRECTS = 10

_NUMBER_DIGITS = 18
"""Digits of the longest number in a header: Python refuses to read very long ones."""

_BUSY = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
"""Client errors that pass by themselves, so that asking again can help."""


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
    for algorithm in ("sha256", "sha512"):
        if getattr(source, algorithm):
            return f"{algorithm} as published"
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
            newer = ""
            if source.rolling:
                newer = f" {_REPLACED}."
            raise UserError(
                f"{path}: another file than published "
                f"({algorithm} {checksum}, expected {expected}).{newer} {remedy}"
            )
    elif kind := _other_kind(path, source):
        raise UserError(f"{path}: {kind}. {remedy}")
    if source.sha256 or source.sha512:
        return
    recorded = _recorded(path)
    if not recorded:
        _record(source, path, "there before, put there by hand or fetched earlier")
    elif recorded != sha256_of(path):
        raise UserError(
            f"{path}: changed since it was first seen (its sha256 is no longer {recorded}). "
            f"If the change is yours, delete {_record_of(path).name}. Otherwise, move the file "
            f"away and run: genebench data fetch {source.name}"
        )


_TEXT_BYTES = 1024
"""Bytes of text that are searched for the beginning of a web page, after blanks."""


def _other_kind(path: Path, source: Source) -> str:
    """Return what is wrong if a file does not begin as files of its kind do, or an empty text."""
    signature = _SIGNATURES.get(Path(source.file).suffix, b"")
    with path.open("rb") as stream:
        begin = stream.read(len(signature) or _TEXT_BYTES)
    if not signature:
        # Text has no signature, but a table does not begin as a web page does.
        is_page = begin.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"<")
        return "a web page, not a table: it begins with '<'" if is_page else ""
    if begin == signature:
        return ""
    return f"not a {Path(source.file).suffix} file: it begins with {begin!r}, not {signature!r}"


def _record(source: Source, path: Path, origin: str) -> None:
    """Record the sha256 of a file for which none is published, as sha256sum writes and checks it.

    Args:
        source: the file, as published.
        path: its path.
        origin: the address that it came from, or other words for its origin.
    """
    found = f"This is the sha256 that was found on {datetime.now(UTC):%Y-%m-%d}"
    known = f"The md5 {source.md5} is published, and agrees" if source.md5 else (
        "No checksum is published, so the file is NOT verified"
    )  # fmt: skip
    with atomic_write(_record_of(path)) as stream:
        stream.write(f"# {known}. {found}. Origin: {origin}\n".encode())
        stream.write(f"{sha256_of(path)}  {path.name}\n".encode())


def _recorded(path: Path) -> str | None:
    """Return the sha256 that was recorded beside a file, or None."""
    try:
        lines = _record_of(path).read_text("utf-8").splitlines()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    words = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
    return words[0] if words else None


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
    watchdog = Watchdog(retries, source.size or 0)
    try:
        url = _from_any_mirror(source, path, _Continuing(source, part, progress, retries, watchdog))
    except BaseException:
        if not source.checksum:
            # It could never be continued: nothing shows that two pieces are of the same file.
            part.unlink(missing_ok=True)
        raise
    if not (source.sha256 or source.sha512):
        _record(source, path, url)


def _from_any_mirror(source: Source, path: Path, downloader: _Continuing) -> str:
    """Fetch a file, and return the address that gave it.

    Raises:
        UserError: no mirror gave it, or the time is over.
    """
    faults = []
    for url in source.urls:
        if not source.checksum:
            # Without a checksum, nothing shows that two mirrors gave pieces of different files.
            downloader.part.unlink(missing_ok=True)
        try:
            _from_mirror(source, url, path, downloader)
        except _MirrorError as fault:
            faults.append(f"{urlsplit(url).netloc} {fault}")
        else:
            return url
        if downloader.is_overdue:
            break
    raise UserError(_by_hand(source, path, faults))


def _from_mirror(source: Source, url: str, path: Path, downloader: _Continuing) -> None:
    """Let pooch download, verify and move into place."""
    pooch.get_logger().setLevel(logging.WARNING)
    recorded = _recorded(path)
    checksum = source.checksum or (f"sha256:{recorded}" if recorded else None)
    for continued in (downloader.part.exists(), False):
        try:
            pooch.retrieve(url, checksum, path.name, path.parent, downloader=downloader)
        except ValueError as error:  # pooch raises it if the checksum differs
            if not source.checksum:
                raise _MirrorError(
                    f"gives another file than the first time: its sha256 is not {recorded}, which "
                    f"{_record_of(path).name} records. Delete that record to accept the new file"
                ) from error
            if not continued:
                newer = f". {_REPLACED}" if source.rolling else ""
                fault = f"gives another file: its checksum differs{newer}"
                raise _MirrorError(fault) from error
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
        self,
        source: Source,
        part: Path,
        progress: Progress,
        retries: RetryPolicy,
        watchdog: Watchdog,
    ) -> None:
        self._source = source
        self.part = part
        self._progress = progress
        self._retries = retries
        self._watchdog = watchdog

    @property
    def is_overdue(self) -> bool:
        """True if the file took longer than it may."""
        return self._watchdog.is_overdue

    def __call__(self, url: str, output_file: str, pooch: object) -> None:  # noqa: ARG002
        """Download a file to ``output_file``. Faults that may pass are tried again."""
        for attempt in range(self._retries.attempts):
            if attempt:
                time.sleep(self._retries.pause * 2 ** (attempt - 1))
            if self.is_overdue:
                raise _MirrorError(self._watchdog.overdue)
            try:
                self._continue(url, reached=attempt > 0)
                break
            except _MirrorError as fault:
                if not fault.passing or attempt + 1 == self._retries.attempts:
                    raise
        if not self._source.checksum and (kind := _other_kind(self.part, self._source)):
            raise _MirrorError(f"gives another file: {kind}")
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
        # requests counts the second wait anew after each byte. The watchdog limits the whole.
        waits = (self._retries.connect, self._retries.stall)
        try:
            with self._watchdog.session() as session:
                for _ in range(_MOST_REDIRECTS):
                    with session.get(url, headers=headers, stream=True, timeout=waits) as response:
                        target = session.get_redirect_target(response)
                        if target is None:
                            self._receive(response, have)
                            return
                    url = urljoin(url, target)
                raise _MirrorError(f"redirects more than {_MOST_REDIRECTS} times")
        except (requests.RequestException, HTTPError) as error:
            if self._watchdog.fault:
                reason, passing = self._watchdog.fault, True
            elif isinstance(error, requests.ConnectionError):
                reason, passing = f"cannot be reached ({type(error).__name__})", reached
            elif isinstance(error, requests.Timeout | HTTPError):
                reason, passing = f"stalled or broke off after {self._have():,} bytes", True
            else:
                reason, passing = f"cannot be asked ({type(error).__name__})", False
            raise _MirrorError(reason, passing=passing) from error

    def _have(self) -> int:
        """Return the number of bytes that are there. A part longer than the file is discarded."""
        have = self.part.stat().st_size if self.part.exists() else 0
        if have > self._source.cap:
            self.part.unlink()
            return 0
        return have

    def _receive(self, response: requests.Response, have: int) -> None:
        """Append the body of a response to the part file."""
        start, total = self._announced(response, have)
        size, cap = self._source.size, self._source.cap
        if size and total and total != size:
            raise _MirrorError(f"gives another file: {total:,} bytes, expected {size:,}")
        if total and total > cap:
            raise _MirrorError(f"gives another file: {total:,} bytes, and it has at most {cap:,}")
        if size is total is None and not (response.raw.chunked or self._source.checksum):
            raise _MirrorError(
                "does not say how long the file is, so that it could not be known to be whole"
            )
        done, most = start, total or size
        self._check_space((most or 0) - start)
        checked = done
        with self.part.open("ab") as stream:
            stream.truncate(start)
            self._progress(done, max(most or 0, done), self._source.file)
            # Raw bytes: a server may declare .gz as an encoding, but the file must stay compressed.
            for chunk in response.raw.stream(CHUNK_BYTES, decode_content=False):
                self._watchdog.received += len(chunk)
                done += len(chunk)
                if done > (most or cap):
                    stream.truncate(0)
                    raise _MirrorError(f"gives another file: more than {most or cap:,} bytes")
                if done - checked > _SPACE_CHECK_BYTES:
                    self._check_space(0)
                    checked = done
                stream.write(chunk)
                self._progress(done, max(most or 0, done), self._source.file)
        # A connection that is shut down looks like the end of a body without a length.
        if self._watchdog.fault:
            raise _MirrorError(self._watchdog.fault, passing=True)
        if not done:
            raise _MirrorError("gives an empty file")
        if most and done < most:
            raise _MirrorError(f"broke off after {done:,} of {most:,} bytes", passing=True)

    def _check_space(self, more: int) -> None:
        """Check that the disk has room for more bytes, and for the reserve.

        Raises:
            UserError: it has not. Another mirror would not help.
        """
        folder = self.part.parent
        free = shutil.disk_usage(folder).free
        if free < more + RESERVE_BYTES:
            raise UserError(
                f"{folder}: not enough space left for {self._source.file}: {more / 1e6:,.1f} MB "
                f"are to come and {RESERVE_BYTES / 1e6:,.0f} MB stay free, but only "
                f"{free / 1e6:,.1f} MB are left. Free some, or set GENEBENCH_HOME to another "
                "folder."
            )

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
        raise _MirrorError(f"answers {status} {printable(str(response.reason))}", passing=passing)


def _content_range(header: str) -> tuple[int | None, int | None]:
    """Return the first byte and the size of the whole file from ``bytes 5-9/10``."""
    match = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", header.strip())
    return (_number(match[1]), _number(match[2])) if match else (None, None)


def _number(text: Any) -> int | None:
    return int(text) if text and text.isdecimal() and len(text) <= _NUMBER_DIGITS else None
