"""Arrays in an .npz file, read one by one: a leaderboard reads a dozen of each of its records."""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Collection, Mapping
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_SUFFIX = ".npy"

_START = 10
"""Bytes before the header of an array in version 1.0 of the format: magic, version, length."""

_VECTOR = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<|][bfiuU]\d+)', 'fortran_order': False, "
    rb"'shape': \((\d+),\), \} *\n",
    re.DOTALL,
)
"""The header that numpy gives a vector of numbers or texts."""

_WORTH = 0.75
"""Share of its size that an array has to shrink to, to be packed."""


def write_npz(stream: IO[bytes], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays as numpy does, equal ones as equal bytes.

    What hardly shrinks is not packed: most digits of a score are noise, and unpacking them is what
    a reader of thousands of records waits for.
    """
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            npy = BytesIO()
            np.lib.format.write_array(npy, array, allow_pickle=False)
            content = npy.getvalue()
            # An entry has the date of no day unless it is told one.
            entry = zipfile.ZipInfo(f"{name}{_SUFFIX}")
            if len(zlib.compress(content, level=1)) < _WORTH * len(content):
                entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)


def read_npz(
    source: Path | IO[bytes], names: Collection[str] | None = None, *, most: int
) -> dict[str, NDArray[Any]]:  # fmt: skip
    """Arrays by name: all of them, or those of ``names`` that there are.

    Args:
        source: the file.
        names: which to read; the others cost nothing.
        most: bytes that all arrays may unpack to.

    Raises:
        OverflowError: they unpack to more.
        OSError, ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error:
            the file cannot be read, or is damaged.
    """
    with zipfile.ZipFile(source) as archive:
        entries = archive.infolist()
        size = sum(entry.file_size for entry in entries)
        if size > most:
            raise OverflowError(f"{size:,} bytes of vectors are no record's")
        named = {entry.filename.removesuffix(_SUFFIX): entry for entry in entries}
        return {
            name: _array(archive.read(entry))
            for name, entry in named.items()
            if names is None or name in names
        }


def _array(content: bytes) -> NDArray[Any]:
    """The array that a .npy file holds; plain vectors without numpy's reader of Python literals."""
    plain = _VECTOR.match(content)
    if plain and plain.end() == _START + int.from_bytes(content[8:_START], "little"):
        dtype, length = np.dtype(plain[1].decode()), int(plain[2])
        if len(content) == plain.end() + length * dtype.itemsize:
            return np.frombuffer(content, dtype, offset=plain.end()).copy()
    array: NDArray[Any] = np.lib.format.read_array(BytesIO(content), allow_pickle=False)
    return array
