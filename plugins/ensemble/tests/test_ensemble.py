"""Ensembles: what they predict, choose, record and save."""

from __future__ import annotations

import numpy as np
import pytest

import genebench as gb
from genebench import Context, Model
from genebench.relevance import linear_relevance
from genebench_ensemble import method
from genebench_ensemble.method import Ensemble, WeightedSum

OPTIONS = {"protocols": "geo", "dataset": "sim", "preset": "tiny"}
pytestmark = pytest.mark.usefixtures("tiny")


class Scaled(Model):
    """A model that predicts the true targets times a factor, with some noise."""

    def __init__(self, profiles, factor, noise=0.0):
        self.truth = profiles.targets
        self.landmarks = profiles.landmarks
        self.factor, self.noise = factor, noise
        self.rows = {row.tobytes(): number for number, row in enumerate(self.landmarks)}

    def predict(self, landmarks):
        rows = [self.rows[np.ascontiguousarray(row).tobytes()] for row in landmarks]
        random = np.random.default_rng(0).normal(size=self.truth.shape)
        return (self.factor * self.truth + self.noise * random)[rows].astype(np.float32)


@pytest.fixture(scope="module")
def validation(tiny):
    return gb.load("sim", "geo", preset="tiny").validation


def fitted(validation, weights, **members):
    context = Context(members={"geo": members})
    ensemble = Ensemble(members=",".join(members), weights=weights)
    return ensemble.fit(validation, {"geo": validation}, context)["geo"]


def ensemble(folder, **params):
    """Run lsr-l2, knn-ge and their ensemble. Return method → record."""
    results = gb.run(
        "lsr-l2,knn-ge,ensemble", results=folder, keep="model,predictions", **OPTIONS,
        params={"ensemble": {"members": "lsr-l2,knn-ge"} | params},
    )  # fmt: skip
    return {record.identity.method: record for record in results.records}


def predictions(folder, record):
    from genebench.results.store import ResultsStore

    return np.asarray(ResultsStore(folder).predictions(record))


def test_the_mean_is_the_mean_of_the_predictions(tmp_path):
    records = ensemble(tmp_path / "r")
    first, second, both = (
        predictions(tmp_path / "r", records[name]) for name in ("lsr-l2", "knn-ge", "ensemble")
    )
    np.testing.assert_allclose(both, (first + second) / 2, atol=1e-6)
    assert records["ensemble"].choices["weight.lsr-l2"] == 0.5


def test_stacking_is_no_worse_than_the_best_member_on_the_validation_set(tmp_path):
    record = ensemble(tmp_path / "r", weights="stack")["ensemble"]
    curve = record.curves["members"]
    # Weights have two decimals, so that the least error is missed by a little.
    assert record.choices["validation_mae"] <= min(curve["mae"]) + 1e-3
    assert curve["weight"] == (
        record.choices["weight.knn-ge"],
        record.choices["weight.lsr-l2"],
    )


def test_a_saved_ensemble_predicts_the_same_from_one_file(tmp_path):
    from genebench.results.store import ResultsStore

    folder = tmp_path / "r"
    record = ensemble(folder, weights="stack")["ensemble"]
    path = ResultsStore(folder).model_path(record)
    alone = tmp_path / "alone.safetensors"
    alone.write_bytes(path.read_bytes())
    for file in folder.iterdir():
        if file.suffix == ".safetensors":
            file.unlink()
    saved = gb.open_model(alone)
    test = gb.load("sim", "geo", preset="tiny").test
    np.testing.assert_allclose(
        saved.model.predict(test.landmarks), predictions(folder, record), atol=1e-6
    )
    assert set(saved.tensors) == {"weights"}


def test_weights_undo_a_wrong_scale(validation):
    model = fitted(validation, "stack", half=Scaled(validation, 0.5))
    assert model.choices["weight.half"] == 2
    assert model.choices["validation_mae"] == pytest.approx(0, abs=1e-6)


def test_a_member_that_is_of_no_use_has_weight_0_and_a_note(validation):
    members = {"good": Scaled(validation, 1.0), "bad": Scaled(validation, -1.0)}
    model = fitted(validation, "stack", **members)
    assert model.choices["weight.bad"] == 0
    assert model.notes == ("bad has weight 0.",)
    landmarks = validation.landmarks
    np.testing.assert_allclose(model.predict(landmarks), members["good"].predict(landmarks))


def test_a_large_validation_set_is_thinned_with_a_note(validation, monkeypatch):
    members = {"a": Scaled(validation, 1, 0.3), "b": Scaled(validation, 1, 0.3)}
    whole = fitted(validation, "stack", **members)
    monkeypatch.setattr(method, "MOST_VALUES", 160 * 10)
    thinned = fitted(validation, "stack", **members)
    assert thinned.notes == ("Weights are from 10 of 40 validation profiles.",)
    assert not whole.notes
    np.testing.assert_allclose(thinned.weights, whole.weights, atol=0.1)


def test_seconds_memory_and_parameters_are_those_of_all(tmp_path):
    records = ensemble(tmp_path / "r", weights="stack")
    record, members = records["ensemble"], (records["lsr-l2"], records["knn-ge"])
    assert record.seconds["members"] == pytest.approx(sum(m.seconds["fit"] for m in members))
    assert record.fit_seconds == record.seconds["members"] + record.seconds["fit"]
    assert record.peak_memory >= max(m.peak_memory for m in members)
    if all(m.model_parameters is not None for m in members):
        assert record.model_parameters == 2 + sum(m.model_parameters for m in members)
    plugins = {"genebench-ensemble", "genebench-linear", "genebench-knn"}
    assert plugins <= set(record.provenance.plugins)


class Explained(Model):
    def __init__(self, slopes, *rules):
        self.slopes, self.relevance_rules = np.asarray(slopes, float), rules

    def predict(self, landmarks):
        return landmarks @ self.slopes

    def relevance(self, landmarks, weights, rule):
        scale = 1 + self.relevance_rules.index(rule)
        return linear_relevance(landmarks, scale * (self.slopes @ weights), 1.0)


def test_relevance_is_the_weighted_sum_of_the_members():
    random = np.random.default_rng(0)
    first = Explained(random.standard_normal((5, 3)), "exact", "gradient-input")
    second = Explained(random.standard_normal((5, 3)), "lrp-epsilon", "gradient-input")
    idle = Explained(random.standard_normal((5, 3)))
    model = WeightedSum({"a": first, "b": second, "c": idle}, np.array([0.25, 2.0, 0.0]))
    assert model.relevance_rules == ("gradient-input",)
    x, weights = random.standard_normal((4, 5)).astype(np.float32), np.array([1.0, -1.0, 0.5])
    found = model.relevance(x, weights, "gradient-input")
    slopes = 2 * (0.25 * first.slopes + 2.0 * second.slopes) @ weights
    np.testing.assert_allclose(found.values, x * slopes)
    np.testing.assert_allclose(found.rest, 2.25)


def test_members_without_a_common_rule_leave_none():
    slopes = np.eye(3)
    members = {"a": Explained(slopes, "exact"), "b": Explained(slopes)}
    assert WeightedSum(members, np.array([0.5, 0.5])).relevance_rules == ()
    assert WeightedSum(members, np.zeros(2)).relevance_rules == ()
