"""Locks on files. The operating system keeps them, so they vanish with the process that holds them.

A lock belongs to one opening of a file: two locks of one process exclude each other, too. Some
file systems, and systems without ``fcntl``, have no locks. Callers then judge files by their age.
"""

from __future__ import annotations

import errno
import os
import weakref
from contextlib import suppress
from pathlib import Path
from typing import Self

from genebench._util.retries import retried

try:
    import fcntl
except ImportError:  # not on Windows
    fcntl = None  # type: ignore[assignment]

_with_locks: set[int] = set()
"""Devices that have given a lock, or refused one that is held. There, "no locks" is an error that
passes, and is waited for."""
_without_locks: set[int] = set()
"""Other devices that had no locks, however long they were waited for. There, the next attempts are
not repeated: the seconds of waiting would be spent for every file."""


class LocksUnsupportedError(OSError):
    """The file system, or the operating system, has no locks."""


class Lock:
    """A lock that is held until it is released, or until the object or the process ends."""

    def __init__(self, handle: int) -> None:
        """Take over an open file that is locked."""
        self.release = weakref.finalize(self, _close, handle, os.fstat(handle))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _close(handle: int, opened: os.stat_result) -> None:
    """Close a file, unless somebody else has.

    A method in this process can close every descriptor. The number may be another file's by now.
    """
    with suppress(OSError):
        if os.path.samestat(os.fstat(handle), opened):
            os.close(handle)


def lock(path: Path, *, shared: bool = False, wait: bool = False) -> Lock:
    """Lock a file that exists.

    Args:
        path: the file.
        shared: whether others may hold shared locks of it at the same time.
        wait: whether to wait until the lock is free.

    Raises:
        BlockingIOError: it is locked.
        FileNotFoundError: there is no such file, or it was removed or replaced meanwhile.
        LocksUnsupportedError: there are no locks here.
        OSError: the file cannot be opened.
    """
    # NFS gives an exclusive lock only on a file that is open for writing. A stranger's folder may
    # have a pipe in its place, which would wait for a writer.
    flags = (os.O_RDONLY if shared else os.O_RDWR) | getattr(os, "O_NONBLOCK", 0)
    handle = os.open(path, flags)
    held = Lock(handle)
    try:
        _flock(handle, shared=shared, wait=wait)
        is_same = os.path.samestat(os.fstat(handle), path.stat())
    except BaseException:
        held.release()
        raise
    # Whoever held it before may have removed the file. A lock of that is worth nothing.
    if not is_same:
        held.release()
        raise FileNotFoundError(errno.ENOENT, "replaced by another file", str(path))
    return held


def _flock(handle: int, *, shared: bool, wait: bool) -> None:
    if fcntl is None:
        raise LocksUnsupportedError(errno.ENOTSUP, "no locks on this system")
    mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    device = os.fstat(handle).st_dev

    def attempt() -> None:
        fcntl.flock(handle, mode if wait else mode | fcntl.LOCK_NB)

    try:
        if device in _without_locks:
            attempt()
        else:
            retried(attempt)
    except BlockingIOError:
        _has_locks(device)
        raise
    except OSError as error:
        # Other errors are of one file, and say nothing about the next.
        if error.errno == errno.ENOLCK and device not in _with_locks:
            _without_locks.add(device)
        raise LocksUnsupportedError(error.errno, error.strerror) from error
    _has_locks(device)


def _has_locks(device: int) -> None:
    _with_locks.add(device)
    _without_locks.discard(device)


def try_lock(path: Path) -> Lock | None:
    """Return an exclusive lock of a file, or None if it is locked, gone, or cannot be locked."""
    try:
        return lock(path)
    except OSError:
        return None
