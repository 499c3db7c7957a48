"""The sample lasso against scikit-learn and the definitions."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Lasso as Peer
from threadpoolctl import threadpool_info, threadpool_limits

from genebench import Context, Profiles, UserError
from genebench_samplewise import genebench_methods, method, training
from genebench_samplewise.method import SampleLasso
from genebench_samplewise.solver import Stop, solve, solve_by_gram
from genebench_samplewise.training import TrainingSet

FINE = Stop(1e-12, 10_000)
PENALTIES = [0.5, 0.1, 0.02]


def simulated(n, p=60, t=9, seed=0):
    """Return landmarks and targets that share a few factors, and a constant of each profile."""
    loadings = np.random.default_rng(99).normal(size=(5, p + t))
    random = np.random.default_rng(seed)
    values = random.normal(size=(n, 5)) @ loadings / 2 + random.normal(0, 0.5, (n, p + t))
    values += random.normal(0, 0.3, (n, 1))
    return values[:, :p].astype(np.float32), values[:, p:].astype(np.float32)


def awkward(case):
    rows, _ = simulated(200)
    if case == "duplicated profile":
        rows[50:100] = rows[:50]
    if case == "opposite profile":
        rows[1] = -rows[0]
    if case == "empty profile":
        rows[3] = 0
    if case == "dependent profiles":
        rows[100:] = np.random.default_rng(1).normal(size=(100, 4)) @ rows[:4]
    if case == "unequal scales":
        rows[::3] *= 30
    if case == "fewer profiles than landmarks":
        rows = rows[:20]
    return rows


CASES = [
    "plain", "duplicated profile", "opposite profile", "empty profile", "dependent profiles",
    "unequal scales", "fewer profiles than landmarks",
]  # fmt: skip


def by_gram(profile, rows, penalties, stop):
    wide = rows.astype(float)
    return solve_by_gram(profile, rows, penalties, stop, wide @ wide.T)


SOLVERS = [solve, by_gram]


def params(**changed):
    spec = next(iter(genebench_methods()))
    return {**spec.values("paper", {}), **changed}


def fitted(train, validation, **changed):
    sets = {"s": Profiles.from_arrays(*validation)}
    return SampleLasso(**params(**changed)).fit(Profiles.from_arrays(*train), sets, Context())["s"]


def relative_gap(profile, rows, penalty, weights):
    """The duality gap by its definition, from the residual."""
    residual = profile - weights @ rows
    along, square = profile @ residual, residual @ residual
    scale = np.clip(min(along / square, penalty / 2 / np.abs(rows @ residual).max()), 0, None)
    primal = square + penalty * np.abs(weights).sum()
    return (primal - 2 * scale * along + scale**2 * square) / (profile @ profile)


def peer_prediction(x, train, penalty, *, intercept):
    """Return the targets of one profile, whose weights scikit-learn finds."""
    landmarks, targets = (part.astype(float) for part in train)
    means = landmarks.mean(1)
    peer = Peer(alpha=penalty / 2, fit_intercept=intercept, tol=1e-13, max_iter=1_000_000)
    peer.fit(landmarks.T, x.astype(float))
    constant = x.mean(dtype=float) - peer.coef_ @ means if intercept else 0.0
    return peer.coef_ @ targets + constant


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("case", CASES)
def test_every_penalty_reaches_its_gap(case, solver):
    rows = awkward(case)
    profile = simulated(1, seed=7)[0][0].astype(float)
    penalties = np.array(PENALTIES) * len(profile)
    solution = solver(profile, rows, penalties, FINE)
    for penalty, weights, gap in zip(penalties, solution.weights, solution.gaps, strict=True):
        assert gap <= FINE.gap
        assert relative_gap(profile, rows.astype(float), penalty, weights) <= 10 * FINE.gap


@pytest.mark.parametrize("solver", SOLVERS)
def test_it_fits_as_scikit_learns_lasso_with_a_penalty_of_twice_p_alpha(solver):
    rows = awkward("plain")
    profile = simulated(1, seed=7)[0][0].astype(float)
    penalties = np.array(PENALTIES) * len(profile)
    solution = solver(profile, rows, penalties, FINE)
    for penalty, weights in zip(penalties, solution.weights, strict=True):
        peer = Peer(alpha=penalty / (2 * len(profile)), fit_intercept=False, tol=1e-13)
        peer.set_params(max_iter=1_000_000).fit(rows.T.astype(float), profile)
        np.testing.assert_allclose(weights @ rows, peer.predict(rows.T), atol=1e-5)


@pytest.mark.parametrize("solver", SOLVERS)
def test_a_training_profile_that_is_not_used_has_an_exact_zero(solver):
    for seed in range(500):
        random = np.random.default_rng(seed)
        common = random.standard_normal(10)
        rows = (common + random.standard_normal((5, 10)) / 2).astype(np.float32)
        profile = common + random.standard_normal(10) / 2
        weights = solver(profile, rows, np.array([8.0, 4.0, 2.0, 1.0]), Stop(1e-4, 100)).weights
        # A weight that went back to zero with rounding errors would be as small as these.
        assert np.abs(weights[weights != 0]).min(initial=1) > 1e-6


@pytest.mark.parametrize("solver", SOLVERS)
def test_the_reported_gap_is_that_of_the_definition(solver):
    rows, penalty = awkward("plain"), 0.05 * 60
    profile = simulated(1, seed=7)[0][0].astype(float)
    for gap in (1e-1, 1e-2, 1e-3):
        solution = solver(profile, rows, np.array([penalty]), Stop(gap, 100))
        expected = relative_gap(profile, rows.astype(float), penalty, solution.weights[0])
        assert solution.gaps[0] == pytest.approx(expected, abs=1e-9)
        assert solution.gaps[0] <= gap


@pytest.mark.parametrize("solver", SOLVERS)
def test_too_few_rounds_leave_a_gap_that_is_reported(solver):
    profile = simulated(1, seed=7)[0][0].astype(float)
    rows = awkward("plain")
    solution = solver(profile, rows, np.array([0.6]), Stop(1e-12, 1))
    assert solution.gaps[0] > 1e-12
    expected = relative_gap(profile, rows.astype(float), 0.6, solution.weights[0])
    assert solution.gaps[0] == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("solver", SOLVERS)
def test_without_expression_or_above_the_largest_pull_all_weights_are_zero(solver):
    rows = awkward("plain")
    profile = simulated(1, seed=7)[0][0].astype(float)
    largest = 2 * np.abs(rows @ profile).max()
    assert not solver(profile, rows, np.array([largest * 1.001]), FINE).weights.any()
    assert solver(profile, rows, np.array([largest * 0.99]), FINE).weights.any()
    assert not solver(0 * profile, rows, np.array([1.0]), FINE).weights.any()


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("intercept", ["yes", "no"])
def test_predictions_are_mixtures_with_scikit_learns_weights(intercept, shared, monkeypatch):
    if not shared:
        monkeypatch.setattr(method, "MOST_SHARED", 0)
    train, (landmarks, targets) = simulated(80), simulated(10, seed=1)
    options = {"penalties": 1, "penalty_max": 0.05, "penalty_min": 0.05, "gap": 1e-12}
    model = fitted(train, (landmarks, targets), intercept=intercept, **options)
    predicted = model.predict(landmarks)
    for row, x in zip(predicted, landmarks, strict=True):
        expected = peer_prediction(x, train, 0.05, intercept=intercept == "yes")
        np.testing.assert_allclose(row, expected, atol=1e-5)


def test_only_the_nearest_training_profiles_are_donors():
    train, (landmarks, targets) = simulated(300), simulated(20, seed=1)
    model = fitted(train, (landmarks, targets), neighbours=40)
    donors = model.donors(landmarks)
    distance = ((train[0].astype(float)[None] - landmarks[:, None]) ** 2).sum(2)
    for profile, table in donors.groupby("profile"):
        nearest = np.argsort(distance[profile], kind="stable")[:40]
        assert set(table["donor"]) <= set(nearest)


def test_the_search_finds_the_nearest_and_of_ties_the_first():
    landmarks, _ = simulated(500)
    landmarks[250:] = landmarks[:250]
    queries = simulated(70, seed=1)[0]
    training = TrainingSet(landmarks, landmarks.__getitem__, 1)
    found = [search() for search in training.searches(queries, 33)]
    assert len(found) == len(queries)
    for query, positions in zip(queries, found, strict=True):
        distance = ((landmarks.astype(float) - query) ** 2).sum(1)
        expected = np.sort(np.argsort(distance, kind="stable")[:33])
        np.testing.assert_array_equal(positions, expected)


@pytest.mark.parametrize("neighbours", [40, 2000])
def test_predictions_do_not_depend_on_the_block(neighbours):
    train, (landmarks, targets) = simulated(300), simulated(90, seed=1)
    model = fitted(train, (landmarks, targets), neighbours=neighbours)
    whole = model.predict(landmarks)
    for size in (1, 7, 64):
        starts = range(0, len(landmarks), size)
        blocks = [model.predict(landmarks[start : start + size]) for start in starts]
        np.testing.assert_array_equal(np.concatenate(blocks), whole)
    np.testing.assert_array_equal(model.predict(landmarks[::-1])[::-1], whole)


def test_blas_has_one_thread_in_each_thread_of_a_solver(monkeypatch):
    """With more of them, two processors are slower than one."""
    train, validation = simulated(300), simulated(30, seed=1)
    found, solve = [], method.solve

    def watched(*arguments):
        found.extend(
            pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"
        )
        return solve(*arguments)

    monkeypatch.setattr(method, "solve", watched)
    with threadpool_limits(2):
        fitted(train, validation, neighbours=40)
        after = {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}
    assert set(found) == {1}
    assert after == {2}


def test_no_library_of_threads_is_loaded_after_the_first_look():
    code = """
