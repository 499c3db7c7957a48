"""Truth beside prediction, read in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from genebench._util.npy import forget_pages
from genebench.data.profiles import Profiles
from genebench.formats.base import BLOCK

BLOCK_BYTES = 24 << 20
"""Of truth, and as much of prediction, in one block. What is below 32 MiB is reused by the
allocator; larger pieces come fresh from the system each time, page by page."""

Expression = NDArray[np.float32]
Pair = tuple[Expression, Expression]
"""Truth and prediction, of one shape."""


class Pairs:
    """Truth and prediction of every test profile and target gene: float32, standardised."""

    def __init__(self, test: Profiles, predictions: Expression) -> None:
        """Take predictions, profiles × targets; a memory map is read, and let go, in blocks."""
        self._test = test
        self._predictions = predictions

    @property
    def shape(self) -> tuple[int, int]:
        """Profiles × genes."""
        n_profiles, n_genes = self._predictions.shape
        return n_profiles, n_genes

    def by_genes(self) -> Iterator[Pair]:
        """Yield every profile × a block of genes, in order; read-only."""
        profiles, genes = map(range, self.shape)
        for block in _blocks(genes, len(profiles)):
            truth = self._test.target_columns(block.start, block.stop)
            yield _locked(truth), _locked(self._predicted(profiles, block))

    def by_profiles(self) -> Iterator[Pair]:
        """Yield a block of profiles × every gene, in order; read-only."""
        profiles, genes = map(range, self.shape)
        for block in _blocks(profiles, len(genes)):
            truth = self._test.target_rows(np.arange(block.start, block.stop))
            yield _locked(truth), _locked(self._predicted(block, genes))

    def _predicted(self, rows: range, genes: range) -> Expression:
        block = np.empty((len(rows), len(genes)), np.float32)
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            values = self._predictions[part.start : part.stop, genes.start : genes.stop]
            block[start : start + BLOCK] = values
            forget_pages(self._predictions)
        return block


def _blocks(axis: range, other: int) -> Iterator[range]:
    """Cut an axis so that a block, as long as the other axis, is of :data:`BLOCK_BYTES`."""
    size = max(1, BLOCK_BYTES // (other * np.dtype(np.float32).itemsize))
    return (axis[start : start + size] for start in axis[::size])


def _locked(block: Expression) -> Expression:
    block.flags.writeable = False
    return block
