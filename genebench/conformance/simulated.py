"""Simulated datasets for checks: small, and either easy or pure noise.

The platforms have the names of the published protocols. A dataset can be written without its test
profiles. Then no file of the store holds them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.files import sha256_of
from genebench.data.digests import dataset_digest, platform_digest
from genebench.data.profiles import Matrix, Profiles
from genebench.data.standardisation import Standardiser
from genebench.data.store import (
    RECIPE,
    STORE_FORMAT,
    Dataset,
    DataStore,
    write_table,
    write_vectors,
)
from genebench.preprocessing.splits import random_split

LANDMARKS, TARGETS, TWINS = 16, 24, 4
PROFILES = {"geo": 400, "1000g": 40, "gtex": 60}
"""Platform → number of profiles. Of ``geo`` 80 % train, 10 % validate and 10 % test."""

_PROGRAMMES = 4
"""Latent factors. Every gene follows one of them."""

_NOISE = 0.3
"""Standard deviation of the noise of an easy gene. That of its programme is about 1."""


@dataclass(frozen=True)
class Platform:
    """The expression of one platform.

    Attributes:
        expression: profiles × (landmarks, then targets).
        mean: mean of each gene over all profiles.
        std: standard deviation of each gene over all profiles.
        table: the profile table.
    """

    expression: NDArray[np.float32]
    mean: NDArray[np.float64]
    std: NDArray[np.float64]
    table: pd.DataFrame

    def without_test(self) -> Platform:
        """Return the platform without its test profiles, with the same statistics.

        The statistics stay, so that a fit meets the same standardised values.
        """
        kept = (self.table["split"] != "test").to_numpy()
        return Platform(self.expression[kept], self.mean, self.std, self.table[kept])


@dataclass(frozen=True)
class Simulation:
    """A dataset in memory."""

    landmark_genes: pd.DataFrame
    target_genes: pd.DataFrame
    platforms: dict[str, Platform]

    def without_test(self) -> Simulation:
        """Return the dataset without the test part of ``geo`` and without ``gtex``."""
        kept = {"geo": self.platforms["geo"].without_test(), "1000g": self.platforms["1000g"]}
        return Simulation(self.landmark_genes, self.target_genes, kept)

    def write(self, store: DataStore, name: str) -> Dataset:
        """Write the dataset to a store under a name, and return it."""
        with store.staging(name) as folder:
            write_table(self.landmark_genes, folder / "landmark_genes.tsv", "ensembl")
            write_table(self.target_genes, folder / "target_genes.tsv", "ensembl")
            contents = {}
            for title, platform in self.platforms.items():
                home = folder / title
                home.mkdir()
                np.save(home / "expression.npy", platform.expression, allow_pickle=False)
                write_vectors(home, mean=platform.mean, std=platform.std)
                write_table(platform.table, home / "profiles.tsv", "profile")
                digest = sha256_of(home / "expression.npy")
                contents[title] = platform_digest(platform.table, digest)
            info = json.dumps(self._description(name, contents), indent=1)
            (folder / "dataset.json").write_text(info, "utf-8")
            return store.publish(name, folder)

    def _description(self, name: str, contents: dict[str, str]) -> dict[str, Any]:
        genes = {"landmarks": self.landmark_genes, "targets": self.target_genes}
        coverage = {
            role: {"in_map": len(table), "found": len(table), "missing": [], "partial": []}
            for role, table in genes.items()
        }
        return {
            "format": STORE_FORMAT,
            "recipe": RECIPE,
            "name": name,
            "title": "data to check methods on",
            "digest": dataset_digest(self.landmark_genes, self.target_genes, contents),
            "preset": "tiny",
            "missing_genes": "drop",
            "landmarks": len(self.landmark_genes),
            "targets": len(self.target_genes),
            "twins": int(self.target_genes.index.isin(self.landmark_genes.index).sum()),
            "origin": {"kind": "simulated"},
            "platforms": {
                title: {
                    "profiles": len(platform.table),
                    "ids": "ensembl",
                    "group": None,
                    "digest": contents[title],
                    "coverage": coverage,
                }
                for title, platform in self.platforms.items()
            },
        }


def easy(seed: int = 1) -> Simulation:
    """Return a dataset whose landmarks determine the targets.

    Every gene follows one of a few programmes, with some noise.
    """
    random = np.random.default_rng(seed)
    programme = np.arange(LANDMARKS + TARGETS) % _PROGRAMMES
    gain = random.uniform(0.8, 1.2, LANDMARKS + TARGETS)

    def draw(profiles: int) -> NDArray[np.float64]:
        activity = random.normal(size=(profiles, _PROGRAMMES))
        noise = random.normal(0, _NOISE, (profiles, LANDMARKS + TARGETS))
        return activity[:, programme] * gain + noise

    return _simulation({name: draw(number) for name, number in PROFILES.items()}, random)


def noise(seed: int = 2) -> Simulation:
    """Return a dataset of pure noise: every value is drawn independently."""
    random = np.random.default_rng(seed)
    drawn = {name: random.normal(size=(n, LANDMARKS + TARGETS)) for name, n in PROFILES.items()}
    return _simulation(drawn, random)


def _simulation(drawn: dict[str, NDArray[np.float64]], random: np.random.Generator) -> Simulation:
    landmarks = [f"ENSG{number:011d}" for number in range(LANDMARKS)]
    targets = [
        *landmarks[-TWINS:],
        *(f"ENSG{number:011d}" for number in range(LANDMARKS, LANDMARKS + TARGETS - TWINS)),
    ]
    level = random.uniform(6, 10, LANDMARKS + TARGETS)
    spread = random.uniform(0.5, 2, LANDMARKS + TARGETS)
    return Simulation(
        _genes(landmarks),
        _genes(targets),
        {name: _platform(name, level + spread * values) for name, values in drawn.items()},
    )


def _platform(name: str, values: NDArray[np.float64]) -> Platform:
    expression = values.astype(np.float32)
    # The statistics are those of the values as they are stored.
    exact = expression.astype(np.float64)
    index = pd.Index([f"{name}-{number}" for number in range(len(values))], name="profile")
    # Groups of four profiles stand for a series or a donor.
    table = pd.DataFrame(
        {"group": [f"{name}-group-{number // 4}" for number in range(len(values))]}, index
    )
    if name == "geo":
        table["split"] = random_split(table, seed=0)
    return Platform(expression, exact.mean(axis=0), exact.std(axis=0), table)


def _genes(ids: list[str]) -> pd.DataFrame:
    index = pd.Index(ids, name="ensembl")
    return pd.DataFrame({"symbol": [f"G{name[-4:]}" for name in ids], "probes": ids}, index)


def with_values(profiles: Profiles, landmarks: Matrix, targets: Matrix) -> Profiles:
    """Return the same profiles and genes with other values.

    Args:
        profiles: the profiles.
        landmarks: their new standardised landmarks, profiles × landmarks.
        targets: their new standardised targets, profiles × targets.
    """
    return Profiles(
        expression=np.hstack([landmarks, targets]),
        rows=np.arange(len(profiles)),
        standardiser=Standardiser.identity(landmarks.shape[1] + targets.shape[1]),
        profiles=profiles.profiles.copy(),
        landmark_genes=profiles.landmark_genes.copy(),
        target_genes=profiles.target_genes.copy(),
    )


def with_genes_permuted(
    profiles: Profiles, landmarks: NDArray[np.intp], targets: NDArray[np.intp]
) -> Profiles:
    """Return the same profiles with genes in another order, in matrices and tables.

    Args:
        profiles: the profiles.
        landmarks: the new order of the landmarks, as positions.
        targets: the new order of the targets, as positions.
    """
    return Profiles(
        expression=np.hstack([profiles.landmarks[:, landmarks], profiles.targets[:, targets]]),
        rows=np.arange(len(profiles)),
        standardiser=Standardiser.identity(len(landmarks) + len(targets)),
        profiles=profiles.profiles.copy(),
        landmark_genes=profiles.landmark_genes.iloc[landmarks].copy(),
        target_genes=profiles.target_genes.iloc[targets].copy(),
    )
