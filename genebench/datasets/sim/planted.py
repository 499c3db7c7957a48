"""The truth behind a simulated dataset: which regulators and pathways drive which genes.

It follows from the seed of the dataset, and is in no file of it. No method can read it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from genebench.datasets.sim import SIZES, Size, draw_genes
from genebench.datasets.sim.model import Ints
from genebench.errors import unknown

DECOY_SEED = 0
"""Seed of the sets of random genes."""


@dataclass(frozen=True)
class Planted:
    """What a relevance of landmarks should find.

    The strongest regulator of a gene gives its pathway. Genes are in the order of the gene maps,
    which is that of the prepared dataset.

    Attributes:
        landmark_pathway: number of the pathway of each landmark.
        target_pathway: number of the pathway of each target.
        reports: targets × landmarks, true where the strongest regulator of the landmark is one of
            the target's.
        gene_sets: name → symbols of landmarks and targets. ``PATHWAY-01``, … are the genes of each
            pathway, and ``RANDOM-01``, … as many random genes.
    """

    landmark_pathway: Ints
    target_pathway: Ints
    reports: NDArray[np.bool_]
    gene_sets: dict[str, tuple[str, ...]]


def planted(preset: str) -> Planted:
    """Return the truth behind the simulated dataset of a preset.

    Raises:
        UserError: there is no such preset.
    """
    if preset not in SIZES:
        raise unknown("preset of sim", preset, SIZES)
    return planted_of(SIZES[preset])


def planted_of(size: Size) -> Planted:
    """Return the truth behind a simulated dataset of any size."""
    regulation, genome = draw_genes(size)
    loadings = np.abs(regulation.loadings.toarray())
    strongest = loadings.argmax(1)
    pathway = regulation.pathway[strongest, 0]
    # Ids without versions are numbered from 1, in the order of the genes.
    landmarks, targets = (
        table.index.str.removeprefix("ENSGSIM").astype(int).to_numpy() - 1
        for table in (genome.landmarks, genome.targets)
    )
    symbols = np.array([f"SIM{number:04d}" for number in range(1, len(pathway) + 1)])
    sets = {
        f"PATHWAY-{number + 1:02d}": tuple(symbols[pathway == number].tolist())
        for number in range(size.pathways)
    }
    random = np.random.default_rng([size.seed, DECOY_SEED])
    sets |= {
        name.replace("PATHWAY", "RANDOM"): tuple(
            np.sort(random.choice(symbols, len(genes), replace=False)).tolist()
        )
        for name, genes in sets.items()
    }
    return Planted(
        landmark_pathway=pathway[landmarks],
        target_pathway=pathway[targets],
        reports=loadings[targets][:, strongest[landmarks]] > 0,
        gene_sets=sets,
    )
