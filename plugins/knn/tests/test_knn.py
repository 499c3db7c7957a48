"""KNN-GE and KNN against direct readings and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsRegressor

from genebench import Context
from genebench.catalog import catalog
from genebench.library import open_dataset
from genebench.moments import moments
from genebench.protocols import GEO, GTEX
from genebench_knn.genes import KNNGE, nearest_landmarks
from genebench_knn.profiles import KNN


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        tiny = open_dataset("sim", catalog().datasets, "tiny")
        yield {
            "train": tiny.profiles(GEO.train),
            "geo": tiny.profiles(GEO.select),
            "gtex": tiny.profiles(GTEX.select),
            "test": tiny.profiles(GEO.test),
        }


@pytest.fixture
def selections(parts):
    return {name: parts[name] for name in ("geo", "gtex")}


def test_knn_ge_averages_the_landmark_genes_nearest_over_training_profiles(parts, selections):
    models = KNNGE(k_max=10).fit(parts["train"], selections, Context())
    x, y = parts["train"].landmarks.astype(float), parts["train"].targets.astype(float)
    distance = np.array([np.linalg.norm(x - target[:, None], axis=0) for target in y.T])
    nearest = np.argsort(distance, axis=1)

    def predicted(landmarks, k):
        return np.array([landmarks[:, genes[:k]].mean(axis=1) for genes in nearest]).T

    for name, select in selections.items():
        errors = [
            np.abs(predicted(select.landmarks, k) - select.targets).mean() for k in range(1, 11)
        ]
        best = 1 + int(np.argmin(errors))
        assert models[name].choices == {"k": best}
        np.testing.assert_allclose(
            models[name].predict(parts["test"].landmarks),
            predicted(parts["test"].landmarks, best),
            atol=1e-5,
        )


def test_knn_predicts_as_scikit_learn_does_with_the_k_that_selects_best(parts, selections):
    models = KNN(k_max=12).fit(parts["train"], selections, Context())

    def peer(k):
        regressor = KNeighborsRegressor(k, algorithm="brute")
        return regressor.fit(parts["train"].landmarks.astype(float), parts["train"].targets)

    for name, select in selections.items():
        errors = [
            np.abs(peer(k).predict(select.landmarks.astype(float)) - select.targets).mean()
            for k in range(1, 13)
        ]
        best = 1 + int(np.argmin(errors))
        assert models[name].choices == {"k": best}
        expected = peer(best).predict(parts["test"].landmarks.astype(float))
        np.testing.assert_allclose(
            models[name].predict(parts["test"].landmarks), expected, atol=1e-5
        )


def test_more_neighbours_than_there_are_means_all_of_them(parts):
    from genebench_knn.profiles import TrainingSet

    train = parts["train"]
    training = TrainingSet(train)
    assert training.nearest(train.landmarks[:2], 10_000).shape == (2, len(train))
    ranked = nearest_landmarks(moments(train), 10_000)
    assert ranked.shape == (len(train.target_genes), len(train.landmark_genes))
    assert (np.sort(ranked, axis=1) == np.arange(len(train.landmark_genes))).all()
    for method, most in ((KNN, len(train)), (KNNGE, len(train.landmark_genes))):
        model = method(k_max=10_000).fit(train, {"geo": parts["geo"]}, Context())["geo"]
        assert 1 <= model.choices["k"] <= most


def test_equally_near_neighbours_are_taken_in_the_order_of_the_data(parts):
    from genebench_knn.profiles import TrainingSet

    training = TrainingSet(parts["train"])
    training._landmarks = np.zeros((6, 2))
    training._squares = np.zeros(6)
    assert training.nearest(np.zeros((1, 2), np.float32), 4).tolist() == [[0, 1, 2, 3]]


def test_block_size_does_not_change_a_prediction(parts, selections):
    for method in (KNN, KNNGE):
        model = method(k_max=5).fit(parts["train"], selections, Context())["geo"]
        landmarks = parts["test"].landmarks
        one_by_one = np.vstack([model.predict(landmarks[i : i + 1]) for i in range(len(landmarks))])
        np.testing.assert_allclose(model.predict(landmarks), one_by_one, atol=1e-9)
