"""GCTX: expression in HDF5, stored profiles × genes, as the Connectivity Map publishes it.

Layout: Enache et al. 2019, Bioinformatics 35:1427. ROW describes genes, COL describes profiles.
Both names are those of the transposed matrix, as R and Matlab show it.
"""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.formats.base import Content
from genebench.formats.files import as_text
from genebench.formats.flat import Flat
from genebench.formats.hdf5 import (
    Hdf5Reader,
    can_be_named,
    check_space,
    flat_matrix,
    is_plain,
    write_values,
)

MATRIX = "0/DATA/0/matrix"
_ROW, _COL = "0/META/ROW", "0/META/COL"


class GctxReader(Hdf5Reader):
    """A GCTX file, open only while it is read. Columns of COL go to the profile table.

    Raises:
        UserError: not HDF5, no matrix, no ids, ids that are no UTF-8 text, or a matrix that is not
            numeric or not profiles × genes.
    """

    format = "GCTX"
    matrix = MATRIX

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self.open() as file:
            self.gene_ids = self.read_ids(self.dataset(file, f"{_ROW}/id"), "gene")
            profile_ids = self.read_ids(self.dataset(file, f"{_COL}/id"), "profile")
            self._check_matrix(file, len(profile_ids), len(self.gene_ids))
            self.profiles = self._read_profiles(file, profile_ids)

    def flat(self) -> Flat | None:
        """Return the place of the matrix in the file, if it is stored without chunks."""
        with self.open() as file:
            return flat_matrix(file[MATRIX])

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
        columns, others = {}, []
        for name, item in file[_COL].items():
            if getattr(item, "shape", None) != (len(ids),) or not is_plain(item):
                others.append(name)
            elif name != "id":
                self.check_stored_here(item)
                columns[name] = self.read_column(item)
        self.note_skipped(others)
        return pd.DataFrame(columns, index=ids)


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
