"""Vectors in an .npz file, read one by one.

A leaderboard reads about a dozen vectors of each of its records. The others must cost nothing.
"""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from genebench.errors import UserError
from genebench.results.limits import VECTORS_BYTES
from genebench.results.untrusted import as_user_error, open_zip, read_arrays, read_file

Vectors = Mapping[str, NDArray[Any]]
"""Name → one value for each target gene, or for each test profile."""

RUN_AGAIN = "Remove the record and run again."
"""Remedy for a file that is missing, or is not the one that was written."""

_SUFFIX = ".npy"

_COMPRESSED_SHARE = 0.75
"""An array is compressed if it shrinks below this share of its size."""


def write_npz(stream: IO[bytes], arrays: Vectors) -> None:
    """Write arrays as ``numpy.savez`` does. Equal arrays give equal bytes.

    Most digits of a score are noise, and hardly shrink. Such arrays are stored uncompressed,
    because decompression dominates the time of a reader of thousands of records.
    """
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            npy = BytesIO()
            np.lib.format.write_array(npy, array, allow_pickle=False)
            content = npy.getvalue()
            # A ZipInfo made from a name alone has the fixed date 1980-01-01: no clock in the bytes.
            entry = zipfile.ZipInfo(f"{name}{_SUFFIX}")
            if len(zlib.compress(content, level=1)) < _COMPRESSED_SHARE * len(content):
                entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def read_vectors(
    path: Path, digest: str, names: Collection[str] | None = None
) -> dict[str, NDArray[Any]]:
    """Return the vectors of a record by name: all of them, or those of ``names`` that it has.

    Args:
        path: the .npz file.
        digest: SHA-256 digest of the file, as the record has it.
        names: vectors to read. The others are not unpacked.

    Raises:
        UserError: the file is missing, damaged, changed, or far larger than that of any record.
    """
    try:
        with as_user_error(path, "cannot be read as vectors", RUN_AGAIN):
            # One read only: between two reads the file could be replaced, and the digest would be
            # that of other bytes than those that become vectors.
            content = read_file(path, VECTORS_BYTES)
            if hashlib.sha256(content).hexdigest() != digest:
                raise UserError(f"{path}: was changed after it was written. {RUN_AGAIN}")
            with open_zip(BytesIO(content)) as archive:
                return read_arrays(archive, VECTORS_BYTES, names)
    except (FileNotFoundError, NotADirectoryError):
        raise UserError(f"{path}: this file is missing. {RUN_AGAIN}") from None
