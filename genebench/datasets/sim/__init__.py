"""The embedded dataset ``sim``: a seeded simulation of the three published platforms.

``docs/explanation/simulation.md`` tells the model, its calibration and what it leaves out. Read in this
order: ``model`` (how genes are expressed), ``genome`` (landmarks, targets, probes), ``cohorts``
(who is sampled), ``platforms`` (how it is measured), ``reader`` (the interface of files).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from genebench.datasets.sim import cohorts, genome, model, platforms
from genebench.datasets.sim.reader import Laboratory, SimulatedReader
from genebench.errors import unknown
from genebench.preprocessing.compendium import Compendium, Platform

PRESETS = ("tiny", "small", "paper")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is simulated: profiles of each platform, genes by role, latent dimensions.

    ``twins`` of the landmarks are targets too. ``noise`` scales the noise of genes and instruments
    so that least squares errs as published; 0 tells what a perfect method would know.
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
    """The simulated compendium, raw: genes are drawn here, profiles when a platform is read.

    Raises:
        UserError: there is no such preset.
    """
    if preset not in SIZES:
        raise unknown("preset of sim", preset, PRESETS)
    return build(preset, SIZES[preset])


def build(preset: str, size: Size) -> Compendium:
    """A compendium of any size, to be called ``preset``."""
    genes = size.landmarks + size.targets - size.twins
    tissues = model.draw_tissues(size.tissues, size.pathways, _stream(size, 0))
    regulation = model.draw_regulation(genes, size.pathways, _stream(size, 1))
    chosen = genome.build(regulation, size.landmarks, size.twins, _stream(size, 2))
    array = platforms.draw_array(chosen.probed, _stream(size, 3))
    sequencer = platforms.draw_sequencer(genes, _stream(size, 4))
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


def _stream(size: Size, number: int) -> np.random.Generator:
    """A stream for each kind of constant: none depends on how many others are drawn."""
    return np.random.default_rng([size.seed, number])
