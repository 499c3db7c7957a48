"""Base of the HDF5 formats: opening, text, checks of datasets, and writing in chunks."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pandas as pd
from h5py.h5t import check_string_dtype
from numpy.typing import NDArray

from genebench.errors import UserError, counted, some
from genebench.formats.base import BLOCK, IN_MEMORY_BYTES, Content, GeneReader, float_type
from genebench.formats.files import as_text, id_index
from genebench.formats.flat import FLAT_TYPES, FileStamp, Flat, file_changed, stamp_of

SLAB_PROFILES = 64
"""Profiles of all genes that are read or packed at once.

HDF5 picks scattered columns far too slowly, so whole rows are read and numpy picks the genes. 64
rows of the published 22,268 probes are 6 MB in float32.
"""

BAND_BYTES = IN_MEMORY_BYTES
"""Most bytes of one band of chunks (a chunk's profiles × all genes) that is held in memory."""

_LARGEST_DEFLATE_RATIO = 2000
"""Deflate shrinks data at most some 1000-fold. A file that claims more is not sound."""

_CHUNK_GENES = 4096
"""Genes of a chunk. With 64 profiles of float32 a chunk is 1 MB, the size of HDF5's chunk cache."""

_FILE_BYTES, _STRUCTURE_FACTOR = 64 << 10, 1.02
_COLUMN_BYTES, _CELL_BYTES = 1024, 64
"""Upper bounds of what HDF5 adds to the data: per file, in proportion, per column, per cell."""


class Hdf5Reader(GeneReader):
    """A matrix in an HDF5 file, open only while it is read.

    The matrix is read profile after profile. If its chunks span so many profiles that one band of
    chunks would not fit in memory, it is read gene after gene instead. Either way each chunk is
    unpacked once.

    Attributes:
        format: the name of the format in messages.
        matrix: the path of the matrix in the file.
    """

    format: ClassVar[str]
    matrix: str

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        self._stamp: FileStamp | None = None

    @contextmanager
    def open(self) -> Iterator[h5py.File]:
        """Open the file until the context ends.

        Raises:
            UserError: HDF5 cannot read it, or it has changed since it was first opened.
        """
        try:
            stamp = stamp_of(Path(self.source))
            if self._stamp not in (None, stamp):
                raise file_changed(Path(self.source))
            self._stamp = stamp
            with h5py.File(self.source, "r") as file:
                yield file
        except (OSError, RuntimeError) as error:
            raise self.fault(
                f"{self._not_this_format}: HDF5 cannot read it ({error}). Check "
                "whether it is damaged or cut short."
            ) from None

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64.

        Memory: one block, and :data:`SLAB_PROFILES` profiles of all genes, or one band of chunks
        if that is more. A band beyond :data:`BAND_BYTES` is avoided: the memory is then that of a
        :class:`GeneReader`, and one column of chunks.
        """
        with self.open() as file:
            matrix = file[self.matrix]
            chunk, width = _chunks(matrix)
            band = chunk * matrix.shape[1] * float_type(matrix.dtype).itemsize
            # Reading by gene holds a column of chunks: only done if that is less than a band.
            if band <= BAND_BYTES or chunk * matrix.shape[1] <= width * matrix.shape[0]:
                yield from self._by_profile(matrix, genes, size, chunk)
                return
        yield from self.blocks_by_gene(genes, size)

    def blocks_by_gene(self, genes: NDArray[np.intp], size: int) -> Iterator[NDArray[np.floating]]:
        """Yield the same as :meth:`blocks`, of a matrix that is read gene after gene."""
        for number, block in enumerate(GeneReader.blocks(self, genes, size)):
            self.check_finite(block, number * size, genes)
            yield block

    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.floating]]:
        """Yield the values of some genes (ascending positions) × all profiles, chunk by chunk."""
        with self.open() as file:
            matrix = file[self.matrix]
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

    def dataset(self, group: h5py.Group, name: str) -> Any:
        """Return the dataset of that name.

        Raises:
            UserError: it is absent, or its values are not in this file.
        """
        dataset = group.get(name)
        if not isinstance(dataset, h5py.Dataset):
            full_name = f"{group.name.rstrip('/')}/{name}"
            raise self.fault(
                f"{self._not_this_format}: it has no dataset {full_name}. Write it again, or give "
                "its name the ending of its format."
            )
        self.check_stored_here(dataset)
        return dataset

    def check_stored_here(self, dataset: Any) -> None:
        """Refuse a dataset whose values are in another file or were never written.

        The checksum of a file covers only the values that are in it.
        """
        if dataset.external or dataset.is_virtual or dataset.file.filename != self.source:
            raise self.fault(f"{dataset.name} is stored in another file. Copy it into this one.")
        stored = dataset.id.get_storage_size()
        if dataset.nbytes > _LARGEST_DEFLATE_RATIO * stored:
            raise self.fault(
                f"{dataset.name} claims shape {dataset.shape} but holds only {stored} bytes. Write "
                "the file again."
            )

    def read_ids(self, dataset: Any, kind: str) -> pd.Index:
        """Return a dataset of text or whole numbers as ids."""
        if dataset.ndim != 1:
            raise self.fault(
                f"{dataset.name} has {dataset.ndim} dimensions, not 1. Write it as a list."
            )
        if not (is_text(dataset) or dataset.dtype.kind in "iu"):
            raise self.fault(f"{dataset.name} holds {dataset.dtype}, not text. Write ids as text.")
        return id_index(self.source, kind, map(str, self.read_column(dataset)))

    def read_column(self, dataset: Any) -> NDArray[Any]:
        """Return a dataset as an array of text or of numbers."""
        if not is_text(dataset):
            return np.asarray(dataset[:])
        try:
            return np.asarray(dataset.asstr("utf-8", errors="strict")[:])
        except UnicodeDecodeError as error:
            raise self.fault(
                f"{dataset.name} is not UTF-8 text ({error.reason}). Write it as UTF-8."
            ) from None

    def note_skipped(self, names: Sequence[str]) -> None:
        """Note that columns about profiles cannot be read."""
        if names:
            skipped = f"{counted(len(names), 'column')} about profiles skipped"
            self.notes += (f"{skipped}, of a kind that is not read: {some(names)}",)

    @property
    def _not_this_format(self) -> str:
        article = "an" if self.format[0] in "AEIOU" else "a"
        return f"not {article} {self.format} file"


def _chunks(matrix: h5py.Dataset) -> tuple[int, int]:
    """Return the profiles and genes of a chunk.

    A matrix without chunks can be read value by value, like chunks of 1 × 1.
    """
    return matrix.chunks or (1, 1)


def is_text(dataset: Any) -> bool:
    """Return whether a dataset holds text."""
    return check_string_dtype(dataset.dtype) is not None


def is_plain(dataset: Any) -> bool:
    """Return whether a dataset holds text or real numbers."""
    return is_text(dataset) or dataset.dtype.kind in "biuf"


def flat_matrix(matrix: h5py.Dataset) -> Flat | None:
    """Return the place of a dataset in its file, if it lies there in one piece.

    Returns:
        None for a dataset that is chunked, compressed, or not of this machine's floats.
    """
    offset, stored = matrix.id.get_offset(), matrix.id.get_type()
    # The HDF5 type is compared, not ``matrix.dtype``: h5py shows bfloat16 and 24-bit floats as
    # float32, but their bytes are not.
    if offset is None or all(stored != h5py.h5t.py_create(np.dtype(kind)) for kind in FLAT_TYPES):
        return None
    path = Path(matrix.file.filename)
    return Flat(path, stamp_of(path), offset, matrix.shape, matrix.dtype)


def read_block(
    matrix: h5py.Dataset, start: int, stop: int, genes: NDArray[np.intp], step: int
) -> NDArray[np.floating]:
    """Return profiles ``start`` to ``stop`` × ``genes``, read ``step`` profiles at a time."""
    block = np.empty((stop - start, len(genes)), dtype=float_type(matrix.dtype))
    if np.array_equal(genes, np.arange(matrix.shape[1])):
        # All genes in file order: there is nothing to pick.
        matrix.read_direct(block, np.s_[start:stop])
        return block
    slab = np.empty((min(step, stop - start), matrix.shape[1]), dtype=block.dtype)
    for first in range(start, stop, step):
        rows = slab[: stop - first]
        matrix.read_direct(rows, np.s_[first : first + len(rows)])
        picked = block[first - start :][: len(rows)]
        # With any other mode numpy takes into a copy of ``out`` first.
        rows.take(genes, axis=1, out=picked, mode="clip")
    return block


def check_space(path: Path, content: Content, dtype: np.dtype[np.floating]) -> None:
    """Check that the disk has room for a file even if nothing in it can be compressed.

    A disk that fills up while HDF5 writes crashes the process, so the check comes first.

    Raises:
        UserError: there is not enough room.
    """
    tables = _most_bytes(content.genes) + _most_bytes(content.profiles)
    values = content.shape[0] * content.shape[1] * dtype.itemsize
    needed = _FILE_BYTES + int(_STRUCTURE_FACTOR * (values + tables))
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise UserError(
            f"{path}: not enough space left to write: up to {needed / 1e6:,.1f} MB are needed, "
            f"{free / 1e6:,.1f} MB are free. Free some, or write to another folder."
        )


def _most_bytes(table: pd.DataFrame) -> int:
    """Return the most bytes that a table takes: every text as long as the longest in its column."""
    columns = (
        as_text(column) for column in (table.index.to_series(), *(table[name] for name in table))
    )
    widths = [max((len(text.encode()) for text in column), default=0) for column in columns]
    return sum(_COLUMN_BYTES + len(table) * (width + _CELL_BYTES) for width in widths)


def write_values(
    group: h5py.Group,
    name: str,
    shape: tuple[int, int],
    dtype: np.dtype[np.floating],
    blocks: Iterator[NDArray[np.floating]],
) -> h5py.Dataset:
    """Write profiles × genes as a compressed dataset, block by block.

    Bytes are shuffled before deflate: the exponents of expression values are much alike.
    """
    profiles, genes = shape
    dataset = group.create_dataset(
        name,
        shape,
        dtype,
        chunks=(min(SLAB_PROFILES, profiles), min(_CHUNK_GENES, genes)),
        compression="gzip",
        shuffle=True,
    )
    start = 0
    for block in blocks:
        dataset[start : start + len(block)] = block
        start += len(block)
    return dataset


def can_be_named(column: object) -> bool:
    """Return whether a dataset can have the name of a column: ``/`` would make it a path."""
    return isinstance(column, str) and column not in ("", ".") and "/" not in column
