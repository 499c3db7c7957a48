"""Simulated platforms behind the interface of files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.datasets.sim.cohorts import Cohort
from genebench.datasets.sim.model import Floats, Ints, Regulation, Tissues
from genebench.datasets.sim.platforms import Instrument
from genebench.formats.base import BLOCK, Reader

SEEDED = 256
"""Profiles that are made from one seed. It is fixed, so that values do not depend on the size of
the blocks that are read."""


@dataclass(frozen=True)
class Laboratory:
    """Cohort, biology and instrument, which together make the values of one platform.

    Attributes:
        seed: root of one stream of random numbers per :data:`SEEDED` profiles.
        noise: factor of the noise of genes and instruments. 0 gives values without noise.
    """

    cohort: Cohort
    tissues: Tissues
    regulation: Regulation
    instrument: Instrument
    seed: tuple[int, ...]
    noise: float = 1.0

    def block(self, number: int) -> Floats:
        """Return block ``number``: rows of the file × at most :data:`SEEDED` profiles."""
        rng = np.random.default_rng([*self.seed, number])
        rows = slice(number * SEEDED, (number + 1) * SEEDED)
        pathways = self.cohort.pathways(rows, self.tissues, rng)
        expression = self.regulation.expression(pathways, rng, self.noise)
        technical = self.cohort.technical[self.cohort.group[rows]]
        return self.instrument.measure(expression, technical, rng, self.noise)


class SimulatedReader(Reader):
    """A matrix that is computed on read, always to the same values."""

    def __init__(self, source: str, gene_ids: pd.Index, laboratory: Laboratory) -> None:
        self.source = source
        self.gene_ids = gene_ids
        self.profiles = laboratory.cohort.profiles
        self._laboratory = laboratory

    def blocks(self, genes: Ints, size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield profiles × genes, float32, as :meth:`Reader.blocks` describes."""
        # Whole blocks of one seed are made and cut to the size afterwards.
        numbers = range(-(-len(self.profiles) // SEEDED))
        blocks = (self._laboratory.block(number)[genes].T for number in numbers)
        return rechunk(blocks, size)


def rechunk(blocks: Iterable[Floats], size: int) -> Iterator[Floats]:
    """Yield the rows of ``blocks`` in blocks of ``size`` rows. The last may be shorter."""
    held: list[Floats] = []
    for block in blocks:
        held.append(block)
        if sum(map(len, held)) >= size:
            rows = np.concatenate(held)
            whole = len(rows) - len(rows) % size
            yield from (rows[start : start + size] for start in range(0, whole, size))
            held = [rows[whole:]]
    rest = np.concatenate(held)
    if len(rest):
        yield rest
