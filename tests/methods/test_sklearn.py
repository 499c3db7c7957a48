"""Estimators as methods: what scikit-learn gives, chosen on the validation set and on no other."""

from __future__ import annotations

import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from genebench import Context, Profiles, UserError, sklearn_method
from genebench.conformance.collection import all_checks
from genebench.conformance.run import run_checks
from genebench.conformance.subject import Subject
from genebench.methods.sklearn import _names_random_state
from genebench.plugins.discovery import installed, load_code, use_files
from genebench.plugins.files import FILES
from genebench.plugins.registry import registry

sklearn = pytest.importorskip("sklearn")

from sklearn.base import BaseEstimator  # noqa: E402
from sklearn.cross_decomposition import PLSRegression  # noqa: E402
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor  # noqa: E402
from sklearn.exceptions import ConvergenceWarning  # noqa: E402
from sklearn.kernel_ridge import KernelRidge as SklearnKernelRidge  # noqa: E402
from sklearn.linear_model import Ridge as SklearnRidge  # noqa: E402
from sklearn.multioutput import MultiOutputRegressor  # noqa: E402
from sklearn.neural_network import MLPRegressor  # noqa: E402

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "examples" / "estimators.py"

PLS = sklearn_method("sklearn.cross_decomposition:PLSRegression", n_components=[1, 3, 6])
Ridge = sklearn_method(SklearnRidge, alpha=2.0)
KernelRidge = sklearn_method(SklearnKernelRidge(kernel="rbf"), alpha=[1, 0.01], gamma=[0.01, 0.1])
LayeredNetwork = sklearn_method(
    "sklearn.neural_network:MLPRegressor", hidden_layer_sizes=[(3,), (4, 2)], max_iter=20
)
TwoLayers = sklearn_method(
    "sklearn.neural_network:MLPRegressor", hidden_layer_sizes=(4, 2), max_iter=20
)
Switched = sklearn_method(SklearnRidge, fit_intercept=[True, False])
SmallForest = sklearn_method(RandomForestRegressor, max_profiles=40, n_estimators=5)
Boosting = sklearn_method(
    MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=3)), estimator__max_depth=2
)


class Watcher(BaseEstimator):
    """Remembers what it is given."""

    def __init__(self, random_state=None, warn=False):
        self.random_state, self.warn = random_state, warn

    def fit(self, landmarks, targets):
        SEEN.append((landmarks, targets, self.random_state))
        if self.warn:
            np.float64(1) / np.float64(0)
        self.mean = targets.mean(axis=0)
        return self

    def predict(self, landmarks):
        return np.repeat(self.mean[None], len(landmarks), axis=0)


SEEN = []
Watching = sklearn_method(Watcher)
Loud = sklearn_method(Watcher, warn=True)


@pytest.fixture(scope="module")
def parts():
    """Training profiles and two validation sets, of a relation that is not linear."""
    rng = np.random.default_rng(0)
    landmarks = rng.standard_normal((160, 6)).astype(np.float32)
    weights = rng.standard_normal((6, 4))
    targets = np.tanh(landmarks @ weights) + 0.1 * rng.standard_normal((160, 4))
    return [
        Profiles.from_arrays(landmarks[at], targets[at])
        for at in (slice(0, 100), slice(100, 130), slice(130, 160))
    ]


def fitted(method, parts, seed=0, **params):
    spec = method.spec()
    made = method(**spec.values("paper", {name: str(value) for name, value in params.items()}))
    train, first, second = parts
    return made.fit(train, {"first": first, "second": second}, Context(seed=seed))


@pytest.mark.parametrize(
    ("method", "peer"),
    [
        (Ridge, SklearnRidge(alpha=2.0)),
        (Boosting, MultiOutputRegressor(HistGradientBoostingRegressor(max_iter=3, max_depth=2))),
    ],
)
def test_predictions_are_those_of_the_estimator_itself(parts, method, peer):
    train, validation, _ = parts
    model = fitted(method, parts)["first"]
    expected = peer.fit(train.landmarks, train.targets).predict(validation.landmarks)
    np.testing.assert_allclose(model.predict(validation.landmarks), expected, atol=1e-6)
    assert model.choices == {}


