"""GCTX: expression in HDF5, stored profiles × genes, as the Connectivity Map publishes it.

Layout: Enache et al. 2019, Bioinformatics 35:1427. ROW describes genes, COL describes profiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.formats.base import BLOCK, IN_MEMORY, Content, GeneReader, float_type
from genebench.formats.files import as_text
from genebench.formats.flat import Flat
from genebench.formats.hdf5 import (
    SLAB,
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
"""What GCTX writes for a value that was not measured."""

BAND = IN_MEMORY
"""Bytes that all genes of a chunk's profiles may have, if profiles are to be read in order."""

_ROW, _COL = "0/META/ROW", "0/META/COL"


class GctxReader(Hdf5Reader, GeneReader):
    """A GCTX file, open only while it is read. Columns of COL go to the profile table.

    It is read by profiles, but where its chunks are of so many profiles that those would not fit
    in memory: then gene after gene, so that each chunk is still unpacked once.

    Raises:
        UserError: not HDF5, no matrix, no ids, ids that are not unique UTF-8 text, or a matrix
            that is not numeric or not profiles × genes.
    """

    format = "GCTX"
    _missing = MISSING

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self.open() as file:
            self.gene_ids = self.read_ids(self.dataset(file, f"{_ROW}/id"), "gene")
            profile_ids = self.read_ids(self.dataset(file, f"{_COL}/id"), "profile")
            self._check_matrix(file, len(profile_ids), len(self.gene_ids))
            self.profiles = self._read_profiles(file, profile_ids)

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64.

        Memory: one block, and some 64 profiles of all genes of the file; a chunk's profiles where
        those are more, up to :data:`BAND` bytes; else the genes of a chunk, of all profiles, where
        those are fewer values, and as any :class:`GeneReader`.
        """
        with self.open() as file:
            matrix = file[MATRIX]
            chunk, width = _chunks(matrix)
            band = chunk * matrix.shape[1] * float_type(matrix.dtype).itemsize
            # By gene, a column of chunks is in memory: only where that is less.
            if band <= BAND or chunk * matrix.shape[1] <= width * matrix.shape[0]:
                yield from self._by_profile(matrix, genes, size, chunk)
                return
        for number, block in enumerate(super().blocks(genes, size)):
            self.check_finite(block, number * size, genes)
            yield block

    def _flat(self) -> Flat | None:
        """Where the matrix lies in the file, if it was written in one piece."""
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
        slab = -(-SLAB // chunk) * chunk
        step = max(chunk, size - size % chunk)  # so that no chunk is unpacked twice
        for start in range(0, len(self.profiles), step):
            stop = min(start + step, len(self.profiles))
            rows = read_block(matrix, start, stop, genes, slab)
            self.check_finite(rows, start, genes)
            yield from (rows[at : at + size] for at in range(0, len(rows), size))

    def check_finite(
        self, block: NDArray[np.floating], start: int, genes: NDArray[np.intp]
    ) -> None:
        """Refuse a block that holds a NaN, an infinite value, or :data:`MISSING`."""
        if not self._is_sound(block):
            self.refuse(~np.isfinite(block) | (block == MISSING), block, start, genes)

    def _check_matrix(self, file: h5py.File, profiles: int, genes: int) -> None:
        matrix = self.dataset(file, MATRIX)
        if matrix.dtype.kind not in "fiu":
            raise self.fault(f"the matrix holds {matrix.dtype}, not numbers")
        if matrix.shape == (profiles, genes):
            return
        remedy = "; transpose it" if matrix.shape == (genes, profiles) else ""
        raise self.fault(
            f"the matrix has shape {matrix.shape}, the ids name "
            f"{profiles} profiles (COL) × {genes} genes (ROW){remedy}"
        )

    def _read_profiles(self, file: h5py.File, ids: pd.Index) -> pd.DataFrame:
        """The other datasets of COL, where they are text or numbers, one per profile."""
        columns = {}
        for name, item in file[_COL].items():
            if name != "id" and getattr(item, "shape", None) == (len(ids),) and is_plain(item):
                self.check_stored_here(item)
                columns[name] = self.read_column(item)
        return pd.DataFrame(columns, index=ids)


def _chunks(matrix: h5py.Dataset) -> tuple[int, int]:
    """Profiles and genes of a chunk; of a matrix in one piece, what can be read on its own."""
    return matrix.chunks or (1, 1)


def write_gctx(path: Path, content: Content) -> None:
    """Write a GCTX file, block by block; columns of numbers stay numbers, others become text."""
    dtype, blocks = content.read()
    check_space(path, content, dtype)
    with h5py.File(path, "w") as file:
        file.attrs["version"] = "GCTX1.0"
        file.attrs["src"] = path.name
        write_values(file, MATRIX, content.shape, dtype, blocks)
        _write_table(file.create_group(_ROW), content.genes)
        _write_table(file.create_group(_COL), content.profiles)


def _write_table(group: h5py.Group, table: pd.DataFrame) -> None:
    # Text of fixed width is what other readers of GCTX expect.
    group["id"] = _fixed(table.index.to_series())
    for name, column in table.items():
        if can_be_named(name) and name != "id":
            numeric = isinstance(column.dtype, np.dtype) and column.dtype.kind in "iuf"
            group[str(name)] = column.to_numpy() if numeric else _fixed(column)


def _fixed(column: pd.Series) -> NDArray[np.bytes_]:
    data = [text.encode() for text in as_text(column)]
    width = max(1, *map(len, data))
    return np.array(data, dtype=h5py.string_dtype("utf-8", width))
