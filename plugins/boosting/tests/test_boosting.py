"""Trees against LightGBM's own predictions, components against scipy."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
from scipy.linalg import svd

from genebench import Context, Profiles
from genebench_boosting.components import principal_components
from genebench_boosting.method import Boosting
from genebench_boosting.trees import Trees, joined, read_trees

PARAMS = {
    "components": 5, "rounds": 30, "rate": 0.2, "leaves": 7, "leaf_profiles": 5,
    "landmark_share": 0.5, "bins": 63,
}  # fmt: skip


def simulated(n, seed):
    random = np.random.default_rng(seed)
    x = random.normal(size=(n, 12))
    weights = np.random.default_rng(5).normal(size=(12, 40))
    y = np.tanh(x @ weights / 3) + random.normal(0, 0.2, (n, 40))
    return Profiles.from_arrays(x, y)


def boosters(profiles, rounds):
    options = {"num_leaves": 7, "min_data_in_leaf": 5, "verbosity": -1, "use_missing": False}
    return [
        lightgbm.train(
            options,
            lightgbm.Dataset(profiles.landmarks, label=label.copy()),
            num_boost_round=rounds,
        )
        for label in profiles.targets.T[:3]
    ]


def trees_of(peers):
    return joined(read_trees(peer.model_to_string(), i) for i, peer in enumerate(peers))


@pytest.mark.parametrize("rounds", [1, 4, 20])
def test_trees_predict_as_lightgbm_does(rounds):
    train, test = simulated(150, 0), simulated(80, 1)
    peers = boosters(train, 20)
    predicted = trees_of(peers).first(rounds).predict(test.landmarks, 3)
    expected = [peer.predict(test.landmarks, num_iteration=rounds) for peer in peers]
    np.testing.assert_allclose(predicted, np.array(expected).T, atol=1e-12)


def test_a_tree_of_one_leaf_predicts_its_value():
    constant = Profiles.from_arrays(np.zeros((50, 12)), np.ones((50, 40)))
    peers = boosters(constant, 3)
    predicted = trees_of(peers).predict(constant.landmarks[:4], 3)
    expected = [peer.predict(constant.landmarks[:4]) for peer in peers]
    np.testing.assert_allclose(predicted, np.array(expected).T)


WRONG = {
    "landmark": [12, -1], "left": [0, 1000], "right": [-1000], "component": [3],
}  # fmt: skip


@pytest.mark.parametrize(("name", "value"), [(n, value) for n in WRONG for value in WRONG[n]])
def test_arrays_that_are_no_trees_are_refused(name, value):
    sound = trees_of(boosters(simulated(150, 0), 3)).arrays()
    arrays = {key: part.copy() for key, part in sound.items()}
    Trees.of(arrays, 12, 3)
    arrays[name][1] = value
    with pytest.raises(ValueError, match="no trees"):
        Trees.of(arrays, 12, 3)


@pytest.mark.parametrize("components", [1, 5, 400])
def test_components_are_those_of_a_singular_value_decomposition(components):
    train = simulated(150, 0)
    found = principal_components(train, components, seed=3)
    centred = train.targets.astype(float) - train.targets.astype(float).mean(0)
    left, values, _ = svd(centred, full_matrices=False)
    width = min(components, 40)
    expected = left[:, :width] * values[:width]
    signs = np.sign((expected * found.scores).sum(0))
    np.testing.assert_allclose(found.scores * signs, expected, atol=1e-3)
    share = (values[:width] ** 2).sum() / (values**2).sum()
    assert found.share == pytest.approx(share, abs=1e-9)


def test_the_number_of_trees_has_the_smallest_mae_on_the_validation_profiles():
    train, validation = simulated(150, 0), simulated(80, 1)
    model = Boosting(**PARAMS).fit(train, {"s": validation}, Context())["s"]
    path = model.curves["path"]
    assert model.choices["rounds"] == path["rounds"][int(np.argmin(path["mae"]))]
    error = np.abs(model.predict(validation.landmarks) - validation.targets).mean()
    assert error == pytest.approx(min(path["mae"]), abs=1e-6)


def test_boosting_learns_what_a_mean_cannot():
    train, validation, test = (simulated(n, seed) for n, seed in ((400, 0), (80, 1), (200, 2)))
    model = Boosting(**PARAMS).fit(train, {"s": validation}, Context())["s"]
    error = np.abs(model.predict(test.landmarks) - test.targets).mean()
    assert error < 0.8 * np.abs(test.targets - train.targets.mean(0)).mean()


def test_a_restored_model_predicts_the_same():
    train, test = simulated(150, 0), simulated(80, 1)
    model = Boosting(**PARAMS).fit(train, {"s": test}, Context())["s"]
    restored = Boosting(**PARAMS).restore(model.tensors(), Context())
    np.testing.assert_array_equal(restored.predict(test.landmarks), model.predict(test.landmarks))
