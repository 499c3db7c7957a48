"""Principal components against a full decomposition."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from sklearn.decomposition import PCA

from genebench.explaining.components import components


@pytest.fixture(scope="module")
def expression():
    random = np.random.default_rng(0)
    factors = random.normal(size=(70, 5)) * (5, 4, 3, 2, 1)
    values = factors @ random.normal(size=(5, 30)) + random.normal(0, 0.01, (70, 30)) + 3
    return values.astype(np.float32)


def blocks_of(values, size):
    return lambda: (values[start : start + size] for start in range(0, len(values), size))


def test_distances_of_profiles_are_those_of_a_full_decomposition(expression):
    found = components(blocks_of(expression, 16), 5, seed=0)
    pca = PCA(5, svd_solver="full").fit(expression.astype(float))
    expected = pca.transform(expression)
    np.testing.assert_allclose(pdist(found.profiles), pdist(expected), rtol=1e-6)
    assert found.explained == pytest.approx(pca.explained_variance_ratio_.sum(), rel=1e-6)


def test_distances_of_genes_are_those_of_their_centred_values(expression):
    found = components(blocks_of(expression, 70), 5, seed=0)
    centred = (expression - expression.mean(axis=0)).T
    np.testing.assert_allclose(pdist(found.genes), pdist(centred), rtol=0.05)


def test_blocks_do_not_change_the_result(expression):
    one, many = (components(blocks_of(expression, size), 4, seed=1) for size in (70, 3))
    np.testing.assert_allclose(pdist(one.genes), pdist(many.genes), rtol=1e-9)


def test_there_are_never_more_components_than_profiles_or_genes(expression):
    assert components(blocks_of(expression[:4], 2), 50, seed=0).profiles.shape == (4, 4)
    assert components(blocks_of(expression[:, :3], 9), 50, seed=0).genes.shape == (3, 3)


def test_constant_expression_has_no_variance_to_explain():
    found = components(blocks_of(np.ones((6, 4), np.float32), 6), 2, seed=0)
    assert np.abs(found.profiles).max() == 0
    assert found.explained == 1
