"""Standardisation per gene, as published (Chen et al. 2016), on blocks of profiles × genes.

Quantile normalisation, the step before it, is in :mod:`genebench.preprocessing.ranks`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

STD_OFFSET = 1e-3
"""Number that is added to a gene's standard deviation before dividing by it [D-GEX code]."""

Floats = NDArray[np.float64]

ValueKind = Literal["expression", "standardised"]
"""The kind of exported values: log2 expression, or standard deviations of the gene."""


def requantile(
    expression: NDArray[np.float32], old: NDArray[np.float32], new: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return expression under another quantile reference: ``old[rank]`` becomes ``new[rank]``."""
    return new[np.searchsorted(old, expression)]


@dataclass(frozen=True)
class GeneSums:
    """Sums over some profiles that give the mean and standard deviation of each gene.

    Attributes:
        count: number of profiles.
        mean: mean of each gene.
        squares: sum of squared deviations from the mean, of each gene.
    """

    count: int
    mean: Floats
    squares: Floats

    @classmethod
    def none(cls, n_genes: int) -> GeneSums:
        """Return the sums over no profile."""
        return cls(0, np.zeros(n_genes), np.zeros(n_genes))

    @classmethod
    def of(cls, expression: NDArray[np.floating]) -> GeneSums:
        """Return the sums over all profiles of profiles × genes, at least one, in float64."""
        # Deviations from the first profile: those of a gene that never varies are exactly 0.
        first = expression[0].astype(np.float64)
        deviations = expression - first
        total = deviations.sum(axis=0)
        squares = np.square(deviations).sum(axis=0) - total**2 / len(expression)
        return cls(len(expression), first + total / len(expression), squares)

    def __add__(self, other: GeneSums) -> GeneSums:
        """Return the sums over the profiles of both (Chan, Golub & LeVeque 1983).

        The sum of squares less the squared sum would cancel digits where means are large. This
        update does not.
        """
        if not other.count:
            return self
        count = self.count + other.count
        apart, share = other.mean - self.mean, other.count / count
        return GeneSums(
            count=count,
            mean=self.mean + apart * share,
            squares=self.squares + other.squares + apart**2 * (self.count * share),
        )


def gene_statistics(over: GeneSums) -> tuple[Floats, Floats]:
    """Return mean and standard deviation (ddof 0) of each gene."""
    return over.mean, np.sqrt(over.squares / over.count)


def standardise(
    expression: NDArray[np.floating], mean: NDArray[np.float64], std: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Return ``(x − mean) / (std + 1e-3)`` per gene, profiles × genes.

    The arithmetic is float64, the result float32.
    """
    # Profile by profile, so that the one float64 row stays in the processor's cache.
    standardised = np.empty(expression.shape, np.float32)
    offset, row = std + STD_OFFSET, np.empty(len(std))
    for profile, out in zip(expression, standardised, strict=True):
        np.subtract(profile, mean, out=row)
        np.divide(row, offset, out=row)
        out[...] = row
    return standardised


@dataclass(frozen=True)
class Standardiser:
    """The statistics that standardise expression, gene by gene: landmarks, then targets.

    Attributes:
        mean: mean of each gene.
        std: standard deviation of each gene. None for values that came standardised: they are not
            changed.
        quantiles: a quantile reference (float32, ascending) and the reference that replaces it
            before standardisation. None for no replacement.
    """

    mean: Floats
    std: Floats | None
    quantiles: tuple[NDArray[np.float32], Floats] | None = None

    @classmethod
    def identity(cls, n_genes: int) -> Standardiser:
        """Return the standardiser of values that came standardised."""
        return cls(mean=np.zeros(n_genes), std=None)

    @property
    def factors(self) -> Floats:
        """The factor of each gene, by which values are multiplied after its mean is subtracted."""
        if self.std is None:
            return np.ones(len(self.mean))
        return 1 / (self.std + STD_OFFSET)

    def requantiled(self, expression: NDArray[np.float32]) -> NDArray[np.floating]:
        """Return expression in the quantiles that ``mean`` and ``std`` describe."""
        return requantile(expression, *self.quantiles) if self.quantiles else expression

    def standardise(self, expression: NDArray[np.float32], columns: slice) -> NDArray[np.float32]:
        """Standardise some columns of profiles × genes."""
        if self.std is None:
            return expression
        return standardise(self.requantiled(expression), self.mean[columns], self.std[columns])
