"""Profiles: the data that a method is given. They are standardised on read, block by block."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np
import pandas as pd
import platformdirs
from numpy.typing import NDArray

from genebench._util.npy import NpyWriter, forget_pages
from genebench.data.cache import has_fingerprint, write_checked
from genebench.data.standardisation import Standardiser
from genebench.formats.base import BLOCK

Role = Literal["landmarks", "targets"]
Matrix = NDArray[np.float32]
"""Profiles × genes, standardised per gene."""


class Block(NamedTuple):
    """Consecutive profiles: their landmarks and their targets."""

    landmarks: Matrix
    targets: Matrix


class Profiles:
    """Some profiles of a platform: landmark and target expression, and tables about both axes.

    Values are float32 in standard deviations of the gene: zero mean and unit variance over the
    platform. Values are read when they are needed, and blocks keep memory bounded.

    Attributes:
        profiles: table with one row per profile, indexed by profile id, with the columns of the
            dataset.
        landmark_genes, target_genes: tables with one row per gene, indexed by Ensembl id where
            known; columns ``symbol``, ``probes`` and ``twin`` (the gene is both landmark and
            target).
    """

    def __init__(
        self,
        *,
        expression: NDArray[np.float32],
        rows: NDArray[np.intp],
        standardiser: Standardiser,
        profiles: pd.DataFrame,
        landmark_genes: pd.DataFrame,
        target_genes: pd.DataFrame,
        cache: Path | None = None,
        mmap: bool = False,
        ask: Callable[[str], dict[str, NDArray[Any]]] | None = None,
    ) -> None:
        """Select rows of a matrix.

        Args:
            expression: all profiles × (landmarks, then targets), not standardised.
            rows: positions of these profiles.
            standardiser: the statistics that standardise the values on read.
            profiles: table of these profiles.
            landmark_genes: table of the landmark genes, in column order.
            target_genes: table of the target genes, in column order.
            cache: path without suffix for files derived from these profiles, or None for no files.
            mmap: whether whole matrices are memory maps of cache files, not arrays in memory.
            ask: in a sealed process, the function that asks genebench outside for something derived
                from these profiles, by name. A method there can neither read nor write the cache.
        """
        self._expression = expression
        self._rows = rows
        self._standardiser = standardiser
        self._cache = cache
        self._mmap = mmap
        self.ask = ask
        self.profiles = profiles
        self.landmark_genes = landmark_genes
        self.target_genes = target_genes

    @classmethod
    def from_arrays(cls, landmarks: NDArray[np.floating], targets: NDArray[np.floating]) -> Self:
        """Return profiles of standardised arrays, to try a method without a dataset.

        Args:
            landmarks: profiles × landmarks, standardised.
            targets: profiles × targets, standardised.
        """
        values = np.hstack([landmarks, targets]).astype(np.float32)
        return cls(
            expression=values,
            rows=np.arange(len(values)),
            standardiser=Standardiser.identity(values.shape[1]),
            profiles=pd.DataFrame(index=[f"P{number}" for number in range(len(values))]),
            landmark_genes=_unnamed_genes(landmarks.shape[1], "L"),
            target_genes=_unnamed_genes(targets.shape[1], "T"),
        )

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        shape = f"{len(self)} × {len(self.landmark_genes)} + {len(self.target_genes)}"
        return f"<Profiles {shape}>"

    @cached_property
    def landmarks(self) -> Matrix:
        """Landmark expression, profiles × landmarks, standardised."""
        return self._whole("landmarks")

    @cached_property
    def targets(self) -> Matrix:
        """Target expression, profiles × targets, standardised."""
        return self._whole("targets")

    def blocks(self, size: int = BLOCK) -> Iterator[Block]:
        """Yield landmarks and targets of all profiles in order, at most ``size`` at a time."""
        n_landmarks = len(self.landmark_genes)
        for rows in self._row_blocks(size):
            values = self._read(rows, slice(None))
            yield Block(values[:, :n_landmarks], values[:, n_landmarks:])

    def landmark_blocks(self, size: int = BLOCK) -> Iterator[Matrix]:
        """Yield the landmarks of all profiles in order, at most ``size`` at a time."""
        return self.column_blocks("landmarks", size)

    def column_blocks(self, role: Role, size: int = BLOCK) -> Iterator[Matrix]:
        """Yield ``landmarks`` or ``targets`` of all profiles, at most ``size`` at a time."""
        columns = self._columns(role)
        return (self._read(rows, columns) for rows in self._row_blocks(size))

    def target_columns(self, start: int, stop: int) -> Matrix:
        """Return targets ``start`` to ``stop`` of every profile: profiles × (stop − start)."""
        offset = len(self.landmark_genes)  # targets follow the landmarks
        return self._read(self._rows, slice(offset + start, offset + stop))

    def target_rows(self, positions: NDArray[np.intp]) -> Matrix:
        """Return the targets of the profiles at some positions: positions × targets."""
        return self._read(self._rows[positions], self._columns("targets"))

    def landmark_rows(self, positions: NDArray[np.intp]) -> Matrix:
        """Return the landmarks of the profiles at some positions: positions × landmarks."""
        return self._read(self._rows[positions], self._columns("landmarks"))

    def own_file(self) -> Path:
        """Return a .npy file of the expression of these profiles, and of no other.

        It holds profiles × (landmarks, then targets), not standardised. It is the file of the
        platform if these are all of its profiles. Otherwise it is a cache file, written once.

        Raises:
            OSError: the file cannot be written.
            ValueError: these profiles are not from a file.
        """
        filename = getattr(self._expression, "filename", None)
        if filename is None:
            raise ValueError("these profiles lie in no file")
        if len(self._rows) == len(self._expression) and (np.diff(self._rows) == 1).all():
            return Path(filename)
        path = self.cached("expression.npy")
        if path is None:
            raise ValueError("these profiles have no cache")
        # A data folder that several users share may be read-only for them.
        if not os.access(path.parent if path.parent.exists() else path.parents[1], os.W_OK):
            folder = platformdirs.user_cache_path("genebench") / "profiles"
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"{self.fingerprint.hex()}.npy"
        shape = (len(self), self._expression.shape[1])
        self._cache_matrix(
            path, shape, (self._raw(rows, slice(None)) for rows in self._row_blocks(BLOCK))
        )
        return path

    @property
    def standardiser(self) -> Standardiser:
        """The statistics that standardise the values on read."""
        return self._standardiser

    def expression_blocks(self, size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield expression before standardisation: profiles × (landmarks, then targets).

        Do not write to a block: it can be a view of the profiles themselves.
        """
        for rows in self._row_blocks(size):
            yield self._standardiser.requantiled(self._in_memory(rows))

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the statistics, the rows, and the size and time of change of the file.

        It is the fingerprint of cache files derived from these profiles.
        """
        digest = hashlib.sha256(
            self._standardiser.mean.tobytes() + self._standardiser.factors.tobytes()
        )
        # The rows, because a plugin's split can put other profiles into a part of the same name.
        digest.update(self._rows.astype("<i8").tobytes())
        filename = getattr(self._expression, "filename", None)
        if filename is not None:
            state = Path(filename).stat()
            digest.update(f"{state.st_size} {state.st_mtime_ns}".encode())
        return digest.digest()

    def cached(self, suffix: str) -> Path | None:
        """Return the path of a cache file derived from these profiles, or None for no file."""
        return self._cache and self._cache.with_name(f"{self._cache.name}.{suffix}")

    def _row_blocks(self, size: int) -> Iterator[NDArray[np.intp]]:
        return (self._rows[start : start + size] for start in range(0, len(self), size))

    def _columns(self, role: Role) -> slice:
        n_landmarks = len(self.landmark_genes)
        return slice(0, n_landmarks) if role == "landmarks" else slice(n_landmarks, None)

    def _read(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        """Read and standardise some rows and columns of the matrix."""
        return self._standardiser.standardise(self._raw(rows, columns), columns)

    def _raw(self, rows: NDArray[np.intp], columns: slice) -> NDArray[np.float32]:
        """Read some rows and columns of the matrix, and release the pages that were read."""
        values = np.empty((len(rows), len(self._standardiser.mean[columns])), np.float32)
        for start in range(0, len(rows), BLOCK):
            chunk = slice(start, start + BLOCK)
            values[chunk] = self._expression[rows[chunk], columns]
            # Pages of a memory map count as memory of the job until they are released.
            forget_pages(self._expression)
        return values

    def _in_memory(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """Return all genes of some profiles, without a copy if they lie together in memory."""
        is_mapped = isinstance(self._expression, np.memmap)
        if self._expression.flags.writeable and not is_mapped and (np.diff(rows) == 1).all():
            return self._expression[rows[0] : rows[-1] + 1]
        return self._raw(rows, slice(None))

    def _whole(self, role: Role) -> Matrix:
        """Return a whole matrix: in memory, or mapped from a cache file, which is written first."""
        shape = (len(self), len(self._standardiser.mean[self._columns(role)]))
        path = self.cached(f"{role}.npy") if self._mmap else None
        if path is None:
            loaded = np.empty(shape, np.float32)
            start = 0
            for block in self.column_blocks(role):
                loaded[start : start + len(block)] = block
                start += len(block)
            return loaded
        self._cache_matrix(path, shape, self.column_blocks(role))
        matrix: Matrix = np.load(path, mmap_mode="r", allow_pickle=False)
        return matrix

    def _cache_matrix(self, path: Path, shape: tuple[int, int], blocks: Iterator[Matrix]) -> None:
        """Write a matrix to a cache file, unless the file is there."""
        fingerprint = self.fingerprint
        if _is_cached(path, shape, fingerprint):
            return
        path.parent.mkdir(exist_ok=True)
        with write_checked(path, fingerprint) as stream:
            writer = NpyWriter(stream, shape, np.float32)
            for block in blocks:
                writer.append(block)
            writer.close()


def _is_cached(path: Path, shape: tuple[int, int], fingerprint: bytes) -> bool:
    """Return whether a file holds a matrix of this shape, whole and derived from these inputs."""
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
        expected = matrix.shape == shape and matrix.dtype == np.float32
        return expected and has_fingerprint(path, fingerprint, matrix.offset + matrix.nbytes)
    except (FileNotFoundError, ValueError, EOFError):
        return False


def _unnamed_genes(number: int, letter: str) -> pd.DataFrame:
    """Return a table of genes called by a letter and a number."""
    ids = [f"{letter}{position}" for position in range(number)]
    return pd.DataFrame({"symbol": ids, "probes": "", "twin": False}, index=ids)
