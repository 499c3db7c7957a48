"""Datasets from the published prepared arrays. Their values are stored as they are.

Files such as ``bgedv2_X_tr_float64.npy`` hold profiles × genes, standardised per gene: landmarks
(X) and targets (Y) of three parts of ``geo``, of ``1000g`` and of ``gtex``. They have no ids. Gene
maps in the order of the columns name the genes. A profile is named by its file and its row, from 0
on (``bgedv2_tr:0``, ``GTEx:17``).

The code of D-GEX reads the targets from two files, each with half of the columns, such as
``bgedv2_Y_tr_0-4760_float64.npy``. These are taken where there is no file of all targets.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.files import sha256_of
from genebench._util.npy import Hashed, NpyWriter
from genebench._util.progress import Progress, silent
from genebench.data.digests import dataset_digest, platform_digest
from genebench.data.store import (
    RECIPE,
    STANDARDISED,
    STORE_FORMAT,
    Dataset,
    DataStore,
    write_table,
)
from genebench.datasets.sources import Source, find
from genebench.errors import UserError
from genebench.formats.files import check_readable
from genebench.formats.npy import map_npy
from genebench.preprocessing.compendium import REFERENCE_PLATFORM

ArrayPlatform = Literal["geo", "1000g", "gtex"]
"""Platforms of the published arrays."""

PLATFORMS: tuple[ArrayPlatform, ...] = get_args(ArrayPlatform)

ArrayScale = Literal["standardised", "any"]

SLAB_BYTES = 256 << 20
"""Bytes that are read at once. Arrays stored column by column need long pieces of each column."""

_SPLIT_ENDINGS: Mapping[str, Mapping[str, str]] = {
    REFERENCE_PLATFORM: {"train": "-tr", "validation": "-va", "test": "-te"}
}
"""Platform → part of its split → ending of its sources' names. Other platforms are whole."""

_ENDING = "_float64.npy"

_FAR_FROM_ZERO = 0.25
_USUAL_STD = 0.5, 2.0
"""Bounds for the mean and the standard deviation of all values of a file. Those of standardised
values are 0 and 1, but for chance, genes without variance, and parts that differ from the whole."""

_LARGEST: Mapping[str, float] = {STANDARDISED: 1e4, "any": 1e18}
"""Level → the largest magnitude of a value. Of n profiles, none lies further than √n standard
deviations from their mean. The square of a value must fit into float32."""

_TWIN_TOLERANCE = 1e-3
"""Difference, in standard deviations, up to which two values of a gene count as the same."""


@dataclass(frozen=True, kw_only=True)
class PreparedArrays:
    """Arrays that were prepared elsewhere, and the genes of their columns.

    Attributes:
        folder: folder of the files, under their published names.
        landmarks, targets: gene maps in the order of the columns, indexed by Ensembl id, columns
            ``symbol`` and ``probes``.
        platforms: platforms to take. They include ``geo``.
        level: ``standardised`` to check values and columns, ``any`` to take them unchecked.
        origin: source of the data, for the description of the dataset.
    """

    name: str
    title: str
    folder: Path
    landmarks: pd.DataFrame
    targets: pd.DataFrame
    platforms: tuple[ArrayPlatform, ...] = PLATFORMS
    preset: str = "small"
    level: ArrayScale = STANDARDISED
    origin: Mapping[str, str] = field(default_factory=lambda: {"kind": "measured"})


def array_files(folder: Path, platforms: Sequence[str]) -> list[Path]:
    """Return every file that the arrays of some platforms consist of, present or missing."""
    return [
        path
        for platform in platforms
        for x, y in _sources(platform).values()
        for path in (folder / x.file, *_files_of_targets(folder / y.file))
    ]


def _files_of_targets(path: Path) -> list[Path]:
    """Return the file of all targets, or those with some of the columns if it is missing."""
    parts = [place for _, place in sorted(_parts_of(path))]
    return [path] if not parts or path.exists() else parts


def _parts_of(path: Path) -> Iterator[tuple[tuple[int, int], Path]]:
    """Yield the first column, the one after the last, and the path of files of some columns."""
    stem = path.name.removesuffix(_ENDING)
    pattern = re.compile(rf"{re.escape(stem)}_([0-9]{{1,9}})-([0-9]{{1,9}}){re.escape(_ENDING)}")
    with suppress(OSError, ValueError):  # the check of missing files reports it
        for part in path.parent.iterdir():
            if match := pattern.fullmatch(part.name):
                yield (int(match[1]), int(match[2])), part


