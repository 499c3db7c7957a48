"""numpy arrays with lists of ids: ``.npy`` with a text file for each axis, and ``.npz``.

Beside ``X.npy`` lie ``X.genes.txt`` and ``X.profiles.txt`` with one id per line. An ``.npz`` holds
the arrays ``matrix``, ``genes`` and ``profiles``. The lengths of the lists decide which axis is
genes. Nothing is ever unpickled, because a pickle can run any code.
"""

from __future__ import annotations

import math
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pandas as pd
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from genebench._util.npy import forget_pages
from genebench.errors import UserError
from genebench.formats.base import BLOCK, Content, GeneReader, Reader, float_type
from genebench.formats.files import check_size, id_index, open_lines
from genebench.formats.flat import FLAT_TYPES, Flat, stamp_of

# Version 3.0 differs only in the names of fields, and arrays with fields are no plain arrays.
_HEADERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
}
_AXES = ("genes", "profiles")
_ROWS_AT_ONCE = 64
"""Rows of a file that are read at once."""

_UNSOUND = (
    *(EOFError, OSError, OverflowError, RuntimeError, SyntaxError, TypeError, ValueError),
    *(tokenize.TokenError, zipfile.BadZipFile, zlib.error),
)
"""The exceptions of numpy and zipfile for a file that is damaged or was made to do harm.

numpy parses the header of an array as Python source, hence SyntaxError and TokenError.
"""


class NpyReader(Reader):
    """A ``.npy`` file, memory-mapped, with its two lists of ids.

    Raises:
        UserError: not a ``.npy`` file of real numbers, cut short, a list is missing or not UTF-8
            text, or the lists do not fit the shape in exactly one way.
    """

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        # The stamp is taken before the file is mapped: a change in between is then noticed.
        self._path, self._stamp = path, stamp_of(path)
        self._matrix = map_npy(path)
        ids = self._read_ids(path)
        self.gene_ids = ids["genes"]
        self.profiles = pd.DataFrame(index=ids["profiles"])
        if _genes_first(self, self._matrix.shape):
            self._matrix = self._matrix.T

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64."""
        dtype = float_type(self._matrix.dtype)
        for start in range(0, len(self.profiles), size):
            # Rows are sliced before genes are picked: that reads one block of the file, not all.
            rows = self._matrix[start : start + size]
            block = np.empty((len(rows), len(genes)), dtype)
            # A few rows of the file at a time, so that not all of its pages count as memory in use.
            if self._matrix.flags.c_contiguous:
                for first in range(0, len(rows), _ROWS_AT_ONCE):
                    band = slice(first, first + _ROWS_AT_ONCE)
                    block[band] = rows[band, genes]
                    forget_pages(self._matrix)
            else:
                for first in range(0, len(genes), _ROWS_AT_ONCE):
                    band = slice(first, first + _ROWS_AT_ONCE)
                    block[:, band] = rows[:, genes[band]]
                    forget_pages(self._matrix)
            self.check_finite(block, start, genes)
            yield block

    def flat(self) -> Flat | None:
        """Return the place of the matrix, if it is stored by profile in this machine's floats."""
        matrix = self._matrix
        if not matrix.flags.c_contiguous or matrix.dtype not in FLAT_TYPES:
            return None
        return Flat(self._path, self._stamp, matrix.offset, matrix.shape, matrix.dtype)

    def _read_ids(self, path: Path) -> dict[str, pd.Index]:
        """Return the ids of both axes. Blank lines are ids of genes, except any that are too many.

        Editors add blank lines at the end of a list, which the shape of the matrix shows.
        """
        lists = {}
        for axis in _AXES:
            with open_lines(id_list(path, axis), blanks=True) as lines:
                lists[axis] = list(lines)
        fewest = [len("\n".join(lists[axis]).rstrip("\n").split("\n")) for axis in _AXES]
        sizes = fewest
        for shape in (self._matrix.shape[::-1], self._matrix.shape):
            limits = zip(fewest, shape, [len(lists[axis]) for axis in _AXES], strict=False)
            if len(shape) == len(_AXES) and all(low <= n <= high for low, n, high in limits):
                sizes = list(shape)
                break
        return {
            axis: id_index(str(id_list(path, axis)), axis.removesuffix("s"), lists[axis][:size])
            for axis, size in zip(_AXES, sizes, strict=True)
        }