import numpy as np
from threadpoolctl import threadpool_info
from genebench_samplewise.solver import Stop, solve
found = lambda: {pool["filepath"] for pool in threadpool_info()}
before = found()
rows = np.random.default_rng(0).standard_normal((5, 9)).astype(np.float32)
assert solve(rows[0] + rows[1].astype(float), rows, np.array([0.1]), Stop(1e-9, 99)).weights.any()
assert found() == before, found() - before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_targets_read_in_parts_give_the_same_sums(monkeypatch):
    train, (landmarks, targets) = simulated(300), simulated(30, seed=1)
    model = fitted(train, (landmarks, targets))
    whole = model.predict(landmarks)
    monkeypatch.setattr(training, "DONORS_PER_READ", 5)
    np.testing.assert_array_equal(model.predict(landmarks), whole)


def test_the_setting_with_the_smallest_validation_mae_is_chosen():
    train, validation = simulated(120), simulated(40, seed=1)
    model = fitted(train, validation, penalties=4)
    path = pd.DataFrame(model.curves["path"])
    assert len(path) == 8
    for _, point in path.iterrows():
        alone = fitted(
            train, validation, penalties=1, intercept="yes" if point["intercept"] else "no",
            penalty_max=point["penalty"], penalty_min=point["penalty"],
        )  # fmt: skip
        error = np.abs(alone.predict(validation[0]) - validation[1]).mean()
        assert point["mae"] == pytest.approx(error, rel=1e-5)
    best = path.loc[path["mae"].idxmin()]
    assert model.choices["penalty"] == best["penalty"]
    assert model.choices["intercept"] == bool(best["intercept"])


