"""Profiles of a few common factors, as expression is, in groups of four."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from genebench import Profiles


@pytest.fixture
def simulated():
    """Return a function of the number of profiles and the seed."""

    def draw(n, seed=0, p=30, t=11):
        loadings = np.random.default_rng(99).normal(size=(5, p + t)) / 2
        random = np.random.default_rng(seed)
        values = np.tanh(random.normal(size=(n, 5)) @ loadings)
        values = values + random.normal(0.2, 0.3, (n, p + t))
        profiles = Profiles.from_arrays(values[:, :p], values[:, p:])
        groups = [f"group-{number // 4}" for number in range(n)]
        profiles.profiles = pd.DataFrame({"group": groups}, profiles.profiles.index)
        return profiles

    return draw
