"""GCTX: expression in HDF5, stored profiles × genes, as the Connectivity Map publishes it.

Layout: Enache et al. 2019, Bioinformatics 35:1427. ROW describes genes, COL describes profiles.
Both names are those of the transposed matrix, as R and Matlab show it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.formats.base import BLOCK, IN_MEMORY_BYTES, Content, GeneReader, float_type
from genebench.formats.files import as_text
from genebench.formats.flat import Flat
from genebench.formats.hdf5 import (
    SLAB_PROFILES,
    Hdf5Reader,
    can_be_named,
    check_space,
    flat_matrix,
    is_plain,
    read_block,
    write_values,
)

MATRIX = "0/DATA/0/matrix"
MISSING = -666
"""The code of GCTX for a value that was not measured."""

BAND_BYTES = IN_MEMORY_BYTES
"""Most bytes of one band of chunks (a chunk's profiles × all genes) that is held in memory."""

_ROW, _COL = "0/META/ROW", "0/META/COL"


class GctxReader(Hdf5Reader, GeneReader):
    """A GCTX file, open only while it is read. Columns of COL go to the profile table.

    The file is read profile after profile. If its chunks span so many profiles that one band of
    chunks would not fit in memory, it is read gene after gene instead. Either way each chunk is
    unpacked once.

    Raises:
        UserError: not HDF5, no matrix, no ids, ids that are not unique UTF-8 text, or a matrix
            that is not numeric or not profiles × genes.
    """

    format = "GCTX"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self.open() as file:
            self.gene_ids = self.read_ids(self.dataset(file, f"{_ROW}/id"), "gene")
            profile_ids = self.read_ids(self.dataset(file, f"{_COL}/id"), "profile")
            self._check_matrix(file, len(profile_ids), len(self.gene_ids))
            self.profiles = self._read_profiles(file, profile_ids)

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64.

        Memory: one block, and :data:`SLAB_PROFILES` profiles of all genes, or one band of chunks
        if that is more. A band beyond :data:`BAND_BYTES` is avoided: the memory is then that of a
        :class:`GeneReader`, and one column of chunks.
        """
        with self.open() as file:
            matrix = file[MATRIX]
            chunk, width = _chunks(matrix)
            band = chunk * matrix.shape[1] * float_type(matrix.dtype).itemsize
            # Reading by gene holds a column of chunks: only done if that is less than a band.
            if band <= BAND_BYTES or chunk * matrix.shape[1] <= width * matrix.shape[0]:
                yield from self._by_profile(matrix, genes, size, chunk)
                return
        for number, block in enumerate(super().blocks(genes, size)):
            self.check_finite(block, number * size, genes)
            yield block

    def flat(self) -> Flat | None:
        """Return the place of the matrix in the file, if it is stored without chunks."""
        with self.open() as file:
            return flat_matrix(file[MATRIX])

    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.floating]]:
        """Yield the values of some genes (ascending positions) × all profiles, chunk by chunk."""
        with self.open() as file:
            matrix = file[MATRIX]
            _, width = _chunks(matrix)
            for start in np.unique(genes // width) * width:
                stop = min(start + width, matrix.shape[1])
                values = np.empty((matrix.shape[0], stop - start), float_type(matrix.dtype))
                matrix.read_direct(values, np.s_[:, start:stop])
                yield values[:, genes[(genes >= start) & (genes < stop)] - start].T

    def _by_profile(
        self, matrix: h5py.Dataset, genes: NDArray[np.intp], size: int, chunk: int
    ) -> Iterator[NDArray[np.floating]]:
        # Both are whole numbers of chunks, so that no chunk is unpacked twice.
        slab = -(-SLAB_PROFILES // chunk) * chunk
        step = max(chunk, size - size % chunk)
        for start in range(0, len(self.profiles), step):
            stop = min(start + step, len(self.profiles))
            rows = read_block(matrix, start, stop, genes, slab)
            self.check_finite(rows, start, genes)
            yield from (rows[first : first + size] for first in range(0, len(rows), size))

    def is_sound(self, values: NDArray[np.floating]) -> bool:
        """Return True only if no value is :data:`MISSING` or lower, NaN or infinite."""
        lowest, highest = values.min(initial=np.inf), values.max(initial=-np.inf)
        return bool(lowest > MISSING and highest < np.inf)

    def check_finite(
        self, block: NDArray[np.floating], start: int, genes: NDArray[np.intp]
    ) -> None:
        """Refuse a block that holds a NaN, an infinite value, or :data:`MISSING`."""
        if not self.is_sound(block):
            self.refuse(~np.isfinite(block) | (block == MISSING), block, start, genes)

    def _check_matrix(self, file: h5py.File, profiles: int, genes: int) -> None:
        matrix = self.dataset(file, MATRIX)
        if matrix.dtype.kind not in "fiu":
            raise self.fault(
                f"the matrix holds {matrix.dtype}, not numbers. Write it as float32 or float64."
            )
        if matrix.shape == (profiles, genes):
            return
        turned = matrix.shape == (genes, profiles)
        remedy = "Transpose it." if turned else "Write the file again with ids that fit."
        raise self.fault(
            f"the matrix has shape {matrix.shape}, the ids name "
            f"{profiles} profiles (COL) × {genes} genes (ROW). {remedy}"
        )

    def _read_profiles(self, file: h5py.File, ids: pd.Index) -> pd.DataFrame:
        """Return the datasets of COL beside the ids that have one text or number per profile."""
        columns = {}
        for name, item in file[_COL].items():
            if name != "id" and getattr(item, "shape", None) == (len(ids),) and is_plain(item):
                self.check_stored_here(item)
                columns[name] = self.read_column(item)
        return pd.DataFrame(columns, index=ids)


def _chunks(matrix: h5py.Dataset) -> tuple[int, int]:
    """Return the profiles and genes of a chunk.

    A matrix without chunks can be read value by value, like chunks of 1 × 1.
    """
    return matrix.chunks or (1, 1)


def write_gctx(path: Path, content: Content) -> None:
    """Write a GCTX file, block by block. Columns of numbers stay numbers, others become text."""
    dtype, blocks = content.read()
    check_space(path, content, dtype)
    with h5py.File(path, "w") as file:
        file.attrs["version"] = "GCTX1.0"
        file.attrs["src"] = path.name
        write_values(file, MATRIX, content.shape, dtype, blocks)
        _write_table(file.create_group(_ROW), content.genes)
        _write_table(file.create_group(_COL), content.profiles)


def _write_table(group: h5py.Group, table: pd.DataFrame) -> None:
    # Other readers of GCTX, such as cmapPy, expect text of fixed width.
    group["id"] = _fixed(table.index.to_series())
    for name, column in table.items():
        if can_be_named(name) and name != "id":
            numeric = isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf"
            group[str(name)] = column.to_numpy() if numeric else _fixed(column)


def _fixed(column: pd.Series) -> NDArray[np.bytes_]:
    data = [text.encode() for text in as_text(column)]
    width = max(1, *map(len, data))
    return np.array(data, dtype=h5py.string_dtype("utf-8", width))