def adopt(
    arrays: PreparedArrays, *, progress: Progress = silent, store: DataStore | None = None
) -> Dataset:
    """Put prepared arrays in the store, atomically. Their values become float32, nothing else.

    Memory use is about twice :data:`SLAB_BYTES`, however long the arrays are.

    Args:
        arrays: the arrays.
        progress: called after each block.
        store: destination. By default the store of the user.

    Raises:
        UserError: a file is missing or damaged, holds values that are not finite numbers, does not
            fit the maps or its counterpart, or does not look standardised. Or the disk is full.
            The store is unchanged.
    """
    store = store or DataStore()
    _check_present(arrays)
    platforms: dict[str, _Platform] = {name: _Platform(arrays, name) for name in arrays.platforms}
    total = sum(len(platform.table) for platform in platforms.values())
    with store.staging(arrays.name) as folder:
        write_table(arrays.landmarks, folder / "landmark_genes.tsv", "ensembl")
        write_table(arrays.targets, folder / "target_genes.tsv", "ensembl")
        sums: dict[str, str] = {}
        done = 0
        for name, platform in platforms.items():
            sums[f"{name}/expression.npy"] = platform.write(folder / name, done, total, progress)
            done += len(platform.table)
        contents = {
            name: platform_digest(platform.table, sums[f"{name}/expression.npy"])
            for name, platform in platforms.items()
        }
        info = _describe(arrays, platforms, contents)
        (folder / "dataset.json").write_text(json.dumps(info, indent=1), "utf-8")
        return store.publish(arrays.name, folder, sums)


def _sources(platform: str) -> dict[str, tuple[Source, Source]]:
    """Return part of the platform → sources of its landmarks (X) and targets (Y)."""
    return {
        part: (find(f"prepared-{platform}-x{ending}"), find(f"prepared-{platform}-y{ending}"))
        for part, ending in _SPLIT_ENDINGS.get(platform, {"": ""}).items()
    }


def _check_present(arrays: PreparedArrays) -> None:
    """Check that every array is there.

    Raises:
        UserError: the folder or a file is missing.
    """
    try:
        present = {path.name for path in arrays.folder.iterdir()}
    except (OSError, ValueError) as error:
        reasons: dict[type, str] = {
            FileNotFoundError: "no such folder",
            NotADirectoryError: "a file, not a folder",
        }
        reason = getattr(error, "strerror", None) or error
        fault = reasons.get(type(error), f"cannot be read: {reason}")
        raise UserError(
            f"{arrays.folder}: {fault}. Name the folder of the arrays by the key arrays of the "
            "manifest."
        ) from None
    files = array_files(arrays.folder, arrays.platforms)
    missing = [path for path in files if path.name not in present]
    if not missing:
        return
    whole = [
        name
        for name in arrays.platforms
        if not set(missing) & set(array_files(arrays.folder, [name]))
    ]
    remedy = "To see where to ask for one, run genebench data fetch FILE."
    if REFERENCE_PLATFORM in whole:
        remedy += f" To do without, write platforms = {json.dumps(whole)} in the manifest."
    names = ", ".join(path.name for path in missing)
    raise UserError(f"{arrays.folder}: {len(missing)} of the arrays are missing: {names}. {remedy}")


