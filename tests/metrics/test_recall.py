"""Recall, against naive numpy: correlate everything with everything, and count."""

from __future__ import annotations

import numpy as np
import pytest

from genebench.data.profiles import Profiles
from genebench.metrics import pairs as pairs_module
from genebench.metrics import recall
from genebench.metrics.pairs import Pairs
from genebench.metrics.recall import gene_recall, profile_recall

SHAPE = 50, 30


def made(truth, prediction):
    test = Profiles.from_arrays(np.empty((len(truth), 0)), truth)
    return Pairs(test, prediction.astype(np.float32))


def naive(truth, prediction):
    """Recall of each column."""
    number = truth.shape[1]
    result = []
    for j in range(number):
        r = np.array([_correlation(prediction[:, j], truth[:, k]) for k in range(number)])
        others = np.delete(r, j)
        tied = np.isclose(others, r[j], atol=1e-6, rtol=0)
        result.append(((others < r[j]) & ~tied).mean() + tied.mean() / 2)
    return np.array(result)


def _correlation(a, b):
    return 0.0 if np.ptp(a) == 0 or np.ptp(b) == 0 else np.corrcoef(a, b)[0, 1]


@pytest.fixture
def pair():
    """Genes that have much in common, so that they compete; some constants and duplicates."""
    random = np.random.default_rng(0)
    truth = random.normal(size=(SHAPE[0], 3)) @ random.normal(size=(3, SHAPE[1]))
    truth += 0.3 * random.normal(size=SHAPE) + random.normal(0, 3, SHAPE[1])
    prediction = truth + 0.8 * random.normal(size=SHAPE)
    truth[:, 4], prediction[:, 7], truth[:, 9] = 0.3, -1.7, truth[:, 8]
    return truth.astype(np.float32), prediction.astype(np.float32)


@pytest.fixture(params=["at once", "in parts"])
def memory(request, monkeypatch):
    """All blocks and correlations at once, and in several parts of each."""
    if request.param == "in parts":
        monkeypatch.setattr(pairs_module, "BLOCK_BYTES", 7 * 4 * 30)
        monkeypatch.setattr(recall, "CORRELATION_BYTES", 11 * 4 * 30)
        monkeypatch.setattr(recall, "_ROWS_AT_ONCE", 4)


@pytest.mark.usefixtures("memory")
def test_recall_of_genes_is_the_naive_count(pair):
    expected = naive(*(values.astype(np.float64) for values in pair))
    np.testing.assert_allclose(gene_recall(made(*pair)), expected, atol=1e-12)


@pytest.mark.usefixtures("memory")
def test_recall_of_profiles_is_the_naive_count(pair):
    expected = naive(*(values.T.astype(np.float64) for values in pair))
    np.testing.assert_allclose(profile_recall(made(*pair)), expected, atol=1e-12)


def test_a_perfect_prediction_is_always_recalled(pair):
    truth = np.random.default_rng(1).normal(size=SHAPE)
    np.testing.assert_array_equal(gene_recall(made(truth, truth)), 1.0)
    np.testing.assert_array_equal(profile_recall(made(truth, truth)), 1.0)


def test_a_prediction_of_another_gene_is_recalled_last():
    truth = np.random.default_rng(1).normal(size=SHAPE)
    np.testing.assert_array_equal(gene_recall(made(truth, -truth)), 0.0)


def test_a_constant_prediction_is_recalled_by_chance(pair):
    truth, _ = pair
    np.testing.assert_array_equal(gene_recall(made(truth, np.ones(SHAPE))), 0.5)


def test_a_tie_counts_half():
    random = np.random.default_rng(2)
    truth = random.normal(size=(40, 3))
    truth[:, 1] = truth[:, 0]
    prediction = truth + 0.1 * random.normal(size=truth.shape)
    assert gene_recall(made(truth, prediction)).tolist() == [0.75, 0.75, 1.0]


def test_a_gene_without_competitors_is_recalled_by_chance():
    values = np.random.default_rng(3).normal(size=(20, 1))
    assert gene_recall(made(values, values)).tolist() == [0.5]


def test_pairs_give_every_value_once_in_either_direction(pair, monkeypatch):
    monkeypatch.setattr(pairs_module, "BLOCK_BYTES", 7 * 4 * 30)
    result = made(*pair)
    for blocks, axis in ((result.by_genes(), 1), (result.by_profiles(), 0)):
        parts = list(blocks)
        assert len(parts) > 2
        for which, whole in enumerate(pair):
            joined = np.concatenate([part[which] for part in parts], axis=axis)
            np.testing.assert_array_equal(joined, whole)


def test_what_pairs_give_cannot_be_changed(pair):
    for blocks in (made(*pair).by_genes(), made(*pair).by_profiles()):
        for block in next(blocks):
            with pytest.raises(ValueError, match="read-only"):
                block[0, 0] = 1
