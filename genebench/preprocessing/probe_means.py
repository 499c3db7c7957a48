"""The mean of each gene's probes, read in an order that makes it fast."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from genebench.formats.base import Rows
from genebench.preprocessing.compiled import compiled
from genebench.preprocessing.genes import Matched


class ProbeMeans:
    """The mean of each gene's probes, for genes that all have at least one.

    Probes are read in layers: the first probe of every gene, then the second of those that have
    one, and so on. Genes with several probes are ordered by falling number of probes. Each layer is
    then added to the leading part of the sums, in a loop without branches.

    Attributes:
        positions: positions of the probes in the reader's ``gene_ids``, layer after layer.
    """

    def __init__(self, matched: Matched) -> None:
        starts, counts = np.cumsum(matched.counts) - matched.counts, matched.counts
        # Stable: genes with equally many probes keep the order of the map.
        order = np.argsort(-counts, kind="stable")
        several = order[: (counts > 1).sum()]
        layers = [
            starts[several[counts[several] > depth]] + depth
            for depth in range(1, counts.max(initial=1))
        ]
        widths = np.array([len(layer) for layer in layers], np.intp)
        self._layers = several.astype(np.uintp), counts[several], widths
        self._genes = len(counts)
        self.positions: NDArray[np.intp] = matched.positions[np.concatenate([starts, *layers])]

    def average(self, rows: Rows, out: NDArray[np.float64] | None = None) -> NDArray[np.float64]:
        """Return profiles × genes in the order of the map, in float64.

        Args:
            rows: profiles, with the columns of :attr:`positions`.
            out: memory for the result, profiles × genes.

        Raises:
            ValueError: shapes or columns do not fit.
        """
        values, columns = rows
        means = np.empty((len(values), self._genes)) if out is None else out
        # Compiled code checks no bounds: a wrong column would read foreign memory.
        if columns.shape != self.positions.shape or means.shape != (len(values), self._genes):
            raise ValueError(f"{columns.shape} columns for means of shape {means.shape}")
        if not 0 <= columns.min() <= columns.max() < values.shape[1]:
            raise ValueError(f"columns beyond values of shape {values.shape}")
        _average(values, columns.view(np.uintp), self._layers, means)
        return means


@compiled
def _average(
    values: NDArray[np.floating],
    columns: NDArray[np.uintp],
    layers: tuple[NDArray[np.uintp], NDArray[np.intp], NDArray[np.intp]],
    means: NDArray[np.float64],
) -> None:
    several, counts, widths = layers
    n_genes, sums = means.shape[1], np.empty(len(several))
    for row in range(len(values)):
        profile, out = values[row], means[row]
        for gene in range(n_genes):
            out[gene] = profile[columns[gene]]
        # The sums lie close together, in a cache, while the layers are added to them.
        for i in range(len(several)):
            sums[i] = out[several[i]]
        start = n_genes
        for width in widths:
            for i in range(width):
                sums[i] += profile[columns[start + i]]
            start += width
        for i in range(len(several)):
            out[several[i]] = sums[i] / counts[i]
