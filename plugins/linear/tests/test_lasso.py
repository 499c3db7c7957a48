"""The lasso on moments, and LSR-L1, against scikit-learn and the definitions."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Lasso as Peer

from genebench import Context, Profiles
from genebench.moments import moments
from genebench_linear.l1 import LSRL1
from genebench_linear.lasso import Lasso, Products, relative_gap

FINE = 1e-10


def simulated(n=120, p=30, t=6, seed=0):
    """Landmarks that share factors, as genes do; targets that a few of them explain."""
    random = np.random.default_rng(seed)
    constants = np.random.default_rng(99)
    loadings = constants.normal(size=(5, p))
    weights = constants.normal(size=(p, t)) * (constants.random((p, t)) < 0.3)
    x = random.normal(size=(n, 5)) @ loadings + 0.5 * random.normal(size=(n, p)) + 0.5
    y = x @ weights / np.sqrt(p) + random.normal(0.2, 0.5, (n, t))
    return x, y


def awkward(case):
    x, y = simulated()
    if case == "rank-deficient":
        x[:, 20:] = x[:, :10] @ np.random.default_rng(1).normal(size=(10, 10))
    if case == "constant landmark":
        x[:, 4] = 1.5
    if case == "duplicated landmark":
        x[:, 5] = x[:, 0]
    if case == "constant target":
        y[:, 2] = 0.7
    if case == "a target that is a landmark":
        y[:, 0] = x[:, 3]
    if case == "unequal scales":
        x[:, :4] *= 20
    return x, y


CASES = [
    "plain", "rank-deficient", "constant landmark", "duplicated landmark", "constant target",
    "a target that is a landmark", "unequal scales",
]  # fmt: skip
SIZES = [(120, 30, 6), (20, 60, 6), (60, 60, 3), (120, 30, 1), (80, 1, 4), (25, 1, 1)]


def solved(x, y, ratio, *, start=None, gap=FINE, iterations=100_000, **options):
    train_moments = moments(Profiles.from_arrays(x, y))
    lasso = Lasso(train_moments, gap=gap, iterations=iterations, **options)
    solution = lasso.solve(ratio * lasso.penalty_max, start or lasso.zero())
    return solution, ratio * lasso.penalty_max, lasso


def centred(x, y):
    """Return the values that moments are taken of: float32 input, in float64, less its means."""
    x, y = (part.astype(np.float32).astype(float) for part in (x, y))
    return x - x.mean(0), y - y.mean(0)


def products(x, y):
    return Products(*(torch.from_numpy(part) for part in (x.T @ x, x.T @ y, (y**2).sum(0))))


def check_optimal(weights, penalty, x, y):
    """The conditions of Karush, Kuhn and Tucker, on every target."""
    x, y = centred(x, y)
    pull = x.T @ (y - x @ weights) / (penalty / 2)
    used = weights != 0
    np.testing.assert_allclose(pull[used], np.sign(weights[used]), atol=1e-3)
    assert (np.abs(pull) <= 1 + 1e-3).all()


@pytest.mark.parametrize("ratio", [0.3, 0.03, 0.003])
@pytest.mark.parametrize("case", CASES)
def test_every_target_is_at_its_optimum(case, ratio):
    x, y = awkward(case)
    solution, penalty, _ = solved(x, y, ratio)
    assert float(solution.gap.max()) <= FINE
    check_optimal(solution.weights.numpy(), penalty, x, y)


@pytest.mark.parametrize("ratio", [0.3, 0.01])
@pytest.mark.parametrize("size", SIZES)
def test_it_predicts_as_scikit_learns_lasso_with_lambda_of_twice_n_alpha(size, ratio):
    x, y = simulated(*size)
    solution, penalty, _ = solved(x, y, ratio)
    x, y = centred(x, y)
    peer = Peer(alpha=penalty / (2 * len(x)), tol=1e-10, max_iter=1_000_000).fit(x, y)
    expected = peer.predict(x).reshape(y.shape)
    np.testing.assert_allclose(x @ solution.weights.numpy(), expected, atol=1e-4)


def test_at_the_default_gap_the_objective_is_as_near_its_minimum_as_said():
    x, y = simulated(400, 30, 6)
    loose, penalty, _ = solved(x, y, 0.01, gap=1e-4)
    fine, _, _ = solved(x, y, 0.01)
    x, y = centred(x, y)

    def objective(weights):
        weights = weights.double().numpy()
        return ((y - x @ weights) ** 2).sum(0) + penalty * np.abs(weights).sum(0)

    excess = (objective(loose.weights) - objective(fine.weights)) / (y**2).sum(0)
    assert (excess <= loose.gap.numpy() + 1e-7).all()
    assert float(loose.gap.max()) <= 1e-4


@pytest.mark.parametrize("penalty", [1.0, 30.0])
def test_the_gap_is_that_of_the_residuals(penalty):
    x, y = centred(*simulated())
    weights = np.random.default_rng(2).normal(size=(30, 6)) / 20
    residual = y - x @ weights
    feasible = penalty / (2 * np.abs(x.T @ residual).max(0))
    scale = np.clip((y * residual).sum(0) / (residual**2).sum(0), 0, feasible)
    dual = (y**2).sum(0) - ((y - scale * residual) ** 2).sum(0)
    primal = (residual**2).sum(0) + penalty * np.abs(weights).sum(0)
    tensor = torch.from_numpy(weights)
    gap = relative_gap(products(x, y), penalty, tensor, tensor)
    np.testing.assert_allclose(gap, (primal - dual) / (y**2).sum(0), rtol=1e-9)


def test_other_weights_can_only_narrow_the_gap():
    x, y = centred(*simulated())
    random = np.random.default_rng(3)
    weights, other = (torch.from_numpy(random.normal(size=(30, 6)) / s) for s in (20, 60))
    alone = relative_gap(products(x, y), 9.0, weights, weights)
    both = relative_gap(products(x, y), 9.0, weights, other)
    assert (both <= alone).all()
    assert (both < alone).any()


@pytest.mark.parametrize("ratio", [1.0, 1.001, 50.0])
def test_from_lambda_max_on_all_weights_are_exactly_zero(ratio):
    solution, _, _ = solved(*simulated(), ratio)
    assert not solution.weights.any()
    assert not solution.gap.any()


def test_below_lambda_max_some_weight_is_not_zero():
    assert solved(*simulated(), 0.98)[0].weights.any()


@pytest.mark.parametrize("start", [0.5, 0.002])
def test_a_warm_start_ends_where_a_cold_one_does(start):
    x, y = simulated()
    cold, _, _ = solved(x, y, 0.02)
    warm, _, _ = solved(x, y, 0.02, start=solved(x, y, start)[0])
    np.testing.assert_allclose(warm.weights, cold.weights, atol=1e-5)


def test_solving_leaves_the_start_as_it_was():
    x, y = simulated()
    start, _, _ = solved(x, y, 0.5)
    before = start.weights.clone(), start.pull.clone()
    solved(x, y, 0.02, start=start)
    assert torch.equal(start.weights, before[0])
    assert torch.equal(start.pull, before[1])


@pytest.mark.parametrize("gap", [1e-4, FINE])
@pytest.mark.parametrize("tile", [1, 4])
def test_the_result_does_not_depend_on_the_tile(tile, gap):
    x, y = simulated()
    whole, _, _ = solved(x, y, 0.02, gap=gap)
    tiled, _, _ = solved(x, y, 0.02, gap=gap, tile=tile)
    np.testing.assert_allclose(tiled.weights, whole.weights, atol=1e-5)


def method(**params):
    defaults = {"lambdas": 7, "lambda_min": 3e-3, "patience": 0, "gap": 1e-6, "iterations": 10_000}
    return LSRL1(**{**defaults, "per_gene": False, **params})


def sets():
    train = Profiles.from_arrays(*simulated(40, 50))
    near = Profiles.from_arrays(*simulated(25, 50, seed=2))
    noise = Profiles.from_arrays(np.random.default_rng(1).normal(size=(25, 50)), np.zeros((25, 6)))
    return train, {"near": near, "noise": noise}


def path_of_scikit_learn(train, validation, grid):
    """MAE of each λ (rows) and target (columns)."""
    x, y = train.landmarks.astype(float), train.targets.astype(float)
    errors = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for penalty in grid:
            peer = Peer(alpha=penalty / (2 * len(x)), tol=1e-8, max_iter=100_000).fit(x, y)
            errors.append(np.abs(peer.predict(validation.landmarks) - validation.targets).mean(0))
    return np.array(errors)


def test_lambda_is_the_best_of_a_path_from_lambda_max_down():
    train, validation_sets = sets()
    model = method().fit(train, {"s": validation_sets["near"]}, Context())["s"]
    path = model.curves["path"]
    x, y = centred(train.landmarks, train.targets)
    np.testing.assert_allclose(
        path["lambda"], 2 * np.abs(x.T @ y).max() * np.geomspace(1, 3e-3, 7), rtol=1e-6
    )
    errors = path_of_scikit_learn(train, validation_sets["near"], path["lambda"]).mean(1)
    np.testing.assert_allclose(path["mae"], errors, atol=1e-4)
    assert 0 < np.argmin(errors) < 6
    assert model.choices["lambda"] == path["lambda"][np.argmin(errors)]
    mae = np.abs(
        model.predict(validation_sets["near"].landmarks) - validation_sets["near"].targets
    ).mean()
    assert mae == pytest.approx(min(path["mae"]), abs=1e-6)
    assert model.notes == ()


def test_each_gene_can_have_its_own_lambda():
    train, validation_sets = sets()
    validation = validation_sets["near"]
    model = method(per_gene=True).fit(train, {"s": validation}, Context())["s"]
    errors = path_of_scikit_learn(train, validation, model.curves["path"]["lambda"])
    mae = np.abs(model.predict(validation.landmarks) - validation.targets).mean(0)
    np.testing.assert_allclose(mae, errors.min(0), atol=1e-4)
    assert len(set(model.per_target["lambda"])) > 1
    assert (model.per_target["gap"] <= 1e-6).all()


@pytest.mark.parametrize("patience", [0, 1])
def test_what_one_set_chooses_does_not_depend_on_the_others(patience):
    train, validation_sets = sets()
    together = method(patience=patience).fit(train, validation_sets, Context())
    for name, validation in validation_sets.items():
        alone = method(patience=patience).fit(train, {name: validation}, Context())[name]
        assert alone.curves == together[name].curves
        assert alone.choices == together[name].choices
        assert torch.equal(alone.weights, together[name].weights)
    assert together["noise"].choices["lambda"] > together["near"].choices["lambda"]


def test_the_path_ends_once_patience_runs_out():
    train, validation_sets = sets()
    whole, short = (
        method(patience=patience, lambdas=20).fit(train, validation_sets, Context())["near"]
        for patience in (0, 2)
    )
    errors = short.curves["path"]["mae"]
    assert len(errors) < len(whole.curves["path"]["mae"]) == 20
    assert errors == whole.curves["path"]["mae"][: len(errors)]
    assert np.argmin(errors) == len(errors) - 3
    assert short.choices == whole.choices


def test_weights_grow_in_number_and_gaps_are_kept_along_the_path():
    train, validation_sets = sets()
    model = method().fit(train, validation_sets, Context())["near"]
    path = model.curves["path"]
    assert path["nonzero"][0] == 0
    assert path["nonzero"][-1] > path["nonzero"][2] > 0
    assert max(path["gap_worst"]) <= 1e-6
    assert model.choices["gap_worst"] == model.per_target["gap"].max()
    assert model.choices["gap_mean"] == pytest.approx(model.per_target["gap"].mean())


def test_genes_that_did_not_reach_the_gap_are_counted():
    train, validation_sets = sets()
    model = method(iterations=10, lambdas=3).fit(train, validation_sets, Context())["near"]
    short = int((model.per_target["gap"] > 1e-6).sum())
    assert short > 0
    assert f"{short} of 6 genes stopped at 10 iterations" in model.notes[-1]


def test_targets_that_never_vary_are_their_mean():
    x, _ = simulated()
    flat = Profiles.from_arrays(x, np.full((len(x), 2), 0.25))
    model = method().fit(flat, {"s": flat}, Context())["s"]
    np.testing.assert_allclose(model.predict(flat.landmarks), 0.25, atol=1e-6)
