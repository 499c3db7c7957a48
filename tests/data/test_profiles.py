"""Profiles: standardised on read, in blocks or whole."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from genebench.data.profiles import Profiles
from genebench.data.store import Dataset
from genebench.errors import UserError
from genebench.moments import moments
from genebench.specs import Part

TRAIN = Part(platform="geo", split="train")


@pytest.fixture
def train(tiny):
    return tiny.profiles(TRAIN)


def test_standardised_values_are_those_of_the_direct_formula(tiny, train):
    expression = np.asarray(tiny.expression("geo"), dtype=np.float64)
    mean, std = expression.mean(axis=0), expression.std(axis=0)
    rows = np.flatnonzero(tiny.profile_table("geo")["split"] == "train")
    expected = ((expression - mean) / (std + 1e-3))[rows]
    found = np.hstack([train.landmarks, train.targets])
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("size", [1, 7, 10_000])
def test_blocks_of_any_size_make_up_the_whole(train, size):
    blocks = list(train.blocks(size))
    assert max(len(block.landmarks) for block in blocks) <= size
    np.testing.assert_array_equal(np.vstack([block.landmarks for block in blocks]), train.landmarks)
    np.testing.assert_array_equal(np.vstack([block.targets for block in blocks]), train.targets)
    np.testing.assert_array_equal(np.vstack(list(train.landmark_blocks(size))), train.landmarks)


def test_columns_of_targets_are_those_of_the_whole(train):
    np.testing.assert_array_equal(train.target_columns(3, 9), train.targets[:, 3:9])


def test_target_rows_come_in_the_order_asked_for(train):
    positions = np.array([5, 0, 5, len(train) - 1])
    np.testing.assert_array_equal(train.target_rows(positions), train.targets[positions])


def test_tables_describe_both_axes(train):
    assert train.landmarks.shape == (len(train), len(train.landmark_genes))
    assert train.targets.shape == (len(train.profiles), len(train.target_genes))
    assert set(train.profiles["split"]) == {"train"}
    shared = set(train.landmark_genes.index) & set(train.target_genes.index)
    assert set(train.target_genes.index[train.target_genes["twin"]]) == shared
    assert train.landmark_genes["twin"].sum() == len(shared) > 0


def test_twins_are_equal_on_rna_seq_and_measured_apart_on_the_array(tiny):
    for platform, equal in (("gtex", True), ("1000g", True), ("geo", False)):
        part = tiny.profiles(Part(platform=platform))
        landmark = part.landmark_genes.index.get_indexer(part.target_genes.index)
        twins = np.flatnonzero(landmark >= 0)
        same = np.array_equal(part.targets[:, twins], part.landmarks[:, landmark[twins]])
        assert same is equal, platform


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-4], lambda data: data[:50], lambda data: b"", lambda data: b"x"]
)
def test_a_file_to_map_that_was_cut_short_is_written_again(tiny, train, damage):
    assert len(tiny.profiles(TRAIN, mmap=True).targets)
    path = train.cached("targets.npy")
    path.write_bytes(damage(path.read_bytes()))
    np.testing.assert_array_equal(tiny.profiles(TRAIN, mmap=True).targets, train.targets)


def test_a_file_to_map_of_other_profiles_is_written_again(tiny, train):
    path = train.cached("targets.npy")
    path.parent.mkdir(exist_ok=True)
    np.save(path, train.targets[1:])
    np.testing.assert_array_equal(tiny.profiles(TRAIN, mmap=True).targets, train.targets)


def test_a_file_to_map_of_other_values_is_written_again(tiny, train):
    path = train.cached("targets.npy")
    mapped = np.array(tiny.profiles(TRAIN, mmap=True).targets)
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    source = tiny.root / "geo" / "expression.npy"
    os.utime(source, ns=(0, source.stat().st_mtime_ns + 1000))  # as when it is mended
    np.testing.assert_array_equal(tiny.profiles(TRAIN, mmap=True).targets, mapped)


def test_memory_maps_hold_the_same_values_read_only(tiny, train):
    mapped = tiny.profiles(TRAIN, mmap=True)
    for role in ("landmarks", "targets"):
        matrix = getattr(mapped, role)
        assert isinstance(matrix, np.memmap)
        assert not matrix.flags.writeable
        np.testing.assert_array_equal(matrix, getattr(train, role))


@pytest.mark.parametrize(
    ("rows", "own"),
    [(slice(2, 9), True), ([5], True), ([0, 1, 3], False), ([4, 3, 2], False), ([2, 2, 3], False)],
)
def test_levels_of_profiles_in_memory_are_copied_only_where_they_must_be(rows, own):
    given = Profiles.from_arrays(*np.random.default_rng(0).normal(size=(2, 11, 3)))
    expression = np.hstack([given.landmarks, given.targets])
    some = Profiles(
        expression=expression,
        rows=np.arange(11)[rows],
        standardiser=given.standardiser,
        profiles=given.profiles.iloc[rows],
        landmark_genes=given.landmark_genes,
        target_genes=given.target_genes,
    )
    (levels,) = some.expression_blocks()
    np.testing.assert_array_equal(levels, expression[rows])
    assert np.shares_memory(levels, expression) == own
    expression.flags.writeable = False
    (levels,) = some.expression_blocks()
    assert levels.flags.writeable


# --- training subsets -----------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["random", "group"])
def test_smaller_training_subsets_lie_in_larger_ones(tiny, by):
    whole = Part(platform="geo", split="train", by=by)
    ids = [
        list(tiny.profiles(replace(whole, profiles=size)).profiles.index) for size in (1, 40, 150)
    ]
    ids.append(list(tiny.profiles(whole).profiles.index))
    assert [len(set(subset)) for subset in ids[:3]] == [1, 40, 150]
    for smaller, larger in pairwise(ids):
        assert smaller == [profile for profile in larger if profile in set(smaller)]


def test_a_subset_depends_on_the_split_seed_alone(tiny):
    part = replace(TRAIN, profiles=40)
    first, again, other = Dataset(tiny.root), Dataset(tiny.root), Dataset(tiny.root)
    other.info["split_seed"] = tiny.split_seed + 1
    ids = [set(dataset.profiles(part).profiles.index) for dataset in (first, again, other)]
    assert ids[0] == ids[1] != ids[2]


def test_values_of_a_subset_are_standardised_as_in_the_whole(tiny, train):
    subset = tiny.profiles(replace(TRAIN, profiles=40))
    places = train.profiles.index.get_indexer(subset.profiles.index)
    np.testing.assert_array_equal(subset.landmarks, train.landmarks[places])
    np.testing.assert_array_equal(subset.targets, train.targets[places])


def test_cache_files_of_subsets_are_apart(tiny):
    for size in (40, 150, 40):
        subset = tiny.profiles(replace(TRAIN, profiles=size))
        found = moments(subset)
        assert found.n == size
        landmarks = subset.landmarks.astype(np.float64)
        np.testing.assert_allclose(found.x_mean, landmarks.mean(axis=0), atol=1e-6)


def test_a_subset_larger_than_the_training_set_is_one_line(tiny, train):
    with pytest.raises(UserError, match=rf"1,000 training .* there are {len(train)}\."):
        tiny.profiles(replace(TRAIN, profiles=1000))