class _Platform:
    """Arrays of one platform, opened. Shapes are checked, values are read later."""

    def __init__(self, arrays: PreparedArrays, name: str) -> None:
        self._arrays = arrays
        self._name = name
        self._pairs = {
            part: _Pair(arrays, arrays.folder / x.file, arrays.folder / y.file)
            for part, (x, y) in _sources(name).items()
        }
        self.table = self._profile_table()

    @property
    def files(self) -> list[Path]:
        """Files of the platform."""
        return array_files(self._arrays.folder, [self._name])

    def write(self, home: Path, done: int, total: int, progress: Progress) -> str:
        """Fill the platform's folder, and return the sha256 of the matrix in it.

        Args:
            home: the folder. It is made.
            done: profiles of other platforms that are done.
            total: profiles of all platforms.
            progress: called after each block.
        """
        home.mkdir()
        write_table(self.table, home / "profiles.tsv", "profile")
        shape = (len(self.table), len(self._arrays.landmarks) + len(self._arrays.targets))
        with (home / "expression.npy").open("wb") as file, Hashed(file) as stream:
            writer = NpyWriter(stream, shape, np.float32)
            for block in self._blocks():
                writer.append(block)
                done += len(block)
                progress(done, total, f"reading {self._name}")
            writer.close()
        return stream.sha256

    def _blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield profiles × (landmarks, then targets), part after part, and check them."""
        for pair in self._pairs.values():
            yield from pair.blocks()
            if self._arrays.level == STANDARDISED:
                pair.check_standardised()
                if self._name != REFERENCE_PLATFORM:
                    pair.check_twins()

    def _profile_table(self) -> pd.DataFrame:
        """Return the profile table. That of ``geo`` has the published split."""
        ids = [profile for pair in self._pairs.values() for profile in pair.profiles()]
        table = pd.DataFrame(index=pd.Index(ids, dtype="str"))
        if self._name == REFERENCE_PLATFORM:
            parts = [part for part, pair in self._pairs.items() for _ in range(len(pair))]
            table = table.assign(split=parts)
        return table


class _Pair:
    """Landmarks (X) and targets (Y) of the same profiles."""

    def __init__(self, arrays: PreparedArrays, x: Path, y: Path) -> None:
        self._genes = pd.concat([arrays.landmarks, arrays.targets])
        largest = _LARGEST[arrays.level]
        self._x = _Array(x, arrays.landmarks, "landmark", largest)
        self._y = _arrays_of_targets(y, arrays.targets, largest)
        for array in self._y:
            if len(self._x) != len(array):
                raise UserError(
                    f"{x}: it has {len(self._x)} profiles, but {array.path.name} has {len(array)}. "
                    "Give arrays of the same profiles."
                )
        self._y_name = " and ".join(array.path.name for array in self._y)
        place = arrays.targets.index.get_indexer(arrays.landmarks.index)
        self._twins = np.flatnonzero(place >= 0), place[place >= 0]
        self._differing = np.zeros(len(self._twins[0]), dtype=bool)

    def __len__(self) -> int:
        return len(self._x)

    def profiles(self) -> Iterator[str]:
        """Return the ids of the profiles: file and row."""
        stem = self._x.path.name.removesuffix(_ENDING).replace("_X", "")
        return (f"{stem}:{row}" for row in range(len(self)))

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """Yield profiles × (landmarks, then targets)."""
        arrays = [self._x, *self._y]
        size = max(1, SLAB_BYTES // sum(array.row_bytes for array in arrays))
        n_landmarks = self._x.n_genes
        for start in range(0, len(self), size):
            stop = min(start + size, len(self))
            block = np.empty((stop - start, sum(array.n_genes for array in arrays)), np.float32)
            column = 0
            for array in arrays:
                array.read_into(block[:, column : column + array.n_genes], start)
                column += array.n_genes
            landmark, target = self._twins
            distance = np.abs(block[:, landmark] - block[:, n_landmarks + target])
            self._differing |= (distance > _TWIN_TOLERANCE).any(axis=0)
            yield block

    def check_standardised(self) -> None:
        """Refuse values that are not standardised. Call it once all blocks are read."""
        for array in (self._x, *self._y):
            array.check_standardised()

    def check_twins(self) -> None:
        """Refuse columns that are not the maps' genes. Call it once all blocks are read.

        RNA-seq measures a gene once. If the maps are in the order of the columns, a gene that is
        both landmark and target has the same values in both arrays.
        """
        # Half of the twins: a map in another order spoils nearly all, rounding only a few.
        if self._differing.sum() > len(self._differing) / 2:
            raise UserError(
                f"{self._x.path}: of {len(self._differing)} genes that are both landmark and "
                f"target, {self._differing.sum()} have other values here than in "
                f"{self._y_name}, though RNA-seq measures a gene once. Put both maps in the "
                'order of the columns. If they are, write level = "any".'
            )


def _arrays_of_targets(path: Path, targets: pd.DataFrame, largest: float) -> list[_Array]:
    """Open the file of all targets, or files that hold their columns one after the other.

    Raises:
        UserError: as for :class:`_Array`, or the files leave columns out, or overlap.
    """
    parts = [] if path.exists() else sorted(_parts_of(path))
    if not parts:
        return [_Array(path, targets, "target", largest)]
    column, arrays = 0, []
    for (start, stop), part in parts:
        if start != column or stop <= start:
            break
        arrays.append(_Array(part, targets[start:stop], "target", largest))
        column = stop
    if column != len(targets) or len(arrays) != len(parts):
        names = ", ".join(part.name for _, part in parts)
        raise UserError(
            f"{path.parent}: {names} are not the {len(targets)} columns of {path.name}, each once. "
            f"The next column is {column}. Put the missing file there, or give {path.name}."
        )
    return arrays


class _Array:
    """One file of profiles × the genes of a map."""

    def __init__(self, path: Path, genes: pd.DataFrame, role: str, largest: float) -> None:
        check_readable(path)
        matrix = map_npy(path)
        if matrix.ndim != 2 or matrix.shape[1] != len(genes):  # noqa: PLR2004  rows and columns
            turned = matrix.shape[:1] == (len(genes),)
            raise UserError(
                f"{path}: it has shape {matrix.shape}, but the {role} map names {len(genes)} "
                "genes. " + ("Transpose it." if turned else "Give the map that it was made with.")
            )
        if not len(matrix):
            raise UserError(f"{path}: there is no profile in it. Fetch or make it again.")
        self.path = path
        self._genes = genes
        self._largest = largest
        self._shape: tuple[int, int] = matrix.shape
        self._dtype: np.dtype[Any] = matrix.dtype
        self._offset = matrix.offset
        self._by_row = matrix.flags.c_contiguous
        self._sum = self._squares = 0.0

    def __len__(self) -> int:
        return self._shape[0]

    @property
    def n_genes(self) -> int:
        """Number of columns."""
        return self._shape[1]

    @property
    def row_bytes(self) -> int:
        """Number of bytes of a profile in the file."""
        return self._shape[1] * self._dtype.itemsize

    def read_into(self, block: NDArray[np.float32], start: int) -> None:
        """Fill a block with the profiles from ``start`` on, and add up their values.

        Raises:
            UserError: a value is missing, or larger than any can be.
        """
        values = self._read(start, len(block))
        with np.errstate(over="ignore"):
            block[...] = values
        # NaN compares as false.
        bad = ~(np.abs(block) <= self._largest)
        if bad.any():
            row, column = np.argwhere(bad)[0]
            raise UserError(
                f"{self.path}: row {start + row}, column {column} (from 0 on, gene "
                f"{self._genes.index[column]}) is {values[row, column]:g}: missing, or beyond "
                f"±{self._largest:g}, which no such value can be. Mend the file: arrays are used "
                "as they are."
            )
        # In the order of memory ("K"), so that arrays stored column by column are not copied.
        flat = values.ravel(order="K").astype(np.float64, copy=False)
        self._sum += float(flat.sum())
        self._squares += float(flat @ flat)

    def check_standardised(self) -> None:
        """Refuse values whose mean and standard deviation are far from 0 and 1.

        Raises:
            UserError: they are.
        """
        number = self._shape[0] * self._shape[1]
        mean = self._sum / number
        std = max(self._squares / number - mean**2, 0.0) ** 0.5
        low, high = _USUAL_STD
        if abs(mean) > _FAR_FROM_ZERO or not low <= std <= high:
            raise UserError(
                f"{self.path}: these do not look standardised per gene: all values together have "
                f"mean {mean:.3g} and standard deviation {std:.3g}, not about 0 and 1. Prepare "
                'unstandardised expression by recipe = "dgex". If the values are right, write '
                'level = "any".'
            )

    def _read(self, start: int, number: int) -> NDArray[Any]:
        """Return the profiles from ``start`` on × genes."""
        # Plain reads, because pages of a memory map would count as memory in use.
        rows, columns = self._shape
        with self.path.open("rb", buffering=0) as stream:
            if self._by_row:
                stream.seek(self._offset + start * self.row_bytes)
                return np.fromfile(stream, self._dtype, number * columns).reshape(number, columns)
            # Stored column by column: one piece of each column, then transposed.
            turned = np.empty((columns, number), self._dtype)
            for column in range(columns):
                stream.seek(self._offset + (column * rows + start) * self._dtype.itemsize)
                turned[column] = np.fromfile(stream, self._dtype, number)
            return turned.T


def _describe(
    arrays: PreparedArrays, platforms: Mapping[str, _Platform], contents: Mapping[str, str]
) -> dict[str, Any]:
    genes = {"landmarks": arrays.landmarks, "targets": arrays.targets}
    coverage = {
        role: {"in_map": len(table), "found": len(table), "missing": [], "partial": []}
        for role, table in genes.items()
    }
    return {
        "format": STORE_FORMAT,
        "recipe": RECIPE,
        "values": STANDARDISED,
        "name": arrays.name,
        "title": arrays.title,
        "digest": dataset_digest(arrays.landmarks, arrays.targets, contents),
        "preset": arrays.preset,
        "landmarks": len(arrays.landmarks),
        "targets": len(arrays.targets),
        "twins": int(arrays.targets.index.isin(arrays.landmarks.index).sum()),
        "origin": {**arrays.origin, "recipe": "prepared"},
        "platforms": {
            name: {
                "profiles": len(platform.table),
                "ids": "columns",
                "level": arrays.level,
                "group": None,
                "files": {path.name: sha256_of(path) for path in platform.files},
                "digest": contents[name],
                "coverage": coverage,
            }
            for name, platform in platforms.items()
        },
    }
