"""Matrices written row by row to ``.npy``.

Plain sequential writes: on a full disk they raise, where a memory map would kill the process.
"""

from __future__ import annotations

from typing import IO, Any

import numpy as np
from numpy.typing import DTypeLike, NDArray


class NpyWriter:
    """Appends blocks of rows to a ``.npy`` stream whose final shape is known."""

    def __init__(self, stream: IO[bytes], shape: tuple[int, int], dtype: DTypeLike) -> None:
        self.shape = shape
        self._stream = stream
        self._dtype = np.dtype(dtype)
        self._written = 0
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(stream, header)

    def append(self, rows: NDArray[Any]) -> bytes:
        """Write a block of rows; return its bytes, for whoever keeps a digest."""
        data = np.ascontiguousarray(rows, dtype=self._dtype).tobytes()
        self._stream.write(data)
        self._written += len(rows)
        return data

    def close(self) -> None:
        """Check that the declared number of rows came."""
        if self._written != self.shape[0]:
            raise ValueError(f"{self._written} rows written, {self.shape[0]} declared")
