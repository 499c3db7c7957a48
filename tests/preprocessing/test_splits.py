"""The published random split."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genebench.preprocessing.splits import group_split, random_split


@pytest.mark.parametrize(
    ("profiles", "sizes"), [(111_009, (88_807, 11_101, 11_101)), (592, (473, 59, 60))]
)
def test_the_split_has_the_published_sizes(profiles, sizes):
    parts = random_split(profiles, seed=0)
    assert tuple((parts == part).sum() for part in ("train", "validation", "test")) == sizes


def test_the_split_is_a_cut_permutation_of_a_generator_that_numpy_never_changes():
    order = np.random.RandomState(3).permutation(20)
    parts = random_split(20, seed=3)
    assert sorted(np.flatnonzero(parts == "train")) == sorted(order[:16])
    assert sorted(np.flatnonzero(parts == "test")) == sorted(order[18:])


def test_other_seeds_give_other_splits():
    assert (random_split(100, seed=0) != random_split(100, seed=1)).any()


@given(st.lists(st.sampled_from("abcdefghij"), min_size=3, max_size=200), st.integers(0, 99))
def test_no_group_is_in_two_parts(groups, seed):
    parts = group_split(pd.Series(groups), seed)
    pairs = {(group, part) for group, part in zip(groups, parts, strict=True)}
    assert len(pairs) == len(set(groups))


def test_groups_are_split_about_as_published_whatever_their_sizes():
    random = np.random.default_rng(1)
    groups = pd.Series(random.choice([f"GSE{i}" for i in range(60)], 3000))
    shares = pd.Series(group_split(groups, 0)).value_counts(normalize=True)
    assert abs(shares["train"] - 0.8) < 0.03
    assert abs(shares["validation"] - 0.1) < 0.03
    assert abs(shares["test"] - 0.1) < 0.03


def test_the_split_of_groups_does_not_depend_on_the_order_of_profiles():
    groups = pd.Series(list("aabbbccddeeffgghhiijj"))
    order = np.random.default_rng(0).permutation(len(groups))
    there = group_split(groups, 5)[order]
    assert group_split(groups.iloc[order].reset_index(drop=True), 5).tolist() == there.tolist()