class NpzReader(GeneReader):
    """An ``.npz`` file with ``matrix``, ``genes`` and ``profiles``. The matrix is read as a stream.

    Memory: one block if rows are profiles. If rows are genes, that of a :class:`GeneReader`.

    Raises:
        UserError: as for :class:`NpyReader`, or an array is missing or claims an absurd size.
    """

    def __init__(self, path: Path) -> None:
        self.source = str(path)
        self._path = path
        ids = {axis: self._read_ids(axis) for axis in _AXES}
        self.gene_ids = ids["genes"]
        self.profiles = pd.DataFrame(index=ids["profiles"])
        with self._member("matrix") as (_, shape, in_columns, dtype):
            _check_numbers(self.source, dtype)
            # A matrix stored column by column is read as its transpose, stored row by row.
            self._genes_first = _genes_first(self, shape) != in_columns

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64."""
        blocks = super().blocks if self._genes_first else self._profile_blocks
        for number, block in enumerate(blocks(genes, size)):
            self.check_finite(block, number * size, genes)
            yield block

    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.floating]]:
        """Yield the values of some genes (ascending positions) × all profiles, a few at a time."""
        for start, rows in self._rows():
            inside = genes[(genes >= start) & (genes < start + len(rows))]
            yield rows[inside - start]

    def _profile_blocks(self, genes: NDArray[np.intp], size: int) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of a matrix that is stored profile after profile."""
        done = 0
        block = np.empty((0, len(genes)))
        for start, rows in self._rows():
            for row, values in enumerate(rows, start):
                if row == done:
                    if row:
                        yield block
                    n_profiles = min(size, len(self.profiles) - row)
                    block = np.empty((n_profiles, len(genes)), rows.dtype)
                    done += n_profiles
                values.take(genes, out=block[row - done], mode="clip")
        yield block

    def _rows(self) -> Iterator[tuple[int, NDArray[np.floating]]]:
        """Yield a few rows at a time as they are stored, and the position of the first of them."""
        with self._member("matrix") as (stream, shape, in_columns, dtype):
            n_rows, width = reversed(shape) if in_columns else shape
            for start in range(0, n_rows, _ROWS_AT_ONCE):
                number = min(_ROWS_AT_ONCE, n_rows - start)
                data = stream.read(number * width * dtype.itemsize)
                rows = np.frombuffer(data, dtype).reshape(number, width)
                yield start, rows.astype(float_type(dtype), copy=False)

    def _read_ids(self, axis: str) -> pd.Index:
        with self._member(axis) as (stream, shape, _, dtype):
            if len(shape) != 1 or dtype.kind not in "USiu":
                raise self.fault(
                    f"{axis} is no list of ids: it has shape {shape} and holds {dtype}. Save it "
                    "as a list of text."
                )
            ids = np.frombuffer(stream.read(), dtype)
        try:
            words = [id_.decode() if isinstance(id_, bytes) else str(id_) for id_ in ids.tolist()]
        except UnicodeDecodeError as error:
            raise self.fault(
                f"{axis} are not UTF-8 text ({error.reason}). Save them as text."
            ) from None
        return id_index(self.source, axis.removesuffix("s"), words)

    @contextmanager
    def _member(
        self, name: str
    ) -> Iterator[tuple[IO[bytes], tuple[int, ...], bool, np.dtype[Any]]]:
        """Open an array of the file.

        Yields:
            Its values as a stream, its shape, True if it is stored column by column, and its type.
        """
        try:
            with zipfile.ZipFile(self._path) as archive:
                info = archive.getinfo(f"{name}.npy")
                check_size(f"{self.source}: {name}", info.file_size, info.compress_size)
                with archive.open(info) as stream:
                    yield stream, *_read_header(stream, info.file_size)
        except KeyError:
            raise self.fault(
                f"it has no array {name!r}. Save matrix, genes and profiles in it."
            ) from None
        except _UNSOUND as error:
            raise self.fault(f"not a sound .npz file ({error}). Save it again.") from None


