"""K-means clusters, against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.datasets import make_blobs
from sklearn.metrics import adjusted_rand_score

from genebench import UserError
from genebench.explaining.clusters import k_means


def squares(values, labels):
    return sum(
        np.square(values[labels == each] - values[labels == each].mean(0)).sum()
        for each in np.unique(labels)
    )


def test_clear_clusters_are_found():
    values, truth = make_blobs(200, 5, centers=6, cluster_std=0.3, random_state=0)
    assert adjusted_rand_score(truth, k_means(values, 6)) == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_sum_of_squares_is_about_that_of_scikit_learn(seed):
    values = np.random.default_rng(seed).standard_normal((300, 8))
    peer = KMeans(10, n_init=10, random_state=seed).fit(values).labels_
    assert squares(values, k_means(values, 10, seed)) < 1.02 * squares(values, peer)


def test_clusters_are_numbered_by_size_and_none_is_empty():
    values = np.random.default_rng(0).standard_normal((60, 2))
    values[:40] = np.repeat(values[:2], 20, axis=0)
    sizes = np.bincount(k_means(values, 20))
    assert len(sizes) == 20
    assert sizes.min() > 0
    assert (np.diff(sizes) <= 0).all()


def test_as_many_clusters_as_rows_are_the_rows():
    values = np.random.default_rng(0).standard_normal((12, 3))
    assert sorted(k_means(values, 12)) == list(range(12))


def test_the_seed_decides():
    values = np.random.default_rng(0).standard_normal((200, 4))
    np.testing.assert_array_equal(k_means(values, 15, 1), k_means(values, 15, 1))
    assert (k_means(values, 15, 1) != k_means(values, 15, 2)).any()


def test_more_clusters_than_different_rows_are_refused():
    with pytest.raises(UserError, match="20 clusters of 3 different rows"):
        k_means(np.repeat(np.eye(3), 10, axis=0), 20)
