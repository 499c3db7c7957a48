"""Instruments: the probes of an array, and the counts of a sequencer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from genebench.datasets.sim.cohorts import TECHNICAL_FACTORS
from genebench.datasets.sim.model import Floats, Ints

BAD_PROBES = 0.06
"""Share of probes that bind an eighth as much as others. Most of their signal is background."""
PROBE_NOISE = 0.15
BATCH = 0.15
DEGRADATION = 0.15
"""Typical effects, log2: chance on a probe, a factor of a batch, a factor of degradation."""
READS_PER_RPKM = 8.0
"""Reads from one kilobase at 1 RPKM in the median library, which is its depth in millions."""
DISPERSION = 0.03
"""Typical over-dispersion of counts: variance = mean + dispersion · mean²."""


class Instrument(Protocol):
    """An instrument: it turns expression into the values of a file."""

    def measure(
        self, expression: Floats, technical: Floats, rng: np.random.Generator, noise: float
    ) -> Floats:
        """Return measured values, rows of the file × profiles.

        Args:
            expression: genes × profiles, log2 RPKM.
            technical: profiles × technical factors.
            rng: stream of random numbers.
            noise: factor of the instrument's noise.
        """


@dataclass(frozen=True)
class Array:
    """A microarray: probes that differ in affinity, background and batch effect, with saturation.

    Attributes:
        gene: probes, position of the gene that each measures.
        affinity: probes, log2 intensity per RPKM.
        background, noise: probes, intensity and log2.
        batch: probes × technical factors, log2.
        saturation: intensity at which half of the signal is lost.
    """

    gene: Ints
    affinity: Floats
    background: Floats
    noise: Floats
    batch: Floats
    saturation: float = 2.0**15

    def measure(
        self, expression: Floats, technical: Floats, rng: np.random.Generator, noise: float
    ) -> Floats:
        """Return log2 intensity, probes × profiles."""
        signal = expression[self.gene]
        signal += self.affinity[:, None]
        np.exp2(signal, out=signal)
        signal /= 1 + signal / np.float32(self.saturation)
        signal += self.background[:, None]
        np.log2(signal, out=signal)
        signal += _low_rank(self.batch, technical)
        error = rng.standard_normal(signal.shape, dtype=np.float32)
        error *= self.noise[:, None] * np.float32(noise)
        signal += error
        return signal


@dataclass(frozen=True)
class Sequencer:
    """RNA-seq: negative binomial counts of a library, given as RPKM.

    Attributes:
        kilobases: genes, length of the transcript.
        dispersion: genes.
        degradation: genes × technical factors, log2: effects of ischaemia, decay and GC content.
    """

    kilobases: Floats
    dispersion: Floats
    degradation: Floats

    def measure(
        self, expression: Floats, technical: Floats, rng: np.random.Generator, noise: float
    ) -> Floats:
        """Return RPKM, genes × profiles. Genes without a counted read are 0."""
        rpkm: Floats = np.exp2(expression + _low_rank(self.degradation, technical))
        if noise == 0:
            return rpkm
        library = rng.lognormal(np.log(READS_PER_RPKM), 0.4, len(technical))
        reads = self.kilobases[:, None] * library.astype(np.float32)
        dispersion = np.broadcast_to(self.dispersion[:, None], rpkm.shape)
        # A Poisson count with a gamma-distributed rate is negative binomial.
        varied = rpkm * dispersion * rng.standard_gamma(1 / dispersion, dtype=np.float32)
        counts = rng.poisson(varied * reads)
        measured: Floats = counts.astype(np.float32) / reads
        return measured


def _low_rank(loadings: Floats, factors: Floats) -> Floats:
    """Return ``loadings @ factors.T``, summed in one order for any number of threads."""
    total: Floats = np.outer(loadings[:, 0], factors[:, 0])
    for position in range(1, loadings.shape[1]):
        total += np.outer(loadings[:, position], factors[:, position])
    return total


def draw_array(gene: Ints, rng: np.random.Generator) -> Array:
    """Draw the constants of the probes that measure ``gene``, one probe for each position."""
    probes = len(gene)
    affinity = rng.normal(5.2, 0.8, probes)
    affinity[rng.random(probes) < BAD_PROBES] -= 3
    return Array(
        gene=gene,
        affinity=affinity.astype(np.float32),
        background=np.exp2(rng.normal(5.1, 0.5, probes)).astype(np.float32),
        noise=(PROBE_NOISE * rng.lognormal(0, 0.4, probes)).astype(np.float32),
        batch=(BATCH * rng.standard_normal((probes, TECHNICAL_FACTORS))).astype(np.float32),
    )


def draw_sequencer(genes: int, rng: np.random.Generator) -> Sequencer:
    """Draw the constants of a sequencing protocol. Both RNA-seq platforms share it."""
    loadings = DEGRADATION * rng.standard_normal((genes, TECHNICAL_FACTORS))
    return Sequencer(
        kilobases=rng.lognormal(np.log(2.5), 0.6, genes).astype(np.float32),
        dispersion=(DISPERSION * rng.lognormal(0, 0.5, genes)).astype(np.float32),
        degradation=loadings.astype(np.float32),
    )