def map_npy(path: Path) -> np.memmap[Any, Any]:
    """Map a ``.npy`` file of real numbers into memory without reading its values.

    Raises:
        UserError: it is no ``.npy`` file of real numbers, or not of the size that it claims.
    """
    try:
        with path.open("rb") as stream:
            shape, in_columns, dtype = _read_header(stream, path.stat().st_size)
            order: Literal["F", "C"] = "F" if in_columns else "C"
            matrix = np.memmap(path, dtype, "r", stream.tell(), shape, order)
    except _UNSOUND as error:
        raise UserError(
            f"{path}: not a sound .npy file of numbers ({error}). Save it again."
        ) from None
    _check_numbers(str(path), dtype)
    return matrix


def id_list(path: Path, axis: str) -> Path:
    """Return the path of the ids of an axis (``genes`` or ``profiles``) of a ``.npy`` file."""
    return path.with_name(f"{path.name[: -len('.npy')]}.{axis}.txt")


def write_npy(path: Path, content: Content) -> None:
    """Write profiles × genes, block by block, and the two lists of ids."""
    for axis, table in (("genes", content.genes), ("profiles", content.profiles)):
        id_list(path, axis).write_text("".join(f"{id_}\n" for id_ in table.index), "utf-8")
    with path.open("wb") as stream:
        _write_matrix(stream, content)


def write_npz(path: Path, content: Content) -> None:
    """Write ``matrix`` (profiles × genes, block by block), ``genes`` and ``profiles``."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for axis, table in (("genes", content.genes), ("profiles", content.profiles)):
            with archive.open(f"{axis}.npy", "w") as stream:
                npy_format.write_array(stream, np.array(table.index, "U"), allow_pickle=False)
        # The archive learns the size of the matrix at its end, and it may exceed 4 GB.
        with archive.open("matrix.npy", "w", force_zip64=True) as stream:
            _write_matrix(stream, content)


def _write_matrix(stream: IO[bytes], content: Content) -> None:
    dtype, blocks = content.read()
    header = {"descr": dtype.str, "fortran_order": False, "shape": content.shape}
    npy_format.write_array_header_1_0(stream, header)
    for block in blocks:
        stream.write(np.ascontiguousarray(block).tobytes())


def _read_header(stream: IO[bytes], size: int) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array in a file of ``size`` bytes.

    Returns:
        Its shape, True if it is stored column by column, and its type.

    Raises:
        ValueError: the array is not plain numbers or text, or its size disagrees with its shape.
    """
    version = npy_format.read_magic(stream)
    if version not in _HEADERS:
        raise ValueError(f"version {version} of .npy holds no plain array")
    shape, in_columns, dtype = _HEADERS[version](stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects, which are never unpickled")
    # Believing a header that claims more than the file holds would allocate what it claims.
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != size - stream.tell():
        raise ValueError(f"its size is not what its shape {shape} claims")
    return shape, in_columns, dtype


def _check_numbers(source: str, dtype: np.dtype[Any]) -> None:
    if dtype.kind not in "fiu" or dtype.itemsize > np.dtype(np.float64).itemsize:
        raise UserError(
            f"{source}: the matrix holds {dtype}, not real numbers of at most 64 bits. Save it as "
            "float32 or float64."
        )


def _genes_first(reader: Reader, shape: tuple[int, ...]) -> bool:
    """Return whether the rows of a matrix are genes, by the lengths of the lists of ids."""
    genes, profiles = len(reader.gene_ids), len(reader.profiles)
    fitting = [shape == (profiles, genes), shape == (genes, profiles)]
    if all(fitting):
        raise reader.fault(
            f"there are as many genes as profiles ({genes}), so the shape does not show which axis "
            "is genes. Save it in another format."
        )
    if not any(fitting):
        raise reader.fault(
            f"the matrix has shape {shape}, but there are ids of {genes} genes and {profiles} "
            "profiles. Correct the lists."
        )
    return fitting[1]
