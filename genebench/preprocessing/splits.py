"""Splits into 80 % training, 10 % validation and 10 % test profiles: published, or by group."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def random_split(n_profiles: int, seed: int) -> NDArray[np.str_]:
    """The part (``train``, ``validation`` or ``test``) of each profile: a seeded permutation, cut.

    The cuts are at ``int(0.8 n)`` and ``int(0.9 n)``, as published (111,009 profiles give 88,807 /
    11,101 / 11,101). The legacy generator is used because numpy guarantees its stream for ever.
    """
    order = np.random.RandomState(seed).permutation(n_profiles)
    parts = np.empty(n_profiles, dtype="<U10")
    first_cut, second_cut = int(0.8 * n_profiles), int(0.9 * n_profiles)
    parts[order[:first_cut]] = "train"
    parts[order[first_cut:second_cut]] = "validation"
    parts[order[second_cut:]] = "test"
    return parts


SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}


def group_split(groups: pd.Series[str], seed: int) -> NDArray[np.str_]:
    """The part of each profile when whole groups (GEO series) are split.

    Groups come in a seeded random order; each goes to the part that lacks most of its share, so
    that parts are about 80/10/10 as far as the sizes of the groups allow.
    """
    sizes = groups.value_counts().sort_index()
    lacking = {part: share * len(groups) for part, share in SHARES.items()}
    chosen = {}
    for at in np.random.RandomState(seed).permutation(len(sizes)):
        part = max(lacking, key=lambda part: lacking[part] / SHARES[part])
        chosen[sizes.index[at]] = part
        lacking[part] -= sizes.iloc[at]
    return np.array([chosen[group] for group in groups])
