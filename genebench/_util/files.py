"""Files that are never seen half-written: they get a temporary name first, and then are renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO

from genebench.errors import UserError

_DAY_SECONDS = 24 * 3600
DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Codes for a full disk, a used-up quota, and a file larger than the system allows."""


@contextmanager
def full_disk(where: Path, remedy: str) -> Iterator[None]:
    """Turn the error of a full disk into a UserError.

    Args:
        where: the file or folder that is written to.
        remedy: a request as a whole sentence, such as "Name another folder with --out."
    """
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            request = f"{remedy[0].lower()}{remedy[1:]}"
            raise UserError(
                f"{where}: no space left to write. Free some space, or {request}"
            ) from error
        raise


@contextmanager
def user_errors(where: Path, remedy: str) -> Iterator[None]:
    """Turn every error of the system while writing (full disk, no permission) into a UserError.

    Args:
        where: the file or folder that is written to.
        remedy: a request as a whole sentence, such as "Name another folder with --out."
    """
    try:
        with full_disk(where, remedy):
            yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{where}: cannot write there ({reason}). {remedy}") from error


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces ``path`` if the block succeeds, and else is removed."""
    # In the same folder, because a rename is atomic only within one file system.
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            # The rename may reach the disk before the data. After a power failure the file would
            # then be empty.
            os.fsync(stream.fileno())
        make_readable(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def open_regular(path: Path) -> BufferedReader:
    """Open a regular file, or a link to one, for reading.

    A pipe would wait for its writer, and a device such as ``/dev/zero`` never ends.

    Raises:
        OSError: there is no such file, or it is something else.
    """
    # Looked at before it is opened, because opening some devices has an effect.
    _check_regular(path, path.stat().st_mode)
    # Without waiting, because the file could be replaced by a pipe meanwhile.
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    stream = os.fdopen(os.open(path, flags), "rb")
    try:
        _check_regular(path, os.fstat(stream.fileno()).st_mode)
    except OSError:
        stream.close()
        raise
    return stream


def _check_regular(path: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "not a regular file", str(path))


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a regular file's bytes, in hexadecimal."""
    with open_regular(path) as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sweep(folder: Path, pattern: str, days: float = 1) -> None:
    """Remove files and folders that a killed process left, if unchanged for some days.

    A younger one may belong to a process that is still writing.
    """
    for path in folder.glob(pattern):
        # Another process may remove the same path at the same time.
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > days * _DAY_SECONDS:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def make_readable(temporary: Path) -> None:
    """Give a temporary file the permissions of any new file. ``mkstemp`` makes it private."""
    # The mask can only be read by setting it.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
