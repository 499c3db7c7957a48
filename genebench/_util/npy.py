"""Matrices written and read row by row, as ``.npy``.

Plain sequential files: on a full disk a write raises, where a memory map would kill the process,
and what was read does not stay in memory.
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

_PENDING = 4
"""Writes that may wait to be hashed: their data stay in memory."""


class Stream(Protocol):
    """What can be written to."""

    def write(self, data: bytes | memoryview, /) -> object:
        """Write all of the data."""


class Hashed:
    """A stream that knows the sha256 of all that was written to it.

    What is written must not change afterwards: it is hashed while the next is written.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self._hasher = ThreadPoolExecutor(1)
        self._pending: deque[Future[None]] = deque()

    def write(self, data: bytes | memoryview, /) -> None:
        """Write all of the data."""
        self._stream.write(data)
        self._pending.append(self._hasher.submit(self._digest.update, data))
        self._settle(_PENDING)

    def _settle(self, most: int) -> None:
        while len(self._pending) > most:
            self._pending.popleft().result()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._hasher.shutdown()

    @property
    def sha256(self) -> str:
        """Of all that was written so far, as hex digits."""
        self._settle(0)
        return self._digest.hexdigest()


class NpyWriter:
    """Appends blocks of rows to a ``.npy`` stream whose final shape is known."""

    def __init__(self, stream: Stream, shape: tuple[int, int], dtype: DTypeLike) -> None:
        self.shape = shape
        self._stream = stream
        self._dtype = np.dtype(dtype)
        self._written = 0
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)

    def append(self, rows: NDArray[Any]) -> None:
        """Write a block of rows."""
        self._stream.write(np.ascontiguousarray(rows, dtype=self._dtype).data)
        self._written += len(rows)

    def close(self) -> None:
        """Check that the declared number of rows came."""
        _check_number(self._written, self.shape)


def _check_number(written: int, shape: tuple[int, int]) -> None:
    if written != shape[0]:
        raise ValueError(f"{written} rows written, {shape[0]} declared")


class Drafts:
    """Blocks of rows kept in a ``.npy`` file to be, each where its rows of a larger type will lie.

    One file in place of two: half as much of the system's memory and of the disk. A block is to be
    read before its rows are written, which an :class:`NpyWriter` does in the same order.
    """

    def __init__(self, path: Path, shape: tuple[int, int], dtype: DTypeLike) -> None:
        header = BytesIO()
        NpyWriter(header, shape, dtype)
        self._path, self._shape = path, shape
        self._header, self._columns = header.tell(), shape[1]
        self._row_bytes = shape[1] * np.dtype(dtype).itemsize
        self._lengths: list[int] = []
        self._dtype: np.dtype[Any]

    def write(self, blocks: Iterable[NDArray[Any]]) -> None:
        """Write the blocks, of a type no larger than that of the rows."""
        at = self._header
        with self._path.open("wb") as file:
            for block in blocks:
                if block.nbytes > len(block) * self._row_bytes:
                    raise ValueError(f"drafts of {block.dtype} are larger than what they are for")
                file.seek(at)
                file.write(block.data)
                at += len(block) * self._row_bytes
                self._lengths.append(len(block))
                self._dtype = block.dtype
        _check_number(sum(self._lengths), self._shape)

    def read(self, size: int) -> Iterator[NDArray[Any]]:
        """Yield what was written, in blocks of as many of those written as have ``size`` rows."""
        lengths, at = iter(self._lengths), self._header
        with self._path.open("rb") as file:
            while group := list(_reaching(size, lengths)):
                rows = np.empty((sum(group), self._columns), self._dtype)
                done = 0
                for length in group:
                    file.seek(at)
                    room = rows[done : done + length].data.cast("B")
                    if file.readinto(room) < len(room):
                        raise OSError(f"{self._path}: it was cut short while it was in use")
                    at += length * self._row_bytes
                    done += length
                yield rows


def _reaching(total: int, lengths: Iterator[int]) -> Iterator[int]:
    """As many of the lengths as reach a total, or all that are left."""
    while total > 0 and (length := next(lengths, 0)):
        yield length
        total -= length


def read_rows(path: Path, size: int) -> Iterator[NDArray[Any]]:
    """Yield a matrix written by :class:`NpyWriter`, at most ``size`` rows at a time."""
    with path.open("rb") as stream:
        np.lib.format.read_magic(stream)
        (rows, columns), _, dtype = np.lib.format.read_array_header_1_0(stream)
        for start in range(0, rows, size):
            n_rows = min(size, rows - start)
            yield np.fromfile(stream, dtype, n_rows * columns).reshape(n_rows, columns)


def forget_pages(matrix: NDArray[Any]) -> None:
    """Let go of the pages of a memory map: they stay in the system's cache, not in our memory.

    Else a pass over the data would count as memory in use, up to the size of the file: the system
    maps 64 kB around every value that is touched.
    """
    mapped = getattr(matrix, "_mmap", None)
    if mapped is not None and hasattr(mmap, "MADV_DONTNEED"):
        mapped.madvise(mmap.MADV_DONTNEED)
