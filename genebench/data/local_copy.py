"""Copies of prepared datasets on the disk of a node, so that its jobs read the shared disk once.

The layout, where ``<temporary>`` is ``TMPDIR`` or else the system's folder for temporary files:

::

    <temporary>/genebench-<uid>/           private: mode 0700, and the user's own
        .lock                              locked while a dataset is copied, looked up or removed
        .staging-*                         a copy that is not finished
        datasets/<name>/<digest>/          a copy, which the data store reads as any dataset

The folder serves as ``GENEBENCH_HOME``. A copy has the files that the dataset was prepared with,
and its cached moments. Other cache files are written anew when a job needs them: they are as large
as the data, and fast to derive from a local disk. Times of change are copied as well, because they
are part of the fingerprint of cache files.
"""

from __future__ import annotations

import logging
import os
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath

from genebench._util.files import (
    LOCK_FILE,
    is_old,
    reason_of,
    sweep,
    temporary_folder,
    unused,
)
from genebench._util.locks import lock
from genebench._util.text import printable
from genebench.data.home import home
from genebench.data.store import SUMS, Dataset, DataStore
from genebench.data.verification import changed_files
from genebench.errors import UserError

log = logging.getLogger("genebench")

SPARE_BYTES = 1 << 30
"""Space that a copy leaves free for other programs."""

_STAGING = ".staging-"
_MOMENTS = "*.moments-*"
"""Pattern of the names of cached moments, the only cache files that take minutes to compute."""


class _NoCopyError(Exception):
    """A reason to read the shared folder."""


@contextmanager
def local_home(datasets: Iterable[tuple[str, str]]) -> Iterator[Path]:
    """Provide a data folder on this node with copies of datasets, to be used as GENEBENCH_HOME.

    The copies stay while the context lasts, and at least a day longer. Processes of this user on
    this node share them. If a dataset cannot be copied, a warning says why, and the folder is the
    shared one.

    Args:
        datasets: names that the datasets are prepared under, and their digests.

    Raises:
        UserError: a dataset is gone, or its files differ from its checksums.
    """
    try:
        folder = _private_folder()
        # Kept until the end: an opened dataset is locked against removal.
        opened = [local_copy(name, digest, folder) for name, digest in datasets]
    except (_NoCopyError, OSError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else error
        log.warning("no local copy of the data, the shared folder is used: %s", reason)
        yield home()
        return
    yield folder
    del opened


def local_copy(name: str, digest: str, folder: Path) -> Dataset:
    """Return the copy of a dataset in a data folder of this node. The first process makes it.

    Args:
        name: name that the dataset is prepared under.
        digest: its digest.
        folder: a private folder, which ends up as a data folder.

    Raises:
        UserError: the dataset is gone, or its files differ from its checksums.
        OSError, _NoCopyError: it cannot be copied.
    """
    shared = DataStore().open_planned(name, digest)
    place = folder / "datasets" / name / shared.root.name
    (folder / LOCK_FILE).touch(mode=0o600)
    # One at a time: others wait here for the first, and read the shared disk no second time.
    with lock(folder / LOCK_FILE, wait=True):
        _sweep(folder)
        sizes = {path: (shared.root / path).stat().st_size for path in _files(shared)}
        if not _is_whole(place, sizes):
            _copy(shared, place, sizes, folder)
        # The time of the last use, for the sweep.
        (place / LOCK_FILE).touch()
        return Dataset(place)


def _private_folder() -> Path:
    """Return the folder of this user on this node, which nobody else can write to or replace.

    Raises:
        _NoCopyError: it is another user's, a link, or open to others.
        OSError: it cannot be made.
    """
    if not hasattr(os, "getuid"):
        raise _NoCopyError("this system has no numbers of users")
    parent = Path(tempfile.gettempdir()).resolve()
    folder = parent / f"genebench-{os.getuid()}"
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    # Another user may have made this name first: a link would lead our writes to any place.
    state, above = folder.lstat(), parent.stat()
    if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.getuid():
        raise _NoCopyError(f"{folder} belongs to somebody else, or is a link")
    if state.st_mode & 0o077:
        raise _NoCopyError(f"{folder} is open to other users")
    if above.st_mode & 0o022 and not above.st_mode & stat.S_ISVTX:
        raise _NoCopyError(f"other users can replace folders in {parent}")
    return folder


def _files(dataset: Dataset) -> list[str]:
    """Return the paths of the files to copy, relative to the dataset's folder.

    Raises:
        UserError: a path leads out of the folder.
    """
    paths = [*dataset.checksums(), SUMS]
    for path in map(PurePosixPath, paths):
        if path.is_absolute() or ".." in path.parts:
            raise UserError(
                f"{dataset.root / SUMS}: {printable(str(path))} is no file of the dataset. "
                f"Prepare {dataset.name} again."
            )
    moments = (dataset.root / "cache").glob(_MOMENTS)
    return [*paths, *(f"cache/{path.name}" for path in moments)]


def _is_whole(place: Path, sizes: dict[str, int]) -> bool:
    """Return whether a copy has all files of the dataset, each as large as the original.

    Systems remove single files from folders for temporary files. Moments may be missing: a copy
    that was made before they were computed has its own.
    """
    with suppress(OSError):
        return all(
            (place / name).stat().st_size == size
            for name, size in sizes.items()
            if not name.startswith("cache/")
        )
    return False


def _copy(shared: Dataset, place: Path, sizes: dict[str, int], folder: Path) -> None:
    """Copy a dataset under a temporary name, check the copy, and move it to its place.

    Raises:
        UserError: the files of the dataset differ from its checksums.
        OSError, _NoCopyError: it cannot be copied.
    """
    # Twice the data: sealed methods read files of their own profiles, which are written beside it.
    needed, free = 2 * sum(sizes.values()) + SPARE_BYTES, shutil.disk_usage(folder).free
    if free < needed:
        raise _NoCopyError(
            f"{folder} has {free / 1e9:,.1f} GB free, {needed / 1e9:,.1f} GB are needed"
        )
    with temporary_folder(folder, _STAGING, "") as staging:
        # One folder deeper, so that the lock of the staging folder does not move with the copy.
        copied = staging / place.name
        for name in sizes:
            (copied / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(shared.root / name, copied / name)
            _sync(copied / name)
        (copied / LOCK_FILE).touch()
        if faults := changed_files(Dataset(copied)):
            # Both disks are suspects. A dataset that is damaged itself must not be used.
            if damaged := changed_files(shared):
                raise UserError(
                    f"{shared.root}: damaged ({', '.join(damaged[:3])}). "
                    f"Prepare {shared.name} again."
                )
            raise _NoCopyError(f"{place}: {faults[0]} was not copied right")
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            place.rename(staging / "incomplete")
        copied.rename(place)


def _sync(path: Path) -> None:
    """Wait until a file is on the disk: after a power failure it would have its size, but zeros."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(folder: Path) -> None:
    """Remove copies that no process has used for a day, and what killed processes left."""
    sweep(folder, f"{_STAGING}*")
    for copy in (folder / "datasets").glob("*/*"):
        used = copy / LOCK_FILE
        with suppress(OSError):
            if is_old(used):
                with unused(copy, [used]), temporary_folder(folder, _STAGING, "") as trash:
                    copy.rename(trash / copy.name)