def test_a_constant_of_each_profile_makes_the_intercept_better():
    (landmarks, targets), train = simulated(40, seed=1), simulated(120)
    model = fitted(train, (landmarks + 2, targets + 2))
    assert model.choices["intercept"] is True


def test_the_choice_on_few_validation_profiles_is_noted():
    model = fitted(simulated(60), simulated(50, seed=1), validation_profiles=20)
    assert "chosen on 20 of 50 validation profiles" in model.notes
    again = fitted(simulated(60), simulated(50, seed=1), validation_profiles=20)
    assert again.curves == model.curves
    every = fitted(simulated(60), simulated(50, seed=1), validation_profiles=0)
    assert every.curves != model.curves
    assert not any("chosen on" in note for note in every.notes)


def test_an_edge_of_the_path_and_too_few_rounds_are_noted():
    options = {"penalty_max": 0.5, "penalty_min": 0.4, "penalties": 3}
    model = fitted(simulated(60), simulated(20, seed=1), **options)
    assert any("Move penalty_min" in note for note in model.notes)
    options = {"penalty_max": 0.01, "penalty_min": 0.01, "penalties": 1, "iterations": 1}
    model = fitted(simulated(60), simulated(20, seed=1), **options)
    assert any("Raise iterations" in note for note in model.notes)
    assert model.choices["gap_worst"] > 1e-6


def test_a_restored_model_predicts_the_same():
    train, (landmarks, targets) = simulated(120), simulated(20, seed=1)
    model = fitted(train, (landmarks, targets), neighbours=50)
    restored = SampleLasso(**params(neighbours=50)).restore(model.tensors(), Context())
    np.testing.assert_array_equal(restored.predict(landmarks), model.predict(landmarks))
    pd.testing.assert_frame_equal(restored.donors(landmarks), model.donors(landmarks))


