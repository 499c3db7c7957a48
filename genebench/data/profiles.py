"""Profiles: what a method is given. Standardisation is applied on read, block by block."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple, Self

import numpy as np
import pandas as pd
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
    """One part of a platform: landmark and target expression, and tables about both axes.

    Values are float32 in standard deviations of the gene (zero mean, unit variance over the
    platform). Nothing is read before it is asked for, and blocks keep memory bounded.

    Attributes:
        profiles: one row per profile, indexed by profile id; what is known about it.
        landmark_genes, target_genes: one row per gene, indexed by Ensembl id where known;
            columns ``symbol``, ``probes`` and ``twin`` (the gene is both landmark and target).
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
    ) -> None:
        """Tie a store's matrix (all profiles × landmarks, then targets) to some of its ``rows``.

        ``cache`` (a path without suffix) is where what is worked out from these very profiles may
        be kept. With ``mmap``, whole matrices are memory maps of files there, written when first
        asked for; without it they are in memory.
        """
        self._expression = expression
        self._rows = rows
        self._standardiser = standardiser
        self._cache = cache
        self._mmap = mmap
        self.profiles = profiles
        self.landmark_genes = landmark_genes
        self.target_genes = target_genes

    @classmethod
    def from_arrays(cls, landmarks: NDArray[np.floating], targets: NDArray[np.floating]) -> Self:
        """Profiles of arrays (profiles × genes) that are standardised already: to try a method."""
        values = np.hstack([landmarks, targets]).astype(np.float32)
        tables = [
            _unnamed(array.shape[1], role) for array, role in ((landmarks, "L"), (targets, "T"))
        ]
        return cls(
            expression=values,
            rows=np.arange(len(values)),
            standardiser=Standardiser.identity(values.shape[1]),
            profiles=pd.DataFrame(index=[f"P{at}" for at in range(len(values))]),
            landmark_genes=tables[0],
            target_genes=tables[1],
        )

    def __len__(self) -> int:
        return len(self._rows)

    def __repr__(self) -> str:
        shape = f"{len(self)} × {len(self.landmark_genes)} + {len(self.target_genes)}"
        return f"<Profiles {shape}>"

    @cached_property
    def landmarks(self) -> Matrix:
        """Landmark expression, profiles × landmarks."""
        return self._whole("landmarks")

    @cached_property
    def targets(self) -> Matrix:
        """Target expression, profiles × targets."""
        return self._whole("targets")

    def blocks(self, size: int = BLOCK) -> Iterator[Block]:
        """Yield all profiles in order, at most ``size`` at a time."""
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
        """Targets ``start`` to ``stop`` of every profile: profiles × (stop − start)."""
        offset = len(self.landmark_genes)
        return self._read(self._rows, slice(offset + start, offset + stop))

    def target_rows(self, positions: NDArray[np.intp]) -> Matrix:
        """Targets of some profiles, in any order: positions × targets."""
        return self._read(self._rows[positions], self._columns("targets"))

    @property
    def standardiser(self) -> Standardiser:
        """The standardiser that these profiles are read through."""
        return self._standardiser

    def level_blocks(self, size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield expression before it is standardised: profiles × (landmarks, then targets).

        It is not to be changed: it may be these profiles' own.
        """
        for rows in self._row_blocks(size):
            yield self._standardiser.levels(self._in_memory(rows))

    @property
    def fingerprint(self) -> bytes:
        """SHA-256 of the statistics, the rows, and the size and time of change of the file.

        It is the fingerprint of cache files derived from these profiles.
        """
        digest = hashlib.sha256(
            self._standardiser.mean.tobytes() + self._standardiser.scale.tobytes()
        )
        # The rows, because a plugin's split can put other profiles into a part of the same name.
        digest.update(self._rows.astype("<i8").tobytes())
        filename = getattr(self._expression, "filename", None)
        if filename is not None:
            state = Path(filename).stat()
            digest.update(f"{state.st_size} {state.st_mtime_ns}".encode())
        return digest.digest()

    def cached(self, suffix: str) -> Path | None:
        """Where something worked out from these very profiles may be kept; None for nowhere."""
        return self._cache and self._cache.with_name(f"{self._cache.name}.{suffix}")

    def _row_blocks(self, size: int) -> Iterator[NDArray[np.intp]]:
        return (self._rows[at : at + size] for at in range(0, len(self), size))

    def _columns(self, role: Role) -> slice:
        n_landmarks = len(self.landmark_genes)
        return slice(0, n_landmarks) if role == "landmarks" else slice(n_landmarks, None)

    def _read(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        return self._standardiser.standardise(self._raw(rows, columns), columns)

    def _raw(self, rows: NDArray[np.intp], columns: slice) -> NDArray[np.float32]:
        values = np.empty((len(rows), len(self._standardiser.mean[columns])), np.float32)
        for start in range(0, len(rows), BLOCK):
            part = slice(start, start + BLOCK)
            values[part] = self._expression[rows[part], columns]
            forget_pages(self._expression)
        return values

    def _in_memory(self, rows: NDArray[np.intp]) -> NDArray[np.float32]:
        """All genes of some profiles; no copy where they are in memory, one after another."""
        is_mapped = isinstance(self._expression, np.memmap)
        if self._expression.flags.writeable and not is_mapped and (np.diff(rows) == 1).all():
            return self._expression[rows[0] : rows[-1] + 1]
        return self._raw(rows, slice(None))

    def _whole(self, role: Role) -> Matrix:
        shape = (len(self), len(self._standardiser.mean[self._columns(role)]))
        path = self.cached(f"{role}.npy") if self._mmap else None
        if path is None:
            return self._loaded(role, shape)
        fingerprint = self.fingerprint
        if not _is_kept(path, shape, fingerprint):
            path.parent.mkdir(exist_ok=True)
            with write_checked(path, fingerprint) as stream:
                writer = NpyWriter(stream, shape, np.float32)
                for block in self.column_blocks(role):
                    writer.append(block)
                writer.close()
        matrix: Matrix = np.load(path, mmap_mode="r", allow_pickle=False)
        return matrix

    def _loaded(self, role: Role, shape: tuple[int, int]) -> Matrix:
        matrix, at = np.empty(shape, np.float32), 0
        for block in self.column_blocks(role):
            matrix[at : at + len(block)] = block
            at += len(block)
        return matrix


def _is_kept(path: Path, shape: tuple[int, int], fingerprint: bytes) -> bool:
    """Whether a matrix to map was written before, and is neither cut short nor of other values."""
    try:
        matrix = np.load(path, mmap_mode="r", allow_pickle=False)
        expected = matrix.shape == shape and matrix.dtype == np.float32
        return expected and has_fingerprint(path, fingerprint, matrix.offset + matrix.nbytes)
    except (FileNotFoundError, ValueError, EOFError):
        return False


def _unnamed(number: int, letter: str) -> pd.DataFrame:
    ids = [f"{letter}{at}" for at in range(number)]
    return pd.DataFrame({"symbol": ids, "probes": "", "twin": False}, index=ids)
