"""LINCS's recall: is a gene's prediction closest to that very gene?

Subramanian et al. 2017 (Cell 171, 1437) judged the inference of a gene by where the correlation of
its inferred with its measured expression stands among the correlations of the inferred gene with
every other measured gene; and the same of profiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
from numpy.typing import NDArray

from genebench.metrics.pairs import Expression, Pair, Pairs

MEMORY = 384 << 20
"""Bytes of correlations that are held at once. More are had by reading the data once again for
each further part: 9,520 genes take one part, 11,101 profiles two."""

TIE = 1e-6
"""Correlations that are closer than this are tied: they come from float32 products."""

_ROWS = 512
"""Rows of correlations that are worked on at once."""

Values = NDArray[np.float64]


def gene_recall(pairs: Pairs) -> Values:
    """Recall of each gene: the share of other genes that its prediction is less correlated with.

    ``r_jk`` is Pearson's correlation, over test profiles, of predicted gene j with measured gene
    k; recall is the share of k ≠ j with ``r_jk < r_jj``, ties counting half. 1 is best, ½ is
    chance. A correlation with a constant is 0, so a constant prediction has recall ½; and so has
    a gene without competitors. Memory: :data:`MEMORY`, and a few blocks of the data.
    """
    return _recall(pairs.by_profiles, pairs.shape[1])


def profile_recall(pairs: Pairs) -> Values:
    """Recall of each profile: the same, with correlations over target genes."""

    def turned() -> Iterable[Pair]:
        return ((truth.T, prediction.T) for truth, prediction in pairs.by_genes())

    return _recall(turned, pairs.shape[0])


def _recall(blocks: Callable[[], Iterable[Pair]], number: int) -> Values:
    """Recall of ``number`` competitors, the columns of every block."""
    truth_at, prediction_at = _Columns(number), _Columns(number)
    for truth, prediction in blocks():
        truth_at.add(truth)
        prediction_at.add(prediction)
    size = max(1, MEMORY // (number * np.dtype(np.float32).itemsize))
    recall = np.empty(number)
    for start in range(0, number, size):
        part = slice(start, min(start + size, number))
        recall[part] = _percentiles(_correlations(blocks, truth_at, prediction_at, part), start)
    return recall


class _Columns:
    """Mean and range of each column, of any number of blocks."""

    def __init__(self, number: int) -> None:
        self.rows = 0
        self.total = np.zeros(number)
        self.low, self.high = np.full(number, np.inf), np.full(number, -np.inf)

    def add(self, block: Expression) -> None:
        self.rows += len(block)
        self.total += block.sum(axis=0, dtype=np.float64)
        np.minimum(self.low, block.min(axis=0), out=self.low)
        np.maximum(self.high, block.max(axis=0), out=self.high)

    def centred(self, block: Expression, part: slice = slice(None)) -> Expression:
        """Columns of a block less their means; 0 where a column is constant."""
        mean = (self.total / self.rows)[part].astype(np.float32)
        values = block[:, part] - mean
        values[:, (self.low == self.high)[part]] = 0
        return values


def _correlations(
    blocks: Callable[[], Iterable[Pair]], truth_at: _Columns, prediction_at: _Columns, part: slice
) -> Expression:
    """Correlations of a part of the predicted columns with every measured one."""
    n_predicted, n_measured = part.stop - part.start, len(truth_at.total)
    products = np.zeros((n_predicted, n_measured), np.float32)
    squares = np.zeros(n_predicted), np.zeros(n_measured)
    for truth, prediction in blocks():
        given = prediction_at.centred(prediction, part), truth_at.centred(truth)
        for squared, values in zip(squares, given, strict=True):
            np.add(squared, np.einsum("ij,ij->j", values, values), out=squared)
        for start in range(0, n_predicted, _ROWS):
            rows = slice(start, start + _ROWS)
            products[rows] += given[0][:, rows].T @ given[1]
    scales = [np.zeros_like(total) for total in squares]
    for scale, total in zip(scales, squares, strict=True):
        np.divide(1, np.sqrt(total), out=scale, where=total > 0)
    products *= scales[0].astype(np.float32)[:, None]
    products *= scales[1].astype(np.float32)
    return products


def _percentiles(correlations: Expression, offset: int) -> Values:
    """Where entry (i, offset + i) stands among the others of row i."""
    others = correlations.shape[1] - 1
    if not others:
        return np.full(1, 0.5)
    found = np.empty(len(correlations))
    for start in range(0, len(correlations), _ROWS):
        rows = correlations[start : start + _ROWS]
        at = np.arange(len(rows))
        apart = rows - rows[at, offset + start + at][:, None]
        below = (apart < -TIE).sum(axis=1)
        tied = (apart <= TIE).sum(axis=1) - below - 1
        found[start : start + _ROWS] = (below + tied / 2) / others
    return found
