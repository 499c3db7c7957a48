"""KNN-GE and KNN against direct readings and scikit-learn."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.neighbors import KNeighborsRegressor, NearestNeighbors

from genebench import Context, Profiles
from genebench.data.standardisation import Standardiser
from genebench.moments import moments
from genebench_knn import averages, search
from genebench_knn.averages import Choice
from genebench_knn.genes import KNNGE, nearest_landmarks
from genebench_knn.profiles import KNN
from genebench_knn.search import ExactSearch

METHODS = (KNN, KNNGE)


def profiles(landmarks, targets):
    """Profiles around two arrays; they are taken as they are, not standardised again."""
    values = np.hstack([landmarks, targets]).astype(np.float32)
    genes = [
        pd.DataFrame({"twin": False}, index=[f"{role}{i}" for i in range(array.shape[1])])
        for role, array in (("L", landmarks), ("T", targets))
    ]
    return Profiles(
        expression=values,
        rows=np.arange(len(values)),
        standardiser=Standardiser(np.zeros(values.shape[1]), np.full(values.shape[1], 1 - 1e-3)),
        profiles=pd.DataFrame(index=range(len(values))),
        landmark_genes=genes[0],
        target_genes=genes[1],
    )


def simulated(n, p=20, t=7, seed=0):
    """Profiles of a few common factors, as expression is."""
    random = np.random.default_rng(seed)
    loadings = np.random.default_rng(99).normal(size=(4, p + t))
    values = random.normal(size=(n, 4)) @ loadings / 2 + random.normal(0, 0.5, (n, p + t))
    return profiles(values[:, :p], values[:, p:])


def fitted(method, train, validation, **params):
    return method(**({"k_max": 12} | params)).fit(train, {"s": validation}, Context())["s"]


def exact(points):
    return ExactSearch([points], points.shape, "cpu")


def brute(points, queries, k):
    """Neighbours by direct distances in float64; ties by position."""
    distance = np.array([((points.astype(float) - q) ** 2).sum(axis=1) for q in queries])
    return np.argsort(distance, axis=1, kind="stable")[:, :k]


def naive_knn_ge(train, landmarks, k):
    """Gene by gene: distances over the training profiles, sort, average."""
    x, y = train.landmarks.astype(float), train.targets.astype(float)
    predicted = []
    for target in y.T:
        distance = ((x - target[:, None]) ** 2).sum(axis=0)
        nearest = np.argsort(distance, kind="stable")[:k]
        predicted.append(landmarks[:, nearest].astype(float).mean(axis=1))
    return np.array(predicted).T


def peer_knn(train, landmarks, k):
    peer = KNeighborsRegressor(k, algorithm="brute")
    peer.fit(train.landmarks.astype(float), train.targets.astype(float))
    return peer.predict(landmarks.astype(float))


REFERENCE = {KNN: peer_knn, KNNGE: naive_knn_ge}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("shape", [(300, 20, 7), (90, 1, 5), (90, 15, 1), (8, 3, 3)])
def test_predictions_and_the_path_of_k_are_those_of_the_reference(method, shape):
    n, p, t = shape
    train, validation, test = (simulated(m, p, t, s) for s, m in enumerate((n, 70, 30)))
    model = fitted(method, train, validation)
    most = min(12, n if method is KNN else p)
    path = [
        np.abs(REFERENCE[method](train, validation.landmarks, k) - validation.targets).mean()
        for k in range(1, most + 1)
    ]
    best = 1 + int(np.argmin(path))
    assert model.choices == {"k": best}
    assert model.curves["path"]["k"] == list(range(1, most + 1))
    np.testing.assert_allclose(model.curves["path"]["mae"], path, rtol=1e-5)
    expected = REFERENCE[method](train, test.landmarks, best)
    np.testing.assert_allclose(model.predict(test.landmarks), expected, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_each_validation_set_gets_its_own_k_whatever_the_others(method):
    train = simulated(300)
    sets = {"near": simulated(60, seed=1), "noise": profiles(
        np.random.default_rng(1).normal(size=(60, 20)), np.zeros((60, 7))
    )}  # fmt: skip
    models = method(k_max=12).fit(train, sets, Context())
    assert models["near"].choices["k"] != models["noise"].choices["k"]
    for name, validation in sets.items():
        assert models[name].curves == fitted(method, train, validation).curves


def test_neighbours_are_those_of_scikit_learn():
    points, queries = simulated(3000, 60).landmarks, simulated(200, 60, seed=1).landmarks
    peer = NearestNeighbors(algorithm="brute").fit(points.astype(float))
    expected = peer.kneighbors(queries.astype(float), 50, return_distance=False)
    np.testing.assert_array_equal(exact(points).nearest(queries, 50), expected)


def test_neighbours_are_exact_where_float32_products_cancel():
    # Far from the origin a float32 |x|² − 2q·x cannot tell these points apart.
    random = np.random.default_rng(0)
    points = (1000 + random.normal(size=(2000, 30)) / 10).astype(np.float32)
    queries = (1000 + random.normal(size=(20, 30)) / 10).astype(np.float32)
    values = (points**2).sum(1) - 2 * queries @ points.T
    assert (np.argsort(values, axis=1)[:, :20] != brute(points, queries, 20)).any()
    np.testing.assert_array_equal(exact(points).nearest(queries, 20), brute(points, queries, 20))


def test_equally_near_neighbours_are_taken_in_the_order_of_the_data():
    # Coordinates of 0 and 1 give many exact ties, among them whole duplicates: far more than are
    # candidates at first.
    random = np.random.default_rng(0)
    points = random.integers(0, 2, (900, 4)).astype(np.float32)
    queries = random.integers(0, 2, (30, 4)).astype(np.float32)
    for k in (1, 5, 40):
        np.testing.assert_array_equal(exact(points).nearest(queries, k), brute(points, queries, k))


def test_more_neighbours_than_there_are_means_all_of_them():
    train, validation = simulated(9, 5), simulated(9, 5, seed=1)
    neighbours = exact(train.landmarks).nearest(validation.landmarks, 10_000)
    np.testing.assert_array_equal(neighbours, brute(train.landmarks, validation.landmarks, 9))
    ranked = nearest_landmarks(moments(train), 10_000)
    np.testing.assert_array_equal(np.sort(ranked, axis=1), [np.arange(5)] * 7)
    for method, most in ((KNN, 9), (KNNGE, 5)):
        model = fitted(method, train, validation, k_max=10_000)
        assert model.curves["path"]["k"][-1] == most


def test_duplicated_landmarks_are_ranked_in_the_order_of_the_map():
    x = np.random.default_rng(0).normal(size=(500, 4))
    x = x[:, [0, 1, 2, 3, 1, 0, 2, 3] * 4]
    train = profiles(x, simulated(500).targets)
    distance = [((x.astype(np.float32) - y[:, None]) ** 2).sum(axis=0) for y in train.targets.T]
    expected = np.argsort(np.round(distance, 2), axis=1, kind="stable")
    np.testing.assert_array_equal(nearest_landmarks(moments(train), 50), expected)


@pytest.mark.parametrize("method", METHODS)
def test_constant_genes_are_no_trouble(method):
    train, validation = (simulated(80, seed=seed) for seed in (0, 1))
    landmarks, targets = train.landmarks.copy(), train.targets.copy()
    landmarks[:, :3], targets[:, 0] = 0, 2
    train = profiles(landmarks, targets)
    model = fitted(method, train, validation)
    expected = REFERENCE[method](train, validation.landmarks, model.choices["k"])
    np.testing.assert_allclose(model.predict(validation.landmarks), expected, atol=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_how_profiles_are_cut_into_blocks_changes_no_bit_of_a_prediction(method):
    train, test = simulated(300), simulated(600, seed=2)
    model = fitted(method, train, simulated(40, seed=1))
    whole = model.predict(test.landmarks)
    for size in (1, 7, 256):
        parts = [
            model.predict(test.landmarks[start : start + size]) for start in range(0, 600, size)
        ]
        np.testing.assert_array_equal(np.vstack(parts), whole)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size", [1, 5])
def test_how_the_work_is_cut_changes_the_path_by_rounding_alone(method, size, monkeypatch):
    train, validation = simulated(200), simulated(40, seed=1)
    whole = fitted(method, train, validation)
    monkeypatch.setattr(search, "QUERIES_PER_BLOCK", size)
    monkeypatch.setattr(search, "PAIRS_PER_BLOCK", size)
    monkeypatch.setattr(averages, "SUMS_PER_TILE", 13)
    cut = fitted(method, train, validation)
    np.testing.assert_allclose(cut.curves["path"]["mae"], whole.curves["path"]["mae"], rtol=1e-6)
    np.testing.assert_array_equal(
        cut.predict(validation.landmarks), whole.predict(validation.landmarks)
    )


def test_searching_leaves_the_precision_that_others_chose_and_does_not_use_it():
    points, queries = simulated(500, 40).landmarks, simulated(50, 40, seed=1).landmarks
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        neighbours = exact(points).nearest(queries, 9)
        assert torch.get_float32_matmul_precision() == "medium"
    finally:
        torch.set_float32_matmul_precision(before)
    np.testing.assert_array_equal(neighbours, brute(points, queries, 9))


def test_a_restored_knn_ge_predicts_the_same():
    model = fitted(KNNGE, simulated(200), simulated(40, seed=1))
    restored = KNNGE(k_max=12).restore(model.tensors(), Context())
    test = simulated(30, seed=2).landmarks
    np.testing.assert_array_equal(restored.predict(test), model.predict(test))
    assert restored.choices == model.choices


def test_knn_says_that_it_cannot_be_saved():
    model = fitted(KNN, simulated(200), simulated(40, seed=1))
    assert model.tensors() == {}
    with pytest.raises(NotImplementedError, match="KNN cannot be saved"):
        KNN(k_max=12).restore({}, Context())


@pytest.mark.parametrize("method", METHODS)
def test_progress_reaches_the_size_of_the_validation_set(method):
    steps = []
    context = Context(progress=lambda done, total, what: steps.append((what, done, total)))
    method(k_max=3).fit(simulated(90), {"s": simulated(1100, seed=1)}, context)
    choosing = [(done, total) for what, done, total in steps if what == "choosing k"]
    assert choosing[-1] == (1100, 1100)
    assert choosing == sorted(set(choosing))
    assert len(choosing) > 1


def test_the_smallest_k_of_equals_is_chosen_and_an_edge_is_said():
    assert Choice.of(np.array([2.0, 1.0, 1.0]), 3).k == 2
    assert Choice.of(np.array([2.0, 1.0, 1.0]), 3).notes == ()
    assert "k=2 is the largest tried" in Choice.of(np.array([2.0, 1.0]), 2).notes[0]
    # One neighbour was asked for, or there are no more: nothing to raise.
    assert Choice.of(np.array([2.0]), 1).notes == ()
    assert Choice.of(np.array([2.0, 1.0]), 50).notes == ()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("method", METHODS)
def test_both_devices_agree(method):
    train, validation = simulated(5000, 60), simulated(300, 60, seed=1)
    cpu, cuda = (
        method(k_max=50).fit(train, {"s": validation}, Context(device=device))["s"]
        for device in ("cpu", "cuda")
    )
    assert cuda.choices == cpu.choices
    np.testing.assert_allclose(cuda.curves["path"]["mae"], cpu.curves["path"]["mae"], rtol=1e-6)
    np.testing.assert_array_equal(
        cuda.predict(validation.landmarks), cpu.predict(validation.landmarks)
    )


def test_the_nearest_landmarks_of_a_target_share_its_weight():
    train, test = simulated(60), simulated(9, seed=1)
    model = fitted(KNNGE, train, test)
    weights = np.array([1.0, -2.0, 0.0, 0.5, 0.0, 3.0, 1.0])
    found = model.relevance(test.landmarks, weights, "exact")
    slopes = np.zeros(20)
    for weight, nearest in zip(weights, model.neighbours.numpy(), strict=True):
        for landmark in nearest:
            slopes[landmark] += weight / len(nearest)
    np.testing.assert_allclose(found.values, test.landmarks * slopes, atol=1e-6)
    np.testing.assert_allclose(found.output, model.predict(test.landmarks) @ weights, atol=1e-5)
    assert (found.rest == 0).all()


def test_knn_has_no_relevance_of_its_own():
    model = fitted(KNN, simulated(30), simulated(5))
    assert model.relevance_rules == ()
    with pytest.raises(NotImplementedError, match="NearestProfiles has no relevance"):
        model.relevance(simulated(2).landmarks, np.ones(7), "exact")
