"""Cohorts: the sampled profiles of a platform, their tissues and their groups."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.datasets.sim import model
from genebench.datasets.sim.model import Floats, Ints, Tissues

MIXING = 0.4
"""Dirichlet concentration of cell states in a sample. It is low, so that one state dominates."""
MAIN_TISSUE_SHARE = 0.85
"""Share of a series' profiles that come from the tissue it studies."""
TECHNICAL_FACTORS = 4
"""Rank of batch effects."""
PROFILES_PER_SERIES = 30
PROFILES_PER_DONOR = 12
LCL = 0
"""Position of the lymphoblastoid cell line among the tissues."""


@dataclass(frozen=True)
class Cohort:
    """The profiles of one platform.

    Attributes:
        name: name of the platform.
        profiles: profile table: ids, tissue, and the label of the group if there are groups.
        tissue, group: positions, one per profile.
        shift: groups × pathways, the biology that the profiles of a group share.
        technical: groups × factors, the laboratory effects that they share.
        states: number of a tissue's cell states that a sample mixes. A cultured line has two.
    """

    name: str
    profiles: pd.DataFrame
    tissue: Ints
    group: Ints
    shift: Floats
    technical: Floats
    states: int = model.STATES_PER_TISSUE

    def pathways(self, rows: slice, tissues: Tissues, rng: np.random.Generator) -> Floats:
        """Return pathway activities, pathways × profiles.

        They add up tissue, its mixture of cell states, group and individual.
        """
        tissue, group = self.tissue[rows], self.group[rows]
        mixture = rng.gamma(MIXING, size=(len(tissue), model.STATES_PER_TISSUE))
        mixture[:, self.states :] = 0
        mixture /= mixture.sum(axis=1, keepdims=True)
        states = tissues.state[tissue]
        activity = tissues.mean[tissue] + self.shift[group]
        for position in range(model.STATES_PER_TISSUE):
            activity += states[:, position] * mixture[:, position, None].astype(np.float32)
        individual = rng.standard_normal(activity.shape, dtype=np.float32)
        activity += np.float32(model.INDIVIDUAL_SPREAD) * individual
        return np.ascontiguousarray(activity.T)


def series(count: int, tissues: Tissues, rng: np.random.Generator) -> Cohort:
    """Draw microarrays as deposited: series of very unequal size, each about one tissue."""
    group = _groups_of_unequal_size(count, PROFILES_PER_SERIES, rng)
    frequency = _tissue_frequency(len(tissues.mean))
    studied = rng.choice(len(frequency), group[-1] + 1, p=frequency)
    other = rng.choice(len(frequency), count, p=frequency)
    tissue = np.where(rng.random(count) < MAIN_TISSUE_SHARE, studied[group], other)
    return _cohort("geo", tissue, group, tissues, rng, label={"series": "SIMSERIES"})


def donors(count: int, tissues: Tissues, rng: np.random.Generator) -> Cohort:
    """Draw post-mortem donors. Each gives several tissues, all tissues about equally often."""
    group = _groups_of_unequal_size(count, PROFILES_PER_DONOR, rng)
    tissue = rng.integers(0, len(tissues.mean), count)
    return _cohort("gtex", tissue, group, tissues, rng, label={"donor": "SIMDONOR"})


def lymphoblasts(count: int, tissues: Tissues, rng: np.random.Generator) -> Cohort:
    """Draw one cell line from each person: no groups, one tissue."""
    tissue = np.full(count, LCL, dtype=np.intp)
    line = _cohort("1000g", tissue, np.arange(count), tissues, rng, label={})
    return replace(line, states=2)


def _groups_of_unequal_size(count: int, mean: int, rng: np.random.Generator) -> Ints:
    """Return the group of each profile, 0, 0, …, 1, 1, …. Sizes are log-normal."""
    # exp(μ + σ²/2) is the mean of a log-normal: with σ = 1, μ = ln(mean) − 0.5 gives the mean.
    sizes = 1 + rng.lognormal(np.log(mean) - 0.5, 1.0, count).astype(np.intp)
    return np.repeat(np.arange(count), sizes)[:count]


def _tissue_frequency(tissues: int) -> NDArray[np.float64]:
    """Return the share of each tissue among studies: a few are studied most (Zipf)."""
    # Rolled by half, so that the cell line, tissue 0, is neither common nor rare.
    frequency = np.roll(1 / np.arange(2.0, tissues + 2), tissues // 2)
    return np.asarray(frequency / frequency.sum())


def _cohort(
    name: str,
    tissue: Ints,
    group: Ints,
    tissues: Tissues,
    rng: np.random.Generator,
    *,
    label: dict[str, str],
) -> Cohort:
    groups, pathways = group[-1] + 1, tissues.mean.shape[1]
    ids = [f"SIM-{name}-{number:06d}" for number in range(1, len(tissue) + 1)]
    columns = {key: [f"{stem}{g + 1:05d}" for g in group] for key, stem in label.items()}
    names = ["LCL" if t == LCL else f"tissue-{t:02d}" for t in tissue]
    shift = model.GROUP_SPREAD * rng.standard_normal((groups, pathways))
    technical = rng.standard_normal((groups, TECHNICAL_FACTORS))
    return Cohort(
        name=name,
        profiles=pd.DataFrame({**columns, "tissue": names}, index=pd.Index(ids, name="profile")),
        tissue=tissue,
        group=group,
        shift=shift.astype(np.float32),
        technical=technical.astype(np.float32),
    )
