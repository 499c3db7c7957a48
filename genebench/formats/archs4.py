"""ARCHS4: counts of all public RNA-seq of one species in HDF5, with tables of genes and samples.

Layout: https://archs4.org (``human_gene_v2.x.h5``): ``data/expression`` is genes × samples,
``meta/genes`` and ``meta/samples`` hold one list for each column. Files before version 2 hold
samples × genes, and some of them ``meta/genes`` as one list and ``meta/Sample_…`` beside it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.formats.base import BLOCK, IN_MEMORY_BYTES, GeneReader, Reader, float_type
from genebench.formats.files import unique_ids
from genebench.formats.hdf5 import SLAB_PROFILES, Hdf5Reader, is_plain, read_block
from genebench.formats.layout import distinct

_MATRIX = "data/expression"
_ENSEMBL = ("ensembl_gene", "ensembl_gene_id", "ensembl_id")
_SYMBOLS = ("symbol", "gene_symbol", "genes")
_ID = "geo_accession"
_COLUMNS = {
    "series_id": "series",
    "platform_id": "platform",
    "title": "title",
    "source_name_ch1": "source_name_ch1",
    "characteristics_ch1": "characteristics_ch1",
    "singlecellprobability": "singlecellprobability",
}
"""List of samples → column of the profile table. Other lists, such as addresses, are left out."""


class Archs4Reader(Hdf5Reader, GeneReader):
    """An ARCHS4 file, open only while it is read. Its profile table has the series of GEO.

    Ids of genes are Ensembl ids if the file has them, else symbols.

    Raises:
        UserError: not an ARCHS4 file (10x and loom files in HDF5 are named), or its lists do not
            fit the matrix.
    """

    format = "ARCHS4"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self.open() as file:
            self._check_kind(file)
            matrix = self.dataset(file, _MATRIX)
            names = self._names_of_genes(file)
            self._ensembl, self._symbols = names
            samples = self._samples(file)
            ids = samples.pop(_ID)
            profiles = unique_ids(self.source, "profile", map(str, ids))
            genes = len(next(filter(None, names)))
            self._genes_first = self._orientation(matrix, genes, len(profiles))
            self.gene_ids = self._ids("ensembl" if self._ensembl else "symbol")
            for name, column in samples.items():
                if len(column) != len(profiles):
                    raise self.fault(
                        f"the list of samples {name} has {len(column)} entries, {_ID} has "
                        f"{len(profiles)}. Fetch the file again."
                    )
            self.profiles = pd.DataFrame(samples, index=profiles)

    def with_ids(self, kind: str) -> Reader:
        """Return this reader with Ensembl ids or symbols.

        A symbol that occurs more than once is replaced by the Ensembl id of its gene.
        """
        if kind in ("ensembl", "symbol"):
            self.gene_ids = self._ids(kind)
        return self

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64.

        Memory: :data:`~genebench.formats.hdf5.SLAB_PROFILES` profiles of all genes, or one band of
        chunks if that is more. A band of more than
        :data:`~genebench.formats.base.IN_MEMORY_BYTES` is avoided by reading gene after gene.
        """
        start = 0
        for block in self._blocks(genes, size):
            self.check_finite(block, start, genes)
            yield block
            start += len(block)

    def _blocks(self, genes: NDArray[np.intp], size: int) -> Iterator[NDArray[np.floating]]:
        with self.open() as file:
            matrix = file[_MATRIX]
            dtype = float_type(matrix.dtype)
            chunk = (matrix.chunks or (1, 1))[1 if self._genes_first else 0]
            band = chunk * len(self.gene_ids) * dtype.itemsize
            step = -(-min(SLAB_PROFILES, size) // chunk) * chunk
            if not self._genes_first or band <= IN_MEMORY_BYTES:
                for start in range(0, len(self.profiles), step):
                    stop = min(start + step, len(self.profiles))
                    if self._genes_first:
                        rows = np.ascontiguousarray(matrix[:, start:stop][genes].T, dtype)
                    else:
                        rows = read_block(matrix, start, stop, genes, SLAB_PROFILES)
                    yield from (rows[first : first + size] for first in range(0, len(rows), size))
                return
        yield from GeneReader.blocks(self, genes, size)

    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.floating]]:
        """Yield the values of some genes (ascending positions) × all profiles, chunk by chunk."""
        with self.open() as file:
            matrix = file[_MATRIX]
            width = (matrix.chunks or (1, 1))[0]
            for start in np.unique(genes // width) * width:
                rows = matrix[start : start + width]
                inside = genes[(genes >= start) & (genes < start + width)]
                yield rows[inside - start].astype(float_type(matrix.dtype))

    def _check_kind(self, file: h5py.File) -> None:
        """Refuse other kinds of HDF5 files that share the ending."""
        if _MATRIX in file:
            return
        if "matrix/barcodes" in file:
            raise self.fault(
                "a 10x matrix in HDF5, which genebench does not read. Name the folder of its "
                "matrix.mtx.gz, or write scanpy.read_10x_h5(…) as .h5ad."
            )
        if "row_attrs" in file:
            raise self.fault("a loom file. Write scanpy.read_loom(…) as .h5ad.")
        if "0/DATA" in file or "obs" in file:
            raise self.fault("a GCTX or AnnData file. Let its name end in .gctx or .h5ad.")

    def _names_of_genes(self, file: h5py.File) -> tuple[list[str], list[str]]:
        """Return Ensembl ids and symbols. One list may be empty."""
        genes = file.get("meta/genes")
        if isinstance(genes, h5py.Dataset):
            return [], [str(name) for name in self.read_column(genes)]
        if not isinstance(genes, h5py.Group):
            raise self.fault("not an ARCHS4 file: it has no meta/genes. Fetch it from archs4.org.")
        ensembl, symbols = (
            next((self._texts(genes, name) for name in names if name in genes), [])
            for names in (_ENSEMBL, _SYMBOLS)
        )
        if not (ensembl or symbols):
            raise self.fault(
                "meta/genes has neither Ensembl ids nor symbols. Fetch the file of genes from "
                "archs4.org."
            )
        return ensembl, symbols

    def _texts(self, group: h5py.Group, name: str) -> list[str]:
        return [str(text) for text in self.read_column(self.dataset(group, name))]

    def _samples(self, file: h5py.File) -> dict[str, Any]:
        """Return the lists of samples that are kept, by their names in the profile table."""
        group, prefix = file.get("meta/samples"), ""
        if not isinstance(group, h5py.Group):
            group, prefix = file["meta"], "Sample_"
        found: dict[str, Any] = {_ID: self.read_column(self.dataset(group, f"{prefix}{_ID}"))}
        for name, column in _COLUMNS.items():
            item = group.get(f"{prefix}{name}")
            if isinstance(item, h5py.Dataset) and item.ndim == 1 and is_plain(item):
                self.check_stored_here(item)
                found[column] = self.read_column(item)
        return found

    def _orientation(self, matrix: Any, genes: int, profiles: int) -> bool:
        """Return whether the matrix is genes × profiles."""
        fitting = [
            genes_first
            for genes_first, shape in ((True, (genes, profiles)), (False, (profiles, genes)))
            if matrix.shape == shape
        ]
        if matrix.dtype.kind not in "fiu" or not fitting:
            raise self.fault(
                f"data/expression holds {matrix.dtype} in shape {matrix.shape}, the lists name "
                f"{genes} genes and {profiles} samples. Fetch the file again."
            )
        # A square matrix is taken as version 2 writes it.
        return fitting[0]

    def _ids(self, kind: str) -> pd.Index:
        wanted, others = self._ensembl, self._symbols
        if kind == "symbol":
            wanted, others = others, wanted
        if not wanted:
            wanted, others = others, wanted
        rows = others or [f"{name}#{row}" for row, name in enumerate(wanted)]
        if len(rows) != len(wanted):
            raise self.fault("meta/genes has lists of different lengths. Fetch the file again.")
        return unique_ids(self.source, "gene", distinct(wanted, rows))
