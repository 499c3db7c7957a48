"""The built-in splits."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genebench.errors import UserError
from genebench.preprocessing.splits import group_split, l1000_split, random_split


def table(profiles):
    """Make a profile table without columns."""
    return pd.DataFrame(index=[f"P{number}" for number in range(profiles)])


def grouped(groups):
    """Make a profile table of profiles in these groups."""
    return pd.DataFrame({"group": list(groups)})


@pytest.mark.parametrize(
    ("profiles", "sizes"), [(111_009, (88_807, 11_101, 11_101)), (592, (473, 59, 60))]
)
def test_the_split_has_the_published_sizes(profiles, sizes):
    parts = random_split(table(profiles), seed=0)
    assert tuple((parts == part).sum() for part in ("train", "validation", "test")) == sizes


@pytest.mark.parametrize(
    ("profiles", "sizes"), [(3176, (2500, 500, 176)), (40, (31, 6, 3)), (7, (5, 1, 1))]
)
def test_the_split_of_l1000_cuts_the_file_in_its_order(profiles, sizes):
    parts = l1000_split(table(profiles), seed=5)
    assert tuple((parts == part).sum() for part in ("train", "validation", "test")) == sizes
    assert parts.tolist() == sorted(parts, key=["train", "validation", "test"].index)


def test_the_split_is_a_cut_permutation_of_a_generator_that_numpy_never_changes():
    order = np.random.RandomState(3).permutation(20)
    parts = random_split(table(20), seed=3)
    assert sorted(np.flatnonzero(parts == "train")) == sorted(order[:16])
    assert sorted(np.flatnonzero(parts == "test")) == sorted(order[18:])


def test_other_seeds_give_other_splits():
    assert (random_split(table(100), seed=0) != random_split(table(100), seed=1)).any()


@given(st.lists(st.sampled_from("abcdefghij"), min_size=3, max_size=200), st.integers(0, 99))
def test_no_group_is_in_two_parts(groups, seed):
    parts = group_split(grouped(groups), seed)
    pairs = {(group, part) for group, part in zip(groups, parts, strict=True)}
    assert len(pairs) == len(set(groups))


def test_groups_are_split_about_as_published_whatever_their_sizes():
    random = np.random.default_rng(1)
    groups = pd.Series(random.choice([f"GSE{i}" for i in range(60)], 3000))
    shares = pd.Series(group_split(grouped(groups), 0)).value_counts(normalize=True)
    assert abs(shares["train"] - 0.8) < 0.03
    assert abs(shares["validation"] - 0.1) < 0.03
    assert abs(shares["test"] - 0.1) < 0.03


def test_the_split_of_groups_does_not_depend_on_the_order_of_profiles():
    groups = pd.Series(list("aabbbccddeeffgghhiijj"))
    order = np.random.default_rng(0).permutation(len(groups))
    there = group_split(grouped(groups), 5)[order]
    assert group_split(grouped(groups.iloc[order]), 5).tolist() == there.tolist()


def test_profiles_without_groups_are_not_split_by_group():
    with pytest.raises(UserError, match=r"no column group\. Name one in the manifest"):
        group_split(table(20), 0)
