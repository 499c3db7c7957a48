"""The published random split."""

from __future__ import annotations

import numpy as np
import pytest

from genebench.data.split import random_split


@pytest.mark.parametrize(
    ("profiles", "sizes"), [(111_009, (88_807, 11_101, 11_101)), (592, (473, 59, 60))]
)
def test_the_split_has_the_published_sizes(profiles, sizes):
    parts = random_split(profiles, seed=0)
    assert tuple((parts == part).sum() for part in ("train", "select", "test")) == sizes


def test_the_split_is_a_cut_permutation_of_a_generator_that_numpy_never_changes():
    order = np.random.RandomState(3).permutation(20)
    parts = random_split(20, seed=3)
    assert sorted(np.flatnonzero(parts == "train")) == sorted(order[:16])
    assert sorted(np.flatnonzero(parts == "test")) == sorted(order[18:])


def test_other_seeds_give_other_splits():
    assert (random_split(100, seed=0) != random_split(100, seed=1)).any()
