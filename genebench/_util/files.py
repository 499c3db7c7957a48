"""Files that are never seen half-written: they get a temporary name first, and then are renamed."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from genebench.errors import UserError

_DAY_SECONDS = 24 * 3600
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
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
        if error.errno in _DISK_FULL:
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


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sweep(folder: Path, pattern: str, days: float = 1) -> None:
    """Remove files and folders that a killed process left, if unchanged for some days.

    A younger one may belong to a process that is still writing.
    """
    for path in folder.glob(pattern):
        # Another process may remove the same path at the same time.
        with suppress(FileNotFoundError):
            if time.time() - path.lstat().st_mtime > days * _DAY_SECONDS:
                remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def remove_tree(folder: Path) -> None:
    """Remove a folder that a method has filled, as far as possible. No link in it is followed.

    ``shutil.rmtree`` and ``TemporaryDirectory`` recurse, and raise RecursionError where a method
    has nested a thousand folders. Here, the content of each inner folder is moved up first.
    """
    if not hasattr(os, "O_DIRECTORY"):  # Windows
        shutil.rmtree(folder, ignore_errors=True)
        return
    with suppress(OSError):
        top = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            while _flatten(top):
                pass
        finally:
            os.close(top)
        folder.rmdir()


def _flatten(top: int) -> bool:
    """Remove what is no folder, and open each folder up. Return whether anything was removed."""
    removed = False
    with os.scandir(top) as entries:
        names = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in names:
        # A folder that its owner may not read stays, and the rest is removed.
        with suppress(OSError):
            if not is_folder:
                os.unlink(name, dir_fd=top)
            else:
                inner = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=top)
                try:
                    for child in os.listdir(inner):  # noqa: PTH208  of a descriptor
                        os.rename(child, secrets.token_hex(), src_dir_fd=inner, dst_dir_fd=top)
                finally:
                    os.close(inner)
                os.rmdir(name, dir_fd=top)
            removed = True
    return removed


def make_readable(temporary: Path) -> None:
    """Give a temporary file the permissions of any new file. ``mkstemp`` makes it private."""
    # The mask can only be read by setting it.
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
