"""Truth and prediction, read together in blocks of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from genebench._util.npy import forget_pages
from genebench.data.profiles import Profiles
from genebench.formats.base import BLOCK

BLOCK_BYTES = 24 << 20
"""Bytes of truth in one block, and as many of prediction.

The C library's allocator reuses memory below 32 MiB. It returns larger pieces to the system, which
then has to clear each page of the next one."""

Expression = NDArray[np.float32]
"""Standardised expression, profiles × genes."""

Values = NDArray[np.float64]
"""Expression in the precision of scores, or one value per gene or per profile."""

Pair = tuple[Expression, Expression]
"""Truth and prediction, of one shape."""


class Pairs:
    """Truth and prediction of every test profile and target gene, float32, standardised.

    Predictions may be a memory map. It is read in blocks, and the pages of each block are released.
    """

    def __init__(self, test: Profiles, predictions: Expression) -> None:
        """Pair the truth of test profiles with predictions, profiles × targets."""
        self._test = test
        self._predictions = predictions

    @property
    def shape(self) -> tuple[int, int]:
        """Numbers of profiles and genes."""
        n_profiles, n_genes = self._predictions.shape
        return n_profiles, n_genes

    def by_genes(self) -> Iterator[Pair]:
        """Yield all profiles of a block of genes, block after block. The arrays are read-only."""
        profiles, genes = map(range, self.shape)
        for block in _blocks(genes, len(profiles)):
            truth = self._test.target_columns(block.start, block.stop)
            yield _locked(truth), _locked(self._predicted(profiles, block))

    def by_profiles(self) -> Iterator[Pair]:
        """Yield all genes of a block of profiles, block after block. The arrays are read-only."""
        profiles, genes = map(range, self.shape)
        for block in _blocks(profiles, len(genes)):
            truth = self._test.target_rows(np.arange(block.start, block.stop))
            yield _locked(truth), _locked(self._predicted(block, genes))

    def _predicted(self, rows: range, genes: range) -> Expression:
        """Return a block of the predictions, copied out of their memory map."""
        block = np.empty((len(rows), len(genes)), np.float32)
        # A few rows at a time: a column of a memory map touches a page of every row, so that all
        # pages of the file would count as memory of this process until they are released.
        for start in range(0, len(rows), BLOCK):
            part = rows[start : start + BLOCK]
            values = self._predictions[part.start : part.stop, genes.start : genes.stop]
            block[start : start + BLOCK] = values
            forget_pages(self._predictions)
        return block


def _blocks(axis: range, other: int) -> Iterator[range]:
    """Yield slices of an axis, such that a block has about :data:`BLOCK_BYTES`.

    A block is as long as the other axis.
    """
    size = max(1, BLOCK_BYTES // (other * np.dtype(np.float32).itemsize))
    return (axis[start : start + size] for start in axis[::size])


def _locked(block: Expression) -> Expression:
    """Return the block, made read-only, so that no metric can change it for the next one."""
    block.flags.writeable = False
    return block