def test_each_validation_set_chooses_the_candidate_with_its_smallest_mae(parts):
    train, *validation_sets = parts
    models = fitted(PLS, parts)
    for model, validation in zip(models.values(), validation_sets, strict=True):
        errors = [
            np.abs(
                PLSRegression(k).fit(train.landmarks, train.targets).predict(validation.landmarks)
                - validation.targets
            ).mean()
            for k in (1, 3, 6)
        ]
        assert model.choices == {"n_components": (1, 3, 6)[int(np.argmin(errors))]}
        assert model.curves["path"]["n_components"] == [1, 3, 6]
        np.testing.assert_allclose(model.curves["path"]["mae"], errors, rtol=1e-5)


def test_every_combination_of_two_grids_is_tried(parts):
    path = fitted(KernelRidge, parts)["first"].curves["path"]
    assert path["alpha"] == [1.0, 1.0, 0.01, 0.01]
    assert path["gamma"] == [0.01, 0.1, 0.01, 0.1]


def test_a_tuple_in_a_grid_is_a_value_that_is_a_list(parts):
    train, validation, _ = parts
    [param, _] = LayeredNetwork.declared
    assert param.default == "3,4:2"
    errors = {}
    for sizes in ((3,), (4, 2)):
        peer = MLPRegressor(hidden_layer_sizes=sizes, max_iter=20, random_state=0)
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            predicted = peer.fit(train.landmarks, train.targets).predict(validation.landmarks)
        errors[sizes] = np.abs(predicted - validation.targets).mean()
    model = fitted(LayeredNetwork, parts)["first"]
    assert model.choices == {"hidden_layer_sizes": min(errors, key=errors.get)}
    np.testing.assert_allclose(model.curves["path"]["mae"], [*errors.values()], rtol=1e-4)
    chosen = fitted(LayeredNetwork, parts, hidden_layer_sizes="5:5:5")["first"]
    assert chosen.choices == {"hidden_layer_sizes": (5, 5, 5)}
    with pytest.raises(UserError, match="hidden_layer_sizes: x is not a whole number"):
        fitted(LayeredNetwork, parts, hidden_layer_sizes="5:x")
    with pytest.raises((ValueError, UserError), match="without a colon"):
        sklearn_method(SklearnRidge, solver=[("a:b",)])


def test_a_tuple_alone_is_one_value_that_is_a_list(parts):
    assert TwoLayers.grids == {}
    assert TwoLayers.spec().params[0].default == (4, 2)
    for text, sizes in ((None, (4, 2)), ("3:3:3", (3, 3, 3))):
        given = {"hidden_layer_sizes": text} if text else {}
        with warnings.catch_warnings(action="ignore", category=ConvergenceWarning):
            network = fitted(TwoLayers, parts, **given)["first"]
        assert [len(layer) for layer in network._estimator.coefs_[1:]] == [*sizes]
    with pytest.raises(ValueError, match="an empty list has no type"):
        sklearn_method(MLPRegressor, hidden_layer_sizes=())


def test_the_text_of_a_grid_of_switches_is_as_in_earlier_keys():
    [param] = Switched.spec().params
    assert param.default == "True,False"
    for text in (param.default, "true,false"):
        tried = [values["fit_intercept"] for values in Switched(fit_intercept=text).candidates]
        assert tried == [True, False]


def test_what_is_given_by_name_is_a_parameter_and_a_grid_is_one_of_several_values():
    spec = KernelRidge.spec()
    assert {param.name: param.default for param in spec.params} == {
        "alpha": "1,0.01",
        "gamma": "0.01,0.1",
    }
    assert Ridge.spec().param("alpha").type is float


