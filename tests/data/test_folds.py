"""Folds, filters and statistics of parts: which profiles a part of a protocol has."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genebench.data.folds import fold_labels, in_fold, repeat_seed
from genebench.errors import UserError
from genebench.preprocessing.splits import random_split
from genebench.specs import Division, Fold, Part

GROUPS = st.lists(st.sampled_from(["a", "b", "c", "d", "e", ""]), min_size=12, max_size=60)


def table(groups):
    groups = list(groups)
    return pd.DataFrame({"group": groups}, index=[f"p{n}" for n in range(len(groups))])


def folds_of(profiles, by, number, seed=0):
    return [
        in_fold(
            Division(by=by, fold=Fold(kind="k-fold", label=str(n + 1), number=number)),
            profiles,
            seed,
        )
        for n in range(number)
    ]


def left_out(profiles, label, column=""):
    fold = Fold(kind="leave-one-out", label=label)
    return in_fold(Division(by="group", column=column, fold=fold), profiles, 0)


@given(number=st.integers(3, 8), size=st.integers(8, 60), seed=st.integers(0, 99))
def test_each_profile_is_tested_and_validates_once_in_folds_of_equal_size(number, size, seed):
    folds = np.array(folds_of(table("x" * size), "random", number, seed))
    for part in ("test", "validation"):
        assert ((folds == part).sum(axis=0) == 1).all()
    sizes = (folds == "test").sum(axis=1)
    assert sizes.max() - sizes.min() <= 1


@given(groups=GROUPS, seed=st.integers(0, 99))
def test_folds_by_group_keep_groups_whole_whatever_the_order_of_profiles(groups, seed):
    profiles = table([*groups, *"abc"])
    folds = folds_of(profiles, "group", 3, seed)
    for parts in folds:
        pairs = {
            (group, part) for group, part in zip(profiles["group"], parts, strict=True) if group
        }
        assert len(pairs) == len({group for group, _ in pairs})
    assert (np.array(folds) == "test").sum(axis=0).tolist() == [1] * len(profiles)


def test_folds_by_group_do_not_depend_on_the_order_of_profiles():
    profiles = table("aabbbcdddde")
    shuffled = profiles.iloc[np.random.default_rng(0).permutation(len(profiles))]
    for parts, others in zip(
        folds_of(profiles, "group", 3), folds_of(shuffled, "group", 3), strict=True
    ):
        expected = pd.Series(parts, profiles.index)[shuffled.index]
        assert expected.tolist() == others.tolist()


def test_a_large_group_does_not_make_the_folds_more_unequal_than_it_has_to():
    folds = np.array(folds_of(table("a" * 20 + "b" * 10 + "c" * 10), "group", 3))
    assert sorted((folds == "test").sum(axis=1)) == [10, 10, 20]


def test_leaving_a_group_out_tests_on_it_alone_and_validates_on_the_next():
    profiles = table(["lung", "Heart", "skin", "lung", ""])
    assert left_out(profiles, "heart").tolist() == [
        "validation",
        "test",
        "train",
        "validation",
        "train",
    ]
    assert left_out(profiles, "skin").tolist() == ["train", "validation", "test", "train", "train"]


def test_labels_of_groups_are_short_and_never_the_same():
    profiles = table(["Brain - Cerebellum Left", "Brain - Cerebellum Right", "β", "lung"])
    labels = fold_labels(Division(by="group"), profiles)
    assert labels == {
        "brain-cerebellum": "Brain - Cerebellum Left",
        "brain-cerebell-2": "Brain - Cerebellum Right",
        "lung": "lung",
        "group": "β",
    }


@pytest.mark.parametrize(
    ("groups", "error"), [("ab", "has 2 values"), (map(str, range(201)), "has 201 values")]
)
def test_too_few_and_too_many_groups_to_leave_out_are_refused(groups, error):
    with pytest.raises(UserError, match=error):
        fold_labels(Division(by="group"), table(groups))


def test_fewer_groups_than_folds_are_refused():
    with pytest.raises(UserError, match="2 groups, too few for 3 folds"):
        folds_of(table("ab"), "group", 3)


def test_repeats_draw_other_test_sets_than_the_dataset_does(tiny):
    part = Part(platform="geo", split="test")
    repeats = [
        tiny.rows(replace(part, fold=Fold(kind="repeat", label=label, number=2))).tolist()
        for label in ("1", "2")
    ]
    profiles = tiny.profile_table("geo")
    seeds = [repeat_seed(tiny.split_seed, label) for label in ("1", "2")]
    assert repeats == [np.flatnonzero(random_split(profiles, s) == "test").tolist() for s in seeds]
    assert len({*map(tuple, repeats), tuple(tiny.rows(part).tolist())}) == 3


def test_filters_take_profiles_of_the_split_of_the_whole_platform(tiny):
    tissue = tiny.profile_table("gtex")["tissue"].to_numpy()
    whole = tiny.rows(Part(platform="gtex", split="train", by="group"))
    some = Part(platform="gtex", split="train", by="group", where={"tissue": ("tissue-02", "lcl")})
    others = replace(some, where=(), without=some.where)
    kept = np.isin(tissue[whole], ["tissue-02", "lcl"])
    assert tiny.rows(some).tolist() == whole[kept].tolist()
    assert tiny.rows(others).tolist() == whole[~kept].tolist()


def test_a_group_of_another_column_is_in_one_part_only(tiny):
    parts = tiny.split("gtex", Division(by="group", column="tissue"))
    tissue = tiny.profile_table("gtex")["tissue"]
    assert pd.Series(parts, tissue.index).groupby(tissue).nunique().max() == 1
    assert set(parts) == {"train", "validation", "test"}


@pytest.mark.parametrize("part", [
    Part(platform="gtex", where={"weather": "fine"}),
    Part(platform="gtex", split="test", by="group", column="weather"),
])  # fmt: skip
def test_a_column_that_is_not_there_is_refused_with_those_that_are(tiny, part):
    with pytest.raises(UserError, match=r"no column weather .* Columns: donor, tissue, group\."):
        tiny.rows(part)


def test_a_filter_that_takes_everything_is_refused(tiny):
    with pytest.raises(UserError, match="Correct the filters"):
        tiny.rows(Part(platform="gtex", where={"tissue": "moon"}))


def test_statistics_of_a_part_are_those_of_its_profiles(tiny):
    source = Part(platform="1000g")
    part = Part(platform="gtex", where={"tissue": "tissue-02"}, statistics=source)
    expected = tiny.expression("1000g")[:].astype(np.float64)
    standardiser = tiny.profiles(part).standardiser
    np.testing.assert_allclose(standardiser.mean, expected.mean(axis=0))
    np.testing.assert_allclose(standardiser.std, expected.std(axis=0))


def test_training_statistics_of_a_fold_leave_out_its_test_profiles(tiny):
    fold = Fold(kind="leave-one-out", label="tissue-02")
    options = {"platform": "gtex", "by": "group", "column": "tissue", "fold": fold}
    test = tiny.profiles(Part(split="test", statistics="train", **options))
    train = tiny.expression("gtex")[tiny.rows(Part(split="train", **options))].astype(np.float64)
    np.testing.assert_allclose(test.standardiser.mean, train.mean(axis=0))
    own = tiny.profiles(Part(split="train", statistics="train", **options)).targets
    np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-5)
