"""The recall of LINCS: how often a gene's prediction is closest to that very gene.

Subramanian et al. 2017 (Cell 171, 1437–1452) judged the inference of a gene by one correlation
among many: that of its inferred with its measured expression, among those of the inferred gene with
every other measured gene. :func:`profile_recall` does the same with profiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np

from genebench.metrics.pairs import Expression, Pair, Pairs, Values

CORRELATION_BYTES = 384 << 20
"""Bytes of correlations in memory. Where all need more, the data are read again for each block of
columns.

9,520 genes take one block, 11,101 profiles two."""

TIE = 1e-6
"""Correlations that differ by less are tied: they are sums of float32 products."""

_ROWS_AT_ONCE = 512
"""Rows of correlations that are worked on together."""


def gene_recall(pairs: Pairs) -> Values:
    """Return, for each gene, the share of other genes that its prediction correlates less with.

    Let ``r_jk`` be Pearson's correlation, over test profiles, of predicted gene j with measured
    gene k. Recall is the share of k ≠ j with ``r_jk < r_jj``. Ties count half. 1 is best, ½ is
    chance. A correlation with a constant is 0, so a constant prediction has recall ½. A gene
    without competitors has ½ too.

    Memory: :data:`CORRELATION_BYTES`, and a few blocks of the data.
    """
    return _recall(pairs.by_profiles, pairs.shape[1])


def profile_recall(pairs: Pairs) -> Values:
    """Return the recall of each profile: the same, with correlations over target genes."""

    def transposed() -> Iterable[Pair]:
        return ((truth.T, prediction.T) for truth, prediction in pairs.by_genes())

    return _recall(transposed, pairs.shape[0])


def _recall(blocks: Callable[[], Iterable[Pair]], number: int) -> Values:
    """Return the recall of each of ``number`` competitors, the columns of every block.

    ``blocks`` starts a new pass over the data: one for means, and one for each block of columns.
    """
    # Means come from a separate pass: sums of squares of uncentred float32 would cancel.
    measured, predicted = _ColumnStatistics(number), _ColumnStatistics(number)
    for truth, prediction in blocks():
        measured.add(truth)
        predicted.add(prediction)
    size = max(1, CORRELATION_BYTES // (number * np.dtype(np.float32).itemsize))
    recall = np.empty(number)
    for start in range(0, number, size):
        columns = slice(start, min(start + size, number))
        recall[columns] = _percentiles(_correlations(blocks, measured, predicted, columns), start)
    return recall


class _ColumnStatistics:
    """Mean and range of each column, over any number of blocks of rows."""

    def __init__(self, number: int) -> None:
        self.rows = 0
        self.total = np.zeros(number)
        self.low, self.high = np.full(number, np.inf), np.full(number, -np.inf)

    def add(self, block: Expression) -> None:
        """Add the rows of a block."""
        self.rows += len(block)
        self.total += block.sum(axis=0, dtype=np.float64)
        np.minimum(self.low, block.min(axis=0), out=self.low)
        np.maximum(self.high, block.max(axis=0), out=self.high)

    def centred(self, block: Expression, columns: slice = slice(None)) -> Expression:
        """Return columns of a block minus their means, and 0 where a column is constant."""
        mean = (self.total / self.rows)[columns].astype(np.float32)
        values = block[:, columns] - mean
        # The rounded mean of a constant need not be the constant: its rests would correlate.
        values[:, (self.low == self.high)[columns]] = 0
        return values


def _correlations(
    blocks: Callable[[], Iterable[Pair]],
    measured: _ColumnStatistics,
    predicted: _ColumnStatistics,
    columns: slice,
) -> Expression:
    """Return correlations of some predicted columns with every measured column."""
    n_predicted, n_measured = columns.stop - columns.start, len(measured.total)
    products = np.zeros((n_predicted, n_measured), np.float32)
    squares = np.zeros(n_predicted), np.zeros(n_measured)
    for truth, prediction in blocks():
        centred = predicted.centred(prediction, columns), measured.centred(truth)
        for squared, values in zip(squares, centred, strict=True):
            np.add(squared, np.einsum("ij,ij->j", values, values), out=squared)
        # In blocks of rows, or the product of a block would need as much memory again.
        for start in range(0, n_predicted, _ROWS_AT_ONCE):
            rows = slice(start, start + _ROWS_AT_ONCE)
            products[rows] += centred[0][:, rows].T @ centred[1]
    # 1 / norm, and 0 for constants, whose correlations are 0 then.
    scales = [np.zeros_like(total) for total in squares]
    for scale, total in zip(scales, squares, strict=True):
        np.divide(1, np.sqrt(total), out=scale, where=total > 0)
    products *= scales[0].astype(np.float32)[:, None]
    products *= scales[1].astype(np.float32)
    return products


def _percentiles(correlations: Expression, offset: int) -> Values:
    """Return the share of the others in row i that entry (i, offset + i) exceeds."""
    others = correlations.shape[1] - 1
    if not others:
        return np.full(1, 0.5)
    shares = np.empty(len(correlations))
    for start in range(0, len(correlations), _ROWS_AT_ONCE):
        rows = correlations[start : start + _ROWS_AT_ONCE]
        index = np.arange(len(rows))
        difference = rows - rows[index, offset + start + index][:, None]
        below = (difference < -TIE).sum(axis=1)
        # The entry itself is tied with itself: one less.
        tied = (difference <= TIE).sum(axis=1) - below - 1
        shares[start : start + _ROWS_AT_ONCE] = (below + tied / 2) / others
    return shares
