"""The embedded dataset ``sim``: a seeded simulation of the three published platforms.

``docs/explanation/simulation.md`` describes the model, its calibration and its limits. Read the
modules in this order: ``model`` (expression), ``genome`` (landmarks, targets, probes), ``cohorts``
(sampled profiles), ``platforms`` (measurement), ``reader`` (the interface of files). ``planted``
says which genes belong together, as the truth for explanations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genebench.datasets.sim import cohorts, genome, model, platforms
from genebench.datasets.sim.reader import Laboratory, SimulatedReader
from genebench.errors import unknown
from genebench.preprocessing.compendium import Compendium, Platform


@dataclass(frozen=True, kw_only=True)
class Size:
    """Size of a simulation: profiles of each platform, genes by role, latent dimensions.

    Attributes:
        geo, lcl, gtex: numbers of profiles.
        landmarks, targets: numbers of genes.
        twins: number of landmarks that are targets too.
        pathways, tissues: latent dimensions.
        noise: factor of the noise of genes and instruments. 0 gives values without noise.
        seed: root of every stream of random numbers.
    """

    geo: int
    lcl: int
    gtex: int
    landmarks: int
    targets: int
    twins: int
    pathways: int
    tissues: int
    noise: float
    seed: int = 2018


# The noise is calibrated: least squares is to err as published (docs/explanation/simulation.md).
SIZES = {
    "tiny": Size(
        geo=400, lcl=40, gtex=60, landmarks=32, targets=160, twins=15, pathways=6, tissues=6,
        noise=1.08,
    ),
    "small": Size(
        geo=5000, lcl=200, gtex=600, landmarks=100, targets=1000, twins=47, pathways=18, tissues=16,
        noise=1.08,
    ),
    "paper": Size(
        geo=111_009, lcl=462, gtex=2921, landmarks=943, targets=9520, twins=445,
        pathways=175, tissues=50, noise=1.2,
    ),
}  # fmt: skip


def compendium(preset: str) -> Compendium:
    """Return the simulated compendium of a preset: raw platforms.

    Genes are drawn here, profiles when a platform is read.

    Raises:
        UserError: there is no such preset.
    """
    if preset not in SIZES:
        raise unknown("preset of sim", preset, SIZES)
    return build(preset, SIZES[preset])


def build(preset: str, size: Size) -> Compendium:
    """Return a compendium of any size, called ``preset``."""
    tissues = model.draw_tissues(size.tissues, size.pathways, _stream(size, 0))
    regulation, chosen = draw_genes(size)
    array = platforms.draw_array(chosen.probed, _stream(size, 3))
    sequencer = platforms.draw_sequencer(len(chosen.ids), _stream(size, 4))
    geo = cohorts.series(size.geo, tissues, _stream(size, 5))
    lcl = cohorts.lymphoblasts(size.lcl, tissues, _stream(size, 6))
    gtex = cohorts.donors(size.gtex, tissues, _stream(size, 7))

    def reader(
        cohort: cohorts.Cohort, instrument: platforms.Instrument, stream: int
    ) -> SimulatedReader:
        laboratory = Laboratory(
            cohort, tissues, regulation, instrument, seed=(size.seed, stream), noise=size.noise
        )
        ids = chosen.probes if instrument is array else chosen.ids
        return SimulatedReader(f"sim/{preset}/{cohort.name}", ids, laboratory)

    return Compendium(
        name="sim",
        title=f"simulated expression, {preset}",
        landmarks=chosen.landmarks,
        targets=chosen.targets,
        preset=preset,
        origin={"kind": "simulated", "preset": preset, "seed": str(size.seed)},
        platforms={
            "geo": Platform(reader=reader(geo, array, 8), ids="probe", group="series"),
            "1000g": Platform(reader=reader(lcl, sequencer, 9), ids="ensembl"),
            "gtex": Platform(reader=reader(gtex, sequencer, 10), ids="ensembl", group="donor"),
        },
    )


def draw_genes(size: Size) -> tuple[model.Regulation, genome.Genome]:
    """Draw the regulation of all genes, and landmarks and targets among them."""
    genes = size.landmarks + size.targets - size.twins
    regulation = model.draw_regulation(genes, size.pathways, _stream(size, 1))
    return regulation, genome.build(regulation, size.landmarks, size.twins, _stream(size, 2))


def _stream(size: Size, number: int) -> np.random.Generator:
    """Return the stream of one kind of constant, independent of how many others are drawn."""
    return np.random.default_rng([size.seed, number])
