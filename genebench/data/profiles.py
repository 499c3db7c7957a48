"""Profiles: what a method is given. Standardisation is applied on read, block by block."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.data.formats.base import BLOCK
from genebench.data.normalise import requantile, standardise
from genebench.data.npy import NpyWriter
from genebench.files import atomic_write

Role = Literal["landmarks", "targets"]
Matrix = NDArray[np.float32]
"""Profiles × genes, standardised per gene."""


class Block(NamedTuple):
    """Consecutive profiles: their landmarks and their targets."""

    landmarks: Matrix
    targets: Matrix


@dataclass(frozen=True)
class Units:
    """What expression is standardised by, gene by gene: landmarks, then targets.

    ``quantiles``, where given, is first applied: expression under the first quantile reference
    (float32, ascending) becomes that under the second.
    """

    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    quantiles: tuple[NDArray[np.float32], NDArray[np.float64]] | None = None

    def of(self, expression: NDArray[np.float32], columns: slice) -> Matrix:
        """Standardise some columns of profiles × genes."""
        values: NDArray[np.floating] = expression
        if self.quantiles:
            values = requantile(expression, *self.quantiles)
        return standardise(values, self.mean[columns], self.std[columns])


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
        units: Units,
        profiles: pd.DataFrame,
        landmark_genes: pd.DataFrame,
        target_genes: pd.DataFrame,
        cache: Path | None = None,
    ) -> None:
        """Tie a store's matrix (all profiles × landmarks, then targets) to some of its ``rows``.

        With ``cache`` (a path without suffix) whole matrices are memory maps of files there,
        written when first asked for; without it they are in memory.
        """
        self._expression = expression
        self._rows = rows
        self._units = units
        self._cache = cache
        self.profiles = profiles
        self.landmark_genes = landmark_genes
        self.target_genes = target_genes

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

    def _row_blocks(self, size: int) -> Iterator[NDArray[np.intp]]:
        return (self._rows[at : at + size] for at in range(0, len(self), size))

    def _columns(self, role: Role) -> slice:
        n_landmarks = len(self.landmark_genes)
        return slice(0, n_landmarks) if role == "landmarks" else slice(n_landmarks, None)

    def _read(self, rows: NDArray[np.intp], columns: slice) -> Matrix:
        values = np.asarray(self._expression[rows, columns])
        return self._units.of(values, columns)

    def _whole(self, role: Role) -> Matrix:
        shape = (len(self), len(self._units.mean[self._columns(role)]))
        if self._cache is None:
            return np.concatenate([*self.column_blocks(role), np.empty((0, shape[1]), np.float32)])
        path = self._cache.with_name(f"{self._cache.name}.{role}.npy")
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            with atomic_write(path) as stream:
                writer = NpyWriter(stream, shape, np.float32)
                for block in self.column_blocks(role):
                    writer.append(block)
                writer.close()
        matrix: Matrix = np.load(path, mmap_mode="r", allow_pickle=False)
        return matrix
