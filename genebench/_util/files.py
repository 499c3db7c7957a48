"""Files that are never seen half-written: they get a temporary name first, and then are renamed.

Whoever writes a temporary file or folder holds a lock of it. One that nobody holds is litter of a
process that was killed. Without locks, age decides.
"""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from io import BufferedReader
from pathlib import Path
from typing import IO

from genebench._util.locks import LocksUnsupportedError, lock
from genebench.errors import UserError

DAY_SECONDS = 24 * 3600

LOCK_FILE = ".lock"
"""Name of the file in a folder whose lock is that of the folder. NFS locks no folders."""

DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
"""Codes for a full disk, a used-up quota, and a file larger than the system allows."""
NO_HANDLES = {errno.EMFILE, errno.ENFILE}
"""Codes for too many open files, of this process or of the machine."""
RAISE_LIMIT = "Raise the limit, such as by ulimit -n 4096."
"""Remedy for too many open files."""
NO_PERMISSION = {errno.EACCES, errno.EPERM}
"""Codes for a file that belongs to somebody else."""


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
def user_errors(where: Path, remedy: str, *, trouble: str = "cannot write there") -> Iterator[None]:
    """Turn every error of the system (full disk, no permission) into a UserError.

    Args:
        where: the file or folder that is used.
        remedy: a request as a whole sentence, such as "Name another folder with --out."
        trouble: what is impossible.
    """
    try:
        with full_disk(where, remedy):
            yield
    except OSError as error:
        if error.errno in NO_HANDLES:
            remedy = RAISE_LIMIT
        raise UserError(f"{where}: {trouble} ({reason_of(error)}). {remedy}") from error


def reason_of(error: Exception) -> str:
    """Return the reason of an error in lower case and on one line, without a path."""
    text = (isinstance(error, OSError) and error.strerror) or str(error)
    return " ".join(text.split()).lower()


@contextmanager
def atomic_write(path: Path, *, new: bool = False) -> Iterator[IO[bytes]]:
    """Open a temporary file that replaces ``path`` if the block succeeds, and else is removed.

    Args:
        path: the file.
        new: whether the file must not exist. Of several processes, one creates it.

    Raises:
        FileExistsError: it is to be new, and it exists.
        OSError: the file cannot be written, or ``path`` is a device or a pipe.
    """
    # A rename would put a file in the place of /dev/null, for every program of the machine.
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "it is no file", str(path))
    # In the same folder, because a rename is atomic only within one file system.
    with temporary_file(path.parent, f".{path.name}.") as temporary:
        with temporary.open("wb") as stream:
            yield stream
            stream.flush()
            # The rename may reach the disk before the data. After a power failure the file would
            # then be empty.
            os.fsync(stream.fileno())
        make_readable(temporary)
        if not new or not _linked(temporary, path):
            temporary.replace(path)


def _linked(temporary: Path, path: Path) -> bool:
    """Give a file a second name, which must be new. Return whether the system can do that.

    Raises:
        FileExistsError: the name exists.
    """
    try:
        os.link(temporary, path)
    except FileExistsError:
        raise
    except OSError:  # some file systems have no links
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        return False
    return True


def sync_folder(folder: Path) -> None:
    """Wait until the names of files in a folder are on the disk, where the system can do that.

    A rename reaches the disk with the folder, not with the file.
    """
    with suppress(OSError):  # some file systems, and Windows, open no folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


@contextmanager
def temporary_file(folder: Path, prefix: str) -> Iterator[Path]:
    """Create a locked file whose name ends in ``.tmp``, and remove it unless it was renamed."""
    while True:
        handle, name = tempfile.mkstemp(prefix=prefix, suffix=".tmp", dir=folder)
        os.close(handle)
        path = Path(name)
        try:
            held: AbstractContextManager[object] = lock(path)
            break
        except LocksUnsupportedError:
            held = nullcontext()
            break
        except (BlockingIOError, FileNotFoundError):
            continue  # another process took it for litter, before it was locked
    with held:
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)


@contextmanager
def temporary_folder(parent: Path, prefix: str, suffix: str = ".tmp") -> Iterator[Path]:
    """Create a locked folder, and remove it at the end. Its file ``.lock`` is not to be touched.

    For files that other libraries write: they may replace a file, and its lock with it.
    """
    while True:
        folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=suffix, dir=parent))
        try:
            (folder / LOCK_FILE).touch()
            held: AbstractContextManager[object] = lock(folder / LOCK_FILE)
            break
        except LocksUnsupportedError:
            held = nullcontext()
            break
        except (BlockingIOError, FileNotFoundError):
            continue
    with held:
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


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


def sweep(folder: Path, pattern: str) -> None:
    """Remove temporary files and folders that killed processes left: those that nobody locks.

    Where there are no locks, or no lock file, those are removed that are older than a day.
    """
    for path in folder.glob(pattern):
        # Another process may remove the same path, or it may belong to another user.
        with suppress(OSError), unused(path, [path]):
            remove_tree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


@contextmanager
def unused(path: Path, dated: Iterable[Path]) -> Iterator[None]:
    """Lock a file, or a folder by its lock file, so that it can be removed.

    Args:
        path: the file or folder.
        dated: files that must be older than a day, where there are no locks, or no lock file.

    Raises:
        BlockingIOError: it is in use, or may be.
        OSError: it is gone, or cannot be read.
    """
    try:
        held: AbstractContextManager[object] = lock(path / LOCK_FILE if path.is_dir() else path)
    except BlockingIOError:
        raise
    except OSError as error:
        if not all(map(is_old, dated)):
            raise BlockingIOError(errno.EWOULDBLOCK, "it may be in use", str(path)) from error
        held = nullcontext()
    with held:
        yield


def is_old(path: Path) -> bool:
    """Return whether a path was changed more than a day ago, by the clock of its file system.

    The clocks of two machines may be days apart, so that of this machine proves nothing.
    """
    return age_seconds(path) > DAY_SECONDS


def age_seconds(path: Path) -> float:
    """Return the time since a path was changed, by the clock of its file system."""
    with tempfile.TemporaryFile(dir=path.parent) as new:
        return os.fstat(new.fileno()).st_mtime - path.lstat().st_mtime


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
