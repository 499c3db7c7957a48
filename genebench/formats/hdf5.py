"""What the formats made of HDF5 share: opening, text, and datasets that are what they claim."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

import h5py
import numpy as np
import pandas as pd
from h5py.h5t import check_string_dtype
from numpy.typing import NDArray

from genebench.errors import UserError
from genebench.formats.base import Content, Reader, float_type
from genebench.formats.files import as_text, unique_ids
from genebench.formats.flat import CHANGED, FLAT_TYPES, Flat, State, state_of

SLAB = 64
"""Profiles read or packed at once, of all genes: HDF5 picks scattered columns too slowly."""

_LARGEST_RATIO = 2000
"""Deflate shrinks data at most some 1000-fold: a file that promises more is not sound."""

_CHUNK_GENES = 4096

_LEAST, _STRUCTURE = 64 << 10, 1.02
_PER_COLUMN, _PER_CELL = 1024, 64
"""Bytes, and a share of them, that HDF5 takes at most beside what it is given."""


class Hdf5Reader(Reader):
    """A matrix in an HDF5 file, open only while it is read."""

    format: ClassVar[str]
    """What such a file is called."""

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        self._state: State | None = None

    @contextmanager
    def open(self) -> Iterator[h5py.File]:
        """The file, open; what HDF5 cannot read, or is another file by now, raises UserError."""
        try:
            state = state_of(Path(self.source))
            if self._state not in (None, state):
                raise self.fault(CHANGED)
            self._state = state
            with h5py.File(self.source, "r") as file:
                yield file
        except (OSError, RuntimeError) as error:
            raise self.fault(
                f"{self._wrong}: HDF5 cannot read it ({error}); is it damaged or cut short?"
            ) from None

    def dataset(self, group: h5py.Group, name: str) -> Any:
        """The dataset of that name; one that is absent or stored elsewhere raises UserError."""
        dataset = group.get(name)
        if not isinstance(dataset, h5py.Dataset):
            where = f"{group.name.rstrip('/')}/{name}"
            raise self.fault(f"{self._wrong}: it has no dataset {where}")
        self.check_stored_here(dataset)
        return dataset

    def check_stored_here(self, dataset: Any) -> None:
        """A file whose values lie elsewhere, or nowhere, is not what its checksum vouches for."""
        if dataset.external or dataset.is_virtual or dataset.file.filename != self.source:
            raise self.fault(f"{dataset.name} is stored in another file; copy it into this one")
        stored = dataset.id.get_storage_size()
        if dataset.nbytes > _LARGEST_RATIO * stored:
            raise self.fault(
                f"{dataset.name} claims shape {dataset.shape} but holds only {stored} bytes; "
                "was its writing interrupted?"
            )

    def read_ids(self, dataset: Any, kind: str) -> pd.Index:
        """A dataset as unique ids; whole numbers may be ids too."""
        if dataset.ndim != 1:
            raise self.fault(f"{dataset.name} has {dataset.ndim} dimensions, not 1")
        if not (is_text(dataset) or dataset.dtype.kind in "iu"):
            raise self.fault(f"{dataset.name} holds {dataset.dtype}, not text")
        return unique_ids(self.source, kind, map(str, self.read_column(dataset)))

    def read_column(self, dataset: Any) -> NDArray[Any]:
        """A dataset as text or numbers."""
        if not is_text(dataset):
            return np.asarray(dataset[:])
        try:
            return np.asarray(dataset.asstr("utf-8", errors="strict")[:])
        except UnicodeDecodeError as error:
            raise self.fault(f"{dataset.name} is not UTF-8 text ({error.reason})") from None

    @property
    def _wrong(self) -> str:
        article = "an" if self.format[0] in "AEIOU" else "a"
        return f"not {article} {self.format} file"


def is_text(dataset: Any) -> bool:
    """Whether a dataset holds text."""
    return check_string_dtype(dataset.dtype) is not None


def is_plain(dataset: Any) -> bool:
    """Whether a dataset holds text or real numbers."""
    return is_text(dataset) or dataset.dtype.kind in "biuf"


def flat_matrix(matrix: h5py.Dataset) -> Flat | None:
    """Where a dataset lies in its file, if it is one piece of this machine's floats."""
    offset, stored = matrix.id.get_offset(), matrix.id.get_type()
    # HDF5 has floats of other precision, too, that h5py turns into those of numpy.
    if offset is None or all(stored != h5py.h5t.py_create(np.dtype(kind)) for kind in FLAT_TYPES):
        return None
    path = Path(matrix.file.filename)
    return Flat(path, state_of(path), offset, matrix.shape, matrix.dtype)


def read_block(
    matrix: h5py.Dataset, start: int, stop: int, genes: NDArray[np.intp], step: int
) -> NDArray[np.floating]:
    """Profiles ``start`` to ``stop`` × ``genes`` of a dataset, ``step`` profiles at a time."""
    block = np.empty((stop - start, len(genes)), dtype=float_type(matrix.dtype))
    if np.array_equal(genes, np.arange(matrix.shape[1])):
        matrix.read_direct(block, np.s_[start:stop])  # all genes in file order: nothing to pick
        return block
    slab = np.empty((min(step, stop - start), matrix.shape[1]), dtype=block.dtype)
    for first in range(start, stop, step):
        rows = slab[: stop - first]
        matrix.read_direct(rows, np.s_[first : first + len(rows)])
        picked = block[first - start :][: len(rows)]
        rows.take(genes, axis=1, out=picked, mode="clip")  # the mode that needs no copy of ``out``
    return block


def check_space(path: Path, content: Content, dtype: np.dtype[np.floating]) -> None:
    """See to it that the disk holds a file even if nothing in it can be packed.

    HDF5 does not survive a disk that fills up while it writes: it takes the process with it.

    Raises:
        UserError: it does not.
    """
    tables = _largest(content.genes) + _largest(content.profiles)
    values = content.shape[0] * content.shape[1] * dtype.itemsize
    needed = _LEAST + int(_STRUCTURE * (values + tables))
    free = shutil.disk_usage(path.parent).free
    if free < needed:
        raise UserError(
            f"{path}: not enough space left to write: up to {needed / 1e6:,.1f} MB are needed, "
            f"{free / 1e6:,.1f} MB are free; free some, or write to another folder"
        )


def _largest(table: pd.DataFrame) -> int:
    """Bytes that a table takes at most: each text as long as the longest of its column."""
    columns = (
        as_text(column) for column in (table.index.to_series(), *(table[name] for name in table))
    )
    widths = [max((len(text.encode()) for text in column), default=0) for column in columns]
    return sum(_PER_COLUMN + len(table) * (width + _PER_CELL) for width in widths)


def write_values(
    group: h5py.Group,
    name: str,
    shape: tuple[int, int],
    dtype: np.dtype[np.floating],
    blocks: Iterator[NDArray[np.floating]],
) -> h5py.Dataset:
    """Write profiles × genes as a packed dataset, block by block."""
    profiles, genes = shape
    dataset = group.create_dataset(
        name,
        shape,
        dtype,
        chunks=(min(SLAB, profiles), min(_CHUNK_GENES, genes)),
        compression="gzip",
        shuffle=True,
    )
    start = 0
    for block in blocks:
        dataset[start : start + len(block)] = block
        start += len(block)
    return dataset


def can_be_named(column: object) -> bool:
    """Whether a dataset can bear the name of a column: ``/`` would make it a path."""
    return isinstance(column, str) and column not in ("", ".") and "/" not in column
