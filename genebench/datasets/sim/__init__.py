"""The embedded dataset ``sim``: a seeded simulation of the three published platforms.

See ``docs/simulation.md`` for the model, its calibration and what it leaves out. Read in this
order: ``model`` (cells), ``cohorts`` (who is sampled), ``platforms`` (how it is measured),
``genome`` (landmarks, targets, probes), ``reader`` (the interface of files).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genebench.data.compendium import Compendium, Platform
from genebench.datasets.sim import cohorts, genome, model, platforms
from genebench.datasets.sim.reader import Laboratory, SimulatedReader
from genebench.errors import unknown

PRESETS = ("tiny", "small", "paper")


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much is simulated: profiles per platform, genes by role, and latent dimensions.

    ``noise`` is 1; 0 leaves out the noise of genes and instruments, which gives the noise floor.
    """

    geo: int
    lcl: int
    gtex: int
    landmarks: int
    targets: int
    twins: int
    pathways: int
    tissues: int
    noise: float = 1.0
    seed: int = 2018


SIZES = {
    "tiny": Size(
        geo=400, lcl=40, gtex=60, landmarks=32, targets=160, twins=15, pathways=8, tissues=6
    ),
    "small": Size(
        geo=5000, lcl=200, gtex=600, landmarks=100, targets=1000, twins=47, pathways=20, tissues=16
    ),
    "paper": Size(
        geo=111_009, lcl=462, gtex=2921, landmarks=943, targets=9520, twins=445,
        pathways=150, tissues=50,
    ),
}  # fmt: skip


def compendium(preset: str) -> Compendium:
    """The simulated compendium, raw; nothing is simulated before its platforms are read.

    Raises:
        UserError: there is no such preset.
    """
    if preset not in SIZES:
        raise unknown("preset of sim", preset, PRESETS)
    return build(preset, SIZES[preset])


def build(name: str, size: Size) -> Compendium:
    """A compendium of any size: constants are drawn here, profiles when they are read."""
    rng = iter(np.random.default_rng([size.seed, 0]).spawn(6))
    genes = size.landmarks + size.targets - size.twins
    tissues = model.draw_tissues(size.tissues, size.pathways, next(rng))
    regulation = model.draw_regulation(genes, size.pathways, next(rng))
    genes_and_probes = genome.build(regulation, size.landmarks, size.twins, next(rng))
    array = platforms.draw_array(genes_and_probes.probed, next(rng))
    sequencer = platforms.draw_sequencer(genes, next(rng))
    layout = next(rng)

    def reader(what, ids, cohort, instrument, stream):
        laboratory = Laboratory(
            cohort, tissues, regulation, instrument, (size.seed, stream), size.noise
        )
        return SimulatedReader(f"sim {what} ({name})", ids, laboratory)

    ids = genes_and_probes.ids
    return Compendium(
        name="sim",
        title=f"simulated ({name})",
        landmarks=genes_and_probes.landmarks,
        targets=genes_and_probes.targets,
        preset=name,
        origin={"kind": "simulated", "preset": name, "seed": str(size.seed)},
        platforms={
            "geo": Platform(reader=reader("geo", genes_and_probes.probes, cohorts.series(size.geo, tissues, layout), array, 1), ids="probe", group="series"),
            "1000g": Platform(reader=reader("1000g", ids, cohorts.lymphoblasts(size.lcl, tissues, layout), sequencer, 2), ids="ensembl"),
            "gtex": Platform(reader=reader("gtex", ids, cohorts.donors(size.gtex, tissues, layout), sequencer, 3), ids="ensembl", group="donor"),
        },
    )
