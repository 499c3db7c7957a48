"""The simulated genes: landmarks, targets, and the probes that measure them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from genebench.datasets.sim.model import Ints, Regulation

PROBES_PER_TARGET = (5765, 2201, 975, 380, 123, 48, 12, 8, 3, 3, 1, 0, 1)
"""Target genes of the real map with 1, 2, 3, … probes: 9,520 in all."""
EXPRESSED = 2.0
"""Least level of a landmark, log2 RPKM: clearly above the array's background."""
VERSIONED = 10
"""One RNA-seq id in so many carries an Ensembl version. In real files, all do."""


@dataclass(frozen=True)
class Genome:
    """The simulated genes: positions 0 … genes − 1 are the rows of the RNA-seq platforms.

    Attributes:
        ids: Ensembl-like id of every gene, as in RNA-seq files: some with a version.
        landmarks, targets: gene maps, as in the compendium.
        probes: probe ids, one per row of the array.
        probed: the gene that each probe measures.
    """

    ids: pd.Index
    landmarks: pd.DataFrame
    targets: pd.DataFrame
    probes: pd.Index
    probed: Ints


def choose_landmarks(count: int, regulation: Regulation) -> Ints:
    """Choose landmarks: the clearest gene of each pathway in turn. Return positions, sorted.

    A gene is clear if one regulator stands out over its noise and the gene is expressed.
    """
    loadings = abs(regulation.loadings.toarray())
    pathway = regulation.pathway[loadings.argmax(axis=1), 0]
    clarity = loadings.max(axis=1) / regulation.noise
    clarity[regulation.level < EXPRESSED] = 0
    order = np.lexsort([-clarity, pathway])
    # Rank of each gene among those of its pathway: sorting by it takes pathways in turn.
    turn = np.arange(len(order)) - np.searchsorted(pathway[order], pathway[order])
    return np.sort(order[np.argsort(turn, kind="stable")[:count]])


def build(regulation: Regulation, landmarks: int, twins: int, rng: np.random.Generator) -> Genome:
    """Choose landmarks and targets among the genes of ``regulation`` and give them probes."""
    genes = len(regulation.level)
    names = pd.DataFrame(
        {"symbol": [f"SIM{number:04d}" for number in range(1, genes + 1)]},
        index=pd.Index([f"ENSGSIM{number:08d}" for number in range(1, genes + 1)], name="ensembl"),
    )
    landmark = choose_landmarks(landmarks, regulation)
    twin = rng.choice(landmark, twins, replace=False)
    target = rng.permutation(np.setdiff1d(np.arange(genes), np.setdiff1d(landmark, twin)))
    landmark = rng.permutation(landmark)
    probes_each = np.concatenate([np.ones(landmarks, np.intp), probe_counts(len(target), rng)])
    probed = np.repeat(np.concatenate([landmark, target]), probes_each)
    probes = pd.Index([f"sim_{number:06d}_at" for number in range(1, len(probed) + 1)])
    by_gene = np.split(probes.to_numpy(), np.cumsum(probes_each)[:-1])
    joined = [",".join(ids) for ids in by_gene]
    return Genome(
        ids=_versioned(names.index),
        landmarks=names.iloc[landmark].assign(probes=joined[:landmarks]),
        targets=names.iloc[target].assign(probes=joined[landmarks:]),
        probes=probes,
        probed=probed,
    )


def probe_counts(targets: int, rng: np.random.Generator) -> Ints:
    """Return the number of probes of each target gene, in the shares of the real map."""
    share = np.cumsum(PROBES_PER_TARGET) / sum(PROBES_PER_TARGET)
    return rng.permutation(1 + np.searchsorted(share, (np.arange(targets) + 0.5) / targets))


def _versioned(ids: pd.Index) -> pd.Index:
    """Return ids of which one in :data:`VERSIONED` has a version."""
    return pd.Index(
        [f"{gene}.{number % 17 + 1}" if number % VERSIONED == 0 else gene
         for number, gene in enumerate(ids)]
    )  # fmt: skip
