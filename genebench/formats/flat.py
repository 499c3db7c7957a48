"""Matrices stored in a file as they would lie in memory. Several threads share one open file."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from genebench.errors import UserError

FLAT_TYPES = np.float32, np.float64
"""The types of a flat matrix, in the byte order of this machine: its bytes need no conversion."""


class FileStamp(NamedTuple):
    """Properties of a file that change when it is replaced or edited."""

    inode: int
    n_bytes: int
    modified_ns: int


@dataclass(frozen=True)
class Flat:
    """The place of a matrix of profiles × genes that is stored row after row without gaps.

    Attributes:
        path: the file.
        stamp: the file's :func:`stamp_of` when its reader was opened.
        offset: bytes before the first row.
        shape: the numbers of profiles and of genes.
        dtype: one of :data:`FLAT_TYPES`.
    """

    path: Path
    stamp: FileStamp
    offset: int
    shape: tuple[int, int]
    dtype: np.dtype[np.floating]

    @contextmanager
    def open(self) -> Iterator[FlatRows]:
        """Open the rows for reading until the context ends.

        Raises:
            UserError: the file cannot be read, or has changed since its reader was opened.
        """
        try:
            # No buffer: whole rows are read straight into the array that is returned.
            file = self.path.open("rb", buffering=0)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        with file:
            if _stamp(os.fstat(file.fileno())) != self.stamp:
                raise file_changed(self.path)
            yield FlatRows(self, file)


class FlatRows:
    """An open :class:`Flat` matrix. Each thread reads rows into a separate buffer.

    The buffer is used again for each call, because fresh memory costs as much as reading does:
    the system must clear its pages first.
    """

    def __init__(self, flat: Flat, file: FileIO) -> None:
        self._flat = flat
        self._file = file
        self._lock = threading.Lock()
        self._of_this_thread = threading.local()

    def read(self, start: int, stop: int) -> NDArray[np.floating]:
        """Return profiles ``start`` to ``stop`` × all genes, until this thread's next call.

        Raises:
            UserError: the file ends too early, or cannot be read.
        """
        rows = self._buffer(stop - start)
        # Seeking and reading are two calls on one file position: no thread may come in between.
        with self._lock:
            try:
                self._fill(rows.data.cast("B"), self._flat.offset + start * rows.strides[0])
            except OSError as error:
                raise _unreadable(self._flat.path, error) from error
        return rows

    def _fill(self, buffer: memoryview, position: int) -> None:
        self._file.seek(position)
        # An unbuffered file may return less than was asked for.
        while buffer:
            n_read = self._file.readinto(buffer)
            if not n_read:
                raise UserError(
                    f"{self._flat.path}: the file ends within its matrix. Fetch or write it again."
                )
            buffer = buffer[n_read:]

    def _buffer(self, profiles: int) -> NDArray[np.floating]:
        """Return this thread's memory of profiles × all genes, with arbitrary content."""
        buffer: NDArray[np.floating] | None = getattr(self._of_this_thread, "buffer", None)
        if buffer is None or len(buffer) < profiles:
            buffer = np.empty((profiles, self._flat.shape[1]), self._flat.dtype)
            self._of_this_thread.buffer = buffer
        return buffer[:profiles]


def stamp_of(path: Path) -> FileStamp:
    """Return the stamp of a file, to notice later that it has changed."""
    return _stamp(path.stat())


def file_changed(path: Path) -> UserError:
    """Return the error for a file that changed between opening and reading it."""
    return UserError(f"{path}: the file has changed since it was opened. Run the command again.")


def _stamp(status: os.stat_result) -> FileStamp:
    return FileStamp(status.st_ino, status.st_size, status.st_mtime_ns)


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(
        f"{path}: the file cannot be read ({error.strerror or error}). Check that it exists and "
        "that you may read it."
    )
