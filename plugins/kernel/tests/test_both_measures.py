"""Weights of profiles, the criterion with CC, and the scale: against numpy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist, pdist
from sklearn.linear_model import Ridge

import genebench_kernel
from genebench import Context, Profiles, UserError
from genebench.metrics.agreement import concordance_correlation
from genebench_kernel.kernels import Kernel
from genebench_kernel.method import KernelRidge
from genebench_kernel.spectrum import TrainingSet, exact, nystrom

(SPEC,) = genebench_kernel.genebench_methods()
GRID = {"width_min": 0.5, "width_max": 2, "widths": 2, "lambda_min": 0.01, "lambdas": 3}
ONE = {"width_min": 1, "width_max": 1, "widths": 1, "lambda_min": 0.1, "lambdas": 1}
ONE["lambda_max"] = 0.1
BOTH = {"criterion": "mae-cc", "scale_max": 1.3}


def fitted(train, validation=None, **params):
    method = KernelRidge(**(SPEC.values("paper", {}) | params))
    return method.fit(train, {"s": validation or train}, Context(seed=0))["s"]


def arrays(profiles):
    return profiles.landmarks.astype(float), profiles.targets.astype(float)


def cauchy(train, width=1.0):
    unit = width * np.median(pdist(train.landmarks.astype(float), "sqeuclidean"))
    return lambda a, b: 1 / (1 + cdist(a, b, "sqeuclidean") / unit)


def solved(kernel, x, y, penalties, queries):
    """Predictions of (K + diag(penalties)) α = Y − μ."""
    alpha = np.linalg.solve(kernel(x, x) + np.diag(penalties), y - y.mean(axis=0))
    return y.mean(axis=0) + kernel(queries, x) @ alpha


def left_out(kernel, x, y, penalties):
    """Residuals of each profile by a fit without it."""
    rows = np.arange(len(x))
    kept = [rows != i for i in rows]
    return np.vstack(
        [
            y[[i]] - solved(kernel, x[others], y[others], penalties[others], x[[i]])
            for i, others in enumerate(kept)
        ]
    )


def expected_weights(train, exponent):
    x, y = arrays(train)
    errors = np.abs(left_out(cauchy(train), x, y, np.full(len(x), 2.0**-5))).mean(axis=1)
    return np.clip(errors / np.median(errors), 0.2, 10) ** exponent


def with_outliers(train, number):
    """The training set, of which some profiles have targets of noise."""
    targets = train.targets.copy()
    targets[:number] = np.random.default_rng(7).normal(0, 8, (number, targets.shape[1]))
    return Profiles.from_arrays(train.landmarks, targets)


@pytest.mark.parametrize("exponent", [0.5, 2.0])
@pytest.mark.parametrize("centres", [0, 60])
def test_weighted_fits_solve_the_weighted_equations(centres, exponent, simulated):
    train, test = with_outliers(simulated(60), 3), simulated(40, 1)
    x, y = arrays(train)
    weights = expected_weights(train, exponent)
    # Both bounds of the clipping are checked too.
    assert weights.max() == pytest.approx(10**exponent)
    fit = fitted(train, **ONE, profile_weights=exponent, centres=centres)
    expected = solved(cauchy(train), x, y, 0.1 * weights, test.landmarks.astype(float))
    np.testing.assert_allclose(fit.predict(test.landmarks), expected, atol=1e-5)
    plain = fitted(train, **ONE, centres=centres).predict(test.landmarks)
    assert np.abs(plain - expected).max() > 0.1


def test_nystrom_fits_with_weights_are_those_of_scikit_learn(simulated):
    train, test = simulated(300), simulated(40, 1)
    (x, y), queries = arrays(train), test.landmarks.astype(float)
    weights = np.random.default_rng(0).uniform(0.2, 10, 300)
    kernel, centres = Kernel("cauchy", 12.0), np.arange(0, 300, 10)
    spectrum = nystrom(
        TrainingSet(train, "cpu"),
        np.arange(300),
        centres,
        kernel,
        torch.from_numpy(weights),
        report=lambda done: None,
    )
    predicted = spectrum.predictions(spectrum.coordinates(torch.tensor(test.landmarks)), 0.3)
    points = x[centres]
    values, vectors = np.linalg.eigh(1 / (1 + cdist(points, points, "sqeuclidean") / 12))

    def features(z):
        return 1 / (1 + cdist(z, points, "sqeuclidean") / 12) @ vectors / np.sqrt(values)

    mean = y.mean(axis=0)
    peer = Ridge(alpha=0.3, fit_intercept=False)
    peer.fit(features(x), y - mean, sample_weight=1 / weights)
    np.testing.assert_allclose(predicted, mean + peer.predict(features(queries)), atol=1e-5)


@pytest.mark.parametrize("centres", [0, 50])
def test_leaving_out_with_weights_has_the_errors_of_weighted_refits(centres, simulated):
    train = with_outliers(simulated(50), 3)
    params = {**GRID, "choose": "loo", "profile_weights": 2.0, "centres": centres}
    path = fitted(train, **params).curves["path"]
    x, y = arrays(train)
    weights = expected_weights(train, 2.0)
    expected = [
        np.abs(left_out(cauchy(train, width), x, y, penalty * weights)).mean()
        for width, penalty in zip(path["width"], path["lambda"], strict=True)
    ]
    np.testing.assert_allclose(path["mae"], expected, rtol=1e-5)


def test_left_out_profiles_need_not_be_all(simulated, monkeypatch):
    train = with_outliers(simulated(200), 20)
    params = {**GRID, "choose": "loo", "profile_weights": 2.0}
    whole = fitted(train, **params).curves["path"]["mae"]
    monkeypatch.setattr("genebench_kernel.choice.MOST_LEFT_OUT", 150)
    sample = fitted(train, **params).curves["path"]["mae"]
    assert sample != whole
    np.testing.assert_allclose(sample, whole, rtol=0.2)


def test_weights_help_against_bad_training_profiles(simulated):
    train, test = with_outliers(simulated(200), 20), simulated(200, 1)
    plain, weighted = (
        np.abs(fitted(train, test, profile_weights=e).predict(test.landmarks) - test.targets).mean()
        for e in (0, 2)
    )
    assert weighted < 0.9 * plain


def test_weights_that_are_equal_are_none(simulated):
    train, test = simulated(40), simulated(20, 1)
    kernel, rows = Kernel("cauchy", 10.0), np.arange(40)
    ones = torch.ones(40, dtype=torch.float64)
    queries = torch.tensor(test.landmarks)

    def predicted(weights, penalty):
        fit = exact(TrainingSet(train, "cpu"), rows, kernel, weights, report=lambda done: None)
        return fit.predictions(fit.coordinates(queries), penalty)

    np.testing.assert_allclose(predicted(ones * 4, 0.1), predicted(ones, 0.4), atol=1e-6)


def test_profiles_without_error_have_no_weights(simulated):
    for n in (1, 6):
        equal = Profiles.from_arrays(np.ones((n, 3)), np.full((n, 1), 2.0))
        fit = fitted(equal, profile_weights=2.0)
        np.testing.assert_allclose(fit.predict(np.ones((2, 3), np.float32)), 2)


@pytest.mark.parametrize("bag", [0, 3])
def test_the_path_holds_cc_and_mae_of_every_width_penalty_and_scale(bag, simulated):
    train, near = simulated(80), simulated(700, 1)
    targets = near.targets.copy()
    targets[:, 4] = 1.5
    validation = Profiles.from_arrays(near.landmarks, targets)
    fit = fitted(train, validation, **GRID, **BOTH, bag_groups=bag, profile_weights=2.0)
    path = fit.curves["path"]
    assert path["width"] == pytest.approx(np.repeat([0.5, 2], 12))
    assert path["lambda"] == pytest.approx(np.tile(np.repeat(np.geomspace(0.01, 10, 3), 4), 2))
    assert path["scale"] == pytest.approx(np.tile([1, 1.1, 1.2, 1.3], 6))
    mean = np.zeros(11)
    for row, (width, penalty) in enumerate(zip(path["width"], path["lambda"], strict=True)):
        bounds = {"width_min": width, "width_max": width, "widths": 1}
        bounds |= {"lambda_min": penalty, "lambda_max": penalty, "lambdas": 1}
        if path["scale"][row] == 1:
            single = fitted(train, validation, **bounds, bag_groups=bag, profile_weights=2.0)
            plain, mean = single.predict(near.landmarks), single.tensors()["mean"]
        predicted = (mean + path["scale"][row] * (plain - mean)).astype(float)
        cc = concordance_correlation(targets.astype(float), predicted)
        assert cc[4] == 0
        assert path["cc"][row] == pytest.approx(cc.mean(), abs=1e-6)
        assert path["mae"][row] == pytest.approx(np.abs(predicted - targets).mean(), abs=1e-6)
    best = int(np.argmin(np.array(path["mae"]) - np.array(path["cc"]) / 2))
    assert {name: fit.choices[name] for name in ("width", "lambda", "scale")} == {
        name: path[name][best] for name in ("width", "lambda", "scale")
    }
    error = np.abs(fit.predict(near.landmarks) - targets).mean()
    assert error == pytest.approx(path["mae"][best], abs=1e-6)


def test_the_criterion_gains_cc_for_little_error(simulated):
    train, validation = simulated(60), simulated(300, 1)

    def measures(**params):
        predicted = fitted(train, validation, **params).predict(validation.landmarks)
        predicted, truth = predicted.astype(float), validation.targets.astype(float)
        return (
            concordance_correlation(truth, predicted).mean(),
            np.abs(predicted - truth).mean(),
        )

    (cc, error), (both_cc, both_error) = measures(), measures(**BOTH)
    assert cc + 0.005 < both_cc
    assert both_error < error + 0.01


def test_a_constant_prediction_has_no_concordance(simulated):
    train = Profiles.from_arrays(simulated(40).landmarks, np.full((40, 2), 0.7))
    truth = np.column_stack([np.full(30, 0.7), np.random.default_rng(0).normal(size=30)])
    fit = fitted(train, Profiles.from_arrays(simulated(30, 1).landmarks, truth), **GRID, **BOTH)
    # Predictions are rounded to float32, and so need not be quite constant.
    assert np.abs(fit.curves["path"]["cc"]).max() < 1e-6


def test_columns_of_the_path_are_those_that_were_measured(simulated):
    train = simulated(40)
    plain, cc, scale = (
        fitted(train, **GRID, **params)
        for params in ({}, {"criterion": "mae-cc"}, {"scale_max": 1.2})
    )
    assert set(plain.curves["path"]) == {"width", "lambda", "mae", "residual"}
    assert set(cc.curves["path"]) == {"width", "lambda", "mae", "cc", "residual"}
    assert set(scale.curves["path"]) == {"width", "lambda", "scale", "mae", "residual"}
    assert "scale" not in plain.choices


def test_a_saved_model_keeps_its_scale(simulated):
    train, near = simulated(60), simulated(100, 1)
    # Twice the deviations: the largest scale is the best.
    far = Profiles.from_arrays(near.landmarks, near.targets.mean(0) * -1 + 2 * near.targets)
    fit = fitted(train, far, **ONE, scale_max=1.3)
    assert fit.choices["scale"] == pytest.approx(1.3)
    assert "scale is the largest of its grid. Raise scale_max." in fit.notes
    restored = KernelRidge(**SPEC.values("paper", {})).restore(fit.tensors(), Context())
    np.testing.assert_array_equal(restored.predict(near.landmarks), fit.predict(near.landmarks))
    plain, mean = fitted(train, far, **ONE).predict(near.landmarks), fit.tensors()["mean"]
    expected = mean + 1.3 * (plain - mean)
    np.testing.assert_allclose(restored.predict(near.landmarks), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"choose": "loo", "criterion": "mae-cc"}, "choose=loo measures the MAE of scale 1 alone"),
        ({"choose": "loo", "scale_max": 1.2}, "choose=loo measures the MAE of scale 1 alone"),
        ({"scale_max": 1.05}, "scale_max=1.05 allows no scale but 1"),
    ],
)
def test_contradicting_choices_are_refused(params, message):
    with pytest.raises(UserError, match=message):
        KernelRidge(**(SPEC.values("paper", {}) | params))
