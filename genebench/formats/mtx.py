"""Matrix Market files beside lists of features and barcodes, as 10x Genomics lays them out.

Layout: https://www.10xgenomics.com/support, "Feature-barcode matrices". ``matrix.mtx.gz`` holds
features × barcodes, ``features.tsv.gz`` (``genes.tsv`` before Cell Ranger 3) and
``barcodes.tsv.gz`` name them. GEO puts a prefix such as ``GSM1_`` before all three names.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError, some
from genebench.formats.base import BLOCK, GeneReader, Reader
from genebench.formats.files import open_lines, unique_ids
from genebench.formats.layout import distinct

_BANNER = "%%MatrixMarket matrix coordinate"
_GENES = "gene expression"
"""Kind of a feature that is a gene, in lower case. Others are proteins, guides or peaks."""
_ENTRIES_AT_ONCE = 1 << 18
"""Entries that are parsed in one call: 6 MB as float64."""
_CELLS_AT_ONCE = 4 << 20
"""Values of genes × all profiles that are held at once: 32 MB as float64."""
_KIND = 2
"""The column of the list of features that holds their kind."""
_SIZES = 3
"""Numbers of the line of sizes, and of an entry."""


class MtxReader(GeneReader):
    """A sparse matrix of features × barcodes. Barcodes are the profiles, and absent entries are 0.

    Entries must be sorted by barcode or by feature, so that they are read as a stream. Features of
    other kinds than ``Gene Expression``, such as ``Antibody Capture``, are left out with a note.

    Raises:
        UserError: not a coordinate matrix of real numbers, a list beside it is missing or has
            another length, no feature is a gene, or the first entries are in no order.
    """

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        self._path = path
        names = [line.split("\t") for line in self._list("features", "genes")]
        barcodes = [line.split("\t")[0] for line in self._list("barcodes")]
        self._n_features = len(names)
        self._rows = self._rows_of_genes(names)
        names = [names[row] for row in self._rows]
        self.gene_ids = self._ids = unique_ids(self.source, "feature", [row[0] for row in names])
        self._symbols = [row[1] if len(row) > 1 else row[0] for row in names]
        self.profiles = pd.DataFrame(index=unique_ids(self.source, "barcode", barcodes))
        with open_lines(path) as lines:
            self._n_entries = self._read_sizes(lines)
            first = self._parse(list(islice(lines, _ENTRIES_AT_ONCE)))
        self._by_profile = not (np.diff(first[:, 1]) < 0).any()
        if not self._by_profile and (np.diff(first[:, 0]) < 0).any():
            raise self._unordered()

    def with_ids(self, kind: str) -> Reader:
        """Return this reader with the symbols of the features, if these are asked for.

        A symbol that occurs more than once is replaced by the feature's id.
        """
        if kind == "symbol":
            names = distinct(self._symbols, self._ids)
            self.gene_ids = unique_ids(self.source, "feature", names)
        return self

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float64."""
        if not self._by_profile:
            blocks: Iterator[NDArray[np.floating]] = super().blocks(genes, size)
        else:
            wanted, places = np.unique(genes, return_inverse=True)
            blocks = (tile[:, places] for tile in self._tiles(1, size, wanted))
        for number, block in enumerate(blocks):
            self.check_finite(block, number * size, genes)
            yield block

    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.floating]]:
        """Yield the values of some genes (ascending positions) × all profiles, a few at a time."""
        size = max(1, _CELLS_AT_ONCE // len(self.profiles))
        yield from self._tiles(0, size, genes)

    def _tiles(
        self, axis: int, size: int, genes: NDArray[np.intp]
    ) -> Iterator[NDArray[np.float64]]:
        """Yield consecutive ones of some genes (axis 0) or of the profiles (1), and their values.

        A tile has at most ``size`` of them. Its other axis has all profiles, or these genes, which
        must be ascending positions.
        """
        length, width = len(genes), len(self.profiles)
        if axis:
            length, width = width, length
        # Row of the file → its place among the genes asked for, or -1.
        place_of = np.full(self._n_features, -1)
        place_of[self._rows[genes]] = np.arange(len(genes))
        start, seen, last = 0, 0, -1
        tile = np.zeros((min(size, length), width))
        with open_lines(self._path) as lines:
            self._read_sizes(lines)
            while texts := list(islice(lines, _ENTRIES_AT_ONCE)):
                entries = self._parse(texts)
                places = entries[:, :2].astype(np.intp) - 1
                if places[0, axis] < last or (np.diff(places[:, axis]) < 0).any():
                    raise self._unordered()
                seen, last = seen + len(entries), int(places[-1, axis])
                places[:, 0] = place_of[places[:, 0]]
                asked = places[:, 0] >= 0
                places, entries = places[asked], entries[asked]
                while places.size:
                    inside = int(np.searchsorted(places[:, axis], start + len(tile)))
                    where = places[:inside, axis] - start, places[:inside, 1 - axis]
                    # Entries of one place are added up, as Matrix Market defines it.
                    np.add.at(tile, where, entries[:inside, 2])
                    places, entries = places[inside:], entries[inside:]
                    if places.size:
                        yield tile
                        start += len(tile)
                        tile = np.zeros((min(size, length - start), width))
        if seen != self._n_entries:
            raise self.fault(
                f"the header states {self._n_entries:,} entries, the body has {seen:,}. The file "
                "is cut short: fetch it again."
            )
        while start < length:
            yield tile
            start += len(tile)
            tile = np.zeros((min(size, length - start), width))

    def _read_sizes(self, lines: Iterator[str]) -> int:
        """Read the lines before the entries, and return the number of entries."""
        banner = next(lines, "")
        kind = banner.lower().split()[3:]
        if not banner.lower().startswith(_BANNER.lower()) or kind not in (
            ["real", "general"],
            ["integer", "general"],
        ):
            raise self.fault(
                f"not a sparse matrix of numbers in Matrix Market format. It begins with "
                f"{banner[:60]!r}. Write it as '{_BANNER} real general'."
            )
        sizes = next((line for line in lines if not line.startswith("%")), "").split()
        if len(sizes) != _SIZES or not all(cell.isdecimal() and len(cell) < 19 for cell in sizes):  # noqa: PLR2004  digits of 64 bits
            raise self.fault(f"the line of sizes is {' '.join(sizes)[:40]!r}. Write it again.")
        rows, columns, entries = map(int, sizes)
        if (rows, columns) != (self._n_features, len(self.profiles)):
            raise self.fault(
                f"the matrix is {rows} × {columns}, the lists beside it name "
                f"{self._n_features} features and {len(self.profiles)} barcodes. Give the lists "
                "that it was written with."
            )
        return entries

    def _parse(self, lines: list[str]) -> NDArray[np.float64]:
        """Return entries as rows of feature, barcode (from 1 on) and value."""
        if not lines:
            return np.empty((0, _SIZES))
        try:
            entries = np.loadtxt(lines, ndmin=2, comments=None)
        except ValueError as error:
            raise self.fault(f"an entry cannot be read: {error}. Write the file again.") from None
        largest = self._n_features, len(self.profiles)
        places = entries[:, :2]
        if entries.shape[1] != _SIZES or not ((places >= 1) & (places <= largest)).all():
            raise self.fault("an entry is beyond the matrix, or not 3 numbers. Write it again.")
        return entries

    def _rows_of_genes(self, features: list[list[str]]) -> NDArray[np.intp]:
        """Return the features that are genes. The others are counted in the notes."""
        kinds = [row[_KIND].strip() if len(row) > _KIND else "" for row in features]
        genes = [kind.lower() in ("", _GENES) for kind in kinds]
        others = Counter(kind for kind, is_gene in zip(kinds, genes, strict=True) if not is_gene)
        if others and not any(genes):
            raise self.fault(
                f"none of its features is Gene Expression, they are {some(others)}. If they are "
                "genes, remove the third column of the list of features."
            )
        if others:
            counts = ", ".join(f"{number} {kind}" for kind, number in others.items())
            self.notes = (f"features left out that are no genes: {counts}",)
        return np.flatnonzero(genes)

    def _unordered(self) -> UserError:
        return self.fault(
            "its entries are sorted neither by barcode nor by feature. Write it from a CSC or CSR "
            "matrix, for instance by scipy.io.mmwrite."
        )

    def _list(self, *names: str) -> list[str]:
        """Return the lines of a list beside the matrix."""
        prefix = self._path.name[: self._path.name.lower().index("matrix.mtx")]
        files = [f"{prefix}{name}.tsv{end}" for name in names for end in (".gz", "")]
        for file in files:
            if (path := self._path.with_name(file)).is_file():
                with open_lines(path) as lines:
                    return list(lines)
        raise self.fault(
            f"there is no {' or '.join(files)} beside it. Put the list of {names[0]} there."
        )


def open_mtx(path: Path) -> MtxReader:
    """Open a Matrix Market file.

    Raises:
        UserError: its name does not end in matrix.mtx, so that the lists beside it are unknown, or
            as for :class:`MtxReader`.
    """
    if not path.name.lower().removesuffix(".gz").endswith("matrix.mtx"):
        raise UserError(
            f"{path}: its name must end in matrix.mtx or matrix.mtx.gz, beside features.tsv and "
            "barcodes.tsv with the same prefix. Rename it."
        )
    return MtxReader(path)
