"""Kernel ridge against scikit-learn, and against refits without each profile."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.spatial.distance import cdist, pdist
from sklearn.kernel_approximation import Nystroem
from sklearn.kernel_ridge import KernelRidge as Peer
from sklearn.linear_model import Ridge
from sklearn.metrics.pairwise import linear_kernel, rbf_kernel

import genebench_kernel
from genebench import Context, Profiles, UserError
from genebench_kernel import choice, kernels, model, spectrum
from genebench_kernel.factors import Factors, prefers_factors
from genebench_kernel.kernels import Kernel, median_squared_distance
from genebench_kernel.method import KernelRidge
from genebench_kernel.sampling import draw_centres, leverage_scores
from genebench_kernel.spectrum import TrainingSet

(SPEC,) = genebench_kernel.genebench_methods()
ALL = genebench_kernel.PARAMS[0].choices


def method(**params):
    return KernelRidge(**(SPEC.values("paper", {}) | params))


def fitted(train, validation=None, seed=0, **params):
    sets = {"s": validation or train}
    return method(**params).fit(train, sets, Context(seed=seed))["s"]


def one(width=1.0, penalty=0.1, **params):
    """Parameters of a grid of one width and one λ."""
    bounds = {"width_min": width, "width_max": width, "lambda_min": penalty, "lambda_max": penalty}
    return {"widths": 1, "lambdas": 1, **bounds, **params}


def peer_kernel(name, width, linear=0.0):
    """The kernel as scikit-learn or scipy compute it."""

    def cauchy(a, b):
        return 1 / (1 + cdist(a, b, "sqeuclidean") / width)

    return {
        "cauchy": cauchy,
        "imq": lambda a, b: (1 + cdist(a, b, "sqeuclidean") / width) ** -0.5,
        "laplace": lambda a, b: np.exp(-cdist(a, b) / np.sqrt(width)),
        "rbf": lambda a, b: rbf_kernel(a, b, gamma=1 / width),
        "linear-cauchy": lambda a, b: cauchy(a, b) + linear * linear_kernel(a, b),
    }[name]


def peer_predictions(train, x, kernel, penalty, rows=slice(None)):
    """KernelRidge of centred targets."""
    landmarks, targets = train.landmarks[rows].astype(float), train.targets[rows].astype(float)
    mean = targets.mean(axis=0)
    peer = Peer(alpha=penalty, kernel="precomputed").fit(
        kernel(landmarks, landmarks), targets - mean
    )
    return mean + peer.predict(kernel(x.astype(float), landmarks))


def scales(train, width, weight):
    x = train.landmarks.astype(float)
    return width * np.median(pdist(x, "sqeuclidean")), weight / (x**2).sum(axis=1).mean()


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("penalty", [0.01, 1.0])
def test_exact_fits_are_those_of_scikit_learn(name, penalty, simulated):
    train, test = simulated(300), simulated(70, 1)
    fit = fitted(train, **one(1.5, penalty, kernel=name, linear_weight=0.25))
    width, linear = scales(train, 1.5, 0.25)
    # λ is in units of the mean diagonal.
    diagonal = 1.25 if name == "linear-cauchy" else 1
    kernel = peer_kernel(name, width, linear)
    expected = peer_predictions(train, test.landmarks, kernel, penalty * diagonal)
    np.testing.assert_allclose(fit.predict(test.landmarks), expected, atol=1e-5)
    assert fit.choices["residual"] == 0


@pytest.mark.parametrize("name", ALL)
def test_kernel_values_are_those_of_scikit_learn(name, simulated):
    a, b = simulated(40).landmarks, simulated(30, 1).landmarks
    kernel, peer = Kernel(name, 7.0, 0.3), peer_kernel(name, 7.0, 0.3)
    values = kernel.matrix(torch.tensor(a), torch.tensor(b))
    np.testing.assert_allclose(values, peer(a.astype(float), b.astype(float)), rtol=1e-10)
    diagonal = np.diag(peer(a.astype(float), a.astype(float)))
    np.testing.assert_allclose(kernel.diagonal(torch.tensor(a)), diagonal, rtol=1e-10)


def test_laplace_of_a_profile_with_itself_is_one_to_eight_digits(simulated):
    x = torch.tensor(simulated(200).landmarks * 30)
    diagonal = Kernel("laplace", 100.0).matrix(x, x).diagonal()
    assert float((1 - diagonal).max()) < 1e-6


@pytest.mark.parametrize("name", ["cauchy", "rbf"])
def test_nystrom_fits_are_those_of_scikit_learn(name, simulated):
    train, test = simulated(500), simulated(70, 1)
    fit = fitted(train, **one(1.5, 0.1, kernel=name, centres=60))
    width, _ = scales(train, 1.5, 0)
    kernel = peer_kernel(name, width)
    x, y = train.landmarks.astype(float), train.targets.astype(float)
    features = Nystroem(kernel=lambda a, b: kernel(a[None], b[None])[0, 0], n_components=60)
    # scikit-learn draws its own centres, so it is fitted on ours alone.
    features.fit(fit.tensors()["centres"].astype(float))
    mean = y.mean(axis=0)
    ridge = Ridge(alpha=0.1, fit_intercept=False).fit(features.transform(x), y - mean)
    expected = mean + ridge.predict(features.transform(test.landmarks.astype(float)))
    np.testing.assert_allclose(fit.predict(test.landmarks), expected, atol=1e-5)
    shown = 1 - (features.transform(x) ** 2).sum() / len(x)
    assert fit.choices["residual"] == pytest.approx(shown, abs=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_nystrom_with_all_profiles_as_centres_is_exact(name, simulated):
    train, test = simulated(250), simulated(70, 1)
    params = one(1.0, 0.05, kernel=name)
    whole = fitted(train, **params).predict(test.landmarks)
    fit = fitted(train, **params, centres=250)
    np.testing.assert_allclose(fit.predict(test.landmarks), whole, atol=1e-5)
    assert fit.choices["residual"] == pytest.approx(0, abs=1e-8)


def test_equal_profiles_among_the_centres_are_no_trouble(simulated):
    train, test = simulated(100), simulated(70, 1)
    twice = Profiles.from_arrays(np.tile(train.landmarks, (2, 1)), np.tile(train.targets, (2, 1)))
    # Each profile twice is each profile once with half of λ.
    expected = fitted(train, **one(1.0, 0.1)).predict(test.landmarks)
    for centres in (0, 200):
        width = median_squared_distance(torch.tensor(train.landmarks))
        width /= median_squared_distance(torch.tensor(twice.landmarks))
        fit = fitted(twice, **one(width, 0.2, centres=centres))
        np.testing.assert_allclose(fit.predict(test.landmarks), expected, atol=1e-5)


def test_the_path_holds_the_validation_error_of_every_width_and_penalty(simulated):
    train, validation = simulated(200), simulated(700, 1)
    grid = {"width_min": 0.5, "width_max": 2, "widths": 3, "lambdas": 4}
    fit = fitted(train, validation, **grid)
    path = fit.curves["path"]
    assert path["width"] == pytest.approx(np.repeat([0.5, 1, 2], 4))
    assert path["lambda"] == pytest.approx(np.tile(np.geomspace(1e-3, 10, 4), 3))
    expected = []
    for width, penalty in zip(path["width"], path["lambda"], strict=True):
        kernel = peer_kernel("cauchy", scales(train, width, 0)[0])
        predicted = peer_predictions(train, validation.landmarks, kernel, penalty)
        expected.append(np.abs(predicted - validation.targets).mean())
    np.testing.assert_allclose(path["mae"], expected, rtol=1e-5)
    best = int(np.argmin(expected))
    assert fit.choices["width"] == path["width"][best]
    assert fit.choices["lambda"] == path["lambda"][best]


def test_each_validation_set_gets_its_own_choice_whatever_the_others(simulated):
    train, near = simulated(200), simulated(60, 1)
    random = np.random.default_rng(0)
    noise = Profiles.from_arrays(random.normal(size=(60, 30)), np.zeros((60, 11)))
    sets = {"near": near, "noise": noise}
    models = method().fit(train, sets, Context())
    assert models["near"].choices["lambda"] < models["noise"].choices["lambda"]
    for name, validation in sets.items():
        alone = fitted(train, validation)
        assert alone.curves == models[name].curves
        np.testing.assert_array_equal(
            alone.predict(near.landmarks), models[name].predict(near.landmarks)
        )


@pytest.mark.parametrize("centres", [0, 20])
def test_leaving_out_has_the_errors_of_refits_without_each_profile(centres, simulated):
    train = simulated(50)
    params = {"widths": 1, "width_min": 1, "width_max": 1, "lambda_min": 0.01, "lambdas": 4}
    fit = fitted(train, choose="loo", centres=centres, **params)
    kernel = peer_kernel("cauchy", scales(train, 1, 0)[0])
    x, y = train.landmarks.astype(float), train.targets.astype(float)
    # Any kernel of finite rank is a linear one of its features.
    points = fit.tensors()["centres"].astype(float)
    values, vectors = np.linalg.eigh(kernel(points, points))
    features = kernel(x, points) @ vectors / np.sqrt(values)
    expected = []
    for penalty in fit.curves["path"]["lambda"]:
        residuals = []
        for i in range(50):
            kept = np.arange(50) != i
            mean = y[kept].mean(axis=0)
            ridge = Ridge(alpha=penalty, fit_intercept=False).fit(features[kept], y[kept] - mean)
            residuals.append(mean + ridge.predict(features[i : i + 1])[0] - y[i])
        expected.append(np.abs(residuals).mean())
    np.testing.assert_allclose(fit.curves["path"]["mae"], expected, rtol=1e-5)


def test_a_choice_by_leaving_out_needs_no_validation_set_and_serves_all(simulated):
    train = simulated(120)
    first, second = simulated(40, 1), simulated(40, 2)
    models = method(choose="loo").fit(train, {"a": first, "b": second}, Context())
    assert models["a"] is models["b"]
    assert fitted(train, first, choose="loo").curves == models["a"].curves


def test_of_many_profiles_a_sample_is_left_out(simulated, monkeypatch):
    train = simulated(600)
    whole = fitted(train, choose="loo", centres=50)
    monkeypatch.setattr(choice, "MOST_LEFT_OUT", 300)
    sample = fitted(train, choose="loo", centres=50)
    assert sample.curves != whole.curves
    np.testing.assert_allclose(sample.curves["path"]["mae"], whole.curves["path"]["mae"], rtol=0.1)


@pytest.mark.parametrize("params", [{}, {"bag_groups": 2}, {"profile_weights": 2.0}])
def test_a_factor_for_each_penalty_measures_what_a_spectrum_in_float64_does(
    params, simulated, monkeypatch
):
    sets = simulated(200), simulated(60, 1)
    with_factors = fitted(*sets, **params)
    monkeypatch.setattr("genebench_kernel.method.prefers_factors", lambda *_: False)
    monkeypatch.setattr(KernelRidge, "_dtype", lambda *_, **__: torch.float64)
    with_spectra = fitted(*sets, **params)
    errors = [fit.curves["path"]["mae"] for fit in (with_factors, with_spectra)]
    np.testing.assert_allclose(*errors, rtol=5e-5)
    assert with_factors.choices == with_spectra.choices


def test_a_long_path_has_a_spectrum_and_a_short_one_factors():
    assert prefers_factors(profiles=5_000, targets=9_520, penalties=13)
    assert not prefers_factors(profiles=5_000, targets=9_520, penalties=100)


def test_a_penalty_below_the_rounding_of_float32_is_factorised_in_float64(simulated):
    train = simulated(150)
    twice = Profiles.from_arrays(np.tile(train.landmarks, (2, 1)), np.tile(train.targets, (2, 1)))
    fit = fitted(twice, **one(1.0, 1e-9))
    # Each profile is there twice. So it is learnt by heart.
    np.testing.assert_allclose(fit.predict(train.landmarks), train.targets, atol=1e-3)
    assert fit.curves["path"]["mae"][0] < 1e-3


def test_a_bag_is_the_mean_of_models_of_random_halves_of_the_groups(simulated, monkeypatch):
    train, test = simulated(160), simulated(40, 1)
    halves = []

    def spied(training, rows, *others, **options):
        halves.append(rows)
        return Factors(training, rows, *others, **options)

    monkeypatch.setattr("genebench_kernel.method.Factors", spied)
    bag = fitted(train, **one(1.0, 0.1, bag_groups=3))
    kernel = peer_kernel("cauchy", scales(train, 1, 0)[0])
    expected = [peer_predictions(train, test.landmarks, kernel, 0.1, rows) for rows in halves]
    np.testing.assert_allclose(bag.predict(test.landmarks), np.mean(expected, 0), atol=1e-5)
    groups = train.profiles["group"]
    assert len({tuple(rows) for rows in halves}) == 3
    for rows in halves:
        assert groups.iloc[rows].nunique() == 20
        assert len(rows) == 80


@pytest.mark.parametrize("params", [{}, {"centres": 30}, {"choose": "loo"}])
def test_a_bag_is_chosen_by_the_error_of_its_mean(params, simulated):
    train, validation = simulated(160), simulated(80, 1)
    bag = fitted(train, validation, bag_groups=4, **params)
    path = bag.curves["path"]
    assert bag.choices["lambda"] in path["lambda"]
    if "choose" not in params:
        error = np.abs(bag.predict(validation.landmarks) - validation.targets).mean()
        assert error == pytest.approx(min(path["mae"]), rel=1e-5)


def test_more_centres_leave_out_less(simulated):
    train = simulated(400)
    left = [fitted(train, centres=m, **one()).choices["residual"] for m in (10, 40, 160)]
    assert left[0] > left[1] > left[2] > 0


def test_more_profiles_than_exact_max_are_fitted_with_as_many_centres(simulated):
    train = simulated(100)
    assert fitted(train, **one(exact_max=100)).choices["residual"] == 0
    cut = fitted(train, **one(exact_max=99))
    assert cut.choices["centres"] == 99
    assert cut.choices["residual"] > 0


def test_centres_follow_the_seed(simulated):
    train = simulated(100)
    first, again, other = (
        fitted(train, seed=seed, **one(centres=20)).tensors()["centres"] for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_leverage_scores_are_those_of_the_whole_kernel_if_the_pilot_is(simulated):
    train = TrainingSet(simulated(150), "cpu")
    rows, kernel = np.arange(150), Kernel("cauchy", 10.0)
    matrix = kernel.matrix(train.landmarks, train.landmarks).numpy()
    expected = np.diag(matrix @ np.linalg.inv(matrix + 0.3 * np.eye(150)))
    scores = leverage_scores(train, rows, rows, kernel, 0.3)
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_leverage_finds_the_rare_profiles(simulated):
    common, rare = simulated(950), simulated(50, 1)
    landmarks = np.vstack([common.landmarks * 0.05, rare.landmarks])
    train = TrainingSet(Profiles.from_arrays(landmarks, np.zeros((1000, 1))), "cpu")
    kernel = Kernel("cauchy", 5.0)

    def rare_centres(leverage):
        random = np.random.default_rng(0)
        return int((draw_centres(train, np.arange(1000), 100, random, leverage) >= 950).sum())

    assert rare_centres(None) < 12
    assert rare_centres((kernel, 0.1)) > 40


def test_leverage_centres_can_be_asked_for(simulated):
    train = simulated(300)
    params = one(centres=40)
    uniform, leverage = (fitted(train, sampling=s, **params) for s in ("uniform", "leverage"))
    assert (uniform.tensors()["centres"] != leverage.tensors()["centres"]).any()
    assert leverage.choices["centres"] == 40


@pytest.mark.parametrize("centres", [0, 40])
def test_the_size_of_blocks_changes_no_bit_of_a_prediction(centres, simulated):
    fit = fitted(simulated(200), **one(centres=centres))
    test = simulated(600, 1).landmarks
    whole = fit.predict(test)
    for size in (1, 7, 256, 300):
        parts = [fit.predict(test[start : start + size]) for start in range(0, 600, size)]
        np.testing.assert_array_equal(np.vstack(parts), whole)


@pytest.mark.parametrize("centres", [0, 40])
def test_how_the_fit_is_cut_changes_rounding_alone(centres, simulated, monkeypatch):
    train, validation = simulated(200), simulated(90, 1)
    whole = fitted(train, validation, centres=centres)
    monkeypatch.setattr(spectrum, "FITTED_PER_BLOCK", 33)
    monkeypatch.setattr(spectrum, "COLUMNS_PER_PANEL", 7)
    monkeypatch.setattr(choice, "EVALUATED_PER_BLOCK", 13)
    monkeypatch.setattr(model, "PREDICTED_PER_BLOCK", 5)
    cut = fitted(train, validation, centres=centres)
    assert cut.choices == pytest.approx(whole.choices)
    np.testing.assert_allclose(cut.curves["path"]["mae"], whole.curves["path"]["mae"], rtol=1e-5)
    x = validation.landmarks
    np.testing.assert_allclose(cut.predict(x), whole.predict(x), atol=1e-5)


@pytest.mark.parametrize(
    ("params", "squares", "remedy"),
    [
        # Square matrices of 500,000 profiles or centres, 8 bytes a value. Exact fits that choose on
        # the validation set keep its kernel values: 1,000,000 × profiles of the fit.
        ({"exact_max": 1_000_000}, 2.5 * 4 + 2, "exact_max"),
        ({"exact_max": 1_000_000, "profile_weights": 1.0}, 5 * 4 + 4, "exact_max"),
        ({"exact_max": 1_000_000, "choose": "loo"}, 5 * 4, "exact_max"),
        ({"exact_max": 500_000}, 6, "exact_max"),
        ({"centres": 500_000}, 6, "centres"),
        ({"centres": 500_000, "bag_groups": 3}, 3 + 5, "bag_groups or centres"),
        ({"exact_max": 500_000, "bag_groups": 3}, (3 + 4) / 2 + 3, "bag_groups or exact_max"),
    ],
)
def test_a_fit_that_memory_cannot_hold_is_refused_before_it_starts(params, squares, remedy):
    values = np.zeros((1_000_000, 1), np.float32)
    train = Profiles.from_arrays(values, values)
    train.profiles = pd.DataFrame({"group": np.repeat([1, 2], 500_000)}, train.profiles.index)
    needed = f"about {squares * 8 * 0.25e12 / 1e9:,.0f} GB of memory.* Lower {remedy}\\.$"
    with pytest.raises(UserError, match=needed):
        fitted(train, **params)


@pytest.mark.parametrize("name", ALL)
def test_a_restored_model_predicts_the_same(name, simulated):
    fit = fitted(simulated(100), kernel=name)
    restored = method(kernel=name).restore(fit.tensors(), Context())
    test = simulated(30, 2).landmarks
    np.testing.assert_array_equal(restored.predict(test), fit.predict(test))
    assert restored.n_parameters == fit.n_parameters == 100 * 11 + 11


@pytest.mark.parametrize("n", [2, 600, 900])
def test_the_unit_of_width_is_the_median_squared_distance(n, simulated):
    x = simulated(n).landmarks
    distances = pdist(x.astype(float), "sqeuclidean")
    median = median_squared_distance(torch.tensor(x))
    # More than 632 profiles are compared by a sample of pairs.
    tolerance = 1e-5 if n < 632 else 0.01
    assert median == pytest.approx(np.median(distances), rel=tolerance)


def test_one_profile_and_equal_profiles_can_be_fitted(simulated):
    test = simulated(5, 1)
    single = fitted(simulated(1), test)
    np.testing.assert_allclose(single.predict(test.landmarks), simulated(1).targets[[0] * 5])
    equal = Profiles.from_arrays(np.ones((6, 3)), np.arange(6)[:, None])
    np.testing.assert_allclose(fitted(equal, equal).predict(np.ones((2, 3), np.float32)), 2.5)


def test_an_edge_of_a_grid_is_noted(simulated):
    train, validation = simulated(200), simulated(60, 1)
    wide = fitted(train, validation, width_min=50.0, width_max=100.0, lambda_min=1.0)
    assert wide.notes == (
        "width is the smallest of its grid. Lower width_min.",
        "lambda is the smallest of its grid. Lower lambda_min.",
    )
    narrow = fitted(train, validation, width_min=0.05, width_max=0.1, widths=2)
    assert "width is the largest of its grid. Raise width_max." in narrow.notes
    assert fitted(train, validation, **one()).notes == ()


def test_a_grid_of_one_value_is_the_middle_of_its_bounds(simulated):
    fit = fitted(simulated(50), widths=1, width_min=0.5, width_max=8.0, lambdas=1)
    assert fit.choices["width"] == pytest.approx(2)
    assert fit.choices["lambda"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"width_min": 20.0}, "width_min=20 is above width_max=16"),
        ({"lambda_max": 1e-4}, "lambda_min=0.001 is above lambda_max=0.0001"),
    ],
)
def test_contradicting_grids_are_refused(params, message):
    with pytest.raises(UserError, match=message):
        method(**params)


def test_more_centres_than_profiles_are_refused(simulated):
    for refuse in (method(centres=51).check, lambda train: fitted(train, centres=51)):
        with pytest.raises(UserError, match="centres=51 is more than the 50 profiles"):
            refuse(simulated(50))
    # Half of the groups have fewer profiles.
    with pytest.raises(UserError, match="centres=40 is more than the 24 profiles"):
        fitted(simulated(50), centres=40, bag_groups=2)


@pytest.mark.parametrize("centres", [0, 50])
def test_a_kernel_that_is_not_positive_definite_is_refused(centres, simulated):
    params = one(kernel="linear-cauchy", linear_weight=-1.0, centres=centres)
    with pytest.raises(UserError, match="linear-cauchy kernel is not positive definite"):
        fitted(simulated(50), **params)


def test_a_negative_linear_weight_is_refused_before_anything_runs():
    with pytest.raises(UserError, match=r"linear_weight=-1\.0 is out of range"):
        SPEC.values("paper", {"linear_weight": "-1"})


def test_a_bag_without_groups_is_refused(simulated):
    train = simulated(50)
    train.profiles = train.profiles.drop(columns="group")
    for refuse in (method(bag_groups=2).check, lambda train: fitted(train, bag_groups=2)):
        with pytest.raises(UserError, match="have no groups, which bag_groups needs"):
            refuse(train)
    train.profiles["group"] = "only"
    for refuse in (method(bag_groups=2).check, lambda train: fitted(train, bag_groups=2)):
        with pytest.raises(UserError, match="are of one group"):
            refuse(train)


def test_declared_kernels_are_the_ones_there_are():
    assert ALL == kernels.KERNELS


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("centres", [0, 200])
def test_both_devices_agree(centres, simulated):
    train, validation = simulated(1000), simulated(300, 1)
    cpu, cuda = (
        method(centres=centres).fit(train, {"s": validation}, Context(device=device))["s"]
        for device in ("cpu", "cuda")
    )
    assert cuda.choices == pytest.approx(cpu.choices)
    x = validation.landmarks
    np.testing.assert_allclose(cuda.predict(x), cpu.predict(x), atol=1e-5)
