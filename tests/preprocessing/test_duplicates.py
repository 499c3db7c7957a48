"""Duplicate removal, against a naive reading of the rule over all pairs."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.spatial.distance import cdist
from sklearn.cluster import MiniBatchKMeans

from genebench.errors import UserError
from genebench.formats.base import Reader
from genebench.formats.gctx import GctxReader
from genebench.preprocessing.duplicates import find_duplicates


class Given(Reader):
    """A reader of a matrix that a test made: profiles × probes."""

    def __init__(self, matrix, size=16):
        self.source = "given"
        self.matrix = matrix
        self.size = size
        self.passes = 0
        self.gene_ids = pd.RangeIndex(matrix.shape[1])
        self.profiles = pd.DataFrame(index=pd.RangeIndex(len(matrix)))

    def blocks(self, genes, size=None):
        self.passes += 1
        step = min(self.size, size or self.size)
        for start in range(0, len(self.matrix), step):
            yield self.matrix[start : start + step, genes]


def duplicates_of(matrix, rule="exact", size=16, **options):
    with tempfile.TemporaryDirectory() as folder:
        removed = find_duplicates(Given(matrix, size), rule, folder=Path(folder), **options)
        assert list(Path(folder).iterdir()) == []
    assert removed.shape == (len(matrix),)
    assert removed.dtype == np.bool_
    return removed


def naive(matrix):
    """The rule, pair by pair."""
    distance = cdist(matrix.astype(np.float64), matrix.astype(np.float64))
    removed = np.zeros(len(matrix), np.bool_)
    for j in range(len(matrix)):
        for i in range(j):
            removed[j] |= distance[i, j] < 1.0
    return removed


def at_distance(profile, distance, random):
    step = random.normal(size=profile.shape)
    return profile + distance * step / np.linalg.norm(step)


@pytest.fixture
def random():
    return np.random.default_rng(7)


@pytest.fixture
def planted(random):
    """300 profiles × 200 probes: two in three stand alone, the others are near one of those."""
    alone = random.normal(8, 2, (200, 200))
    distances = [0, 1e-6, 0.5, 1 - 1e-6, 1 + 1e-6, 1.1, 2]
    near = [
        at_distance(alone[which], distances[which % len(distances)], random)
        for which in random.permutation(200)[:100]
    ]
    return random.permutation(np.concatenate([alone, near]))


def test_exact_agrees_with_all_pairs(planted):
    expected = naive(planted)
    assert 40 < expected.sum() < 70
    np.testing.assert_array_equal(duplicates_of(planted), expected)


@settings(deadline=None)
@given(
    st.data(),
    st.integers(1, 25).flatmap(
        lambda rows: st.integers(1, 6).flatmap(
            lambda columns: hnp.arrays(
                np.float64, (rows, columns), elements=st.floats(-3, 3, width=32)
            )
        )
    ),
)
def test_exact_agrees_with_all_pairs_whatever_the_data(data, matrix):
    """Crowded data: few probes, so that most pairs are near the threshold, and many coincide."""
    distance = cdist(matrix, matrix)
    assume(not np.any(np.abs(distance - 1) < 1e-9))
    size = data.draw(st.integers(1, 30))
    np.testing.assert_array_equal(duplicates_of(matrix, size=size), naive(matrix))


@settings(deadline=None)
@given(hnp.arrays(np.float64, (40, 3), elements=st.integers(-2, 2).map(float)))
def test_a_distance_of_exactly_one_is_no_duplicate(matrix):
    """Whole numbers: distances are 0, 1 or more, and the tree sees many ties."""
    expected = pd.DataFrame(matrix + 0.0).duplicated().to_numpy()
    np.testing.assert_array_equal(duplicates_of(matrix), expected)


@settings(deadline=None)
@given(hnp.arrays(np.float64, (40, 3), elements=st.integers(-4, 4).map(lambda n: n * 0.49)))
def test_ties_in_distance_hide_no_duplicate(matrix):
    np.testing.assert_array_equal(duplicates_of(matrix), naive(matrix))


@pytest.mark.parametrize("distance", [1 - 1e-9, 1 + 1e-9])
@pytest.mark.parametrize("offset", [0, 1e4])
def test_the_threshold_is_sharp_even_far_from_the_origin(random, distance, offset):
    """With as many directions as probes: the projection keeps the whole distance."""
    alone = random.normal(offset, 3, (50, 30))
    matrix = np.concatenate([alone, [at_distance(profile, distance, random) for profile in alone]])
    expected = np.arange(100) >= 50 if distance < 1 else np.zeros(100, np.bool_)
    np.testing.assert_array_equal(duplicates_of(matrix, size=100), expected)


def test_pairs_that_only_look_close_in_projection_are_kept(random):
    """The first block varies along few probes; the others differ along all the rest."""
    first = np.zeros((64, 300))
    first[:, :64] = random.normal(size=(64, 64))
    others = np.zeros((100, 300))
    others[:, 64:] = random.normal(0, 0.05, (100, 236))
    matrix = np.concatenate([first, others])
    expected = naive(matrix)
    assert not expected[:64].any()
    assert 0 < expected.sum() < 100
    np.testing.assert_array_equal(duplicates_of(matrix, size=64), expected)


def test_the_later_of_two_goes_whichever_comes_first_in_the_file(random):
    matrix = random.normal(8, 2, (10, 50))
    matrix[7] = at_distance(matrix[2], 0.5, random)
    assert np.flatnonzero(duplicates_of(matrix)).tolist() == [7]
    assert np.flatnonzero(duplicates_of(matrix[::-1])).tolist() == [7]  # what was profile 2


def test_a_profile_near_a_removed_one_goes_too():
    """A chain: each is near the one before it only, and all but the first are removed."""
    chain = np.zeros((30, 40))
    chain[:, 0] = 0.9 * np.arange(30)
    np.testing.assert_array_equal(duplicates_of(chain), np.arange(30) > 0)


def test_a_thousand_identical_profiles_leave_one(random):
    matrix = np.repeat(random.normal(8, 2, (1, 500)), 1000, axis=0)
    np.testing.assert_array_equal(duplicates_of(matrix, size=256), np.arange(1000) > 0)


def test_a_thousand_near_identical_profiles_leave_one(random):
    matrix = random.normal(8, 2, 500) + random.normal(0, 0.02, (1000, 500))
    np.testing.assert_array_equal(duplicates_of(matrix, size=256), np.arange(1000) > 0)


@pytest.mark.parametrize("rule", ["exact", "kmeans"])
def test_blocks_of_the_reader_do_not_matter(planted, rule):
    expected = duplicates_of(planted, rule, size=300)
    for size in (1, 7, 100):
        np.testing.assert_array_equal(duplicates_of(planted, rule, size=size), expected)


def test_a_source_in_single_precision_is_compared_in_double(random):
    """Steps of an eighth around 4096: exact in float32, while their squares are not."""
    matrix = np.float32(4096) + random.integers(0, 4, (200, 10)).astype(np.float32) / 8
    expected = naive(matrix)
    assert 0 < expected.sum() < 200
    np.testing.assert_array_equal(duplicates_of(matrix), expected)


@pytest.mark.parametrize("rule", ["exact", "kmeans"])
def test_one_profile_has_no_duplicate(rule):
    assert duplicates_of(np.ones((1, 5)), rule).tolist() == [False]


def test_the_second_pass_is_spared_when_nothing_is_close(random, tmp_path):
    reader = Given(random.normal(8, 2, (50, 100)))
    assert not find_duplicates(reader, "exact", folder=tmp_path).any()
    assert reader.passes == 1


def test_progress_covers_every_profile_in_every_pass(planted):
    steps = []
    duplicates_of(planted, progress=lambda *step: steps.append(step))
    messages = list(dict.fromkeys(message for _, _, message in steps))
    assert messages == ["looking for duplicates", "reading similar profiles"]
    assert {total for _, total, _ in steps} == {300}
    assert (300, 300, messages[0]) in steps


def test_an_interrupted_search_leaves_nothing(planted, tmp_path):
    def interrupt(done, total, message):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_duplicates(Given(planted), "kmeans", folder=tmp_path, progress=interrupt)
    assert list(tmp_path.iterdir()) == []


def test_kmeans_finds_some_of_what_exact_finds_and_nothing_else(planted):
    clustered, exact = duplicates_of(planted, "kmeans"), duplicates_of(planted)
    assert clustered.any()
    assert not (clustered & ~exact).any()


def test_kmeans_applies_the_rule_inside_the_published_clusters(planted):
    k_means = MiniBatchKMeans(n_clusters=100, max_iter=10, batch_size=1000, random_state=3)
    labels = k_means.fit_predict(planted)
    expected = np.zeros(len(planted), np.bool_)
    for label in range(100):
        members = np.flatnonzero(labels == label)
        expected[members] = naive(planted[members])
    np.testing.assert_array_equal(duplicates_of(planted, "kmeans", seed=3), expected)


def test_kmeans_depends_on_its_seed_and_misses_pairs_that_clusters_part():
    """A chain of close profiles, cut into a hundred clusters: one survives in each."""
    chain = np.zeros((400, 5))
    chain[:, 0] = 0.5 * np.arange(400)
    results = [duplicates_of(chain, "kmeans", seed=seed) for seed in (0, 0, 1)]
    np.testing.assert_array_equal(results[0], results[1])
    assert (results[0] != results[2]).any()
    assert 1 < (~results[0]).sum() <= 100
    assert (~duplicates_of(chain)).sum() == 1


def test_kmeans_without_scikit_learn_says_what_to_install(planted, monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.cluster", None)
    with pytest.raises(
        UserError, match=r"needs scikit-learn.*pip install 'genebench-suite\[sklearn\]'"
    ):
        duplicates_of(planted, "kmeans")


@pytest.mark.realdata
def test_the_arrays_of_u133_hold_no_duplicate(realdata, tmp_path):
    """The nearest two are 40 apart."""
    reader = GctxReader(realdata / "u133_n592x22215.gctx")
    assert not find_duplicates(reader, "exact", folder=tmp_path).any()
