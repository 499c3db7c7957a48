"""Matrices that lie in their file as they would in memory: several threads read them at once."""

from __future__ import annotations

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


@dataclass(frozen=True)
class Flat:
    """Where a matrix of profiles × genes lies: row after row, with nothing in between.

    Attributes:
        path: the file.
        offset: bytes before the first row.
        shape: profiles × genes.
        dtype: one of :data:`FLAT_TYPES`.
    """

    path: Path
    offset: int
    shape: tuple[int, int]
    dtype: np.dtype[np.floating]

    @contextmanager
    def open(self) -> Iterator[FlatRows]:
        """Its rows, to be read until the context ends."""
        with self.path.open("rb", buffering=0) as file:
            yield FlatRows(self, file)


class FlatRows:
    """Rows of a :class:`Flat` matrix, read into memory that each thread uses again and again.

    New memory costs as much as reading does.
    """

    def __init__(self, flat: Flat, file: FileIO) -> None:
        self._flat = flat
        self._file = file
        self._turn = threading.Lock()
        self._mine = threading.local()

    def read(self, start: int, stop: int) -> NDArray[np.floating]:
        """Profiles × all genes; this thread's next call overwrites them.

        Raises:
            UserError: the file has ended before.
        """
        flat = self._flat
        rows = self._room(stop - start)
        left = rows.data.cast("B")
        with self._turn:
            self._file.seek(flat.offset + start * rows.strides[0])
            while left:
                done = self._file.readinto(left)
                if not done:
                    raise UserError(f"{flat.path}: it ends within its matrix; is it cut short?")
                left = left[done:]
        return rows

    def _room(self, profiles: int) -> NDArray[np.floating]:
        """Memory of this thread: profiles × all genes, holding anything."""
        room: NDArray[np.floating] | None = getattr(self._mine, "room", None)
        if room is None or len(room) < profiles:
            room = self._mine.room = np.empty((profiles, self._flat.shape[1]), self._flat.dtype)
        return room[:profiles]