def test_a_very_large_model_is_not_saved_and_a_note_says_so(monkeypatch):
    monkeypatch.setattr(method, "MOST_BYTES", 1000)
    model = fitted(simulated(60), simulated(20, seed=1))
    assert model.tensors() == {}
    assert any("too large to be saved" in note for note in model.notes)


@pytest.mark.parametrize("intercept", ["yes", "no"])
def test_donors_and_weights_explain_the_prediction(intercept):
    train, (landmarks, targets) = simulated(120), simulated(20, seed=1)
    model = fitted(train, (landmarks, targets), intercept=intercept)
    predicted = model.predict(landmarks)
    table = pd.DataFrame({"tissue": ["liver", "blood"] * 60}, index=[f"P{i}" for i in range(120)])
    donors = model.donors(landmarks, table)
    assert donors["profile"].nunique() == len(landmarks)
    for profile, own in donors.groupby("profile"):
        mixture = own["weight"].to_numpy() @ train[1][own["donor"]].astype(float)
        if intercept == "yes":
            means = train[0][own["donor"]].mean(1, dtype=float)
            mixture += landmarks[profile].mean(dtype=float) - own["weight"].to_numpy() @ means
        np.testing.assert_allclose(predicted[profile], mixture, atol=1e-5)
        assert own["share"].sum() == pytest.approx(1)
        assert own["share"].is_monotonic_decreasing
        first = own.iloc[0]
        correlation = np.corrcoef(landmarks[profile], train[0][first["donor"]])[0, 1]
        assert first["correlation"] == pytest.approx(correlation, abs=1e-6)
        assert first["id"] == f"P{first['donor']}"
        assert first["tissue"] == ("liver", "blood")[first["donor"] % 2]


def test_a_table_of_other_training_profiles_is_refused():
    model = fitted(simulated(60), simulated(20, seed=1))
    with pytest.raises(UserError, match="59 training profiles"):
        model.donors(simulated(2)[0], pd.DataFrame(index=range(59)))


def test_an_exchanged_path_is_refused():
    with pytest.raises(UserError, match="Exchange them"):
        SampleLasso(**params(penalty_min=1.0, penalty_max=0.1))


def test_no_profiles_give_no_predictions():
    model = fitted(simulated(60), simulated(20, seed=1))
    none = np.zeros((0, 60), np.float32)
    assert model.predict(none).shape == (0, 9)
    assert list(model.donors(none).columns) == list(model.donors(simulated(1)[0]).columns)


def test_the_example_of_the_readme_explains_saved_predictions(tmp_path, monkeypatch):
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    readme = (Path(__file__).parents[1] / "README.md").read_text()
    example = readme.split("```python\n")[1].split("```")[0]
    names: dict[str, object] = {}
    exec(example, names)
    donors, parts = names["donors"], names["parts"]
    assert set(donors["profile"]) == set(range(5))
    assert set(parts.train.profiles.columns) <= set(donors.columns)
    assert (donors["id"] == parts.train.profiles.index[donors["donor"]]).all()


@pytest.mark.parametrize("intercept", ["no", "yes"])
def test_relevance_is_landmark_times_numerical_slope(intercept):
    train, test = simulated(100), simulated(6, seed=1)
    model = fitted(train, test, intercept=intercept, gap=1e-13, iterations=1000)
    weights = np.random.default_rng(0).standard_normal(9)
    values, rest, output = model.relevance(test[0], weights, "exact")
    np.testing.assert_allclose(output, model.predict(test[0]) @ weights, atol=1e-5)
    np.testing.assert_allclose(values.sum(1) + rest, output, atol=1e-6)
    solver, setting = model._solver, model.setting
    targets = train[1].astype(float) @ weights

    def total(profile):
        [[mixture]] = solver.paths(profile[None], [setting.penalty], setting.intercept)
        return mixture.weights @ targets[mixture.donors] + mixture.constant * weights.sum()

    profile, step = test[0][0].astype(float), 1e-5
    for landmark in range(0, 60, 7):
        moved = np.eye(60)[landmark] * step
        slope = (total(profile + moved) - total(profile - moved)) / (2 * step)
        np.testing.assert_allclose(values[0, landmark], profile[landmark] * slope, atol=1e-6)


def test_a_profile_without_donors_has_no_relevance():
    train, test = simulated(40), simulated(4, seed=1)
    model = fitted(train, test, intercept="no", penalty_min=10.0, penalty_max=10.0, penalties=1)
    values, rest, output = model.relevance(np.zeros((2, 60), np.float32), np.ones(9), "exact")
    assert not values.any()
    assert not rest.any()
    assert not output.any()
