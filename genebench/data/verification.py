"""Verification of a prepared dataset: files that changed since it was written."""

from __future__ import annotations

from contextlib import suppress

from genebench._util.files import sha256_of
from genebench.data.cache import is_sound
from genebench.data.digests import dataset_digest, platform_digest
from genebench.data.store import SUMS, Dataset


def changed_files(dataset: Dataset) -> list[str]:
    """Return the files that are missing or changed since preparation.

    Every file is read. If all are sound, the digest of the content is computed again. If it differs
    from that of the dataset, the fault is called ``digest``.
    """
    try:
        checksums = dataset.checksums()
    except OSError:
        return [SUMS]
    actual: dict[str, str] = {}
    for name in checksums:
        with suppress(OSError):
            actual[name] = sha256_of(dataset.root / name)
    faults = [name for name, checksum in checksums.items() if actual.get(name) != checksum]
    if faults:
        return faults
    # The list of checksums could have been edited together with the files.
    contents = {
        name: platform_digest(
            dataset.profile_table(name), str(actual.get(f"{name}/expression.npy"))
        )
        for name in dataset.platforms
    }
    digest = dataset_digest(dataset.landmark_genes, dataset.target_genes, contents)
    return [] if digest == dataset.digest else ["digest"]


def changed_cache_files(dataset: Dataset) -> list[str]:
    """Return the files of ``cache/`` that were changed, or written by another version.

    Every file is read. A file that is removed is derived again when it is needed.
    """
    # A name with a leading dot is that of a file that is being written.
    paths = sorted((dataset.root / "cache").glob("[!.]*"))
    # A file may vanish meanwhile, because another process replaces or removes it.
    bad = [path for path in paths if not is_sound(path) and path.exists()]
    return [path.relative_to(dataset.root).as_posix() for path in bad]
