"""Files written so that nothing half-written is ever seen: a temporary name, then a rename."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from genebench.errors import UserError

_DAY = 24 * 3600
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def full_disk(where: Path, remedy: str) -> Iterator[None]:
    """Turn a full disk into one line with a remedy."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise UserError(f"{where}: no space left to write; free some, or {remedy}") from error
        raise


@contextmanager
def user_errors(where: Path, remedy: str) -> Iterator[None]:
    """Turn the system's refusals to write (full disk, no permission) into one line."""
    try:
        with full_disk(where, remedy):
            yield
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{where}: cannot write there ({reason}); {remedy}") from error


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file beside ``path``; on success it replaces ``path``, else it is gone."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        make_readable(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """Digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def sweep(folder: Path, pattern: str, days: float = 1) -> None:
    """Remove what a killed process left behind: files and folders not changed for that long."""
    for path in folder.glob(pattern):
        # Another process may be sweeping too.
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > days * _DAY:
                shutil.rmtree(path) if path.is_dir() else path.unlink()


def make_readable(temporary: Path) -> None:
    """Give a temporary file (private by default) the permissions of any new file."""
    umask = os.umask(0)
    os.umask(umask)
    temporary.chmod(0o666 & ~umask)
