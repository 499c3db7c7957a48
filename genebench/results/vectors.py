"""Vectors in an .npz file, read one by one.

A leaderboard reads about a dozen vectors of each of its records. The others must cost nothing.
"""

from __future__ import annotations

import hashlib
import re
import zipfile
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from genebench.errors import UserError

Vectors = Mapping[str, NDArray[Any]]
"""Name → one value for each target gene, or for each test profile."""

RUN_AGAIN = "Remove the record and run again."
"""Remedy for a file that is missing, or is not the one that was written."""

MOST_BYTES = 1 << 30
"""Bytes that a record's vectors may unpack to: 50 times those of a record of published size.

A small file can unpack to any size. Without a limit, a stranger's file could fill the memory.
"""

_SUFFIX = ".npy"

_HEADER_START = 10
"""Bytes before the header of an array in version 1.0 of the format: magic, version, length."""

_PLAIN_VECTOR = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][bfiuU]\d+)', 'fortran_order': False, "
    rb"'shape': \((\d+),\), \} *\n",
    re.DOTALL,
)
"""The header that numpy writes for a vector of numbers or texts."""

_COMPRESSED_SHARE = 0.75
"""An array is compressed if it shrinks below this share of its size."""

_UNREADABLE = (
    OSError, ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""Exceptions that a damaged .npz file may raise."""


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


def read_npz(
    source: Path | IO[bytes], names: Collection[str] | None = None, *, most: int
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """Return arrays by name: all of them, or those of ``names`` that the file has.

    Args:
        source: the file.
        names: arrays to read. The others are not unpacked.
        most: bytes that all arrays together may unpack to.

    Raises:
        OverflowError: the arrays unpack to more.
        OSError, ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error:
            the file cannot be read, or is damaged.
    """
    with zipfile.ZipFile(source) as archive:
        entries = archive.infolist()
        _check_size(sum(entry.file_size for entry in entries), most)
        by_name = {entry.filename.removesuffix(_SUFFIX): entry for entry in entries}
        return {
            name: _array(archive.read(entry))
            for name, entry in by_name.items()
            if names is None or name in names
        }


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
        _check_size(path.stat().st_size, MOST_BYTES)
        # One read only: between two reads the file could be replaced, and the digest would be that
        # of other bytes than those that become vectors.
        content = path.read_bytes()
        vectors = read_npz(BytesIO(content), names, most=MOST_BYTES)
    except FileNotFoundError:
        raise UserError(f"{path}: this file is missing. {RUN_AGAIN}") from None
    except OverflowError as error:
        raise UserError(f"{path}: {error}. {RUN_AGAIN}") from None
    except _UNREADABLE as error:
        raise UserError(f"{path}: cannot be read as vectors ({error}). {RUN_AGAIN}") from error
    if hashlib.sha256(content).hexdigest() != digest:
        raise UserError(f"{path}: was changed after it was written. {RUN_AGAIN}")
    return vectors


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise OverflowError(f"{size:,} bytes of vectors are more than any record has ({most:,})")


def _array(content: bytes) -> NDArray[Any]:
    """Return the array that a .npy file holds.

    numpy parses a header as a Python literal, which takes longer than reading the vector itself.
    Plain vectors are therefore read here, and all other arrays by numpy.
    """
    plain = _PLAIN_VECTOR.match(content)
    header_bytes = int.from_bytes(content[8:_HEADER_START], "little")
    if plain and plain.end() == _HEADER_START + header_bytes:
        dtype, length = np.dtype(plain[1].decode()), int(plain[2])
        if len(content) == plain.end() + length * dtype.itemsize:
            # The copy makes the array writable, as numpy's reader does.
            return np.frombuffer(content, dtype, offset=plain.end()).copy()
    array: NDArray[Any] = np.lib.format.read_array(BytesIO(content), allow_pickle=False)
    return array
