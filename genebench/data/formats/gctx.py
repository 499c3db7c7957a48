"""GCTX: expression in HDF5, stored profiles × genes, as the Connectivity Map publishes it.

Layout: Enache et al. 2019, Bioinformatics 35:1427. ROW describes genes, COL describes profiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from h5py.h5t import check_string_dtype
from numpy.typing import NDArray

from genebench.data.formats.base import BLOCK, Reader
from genebench.data.formats.files import unique_ids
from genebench.errors import UserError

MATRIX = "0/DATA/0/matrix"
MISSING = -666
"""What GCTX writes for a value that was not measured."""

_SLAB = 64
"""Profiles read at once, of all genes: HDF5 picks scattered columns too slowly."""

_LARGEST_RATIO = 2000
"""Deflate shrinks data at most some 1000-fold: a file that promises more is not sound."""


class GctxReader(Reader):
    """A GCTX file, open only while it is read. Columns of COL go to the profile table.

    Raises:
        UserError: not HDF5, no matrix, no ids, ids that are not unique UTF-8 text, or a matrix
            that is not numeric or not profiles × genes.
    """

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        self._path = path
        with self._open() as file:
            self.gene_ids = self._read_ids(file, "ROW", "gene")
            profile_ids = self._read_ids(file, "COL", "profile")
            self._check_matrix(file, len(profile_ids), len(self.gene_ids))
            self.profiles = self._read_profiles(file, profile_ids)

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64.

        Memory: one block, and some 64 profiles of all genes of the file.
        """
        with self._open() as file:
            matrix = file[MATRIX]
            chunk = matrix.chunks[0] if matrix.chunks else 1
            size = size - size % chunk or size  # so that no chunk is unpacked for two blocks
            for start in range(0, len(self.profiles), size):
                stop = min(start + size, len(self.profiles))
                block = _read_block(matrix, start, stop, genes, -(-_SLAB // chunk) * chunk)
                self._check_values(block, start, genes)
                yield block

    @contextmanager
    def _open(self) -> Iterator[h5py.File]:
        try:
            with h5py.File(self.source, "r") as file:
                yield file
        except (OSError, RuntimeError) as error:
            raise self._fault(
                f"not a GCTX file: HDF5 cannot read it ({error}); is it damaged or cut short?"
            ) from None

    def _dataset(self, file: h5py.File, name: str) -> Any:
        dataset = file.get(name)
        if not isinstance(dataset, h5py.Dataset):
            raise self._fault(f"not a GCTX file: it has no dataset /{name}")
        self._check_stored_here(dataset)
        return dataset

    def _check_stored_here(self, dataset: Any) -> None:
        """A file whose values lie elsewhere, or nowhere, is not what its checksum vouches for."""
        if dataset.external or dataset.is_virtual or dataset.file.filename != self.source:
            raise self._fault(f"{dataset.name} is stored in another file; copy it into this one")
        stored = dataset.id.get_storage_size()
        if dataset.nbytes > _LARGEST_RATIO * stored:
            raise self._fault(
                f"{dataset.name} claims shape {dataset.shape} but holds only {stored} bytes; "
                "was its writing interrupted?"
            )

    def _read_ids(self, file: h5py.File, axis: str, kind: str) -> pd.Index:
        dataset = self._dataset(file, f"0/META/{axis}/id")
        if dataset.ndim != 1:
            raise self._fault(f"{dataset.name} has {dataset.ndim} dimensions, not 1")
        if not (_is_text(dataset) or dataset.dtype.kind in "iu"):
            raise self._fault(f"{dataset.name} holds {dataset.dtype}, not text")
        return unique_ids(self.source, kind, map(str, self._read_column(dataset)))

    def _read_column(self, dataset: Any) -> NDArray[Any]:
        if not _is_text(dataset):
            return np.asarray(dataset[:])
        try:
            return np.asarray(dataset.asstr("utf-8", errors="strict")[:])
        except UnicodeDecodeError as error:
            raise self._fault(f"{dataset.name} is not UTF-8 text ({error.reason})") from None

    def _check_matrix(self, file: h5py.File, profiles: int, genes: int) -> None:
        matrix = self._dataset(file, MATRIX)
        if matrix.dtype.kind not in "fiu":
            raise self._fault(f"the matrix holds {matrix.dtype}, not numbers")
        if matrix.shape == (profiles, genes):
            return
        remedy = "; transpose it" if matrix.shape == (genes, profiles) else ""
        raise self._fault(
            f"the matrix has shape {matrix.shape}, the ids name "
            f"{profiles} profiles (COL) × {genes} genes (ROW){remedy}"
        )

    def _read_profiles(self, file: h5py.File, ids: pd.Index) -> pd.DataFrame:
        """The other datasets of COL, where they are text or numbers, one per profile."""
        columns = {}
        for name, item in file["0/META/COL"].items():
            if name != "id" and getattr(item, "shape", None) == (len(ids),) and _is_plain(item):
                self._check_stored_here(item)
                columns[name] = self._read_column(item)
        return pd.DataFrame(columns, index=ids)

    def _check_values(
        self, block: NDArray[np.floating], start: int, genes: NDArray[np.intp]
    ) -> None:
        bad = ~np.isfinite(block) | (block == MISSING)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise self._fault(
                f"profile {self.profiles.index[start + row]!r}, gene "
                f"{self.gene_ids[genes[column]]!r} is {block[row, column]:g}: missing, or not "
                "finite; fill it in, or leave that profile or gene out"
            )

    def _fault(self, message: str) -> UserError:
        return UserError(f"{self.source}: {message}")


def _is_text(dataset: Any) -> bool:
    return check_string_dtype(dataset.dtype) is not None


def _is_plain(dataset: Any) -> bool:
    return _is_text(dataset) or dataset.dtype.kind in "biuf"


def _read_block(
    matrix: h5py.Dataset, start: int, stop: int, genes: NDArray[np.intp], step: int
) -> NDArray[np.floating]:
    block = np.empty((stop - start, len(genes)), dtype=np.result_type(matrix.dtype, np.float32))
    for first in range(start, stop, step):
        last = min(first + step, stop)
        block[first - start : last - start] = matrix[first:last][:, genes]
    return block
