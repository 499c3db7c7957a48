"""LSR against least squares of numpy, and LSR-L2 against scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge

from genebench import Context, Profiles, UserError
from genebench_linear import path
from genebench_linear.l1 import LSRL1
from genebench_linear.method import LSR, LSRL2

L1 = {"lambdas": 8, "lambda_min": 1e-3, "patience": 0, "gap": 1e-6, "iterations": 10_000}
PATHS = [
    LSRL1(**L1, per_gene=False),
    LSRL1(**L1, per_gene=True),
    LSRL2(lambda_min=0.01, lambda_max=1e4, lambdas=13, per_gene=False),
    LSRL2(lambda_min=0.01, lambda_max=1e4, lambdas=13, per_gene=True),
]


def simulated(n, p, t=4, seed=0):
    random = np.random.default_rng(seed)
    weights = np.random.default_rng(99).normal(size=(p, t))
    x = random.normal(0.5, 1, (n, p))
    y = x @ weights / np.sqrt(p) + random.normal(0.2, 0.5, (n, t))
    return Profiles.from_arrays(x, y)


def fitted(method, train, validation, **params):
    return method(**params).fit(train, {"s": validation}, Context())["s"]


def least_squares(train, landmarks):
    """Predict as least squares of numpy does, with the smallest weights of those that fit as well.

    LinearRegression of scikit-learn 1.5 keeps directions that are noise (its issue 29818).
    """
    x, y = train.landmarks.astype(float), train.targets.astype(float)
    centre = x.mean(axis=0)
    weights = np.linalg.lstsq(x - centre, y - y.mean(axis=0), rcond=1e-6)[0]
    return (landmarks - centre) @ weights + y.mean(axis=0)


def awkward(case):
    """Training and test landmarks, twelve of each, that have something that is seldom tried."""
    random = np.random.default_rng(0)
    n = 10 if case == "fewer profiles than landmarks" else 60
    x, test = random.normal(0.5, 1, (n, 12)), random.normal(0.5, 1, (15, 12))
    for part in (x, test):
        if case == "constant landmark":
            part[:, 4] = 1.5
        if case == "duplicated landmark":
            part[:, 5] = part[:, 0]
        if case == "rank-deficient":
            part[:, 8:] = part[:, :5] @ np.random.default_rng(1).normal(size=(5, 4))
    return (x[:, :1], test[:, :1]) if case == "one landmark" else (x, test)


CASES = [
    "plain", "constant landmark", "duplicated landmark", "rank-deficient", "one landmark",
    "fewer profiles than landmarks",
]  # fmt: skip


@pytest.mark.parametrize("t", [1, 3])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("penalty", [None, 1e-3, 1.0, 300.0])
def test_others_predict_the_same_of_awkward_landmarks(penalty, case, t):
    """The others are least squares of numpy, and ridge regression of scikit-learn."""
    x, test = awkward(case)
    random = np.random.default_rng(2)
    y = x @ random.normal(size=(x.shape[1], t)) + random.normal(0.2, 0.5, (len(x), t))
    train, test = Profiles.from_arrays(x, y), test.astype(np.float32)
    if penalty is None:
        expected, model = least_squares(train, test), fitted(LSR, train, train)
    else:
        grid = {"lambda_min": penalty, "lambda_max": penalty, "lambdas": 1, "per_gene": False}
        peer = Ridge(alpha=penalty).fit(train.landmarks.astype(float), train.targets.astype(float))
        model = fitted(LSRL2, train, train, **grid)
        expected = peer.predict(test.astype(float)).reshape(len(test), t)
    np.testing.assert_allclose(model.predict(test), expected, atol=1e-4)


@pytest.mark.parametrize(("n", "p"), [(200, 20), (30, 80), (50, 50), (40, 1)])
def test_lsr_predicts_as_numpy_does_also_when_under_determined(n, p):
    train, test = simulated(n, p), simulated(15, p, seed=1)
    model = fitted(LSR, train, test)
    expected = least_squares(train, test.landmarks)
    np.testing.assert_allclose(model.predict(test.landmarks), expected, atol=1e-4)


def test_lsr_says_when_it_is_under_determined_and_only_then():
    assert "rank 29 of 80" in fitted(LSR, simulated(30, 80), simulated(9, 80)).notes[0]
    assert fitted(LSR, simulated(200, 20), simulated(9, 20)).notes == ()


def test_lsr_copes_with_duplicated_and_constant_landmarks():
    x = np.random.default_rng(0).normal(size=(50, 5))
    x[:, 3], x[:, 4] = x[:, 0], 2.0
    y = x[:, :2] * 3.0 + 1.0
    model = fitted(LSR, Profiles.from_arrays(x, y), Profiles.from_arrays(x, y))
    np.testing.assert_allclose(model.predict(x.astype(np.float32)), y, atol=1e-4)


@pytest.mark.parametrize("penalty", [1e-3, 1.0, 300.0])
@pytest.mark.parametrize(("n", "p"), [(200, 20), (30, 80)])
def test_lsr_l2_predicts_as_scikit_learns_ridge_of_the_same_alpha(n, p, penalty):
    train, test = simulated(n, p), simulated(15, p, seed=1)
    model = fitted(
        LSRL2, train, test, lambda_min=penalty, lambda_max=penalty, lambdas=1, per_gene=False
    )
    peer = Ridge(alpha=penalty).fit(train.landmarks.astype(float), train.targets.astype(float))
    expected = peer.predict(test.landmarks.astype(float))
    np.testing.assert_allclose(model.predict(test.landmarks), expected, atol=1e-4)
    assert model.choices == {"lambda": penalty}


def test_lambda_is_the_one_with_the_smallest_mae_on_the_validation_profiles():
    train, validation = simulated(40, 60), simulated(25, 60, seed=2)
    grid = np.geomspace(0.01, 1e4, 13)
    x, y = train.landmarks.astype(float), train.targets.astype(float)
    errors = [
        np.abs(Ridge(alpha=a).fit(x, y).predict(validation.landmarks) - validation.targets).mean()
        for a in grid
    ]
    model = fitted(
        LSRL2, train, validation, lambda_min=0.01, lambda_max=1e4, lambdas=13, per_gene=False
    )
    assert model.choices["lambda"] == pytest.approx(grid[np.argmin(errors)])
    assert model.notes == ()


def test_with_per_gene_each_target_gets_the_lambda_that_is_best_for_itself():
    train, validation = simulated(40, 60, t=6), simulated(25, 60, t=6, seed=2)
    grid = np.geomspace(0.01, 1e4, 13)
    x, y = train.landmarks.astype(float), train.targets.astype(float)
    peers = [Ridge(alpha=penalty).fit(x, y) for penalty in grid]
    errors = [
        np.abs(p.predict(validation.landmarks) - validation.targets).mean(axis=0) for p in peers
    ]
    best = np.argmin(errors, axis=0)
    assert len(set(best)) > 1, "the example must have different ones"
    model = fitted(
        LSRL2, train, validation, lambda_min=0.01, lambda_max=1e4, lambdas=13, per_gene=True
    )
    np.testing.assert_allclose(model.per_target["lambda"], grid[best])
    assert model.choices == {"lambda": "one per gene"}
    expected = np.stack(
        [peers[i].predict(validation.landmarks)[:, target] for target, i in enumerate(best)], 1
    )
    np.testing.assert_allclose(model.predict(validation.landmarks), expected, atol=1e-4)


def test_the_whole_path_is_kept():
    train, validation = simulated(40, 60), simulated(25, 60, seed=2)
    model = fitted(
        LSRL2, train, validation, lambda_min=0.1, lambda_max=10.0, lambdas=3, per_gene=False
    )
    path = model.curves["path"]
    np.testing.assert_allclose(path["lambda"], [0.1, 1, 10])
    x, y = train.landmarks.astype(float), train.targets.astype(float)
    peers = [Ridge(alpha=penalty).fit(x, y) for penalty in path["lambda"]]
    errors = [
        np.abs(peer.predict(validation.landmarks) - validation.targets).mean() for peer in peers
    ]
    np.testing.assert_allclose(path["mae"], errors, rtol=1e-5)


@pytest.mark.parametrize(
    "method", [LSR(), LSRL2(lambda_min=1, lambda_max=1, lambdas=1, per_gene=False)]
)
def test_a_restored_model_predicts_the_same(method):
    train, test = simulated(40, 60), simulated(9, 60, seed=1)
    model = method.fit(train, {"s": test}, Context())["s"]
    again = method.restore(model.tensors(), Context())
    np.testing.assert_array_equal(again.predict(test.landmarks), model.predict(test.landmarks))


@pytest.mark.parametrize("t", [1, 3])
def test_read_only_landmarks_are_taken_and_left_alone(t):
    train = simulated(40, 6, t=t)
    landmarks = simulated(9, 6, t=t, seed=1).landmarks
    landmarks.setflags(write=False)
    assert fitted(LSR, train, train).predict(landmarks).shape == (9, t)


def test_each_validation_set_gets_its_own_lambda_from_one_fit():
    train = simulated(40, 60)
    sets = {"near": simulated(25, 60, seed=2), "noise": Profiles.from_arrays(
        np.random.default_rng(1).normal(size=(25, 60)), np.zeros((25, 4))
    )}  # fmt: skip
    models = LSRL2(lambda_min=0.01, lambda_max=1e6, lambdas=17, per_gene=False).fit(
        train, sets, Context()
    )
    assert models["noise"].choices["lambda"] > models["near"].choices["lambda"]


def test_a_lambda_at_the_edge_of_the_grid_is_said():
    noise = Profiles.from_arrays(np.random.default_rng(1).normal(size=(25, 60)), np.zeros((25, 4)))
    model = fitted(
        LSRL2, simulated(40, 60), noise, lambda_min=0.01, lambda_max=1.0, lambdas=3, per_gene=False
    )
    assert "lambda_max" in model.notes[0]


def test_a_grid_upside_down_is_the_users_error():
    with pytest.raises(UserError, match=r"lambda_min=10 is above lambda_max=1"):
        fitted(
            LSRL2,
            simulated(9, 2),
            simulated(9, 2),
            lambda_min=10.0,
            lambda_max=1.0,
            lambdas=3,
            per_gene=False,
        )


class Unkept(Profiles):
    """Profiles that may be read in blocks only."""

    @property
    def landmarks(self):
        raise AssertionError("all landmarks at once")

    @property
    def targets(self):
        raise AssertionError("all targets at once")


@pytest.mark.parametrize("method", PATHS)
def test_a_validation_set_is_never_whole_and_its_blocks_change_nothing(method, monkeypatch):
    train, validation = simulated(40, 60), simulated(25, 60, seed=2)
    whole = method.fit(train, {"s": validation}, Context())["s"]
    monkeypatch.setattr(path, "PROFILES_PER_BLOCK", 7)
    validation.__class__ = Unkept
    blocks = method.fit(train, {"s": validation}, Context())["s"]
    np.testing.assert_allclose(blocks.curves["path"]["mae"], whole.curves["path"]["mae"], rtol=1e-6)
    assert torch.equal(blocks.weights, whole.weights)
    assert torch.equal(blocks.bias, whole.bias)


def test_progress_reaches_the_size_of_the_validation_set():
    train, validation = simulated(40, 60), simulated(25, 60, seed=2)
    steps = []
    context = Context(progress=lambda *step: steps.append(step))
    PATHS[2].fit(train, {"s": validation}, context)
    assert steps[-1] == (25, 25, "choosing λ")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("method", [LSR(), *PATHS])
def test_both_devices_agree(method):
    train, validation = simulated(2000, 60, t=30), simulated(300, 60, t=30, seed=1)
    cpu, cuda = (
        method.fit(train, {"s": validation}, Context(device=device))["s"]
        for device in ("cpu", "cuda")
    )
    if cpu.curves:
        on_cuda, on_cpu = cuda.curves["path"], cpu.curves["path"]
        np.testing.assert_allclose(on_cuda["lambda"], on_cpu["lambda"], rtol=1e-9)
        np.testing.assert_allclose(on_cuda["mae"], on_cpu["mae"], rtol=1e-5)
    np.testing.assert_allclose(
        cuda.predict(validation.landmarks), cpu.predict(validation.landmarks), atol=1e-4
    )


@pytest.mark.parametrize("method", [LSR, LSRL2])
def test_relevance_is_landmark_times_weight(method):
    params = {"lambda_min": 1.0, "lambda_max": 1.0, "lambdas": 1, "per_gene": False}
    model = fitted(
        method, simulated(60, 12), simulated(60, 12), **params if method is LSRL2 else {}
    )
    x, weights = simulated(9, 12, seed=5).landmarks, np.array([1.0, -2.0, 0.0, 0.5])
    tensors = {name: value.astype(float) for name, value in model.tensors().items()}
    for rule in model.relevance_rules:
        found = model.relevance(x, weights, rule)
        np.testing.assert_allclose(found.values, x * (tensors["weights"] @ weights), atol=1e-6)
        np.testing.assert_allclose(found.rest, tensors["bias"] @ weights, atol=1e-6)
        np.testing.assert_allclose(found.output, model.predict(x) @ weights, atol=1e-5)
