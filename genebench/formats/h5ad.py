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

from genebench.errors import UserError
from genebench.formats.base import BLOCK, Content, float_type
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

_ReadBlock = Callable[[int, int, NDArray[np.intp]], NDArray[np.floating]]
"""A function of the first profile, the one after the last, and the genes."""

_SPARSE = {"csr_matrix": sparse.csr_matrix, "csc_matrix": sparse.csc_matrix}
_INDEX = "_index"
"""The attribute that names the column of ids, and the name that anndata itself gives it."""


class H5adReader(Hdf5Reader):
    """An AnnData file. Columns of obs that are text, categories or numbers describe profiles.

    Raises:
        UserError: not HDF5, written before anndata 0.7, no X, ids that are not unique UTF-8 text,
            or an X that is not numeric, not obs × var, or no sound sparse matrix.
    """

    format = "AnnData"

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        with self.open() as file:
            self.gene_ids = self._read_index(file, "var", "gene")
            profile_ids = self._read_index(file, "obs", "profile")
            self._check_matrix(file, (len(profile_ids), len(self.gene_ids)))
            self.profiles = self._read_profiles(file["obs"], profile_ids)

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float32 or float64.

        Memory: one block. An X that is sparse by columns (CSC) is held as a whole, as stored,
        because each of its profiles is spread over all columns.
        """
        with self.open() as file:
            matrix = file["X"]
            read = self._dense(matrix) if isinstance(matrix, h5py.Dataset) else self._sparse(matrix)
            for start in range(0, len(self.profiles), size):
                block = read(start, min(start + size, len(self.profiles)), genes)
                self.check_finite(block, start, genes)
                yield block

    def flat(self) -> Flat | None:
        """Return the place of X in the file, if it is dense and stored without chunks."""
        with self.open() as file:
            matrix = file["X"]
            return flat_matrix(matrix) if isinstance(matrix, h5py.Dataset) else None

    def _dense(self, matrix: h5py.Dataset) -> _ReadBlock:
        return lambda start, stop, genes: read_block(matrix, start, stop, genes, SLAB_PROFILES)

    def _sparse(self, group: h5py.Group) -> _ReadBlock:
        bounds = self._bounds(group)
        if _encoding(group) == "csc_matrix":
            whole = self._part(group, bounds).tocsr()
            return lambda start, stop, genes: _values(whole[start:stop], genes)
        return lambda start, stop, genes: _values(
            self._part(group, bounds[start : stop + 1]), genes
        )

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
        return self.fault(f"X is no sound sparse matrix: {problem}. Write the file again.")

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
        return self.read_ids(self.dataset(group, name), kind)

    def _check_matrix(self, file: h5py.File, shape: tuple[int, int]) -> None:
        matrix = file.get("X")
        if isinstance(matrix, h5py.Group) and _encoding(matrix) in _SPARSE:
            claimed, values = tuple(matrix.attrs.get("shape", ())), self.dataset(matrix, "data")
            parts = [self.dataset(matrix, name) for name in ("indptr", "indices")]
            if any(part.ndim != 1 or part.dtype.kind not in "iu" for part in parts):
                raise self._unsound("its indices are not whole numbers")
            length = shape[_encoding(matrix) == "csc_matrix"] + 1
            if claimed == shape and parts[0].shape != (length,):
                raise self._unsound("its indptr does not fit its shape")
        else:
            values = self.dataset(file, "X")
            claimed = values.shape
        if values.dtype.kind not in "fiu":
            raise self.fault(
                f"X holds {values.dtype}, not numbers. Write it as float32 or float64."
            )
        if claimed != shape:
            raise self.fault(
                f"X has shape {claimed}, the ids name {shape[0]} profiles (obs) × {shape[1]} "
                "genes (var). Write the file again."
            )

    def _read_profiles(self, obs: h5py.Group, ids: pd.Index) -> pd.DataFrame:
        index = obs.attrs.get(_INDEX, _INDEX)
        # anndata 0.7 keeps the categories of all columns in a group of this name.
        names = [name for name in obs if name not in (index, "__categories")]
        columns = {name: self._column(obs[name]) for name in sorted(names, key=_column_order(obs))}
        fitting = {
            name: column
            for name, column in columns.items()
            if column is not None and column.shape == (len(ids),)
        }
        return pd.DataFrame(fitting, index=ids)

    def _column(self, item: Any) -> NDArray[Any] | None:
        """Return a column of obs or var, or None if it is neither text nor numbers."""
        if isinstance(item, h5py.Dataset) and is_plain(item):
            self.check_stored_here(item)
            if "categories" in item.attrs:  # anndata 0.7
                return self._categories(item, item.file[item.attrs["categories"]])
            return self.read_column(item)
        if isinstance(item, h5py.Group) and _encoding(item) == "categorical":
            return self._categories(self.dataset(item, "codes"), self.dataset(item, "categories"))
        if isinstance(item, h5py.Group) and str(_encoding(item)).startswith("nullable-"):
            values = self.read_column(self.dataset(item, "values")).astype(object)
            values[self.dataset(item, "mask")[:].astype(bool)] = None
            return values
        return None

    def _categories(self, codes: h5py.Dataset, categories: h5py.Dataset) -> NDArray[Any]:
        self.check_stored_here(categories)
        # Code -1 means missing: as an index it picks the None at the end.
        values = [*self.read_column(categories).tolist(), None]
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