def test_a_grid_can_be_set_by_the_user_to_values_of_its_type(parts):
    assert fitted(PLS, parts, n_components="2, 4")["first"].curves["path"]["n_components"] == [2, 4]
    assert fitted(KernelRidge, parts, alpha="3")["first"].choices["alpha"] == 3.0
    with pytest.raises(UserError, match=r"n_components=2\.5 is not a whole number"):
        fitted(PLS, parts, n_components="2.5")
    with pytest.raises(UserError, match="a grid needs values"):
        fitted(PLS, parts, n_components=",")


def test_the_seed_is_every_random_state_and_draws_the_profiles(parts):
    same, again, other = (
        fitted(SmallForest, parts, seed=seed)["first"].predict(parts[1].landmarks)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(same, again)
    assert not np.array_equal(same, other)


def test_an_estimator_sees_the_training_profiles_alone_and_the_seed(parts):
    SEEN.clear()
    fitted(Watching, parts, seed=5)
    [(landmarks, targets, seed)] = SEEN
    np.testing.assert_array_equal(landmarks, parts[0].landmarks)
    np.testing.assert_array_equal(targets, parts[0].targets)
    assert seed == 5


def test_drawn_profiles_are_training_profiles_with_their_own_targets(parts):
    SEEN.clear()
    drawing = type("Drawing", (Watching,), {"estimator": Watcher})
    drawing(max_profiles=30).fit(parts[0], {"first": parts[1]}, Context(seed=3))
    [(landmarks, targets, _)] = SEEN
    assert landmarks.shape == (30, 6)
    rows = [int(np.flatnonzero((parts[0].landmarks == row).all(axis=1))[0]) for row in landmarks]
    assert len(set(rows)) == 30
    np.testing.assert_array_equal(targets, parts[0].targets[rows])


def test_warnings_of_an_estimator_are_notes_of_the_model(parts):
    notes = fitted(Loud, parts)["first"].notes
    assert notes == ("RuntimeWarning: divide by zero encountered in scalar divide",)


def test_blocks_of_no_profile_and_single_targets_keep_their_shape(parts):
    model = fitted(Ridge, parts)["first"]
    assert model.predict(parts[1].landmarks[:0]).shape == (0, 4)
    one = [Profiles.from_arrays(part.landmarks, part.targets[:, :1]) for part in parts]
    assert fitted(PLS, one)["first"].predict(one[1].landmarks).shape == (30, 1)


def test_learnt_numbers_are_counted_where_the_model_is_linear(parts):
    assert fitted(Ridge, parts)["first"].n_parameters == 6 * 4 + 4
    assert fitted(SmallForest, parts)["first"].n_parameters is None


def test_models_cannot_be_saved_and_say_so(parts):
    model = fitted(Ridge, parts)["first"]
    assert model.tensors() == {}
    with pytest.raises(NotImplementedError, match="cannot be saved"):
        Ridge(alpha=1.0).restore({}, Context())


def test_a_spec_follows_from_the_variable_and_can_say_otherwise():
    spec = SmallForest.spec()
    assert (spec.name, spec.title, spec.code) == (
        "small-forest",
        "SmallForest",
        f"{__name__}:SmallForest",
    )
    assert spec.stochastic
    assert not PLS.spec().stochastic
    assert PLS.spec("partial", stochastic=True).name == "partial"


def test_a_method_without_a_name_in_its_module_is_refused():
    with pytest.raises(ValueError, match=r"has no name\. Assign it to a variable of"):
        sklearn_method(SklearnRidge).spec()


@pytest.mark.parametrize("grid", [[], ["a,b", "c"]])
def test_a_grid_without_values_or_with_a_comma_in_one_is_refused(grid):
    with pytest.raises(ValueError, match="a grid needs values, none with a comma"):
        sklearn_method(SklearnRidge, solver=grid)


PROCESSES = {"starts_without_torch", "fits_without_test_files", "a_saved_model_predicts_the_same"}
"""Checks that start a process, which takes seconds."""


# --- the example ----------------------------------------------------------------------------------


@pytest.fixture
def example(monkeypatch):
    """The estimators of the documentation, as a local plugin."""
    monkeypatch.setenv(FILES, "")
    use_files([EXAMPLE])
    registry.cache_clear()
    yield registry()
    sys.modules.pop(EXAMPLE.stem)
    installed.cache_clear()
    registry.cache_clear()


def test_the_example_of_the_documentation_runs_and_beats_the_mean(example, genebench, tmp_path):
    outcome = genebench(
        "run", "--methods", "pls,random-forest,rbf-ridge,hist-boosting", "--preset", "tiny",
        "--protocol", "geo", "--results", tmp_path / "results",
        "--set", "random-forest.n_estimators=5", "--set", "hist-boosting.estimator__max_iter=3",
        "--set", "pls.n_components=5", "--set", "rbf-ridge.alpha=0.1",
    )  # fmt: skip
    assert outcome.status == 0
    from genebench import records

    error = {
        record.identity.method: record.scores["mae"]["all"].mean
        for record in records(tmp_path / "results").records
    }
    for name in ("pls", "random-forest", "rbf-ridge", "hist-boosting"):
        assert error[name] < 0.9 * error["train-mean"]
        assert example.methods.plugins[name].file == EXAMPLE


@pytest.mark.parametrize("name", ["pls", "rbf-ridge"])
def test_the_example_conforms(example, name):
    subject = Subject(name)
    here = [check for check in all_checks() if check.name not in PROCESSES]
    failed = [one.detail for one in run_checks(subject, here, {}) if one.status == "failed"]
    assert failed == []
    assert subject.fits.first.models


def test_listing_the_example_does_not_import_scikit_learn(tmp_path):
    import os
    import subprocess

    code = (
        "import sys; from genebench.cli import invoke; assert invoke(['list', 'methods']) == 0;"
        "assert not {'sklearn', 'numpy'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {FILES: str(EXAMPLE)}, check=True,
        capture_output=True,
    )  # fmt: skip


Trees = sklearn_method("sklearn.ensemble:ExtraTreesRegressor", n_estimators=3, n_jobs=2)
Neighbours = sklearn_method("sklearn.neighbors:KNeighborsRegressor", n_neighbors=3)
Elsewhere = sklearn_method(f"{__name__}:Seeded")


class Seeded(SklearnRidge):
    """An estimator whose base class has the random_state."""


def test_an_estimator_by_its_name_is_stochastic_if_it_has_a_random_state():
    assert Trees.spec().stochastic
    assert not Neighbours.spec().stochastic
    assert Elsewhere.spec().stochastic
    assert not Trees.spec(stochastic=False).stochastic


@pytest.mark.parametrize("name", ["ensemble:ExtraTreesRegressor", "neighbors:KNeighborsRegressor"])
def test_what_the_source_says_is_what_the_estimator_has(name):
    code = f"sklearn.{name}"
    assert _names_random_state(code) == ("random_state" in load_code(code)().get_params())


def test_workers_are_no_parameter_and_change_no_prediction(parts):
    assert "n_jobs" not in {param.name for param in Trees.spec().params}
    model = fitted(Trees, parts)["first"]
    assert model._estimator.n_jobs == 2
    alone = sklearn_method("sklearn.ensemble:ExtraTreesRegressor", n_estimators=3)
    given = alone(n_estimators=3).fit(parts[0], {"first": parts[1]}, Context(seed=0))["first"]
    np.testing.assert_array_equal(
        given.predict(parts[1].landmarks), model.predict(parts[1].landmarks)
    )
    with pytest.raises(ValueError, match="n_jobs: 'all' is not a whole number"):
        sklearn_method("sklearn.ensemble:ExtraTreesRegressor", n_jobs="all")
