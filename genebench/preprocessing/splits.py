"""The built-in splits: 80 % training, 10 % validation and 10 % test profiles, or groups of them.

The split of L1000 is one by position. All functions are of the kind that
:class:`genebench.specs.SplitSpec` describes.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError

LARGEST_SEED = 2**32 - 1
"""The largest seed of numpy's legacy generator."""

SHARES = {"train": 0.8, "validation": 0.1, "test": 0.1}
"""Part → share of the profiles that it is to have."""


def random_split(profiles: pd.DataFrame, seed: int) -> NDArray[np.str_]:
    """Return the part of each profile: a seeded permutation of all profiles, cut twice.

    The cuts are at ``int(0.8 n)`` and ``int(0.9 n)``, as published: 111,009 profiles give 88,807 /
    11,101 / 11,101 (Chen et al. 2016).
    """
    n_profiles = len(profiles)
    # The legacy generator: numpy guarantees that its stream never changes.
    order = np.random.RandomState(seed).permutation(n_profiles)
    parts = np.empty(n_profiles, dtype="<U10")
    first_cut, second_cut = int(0.8 * n_profiles), int(0.9 * n_profiles)
    parts[order[:first_cut]] = "train"
    parts[order[first_cut:second_cut]] = "validation"
    parts[order[second_cut:]] = "test"
    return parts


def group_split(profiles: pd.DataFrame, seed: int) -> NDArray[np.str_]:
    """Return the part of each profile, whole groups (GEO series) being in one part.

    Groups come in a seeded random order. Each goes to the part that lacks most of its share, so
    that parts are about 80/10/10 as far as the sizes of the groups allow.

    Raises:
        UserError: the profile table has no column ``group``.
    """
    if "group" not in profiles:
        raise UserError(
            "its profile table has no column group. Name one in the manifest by group = COLUMN."
        )
    groups = profiles["group"]
    # Sorted by name, so that the split does not depend on the order of the profiles.
    sizes = groups.value_counts().sort_index()
    lacking = {part: share * len(groups) for part, share in SHARES.items()}
    chosen = {}
    for position in np.random.RandomState(seed).permutation(len(sizes)):
        part = max(lacking, key=lambda part: lacking[part] / SHARES[part])
        chosen[sizes.index[position]] = part
        lacking[part] -= sizes.iloc[position]
    return np.array([chosen[group] for group in groups])


def l1000_split(profiles: pd.DataFrame, seed: int) -> NDArray[np.str_]:  # noqa: ARG001  no chance in it
    """Return the part of each profile by its position: the first ones train, the last ones test.

    3,176 profiles (GSE92743) give 2,500 / 500 / 176. Other numbers are cut in proportion. The order
    is that of the file. The sizes are a convention of this suite. No publication that states which
    profiles are in which part is known.
    """
    position, n_profiles = np.arange(len(profiles)), len(profiles)
    first_cut, second_cut = n_profiles * 2500 // 3176, n_profiles * 3000 // 3176
    return np.where(
        position < first_cut, "train", np.where(position < second_cut, "validation", "test")
    )
