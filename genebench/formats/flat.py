"""Matrices that lie in their file as they would in memory: threads take turns to read rows."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import FileIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genebench.errors import UserError

FLAT_TYPES = np.float32, np.float64
"""What a flat matrix may hold, in the byte order of this machine."""

CHANGED = "it has changed since it was opened; try again"

State = tuple[int, int, int]


@dataclass(frozen=True)
class Flat:
    """Where a matrix of profiles × genes lies: row after row, with nothing in between.

    Attributes:
        path: the file.
        state: of the file, as :func:`state_of` gave it when its reader looked into it.
        offset: bytes before the first row.
        shape: profiles × genes.
        dtype: one of :data:`FLAT_TYPES`.
    """

    path: Path
    state: State
    offset: int
    shape: tuple[int, int]
    dtype: np.dtype[np.floating]

    @contextmanager
    def open(self) -> Iterator[FlatRows]:
        """Its rows, to be read until the context ends.

        Raises:
            UserError: the file cannot be read, or is not the one that the reader looked into.
        """
        try:
            file = self.path.open("rb", buffering=0)
        except OSError as error:
            raise _unreadable(self.path, error) from error
        with file:
            if _state(os.fstat(file.fileno())) != self.state:
                raise UserError(f"{self.path}: {CHANGED}")
            yield FlatRows(self, file)


class FlatRows:
    """Rows of a :class:`Flat` matrix, read one call at a time into memory of each thread.

    New memory costs as much as reading does, so a thread's memory is used again and again.
    """

    def __init__(self, flat: Flat, file: FileIO) -> None:
        self._flat = flat
        self._file = file
        self._turn = threading.Lock()
        self._mine = threading.local()

    def read(self, start: int, stop: int) -> NDArray[np.floating]:
        """Profiles × all genes; this thread's next call overwrites them.

        Raises:
            UserError: the file has ended before, or cannot be read.
        """
        rows = self._room(stop - start)
        with self._turn:
            try:
                self._fill(rows.data.cast("B"), self._flat.offset + start * rows.strides[0])
            except OSError as error:
                raise _unreadable(self._flat.path, error) from error
        return rows

    def _fill(self, room: memoryview, at: int) -> None:
        self._file.seek(at)
        while room:
            done = self._file.readinto(room)
            if not done:
                path = self._flat.path
                raise UserError(f"{path}: it ends within its matrix; is it cut short?")
            room = room[done:]

    def _room(self, profiles: int) -> NDArray[np.floating]:
        """Memory of this thread: profiles × all genes, holding anything."""
        room: NDArray[np.floating] | None = getattr(self._mine, "room", None)
        if room is None or len(room) < profiles:
            room = self._mine.room = np.empty((profiles, self._flat.shape[1]), self._flat.dtype)
        return room[:profiles]


def state_of(path: Path) -> State:
    """What changes when a file does."""
    return _state(path.stat())


def _state(found: os.stat_result) -> State:
    return found.st_ino, found.st_size, found.st_mtime_ns


def _unreadable(path: Path, error: OSError) -> UserError:
    return UserError(f"{path}: it cannot be read ({error.strerror or error})")
