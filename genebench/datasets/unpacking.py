"""Fetched files that hold another one: ``.gz`` and ``.zip`` are unpacked beside them.

HDF5 cannot be read as a stream, and a file in a ``.zip`` has no name of its own on disk. A file
under its unpacked name is whole.
"""

from __future__ import annotations

import gzip
import hashlib
import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, cast

from genebench._util.files import atomic_write, sha256_of, sweep, user_errors
from genebench._util.progress import Progress, silent
from genebench.datasets.download import RESERVE_BYTES
from genebench.datasets.sources import Source
from genebench.errors import UserError, some
from genebench.formats.files import check_size

_CHUNK_BYTES = 1 << 20
_SPACE_CHECK_CHUNKS = 8
"""Chunks after which the free space is looked at again."""

_UNSOUND = (
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
)
"""The exceptions of the libraries for a damaged file, or one in a form that they do not read.

bz2 and gzip raise an OSError without a number.
"""


def unpack(source: Source, folder: Path, progress: Progress = silent) -> bool:
    """Unpack a fetched file, unless that is done.

    The SHA-256 of both files are recorded in ``<file>.unpacked.sha256``, as sha256sum writes them.

    Args:
        source: the file. Its ``unpacked`` is the name of the result.
        folder: the folder of both.
        progress: called with bytes done, bytes in all (estimated) and the name.

    Returns:
        True if the file was unpacked now, False if it was unpacked already.

    Raises:
        UserError: it is damaged, is an archive of several files, claims an absurd size, or the disk
            is full. Nothing half-written is left. Or the result was changed since it was unpacked.
    """
    packed, path = folder / source.file, folder / source.unpacked
    record = folder / f"{packed.name}.unpacked.sha256"
    digest_of_packed = sha256_of(packed)
    if path.is_file() and record.is_file():
        lines = (line.partition("  ") for line in record.read_text("utf-8").splitlines())
        recorded = {name: sha256 for sha256, _, name in lines}
        if recorded.get(path.name) != sha256_of(path):
            raise UserError(
                f"{path}: changed since it was unpacked from {packed.name}. Move it away and run: "
                f"genebench data fetch {source.name}"
            )
        if recorded.get(packed.name) == digest_of_packed:
            return False
    stored, done, digest = packed.stat().st_size, 0, hashlib.sha256()
    with user_errors(folder, "Set GENEBENCH_HOME to another folder."):
        sweep(folder, f".{path.name}.*.tmp")
        try:
            with _opened(packed) as content, atomic_write(path) as stream:
                for number, chunk in enumerate(iter(lambda: content.read(_CHUNK_BYTES), b"")):
                    done += len(chunk)
                    check_size(str(packed), done, stored)
                    if number % _SPACE_CHECK_CHUNKS == 0:
                        _check_space(folder, path.name)
                    stream.write(chunk)
                    digest.update(chunk)
                    progress(done, max(done, stored), f"unpacking {path.name}")
        except _UNSOUND as error:
            if getattr(error, "errno", None) is not None:
                raise  # of the disk, not of the file
            raise UserError(
                f"{packed}: cannot be unpacked ({error}). Move it away and run: genebench data "
                f"fetch {source.name}"
            ) from None
        with atomic_write(record) as stream:
            for sha256, name in ((digest_of_packed, packed.name), (digest.hexdigest(), path.name)):
                stream.write(f"{sha256}  {name}\n".encode())
    return True


@contextmanager
def _opened(packed: Path) -> Iterator[IO[bytes]]:
    """Open the content of a gzip file, or the one file in an archive."""
    if packed.suffix != ".zip":
        with gzip.open(packed, "rb") as stream:
            yield cast("IO[bytes]", stream)
        return
    with zipfile.ZipFile(packed) as archive:
        # macOS adds hidden files. The name of a file in an archive never becomes a path here.
        names = [
            item.filename
            for item in archive.infolist()
            if not item.is_dir()
            and not any(part.startswith((".", "__")) for part in PurePosixPath(item.filename).parts)
        ]
        if len(names) != 1:
            raise UserError(
                f"{packed}: holds {len(names)} files ({some(names, 6) or 'none'}), and one was "
                "expected. Unpack the matrix yourself, and name it in the manifest."
            )
        with archive.open(names[0]) as content:
            yield content


def _check_space(folder: Path, name: str) -> None:
    free = shutil.disk_usage(folder).free
    if free < RESERVE_BYTES:
        raise UserError(
            f"{folder}: not enough space left to unpack {name}: {RESERVE_BYTES / 1e6:,.0f} MB stay "
            f"free, but only {free / 1e6:,.1f} MB are left. Free some, or set GENEBENCH_HOME to "
            "another folder."
        )
