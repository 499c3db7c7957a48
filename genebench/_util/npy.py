"""Matrices written and read row by row, as ``.npy`` files.

The files are read and written sequentially. On a full disk a write then raises an error, whereas a
write to a memory map kills the process. Rows that were read do not stay in memory.
"""

from __future__ import annotations

import hashlib
import mmap
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Protocol, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

_MAX_PENDING = 4
"""Writes that may wait to be hashed. Their data stay in memory."""


class Stream(Protocol):
    """Object with a ``write`` method, such as a file."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Write all of the data."""


class Hashed:
    """A stream that computes the SHA-256 of all data written to it, in a thread.

    Data must not change after they were written, because hashing runs while more is written.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        # One thread: the digest takes the data in order.
        self._hasher = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    def write(self, data: bytes | memoryview, /) -> None:
        """Write all of the data, and hash them later."""
        self._stream.write(data)
        self._pending.append(self._hasher.submit(self._digest.update, data))
        self._wait(_MAX_PENDING)

    def _wait(self, most: int) -> None:
        """Wait until no more than ``most`` writes are to be hashed."""
        while len(self._pending) > most:
            self._pending.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hasher.shutdown()

    @property
    def sha256(self) -> str:
        """SHA-256 of all data written so far, in hexadecimal."""
        self._wait(0)
        return self._digest.hexdigest()


class NpyWriter:
    """Writer of a ``.npy`` stream in blocks of rows. Its final shape must be known."""

    def __init__(self, stream: Stream, shape: tuple[int, int], dtype: DTypeLike) -> None:
        self.shape = shape
        self._stream = stream
        self._dtype = np.dtype(dtype)
        self._written = 0
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)

    def append(self, rows: NDArray[Any]) -> None:
        """Write a block of rows, converted to the type of the matrix."""
        self._stream.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self._written += len(rows)

    def close(self) -> None:
        """Check that the declared number of rows was written.

        Raises:
            ValueError: there were more or fewer.
        """
        _check_number(self._written, self.shape)


class NpyFile:
    """A ``.npy`` file whose rows are written in any order.

    Rows are written to the file, and not to a memory map, for the reason above.
    """

    def __init__(self, file: IO[bytes], shape: tuple[int, int], dtype: DTypeLike) -> None:
        NpyWriter(file, shape, dtype)
        self._file = file
        self._dtype = np.dtype(dtype)
        self._start = file.tell()
        self._row_bytes = shape[1] * self._dtype.itemsize

    def write_rows(self, positions: NDArray[np.intp], rows: NDArray[Any]) -> None:
        """Write rows to their positions, converted to the type of the matrix."""
        data = np.ascontiguousarray(rows, dtype=self._dtype)
        for position, row in zip(positions, data, strict=True):
            self._file.seek(self._start + int(position) * self._row_bytes)
            self._file.write(row.data)


def _check_number(written: int, shape: tuple[int, int]) -> None:
    if written != shape[0]:
        raise ValueError(f"{written} rows written, {shape[0]} declared")


class Drafts:
    """Blocks of small numbers (ranks), kept in the file that their final rows will replace.

    Each block lies where its final rows, of a larger type, will be written. One file in place of
    two takes half of the page cache and of the disk. A block must be read before its final rows
    are written, which is so when an :class:`NpyWriter` writes them in the same order.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: DTypeLike) -> None:
        # The header of the final matrix: the first block begins behind it.
        header = BytesIO()
        NpyWriter(header, shape, dtype)
        self._path, self._shape = path, shape
        self._header_bytes, self._columns = header.tell(), shape[1]
        self._row_bytes = shape[1] * np.dtype(dtype).itemsize
        self._lengths: list[int] = []
        self._dtype: np.dtype[Any]

    def write(self, blocks: Iterable[NDArray[Any]]) -> None:
        """Write the blocks, of a type no larger than that of the final rows.

        Raises:
            ValueError: the type is larger, or the number of rows is not the declared one.
        """
        position = self._header_bytes
        with self._path.open("wb") as file:
            for block in blocks:
                if block.nbytes > len(block) * self._row_bytes:
                    raise ValueError(f"drafts of {block.dtype} are larger than the final rows")
                file.seek(position)
                file.write(block.data)
                position += len(block) * self._row_bytes
                self._lengths.append(len(block))
                self._dtype = block.dtype
        _check_number(sum(self._lengths), self._shape)

    def read(self, size: int) -> Iterator[NDArray[Any]]:
        """Yield the rows, joined into blocks of at least ``size`` rows, except for the last.

        Written blocks are not divided, because each lies where its own final rows will.

        Raises:
            OSError: the file has become shorter meanwhile.
        """
        lengths, position = iter(self._lengths), self._header_bytes
        with self._path.open("rb") as file:
            while group := list(_take(size, lengths)):
                rows = np.empty((sum(group), self._columns), self._dtype)
                done = 0
                for length in group:
                    file.seek(position)
                    target = rows[done : done + length].data.cast("B")
                    if file.readinto(target) < len(target):
                        raise OSError(f"{self._path}: the file was cut short while it was in use")
                    position += length * self._row_bytes
                    done += length
                yield rows


def _take(total: int, lengths: Iterator[int]) -> Iterator[int]:
    """Yield lengths until their sum reaches a total, or none are left."""
    while total > 0 and (length := next(lengths, 0)):
        yield length
        total -= length


def read_rows(path: Path, size: int) -> Iterator[NDArray[Any]]:
    """Yield the rows of a matrix written by :class:`NpyWriter`, at most ``size`` at a time."""
    with path.open("rb") as stream:
        np.lib.format.read_magic(stream)
        (rows, columns), _, dtype = np.lib.format.read_array_header_1_0(stream)
        for start in range(0, rows, size):
            n_rows = min(size, rows - start)
            yield np.fromfile(stream, dtype, n_rows * columns).reshape(n_rows, columns)


def forget_pages(matrix: NDArray[Any]) -> None:
    """Drop the pages of a memory map from this process. They stay in the system's page cache.

    Without this, a pass over a file counts as memory in use, up to the size of the file. The system
    maps 64 kB around every value that is read.
    """
    # numpy offers no public access to the map of a memmap.
    mapped = getattr(matrix, "_mmap", None)
    # Windows has no madvise.
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
