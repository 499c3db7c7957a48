"""Reduced-rank ridge against scipy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import svd
from sklearn.linear_model import Ridge

from genebench import Context, Profiles, UserError
from genebench_linear.reduced_rank import ReducedRank


def simulated(n, seed, noise=1.0):
    """Profiles whose targets depend on a few directions of the landmarks."""
    p, t, rank, truth = 20, 30, 3, np.random.default_rng(7)
    weights = truth.normal(size=(p, rank)) @ truth.normal(size=(rank, t))
    random = np.random.default_rng(seed)
    x = random.normal(0.3, 1, (n, p))
    return Profiles.from_arrays(x, x @ weights / p + random.normal(0.1, noise, (n, t)))


def fitted(train, validation, **params):
    method = ReducedRank(
        **{"lambda_min": 1.0, "lambda_max": 1e3, "lambdas": 7, "ranks": 9} | params
    )
    return method.fit(train, {"s": validation}, Context())["s"]


def reference(train, x, penalty, rank):
    """Predictions of the best weights of a rank, from the augmented data of ridge."""
    x_train, y_train = train.landmarks.astype(float), train.targets.astype(float)
    x_mean, y_mean = x_train.mean(0), y_train.mean(0)
    weights = (
        Ridge(alpha=penalty, fit_intercept=False).fit(x_train - x_mean, y_train - y_mean).coef_.T
    )
    augmented = np.vstack([x_train - x_mean, np.sqrt(penalty) * np.eye(x.shape[1])])
    directions = svd(augmented @ weights, full_matrices=False)[2][:rank]
    return (x - x_mean) @ weights @ directions.T @ directions + y_mean


@pytest.mark.parametrize("rank", [1, 3, 10, 20])
@pytest.mark.parametrize("n", [15, 200])
def test_each_rank_is_the_best_approximation_of_the_augmented_ridge_fit(n, rank):
    train, test = simulated(n, 0), simulated(12, 1)
    grid = {"lambda_min": 5.0, "lambda_max": 5.0, "lambdas": 1}
    # A validation set that the wanted rank fits without error makes it the choice.
    truth = reference(train, test.landmarks.astype(float), 5.0, rank)
    model = fitted(train, Profiles.from_arrays(test.landmarks, truth), ranks=1000, **grid)
    assert model.choices["rank"] <= rank
    np.testing.assert_allclose(model.predict(test.landmarks), truth, atol=1e-4)


def test_the_full_rank_is_ridge():
    train, test = simulated(200, 0), simulated(12, 1)
    x, y = train.landmarks.astype(float), train.targets.astype(float)
    truth = Ridge(alpha=50.0).fit(x, y).predict(test.landmarks.astype(float))
    model = fitted(
        train, Profiles.from_arrays(test.landmarks, truth), lambda_min=50, lambda_max=50, lambdas=1
    )
    np.testing.assert_allclose(model.predict(test.landmarks), truth, atol=1e-4)
    assert "this is ridge" in model.notes[0]


def test_the_rank_of_the_truth_is_found():
    model = fitted(simulated(3000, 0, noise=0.5), simulated(500, 1, noise=0.5), ranks=1000)
    assert model.choices["rank"] == 3
    assert model.n_parameters == 3 * (20 + 30 - 3) + 30


def test_the_choice_has_the_smallest_mae_of_the_path_on_the_validation_profiles():
    train, validation = simulated(60, 0), simulated(40, 1)
    model = fitted(train, validation)
    path = model.curves["path"]
    best = int(np.argmin(path["mae"]))
    assert (path["lambda"][best], path["rank"][best]) == tuple(model.choices.values())
    error = np.abs(model.predict(validation.landmarks) - validation.targets).mean()
    assert error == pytest.approx(path["mae"][best], abs=1e-6)


def test_the_choice_on_one_set_does_not_depend_on_others():
    train, one, other = simulated(60, 0), simulated(40, 1), simulated(40, 2, noise=3.0)
    method = ReducedRank(lambda_min=1.0, lambda_max=1e3, lambdas=7, ranks=9)
    together = method.fit(train, {"one": one, "other": other}, Context())["one"]
    assert together.choices == fitted(train, one).choices


def test_a_grid_upside_down_is_refused():
    with pytest.raises(UserError, match="lambda_min=10 is above lambda_max=1"):
        ReducedRank(lambda_min=10.0, lambda_max=1.0, lambdas=3, ranks=3)


def test_relevance_is_landmark_times_weight_of_the_chosen_rank():
    model = fitted(simulated(80, 0), simulated(40, 1))
    x = simulated(9, 2).landmarks
    weights = np.arange(model.weights.shape[1]) / 10
    found = model.relevance(x, weights, "exact")
    expected = x * (model.weights.double().numpy() @ weights)
    np.testing.assert_allclose(found.values, expected, atol=1e-6)
    np.testing.assert_allclose(found.output, model.predict(x) @ weights, rtol=1e-4, atol=1e-5)
