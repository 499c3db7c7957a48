"""The published random split: 80 % training, 10 % selection, 10 % test profiles."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def random_split(n_profiles: int, seed: int) -> NDArray[np.str_]:
    """The part (``train``, ``select`` or ``test``) of each profile: a seeded permutation, cut.

    The cuts are at ``int(0.8 n)`` and ``int(0.9 n)``, as published (111,009 profiles give 88,807 /
    11,101 / 11,101). The legacy generator is used because numpy guarantees its stream for ever.
    """
    order = np.random.RandomState(seed).permutation(n_profiles)
    parts = np.empty(n_profiles, dtype="<U6")
    first_cut, second_cut = int(0.8 * n_profiles), int(0.9 * n_profiles)
    parts[order[:first_cut]] = "train"
    parts[order[first_cut:second_cut]] = "select"
    parts[order[second_cut:]] = "test"
    return parts
