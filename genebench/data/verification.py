"""Verification of a prepared dataset: files that changed since it was written."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from genebench._util.files import NO_HANDLES, sha256_of, user_errors
from genebench.data.cache import is_sound
from genebench.data.digests import dataset_digest, platform_digest
from genebench.data.store import SUMS, Dataset


def changed_files(dataset: Dataset) -> list[str]:
    """Return the files that are missing or changed since preparation.

    Every file is read. If all are sound, the digest of the content is computed again. If it differs
    from that of the dataset, the fault is called ``digest``.

    Raises:
        UserError: files cannot be opened, because too many are open or the permission is missing.
    """
    actual: dict[str, str] = {}
    try:
        with _no_access(dataset.root):
            checksums = dataset.checksums()
    except (OSError, ValueError):
        return [SUMS]
    for name in checksums:
        # ValueError: a name with a zero byte.
        with suppress(OSError, ValueError), _no_access(dataset.root / name):
            actual[name] = sha256_of(dataset.root / name)
    faults = [name for name, checksum in checksums.items() if actual.get(name) != checksum]
    if faults:
        return faults
    # The list of checksums could have been edited together with the files.
    try:
        contents = {
            name: platform_digest(
                dataset.profile_table(name), str(actual.get(f"{name}/expression.npy"))
            )
            for name in dataset.platforms
        }
        digest = dataset_digest(dataset.landmark_genes, dataset.target_genes, contents)
    except (OSError, ValueError):
        return ["digest"]
    return [] if digest == dataset.digest else ["digest"]


def changed_cache_files(dataset: Dataset) -> list[str]:
    """Return the files of ``cache/`` that were changed, or written by another version.

    Every file is read. A file that is removed is derived again when it is needed.

    Raises:
        UserError: files cannot be opened, because too many are open or the permission is missing.
    """
    # A name with a leading dot is that of a file that is being written.
    paths = sorted((dataset.root / "cache").glob("[!.]*"))
    # A file may vanish meanwhile, because another process replaces or removes it.
    bad = [path for path in paths if not _is_sound(path) and path.exists()]
    return [path.relative_to(dataset.root).as_posix() for path in bad]


def _is_sound(path: Path) -> bool:
    try:
        with _no_access(path):
            return is_sound(path)
    except OSError:
        return False


@contextmanager
def _no_access(path: Path) -> Iterator[None]:
    """Turn errors into a UserError that say nothing about the content of a file."""
    try:
        yield
    except OSError as error:
        if error.errno not in {*NO_HANDLES, errno.EACCES, errno.EPERM}:
            raise
        with user_errors(path, "Correct the permissions.", trouble="cannot be read"):
            raise
