"""A linear model on profiles with planted clusters, and its explanation."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from genebench import Model, Profiles
from genebench.explaining.panels import explain
from genebench.explaining.settings import Settings
from genebench.relevance import linear_relevance

PROFILES, LANDMARKS, TARGETS = 90, 12, 40
KINDS, GROUPS = 3, 4
SMALL = Settings(profile_clusters=KINDS, target_clusters=GROUPS, landmark_groups=4, top=3)


class Weights(Model):
    """A linear model, profiles × landmarks to profiles × targets."""

    relevance_rules = ("exact",)

    def __init__(self, weights):
        self.weights = weights

    def predict(self, landmarks):
        return landmarks @ self.weights

    def relevance(self, landmarks, weights, rule):
        return linear_relevance(landmarks, self.weights @ weights)


@pytest.fixture(scope="session")
def planted():
    """Three kinds of profiles. Each of four groups of targets follows three landmarks of its own.

    Target 0 copies landmark 0, and both are one gene.
    """
    random = np.random.default_rng(0)
    kinds = np.arange(PROFILES) % KINDS
    centres = random.normal(0, 3, (KINDS, LANDMARKS))
    landmarks = (centres[kinds] + random.normal(0, 0.3, (PROFILES, LANDMARKS))).astype(np.float32)
    landmarks -= landmarks.mean(axis=0)
    groups = np.arange(TARGETS) % GROUPS
    weights = np.zeros((LANDMARKS, TARGETS), np.float32)
    for target, group in enumerate(groups):
        weights[3 * group : 3 * group + 3, target] = (2, -1, 0.5)
    weights[:, 0] = np.eye(LANDMARKS)[0]
    test = Profiles.from_arrays(landmarks, landmarks @ weights)
    test.profiles = pd.DataFrame(
        {"tissue": [f"tissue {kind}" for kind in kinds], "other": "x"}, index=test.profiles.index
    )
    test.landmark_genes = named("L", LANDMARKS)
    test.target_genes = named("T", TARGETS)
    # The same gene in both roles.
    test.target_genes = test.target_genes.rename(index={"ENST0": "ENSL0"})
    test.target_genes.loc["ENSL0", ["symbol", "twin"]] = ["SYML0", True]
    test.landmark_genes.loc["ENSL0", "twin"] = True
    return SimpleNamespace(
        model=Weights(weights), test=test, kinds=kinds, groups=groups, weights=weights
    )


def named(letter, count):
    index = pd.Index([f"ENS{letter}{number}" for number in range(count)], name="ensembl")
    symbols = [f"SYM{letter}{number}" for number in range(count)]
    return pd.DataFrame({"symbol": symbols, "probes": "", "twin": False}, index=index)


@pytest.fixture(scope="session")
def explanation(planted):
    about = {"key": "0" * 24, "method": "planted", "protocol": "geo", "dataset": "made up"}
    return explain(planted.model, planted.test, SMALL, about=about)
