"""AnnData in HDF5 (``.h5ad``): obs are profiles, var are genes, X dense or sparse.

Layout: https://anndata.readthedocs.io/en/stable/fileformat-prose.html, from anndata 0.7 on. The
file is read as plain HDF5: obs, var and one block of X at a time. All else is never loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import sparse

from genebench.errors import UserError, unknown
from genebench.formats.base import BLOCK, Content, float_type
from genebench.formats.files import as_text, id_index
from genebench.formats.flat import Flat
from genebench.formats.hdf5 import (
    SLAB_PROFILES,
    Hdf5Reader,
    can_be_named,
    check_space,
    flat_matrix,
    is_plain,
    write_values,
)

_SPARSE = {"csr_matrix": sparse.csr_matrix, "csc_matrix": sparse.csc_matrix}
_SPARSE_BYTES = 8 << 20
"""Bytes of the genes of a matrix sparse by columns that are unpacked at once."""

_RAW = "raw/X"
"""The matrix that was set aside before genes were selected."""

_INDEX = "_index"
"""The attribute that names the column of ids, and the name that anndata itself gives it."""


class H5adReader(Hdf5Reader):
    """An AnnData file. Columns of obs that are text, categories or numbers describe profiles.

    A column of another kind is skipped, with a note.

    Args:
        path: the file.
        layer: the matrix to read: the name of a layer, ``raw`` for the matrix and genes that were
            set aside, or None for X. A path such as ``layers/counts`` is allowed, too.

    Raises:
        UserError: not HDF5, written before anndata 0.7, no X or no such layer, ids that are no
            UTF-8 text, or a matrix that is not numeric, not obs × var, or no sound sparse matrix.
    """

    format = "AnnData"

    def __init__(self, path: Path, *, layer: str | None = None) -> None:
        super().__init__(path)
        with self.open() as file:
            self.matrix = self._choose(file, layer)
            # The matrix that was set aside has more genes, and a table of its own of them.
            var = "raw/var" if self.matrix == _RAW else "var"
            self.gene_ids = self._read_index(file, var, "gene")
            profile_ids = self._read_index(file, "obs", "profile")
            self._check_matrix(file, (len(profile_ids), len(self.gene_ids)))
            self.profiles = self._read_profiles(file["obs"], profile_ids)

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64.

        Memory: one block. A matrix that is sparse by columns (CSC) is read gene after gene, because
        each of its profiles is spread over all columns.
        """
        with self.open() as file:
            group = file[self.matrix]
            encoding = _encoding(group)
            if encoding == "csr_matrix":
                yield from self._sparse_rows(group, genes, size)
                return
        by_gene = encoding == "csc_matrix"
        yield from self.blocks_by_gene(genes, size) if by_gene else super().blocks(genes, size)

    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.floating]]:
        """Yield the values of some genes (ascending positions) × all profiles, a few at a time."""
        with self.open() as file:
            group = file[self.matrix]
            if _encoding(group) != "csc_matrix":
                yield from super().gene_blocks(genes)
                return
            bounds = self._bounds(group)
            step = max(1, _SPARSE_BYTES // (len(self.profiles) * np.dtype(np.float64).itemsize))
            for start in np.unique(genes // step) * step:
                columns = self._part(group, bounds[start : start + step + 1])
                inside = genes[(genes >= start) & (genes < start + step)] - start
                yield _values(columns, inside).T

    def flat(self) -> Flat | None:
        """Return the place of the matrix in the file, if it is dense and stored without chunks."""
        with self.open() as file:
            matrix = file[self.matrix]
            return flat_matrix(matrix) if isinstance(matrix, h5py.Dataset) else None

    def _sparse_rows(
        self, group: h5py.Group, genes: NDArray[np.intp], size: int
    ) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of a matrix that is sparse by rows, a few of which are unpacked at once."""
        bounds, dtype = self._bounds(group), float_type(group["data"].dtype)
        for start in range(0, len(self.profiles), size):
            block = np.empty((min(size, len(self.profiles) - start), len(genes)), dtype)
            for first in range(0, len(block), SLAB_PROFILES):
                rows = block[first : first + SLAB_PROFILES]
                place = start + first
                rows[:] = _values(self._part(group, bounds[place : place + len(rows) + 1]), genes)
            self.check_finite(block, start, genes)
            yield block

    def _choose(self, file: h5py.File, layer: str | None) -> str:
        """Return the path of the matrix to read.

        Raises:
            UserError: there is no such layer, or it is unclear which of two is meant.
        """
        layers = file.get("layers")
        places = [f"layers/{name}" for name in layers] if isinstance(layers, h5py.Group) else []
        places += [_RAW] if isinstance(file.get("raw"), h5py.Group) and _RAW in file else []
        if layer is None:
            absent = "X" not in file or _encoding(file["X"]) == "null"
            if absent and places:
                choice = " or ".join(f'layer = "{_short(place)}"' for place in places[:3])
                raise self.fault(f"it has no X. Choose another matrix: {choice}.")
            return "X"
        if layer == "X":
            return "X"
        fitting = [place for place in places if layer in (place, _short(place))]
        if len(fitting) > 1:
            raise self.fault(
                f"layer {layer!r} may be {' or '.join(fitting)}. Write one of these instead."
            )
        if not fitting:
            raise self.fault(str(unknown("layer", layer, ["X", *map(_short, places)])))
        return fitting[0]

    def _bounds(self, group: h5py.Group) -> NDArray[np.int64]:
        """Return where each row (or column) of a sparse matrix begins and ends in its data."""
        # Differences of unsigned numbers would wrap around instead of being negative.
        bounds: NDArray[np.int64] = group["indptr"][:].astype(np.int64)
        stored = (group["data"].shape, group["indices"].shape)
        if bounds[0] != 0 or (np.diff(bounds) < 0).any() or {(bounds[-1],)} != set(stored):
            raise self._unsound("its indptr does not fit its data")
        return bounds

    def _part(self, group: h5py.Group, bounds: NDArray[np.int64]) -> Any:
        """Return consecutive rows of a CSR matrix, or consecutive columns of a CSC matrix.

        The indices are checked first, because scipy's compiled loops do not check them.
        """
        kind, inside = _encoding(group), slice(bounds[0], bounds[-1])
        data, indices = group["data"][inside], group["indices"][inside]
        shape = [len(self.profiles), len(self.gene_ids)]
        along = kind == "csc_matrix"
        if indices.size and not (indices.min() >= 0 and indices.max() < shape[not along]):
            raise self._unsound("an index is beyond its shape")
        shape[along] = len(bounds) - 1
        values = data.astype(float_type(data.dtype), copy=False)
        return _SPARSE[kind]((values, indices, bounds - bounds[0]), shape=tuple(shape))

    def _unsound(self, problem: str) -> UserError:
        return self.fault(
            f"{self.matrix} is no sound sparse matrix: {problem}. Write the file again."
        )

    def _read_index(self, file: h5py.File, axis: str, kind: str) -> pd.Index:
        group = file.get(axis)
        if isinstance(group, h5py.Dataset):
            raise self.fault(
                f"{axis} is stored as before anndata 0.7. Write the file with a newer version."
            )
        if not isinstance(group, h5py.Group):
            raise self.fault(
                f"not an AnnData file: it has no group /{axis}. Write it with anndata."
            )
        name = group.attrs.get(_INDEX, _INDEX)
        if not isinstance(name, str):
            raise self.fault(f"/{axis} has no index of ids. Write the file again with anndata.")
        if isinstance(group.get(name), h5py.Group):
            ids = self._column(group[name])
            if ids is None or ids.ndim != 1:
                raise self.fault(
                    f"/{axis}/{name} is stored as {_encoding(group[name])}, not as text. Write ids "
                    "as text."
                )
            # A missing id is an empty one.
            return id_index(self.source, kind, ["" if id_ is None else str(id_) for id_ in ids])
        return self.read_ids(self.dataset(group, name), kind)

    def _check_matrix(self, file: h5py.File, shape: tuple[int, int]) -> None:
        matrix = file.get(self.matrix)
        if isinstance(matrix, h5py.Group) and _encoding(matrix) in _SPARSE:
            claimed, values = tuple(matrix.attrs.get("shape", ())), self.dataset(matrix, "data")
            parts = [self.dataset(matrix, name) for name in ("indptr", "indices")]
            if any(part.ndim != 1 or part.dtype.kind not in "iu" for part in parts):
                raise self._unsound("its indices are not whole numbers")
            length = shape[_encoding(matrix) == "csc_matrix"] + 1
            if claimed == shape and parts[0].shape != (length,):
                raise self._unsound("its indptr does not fit its shape")
        else:
            values = self.dataset(file, self.matrix)
            claimed = values.shape
        if values.dtype.kind not in "fiu":
            raise self.fault(
                f"{self.matrix} holds {values.dtype}, not numbers. Write it as float32 or float64."
            )
        if claimed != shape:
            raise self.fault(
                f"{self.matrix} has shape {claimed}, the ids name {shape[0]} profiles (obs) × "
                f"{shape[1]} genes (var). Write the file again."
            )

    def _read_profiles(self, obs: h5py.Group, ids: pd.Index) -> pd.DataFrame:
        index = obs.attrs.get(_INDEX, _INDEX)
        # anndata 0.7 keeps the categories of all columns in a group of this name.
        names = [name for name in obs if name not in (index, "__categories")]
        columns, others = {}, []
        for name in sorted(names, key=_column_order(obs)):
            column = self._column(obs[name])
            if column is None or column.shape != (len(ids),):
                others.append(name)
            else:
                columns[name] = column
        self.note_skipped(others)
        return pd.DataFrame(columns, index=ids)

    def _column(self, item: Any) -> NDArray[Any] | None:
        """Return a column of obs or var, or None if it is neither text nor numbers."""
        if isinstance(item, h5py.Dataset):
            if not is_plain(item):
                return None
            self.check_stored_here(item)
            if "categories" in item.attrs:  # anndata 0.7
                return self._categories(item, item.file[item.attrs["categories"]])
            return self.read_column(item)
        match _encoding(item):
            case "categorical":
                codes, categories = self.dataset(item, "codes"), item.get("categories")
                # Categories are a list of texts, or have missing values of their own.
                return None if categories is None else self._categories(codes, categories)
            case "nullable-integer" | "nullable-boolean" | "nullable-string-array":
                values = self.read_column(self.dataset(item, "values")).astype(object)
                mask = self.dataset(item, "mask")[:].astype(bool)
                if mask.shape != values.shape:
                    raise self.fault(f"{item.name} has a mask of another length. Write it again.")
                values[mask] = None
                return values
            case _:
                return None

    def _categories(self, codes: h5py.Dataset, categories: Any) -> NDArray[Any] | None:
        names = self._column(categories)
        if names is None:
            return None
        # Code -1 means missing: as an index it picks the None at the end.
        values = [*names.tolist(), None]
        numbers = codes[:]
        if numbers.size and not (numbers.min() >= -1 and numbers.max() < len(values) - 1):
            raise self.fault(
                f"{codes.name} names a category that does not exist. Write the file again."
            )
        column = np.empty(len(numbers), dtype=object)
        column[:] = [values[number] for number in numbers]
        return column


def _encoding(group: h5py.Group) -> Any:
    return group.attrs.get("encoding-type")


def _column_order(group: h5py.Group) -> Callable[[str], int]:
    """Return a sort key that puts columns in the order that their table states."""
    stated = [str(name) for name in group.attrs.get("column-order", ())]
    return lambda name: stated.index(name) if name in stated else len(stated)


def _short(place: str) -> str:
    """Return the name of a matrix as users know it."""
    return "raw" if place == _RAW else place.removeprefix("layers/")


def _values(rows: Any, genes: NDArray[np.intp]) -> NDArray[np.floating]:
    return np.ascontiguousarray(rows[:, genes].toarray())


def write_h5ad(
    path: Path, content: Content, layers: Mapping[str, NDArray[np.float32]] | None = None
) -> None:
    """Write an AnnData file with obs, var and a dense X, block by block.

    Args:
        path: the file.
        content: obs are its profiles, var its genes.
        layers: name → further values, obs × var.
    """
    dtype, blocks = content.read()
    check_space(path, content, dtype)
    with h5py.File(path, "w") as file:
        _mark(file, "anndata", "0.1.0")
        _mark(write_values(file, "X", content.shape, dtype, blocks), "array", "0.2.0")
        _write_table(file.create_group("obs"), content.profiles)
        _write_table(file.create_group("var"), content.genes)
        # anndata itself writes these groups, even if they are empty.
        for name in ("layers", "obsm", "obsp", "uns", "varm", "varp"):
            _mark(file.create_group(name), "dict", "0.1.0")
        for name, values in (layers or {}).items():
            layer = write_values(file["layers"], name, content.shape, values.dtype, iter([values]))
            _mark(layer, "array", "0.2.0")


def _write_table(group: h5py.Group, table: pd.DataFrame) -> None:
    _mark(group, "dataframe", "0.2.0")
    columns = {str(name): table[name] for name in table if can_be_named(name) and name != _INDEX}
    group.attrs[_INDEX] = _INDEX
    group.attrs["column-order"] = np.array(list(columns), dtype=h5py.string_dtype())
    _write_text(group, _INDEX, table.index.to_series())
    for name, column in columns.items():
        if isinstance(column.dtype, np.dtype) and column.dtype.kind in "biuf":
            group[name] = column.to_numpy()
            _mark(group[name], "array", "0.2.0")
        else:
            _write_text(group, name, column)


def _write_text(group: h5py.Group, name: str, column: pd.Series) -> None:
    text = np.array(as_text(column), dtype=h5py.string_dtype())
    _mark(group.create_dataset(name, data=text), "string-array", "0.2.0")


def _mark(item: Any, encoding: str, version: str) -> None:
    item.attrs["encoding-type"] = encoding
    item.attrs["encoding-version"] = version
