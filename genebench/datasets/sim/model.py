"""The model of expression: pathways → regulators → genes, saturating at every step.

Arrays are genes (or pathways, regulators) × profiles here, float32. In this layout a sparse product
adds whole rows, always in the same order, so that values do not depend on threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

Floats = NDArray[np.float32]
Ints = NDArray[np.intp]

STATES_PER_TISSUE = 4
REGULATORS_PER_PATHWAY = 12
REGULATORS_PER_GENE = 6

TISSUE_SPREAD = 1.0
STATE_SPREAD = 1.4
GROUP_SPREAD = 0.35
INDIVIDUAL_SPREAD = 0.35
"""Standard deviation of a pathway's activity at each level of the hierarchy."""

GATED_SHARE = 0.9
"""Share of regulators that a second pathway gates. No linear method can follow the product."""
REPRESSED_SHARE = 0.15
AMPLITUDE = 1.4
"""Mean effect of a regulator on a gene, log2."""
NOISE = 0.33
"""Typical standard deviation of the noise of a gene, log2."""
SILENT_SHARE = 0.03
"""Share of genes that are hardly expressed: background on the array, zeros in RNA-seq."""


@dataclass(frozen=True)
class Tissues:
    """Pathway activity of tissues, and of the cell states that a sample of a tissue mixes.

    Attributes:
        mean: tissues × pathways.
        state: tissues × cell states × pathways, relative to the tissue.
    """

    mean: Floats
    state: Floats


@dataclass(frozen=True)
class Regulation:
    """Regulation of every gene.

    A regulator follows one pathway by a Hill curve. Most are gated by a second pathway, which must
    be active too (AND) or inactive (antagonist). A gene adds up a few regulators.

    Attributes:
        pathway: regulators × 2, the pathway followed and the gating one.
        threshold, slope: regulators × 2. A negative slope in the gate is an antagonist.
        gate: regulators, 1 if gated, else 0.
        loadings: genes × regulators, log2 units at full activity, sparse and heavy-tailed.
        level: genes, log2 RPKM with half-active regulators.
        noise: genes, standard deviation (log2) of what no pathway explains.
    """

    pathway: Ints
    threshold: Floats
    slope: Floats
    gate: Floats
    loadings: sparse.csr_array
    level: Floats
    noise: Floats

    def activity(self, pathways: Floats) -> Floats:
        """Return regulator activity in 0…1, regulators × profiles, from pathways × profiles."""
        main = self._hill(pathways, 0)
        gating = self._hill(pathways, 1)
        # 1 + gate · (gating − 1): an ungated regulator is multiplied by 1.
        gating -= 1
        gating *= self.gate[:, None]
        gating += 1
        main *= gating
        return main

    def _hill(self, pathways: Floats, which: int) -> Floats:
        """Return the Hill curve of pathway ``which`` of each regulator, regulators × profiles."""
        # In the logarithm of a concentration, the Hill curve is the logistic function.
        signal = pathways[self.pathway[:, which]]
        signal -= self.threshold[:, which, None]
        signal *= -self.slope[:, which, None]
        np.exp(signal, out=signal)
        signal += 1
        return np.reciprocal(signal, out=signal)

    def expression(self, pathways: Floats, rng: np.random.Generator, noise: float) -> Floats:
        """Return expression, genes × profiles, log2 RPKM, with gene noise times ``noise``."""
        activity = self.activity(pathways)
        activity -= 0.5  # levels are those at half activity
        expression: Floats = self.loadings @ activity
        expression += self.level[:, None]
        error = rng.standard_normal(expression.shape, dtype=np.float32)
        error *= self.noise[:, None] * np.float32(noise)
        expression += error
        return expression


def draw_tissues(tissues: int, pathways: int, rng: np.random.Generator) -> Tissues:
    """Draw the constants of all tissues. Means have heavy tails, as tissues specialise."""
    # A Laplace distribution of scale 0.71 ≈ 1/√2 has standard deviation 1.
    mean = TISSUE_SPREAD * rng.laplace(0, 0.71, (tissues, pathways))
    state = STATE_SPREAD * rng.standard_normal((tissues, STATES_PER_TISSUE, pathways))
    return Tissues(mean.astype(np.float32), state.astype(np.float32))


def draw_regulation(genes: int, pathways: int, rng: np.random.Generator) -> Regulation:
    """Draw the constants of all genes."""
    regulators = REGULATORS_PER_PATHWAY * pathways
    slope = rng.lognormal(1.0, 0.4, (regulators, 2))
    slope[:, 1] *= rng.choice([-1, 1], regulators)
    gate = (rng.random(regulators) < GATED_SHARE).astype(np.float32)
    level = rng.normal(4.5, 1.5, genes) - 5 * (rng.random(genes) < SILENT_SHARE)
    return Regulation(
        pathway=_draw_pairs(regulators, pathways, rng),
        threshold=rng.normal(0.3, 0.9, (regulators, 2)).astype(np.float32),
        slope=slope.astype(np.float32),
        gate=gate,
        loadings=_draw_loadings(genes, regulators, rng),
        level=level.astype(np.float32),
        noise=(NOISE * rng.lognormal(0, 0.25, genes)).astype(np.float32),
    )


def _draw_pairs(regulators: int, pathways: int, rng: np.random.Generator) -> Ints:
    """Draw the two pathways of each regulator. Every pathway drives equally many regulators."""
    main = np.arange(regulators) % pathways
    # An offset of at least 1, so that no pathway gates itself.
    other = (main + rng.integers(1, pathways, regulators)) % pathways
    return np.stack([main, other], axis=1)


def _draw_loadings(genes: int, regulators: int, rng: np.random.Generator) -> sparse.csr_array:
    """Draw a few regulators for every gene. One or two of them dominate."""
    shape = (genes, REGULATORS_PER_GENE)
    size = rng.exponential(AMPLITUDE, shape)
    size[rng.random(shape) < REPRESSED_SHARE] *= -1
    size *= rng.lognormal(0, 0.2, (genes, 1))
    rows = np.repeat(np.arange(genes), REGULATORS_PER_GENE)
    columns = rng.integers(0, regulators, shape).ravel()
    values = size.ravel().astype(np.float32)
    return sparse.csr_array((values, (rows, columns)), shape=(genes, regulators))
