"""The audit: what predictions are kept for."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest

from genebench import api
from genebench._util.files import sha256_of
from genebench.analysis.audit import annotate, audit
from genebench.plugins.registry import registry
from genebench.results.checks import verify
from genebench.results.panels import scores_of
from genebench.results.record import Seal
from genebench.results.store import ResultsStore


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("audit") / "results"
    api.run("lsr", "geo", preset="tiny", results=folder, keep="predictions")
    return folder


@pytest.fixture
def store(made, tmp_path):
    return ResultsStore(shutil.copytree(made, tmp_path / "results"))


@pytest.fixture
def lsr(store):
    return next(record for record in store.records() if record.identity.method == "lsr")


def of(store, record):
    return next(outcome for outcome in audit(store, registry()) if outcome.key == record.key)


def test_every_metric_of_a_genuine_record_is_recomputed(store):
    for outcome in audit(store, registry()):
        assert outcome.faults == ()
        assert set(outcome.recomputed) == set(store.read(outcome.key).scores)


def test_a_forgery_that_agrees_with_itself_is_found_by_its_predictions(store, lsr):
    """Scores, vectors, digests and checksum made to fit each other: only predictions tell."""
    vectors = store.vectors(lsr)
    forged = {
        name: values * 0.9 if name.startswith(("gene-metric.mae", "profile-share.mae")) else values
        for name, values in vectors.items()
    }
    store.write(lsr.model_copy(update={"scores": scores_of(forged)}), forged)
    assert verify(store.paths, store.read(lsr.key)) == []
    [fault] = of(store, lsr).faults
    assert fault.startswith("mae is not what its kept predictions give")


def test_values_that_changed_places_are_found(store, lsr):
    """The mean over genes is the same; whose value it is, is not."""
    vectors = store.vectors(lsr)
    strict = np.flatnonzero(~vectors["gene.twin"])
    for name in ("gene-metric.mae",):
        vectors[name][strict] = np.roll(vectors[name][strict], 1)
    store.write(lsr.model_copy(update={"scores": scores_of(vectors)}), vectors)
    assert verify(store.paths, store.read(lsr.key)) == []
    assert of(store, lsr).faults


def test_shares_that_changed_places_are_found(store, lsr):
    """Their mean is the score still; what is tested with them is not."""
    vectors = store.vectors(lsr)
    vectors["profile-share.cc.strict"] = np.roll(vectors["profile-share.cc.strict"], 1)
    store.write(lsr, vectors)
    assert verify(store.paths, store.read(lsr.key)) == []
    [fault] = of(store, lsr).faults
    assert fault.startswith("the share of profiles in cc is not what")


@pytest.mark.parametrize("groups", [None, "each its own", "all one"])
def test_groups_that_are_not_those_of_the_dataset_are_found(store, lsr, groups):
    """Profiles passed off as independent make small p-values of nothing."""
    vectors = store.vectors(lsr)
    labels = vectors.pop("profile.group")
    if groups:
        vectors["profile.group"] = (
            vectors["profile.id"] if groups == "each its own" else labels[:1].repeat(len(labels))
        )
    store.write(lsr, vectors)
    assert verify(store.paths, store.read(lsr.key)) == []
    assert of(store, lsr).faults == ("profile.group is not that of the dataset",)


def test_a_record_of_before_shares_and_groups_can_be_recomputed(store, lsr):
    old = {
        name: values for name, values in store.vectors(lsr).items()
        if not name.startswith(("profile-share.", "profile.group"))
    }  # fmt: skip
    store.write(lsr, old)
    assert (of(store, lsr).faults, "mae" in of(store, lsr).recomputed) == ((), True)


def test_other_predictions_with_a_digest_to_fit_are_found(store, lsr):
    path = store.paths.kept(lsr, "predictions")
    np.save(path, np.load(path) * np.float32(0.9))
    digest = sha256_of(path)
    path.rename(store.paths.new(lsr.key, digest, "predictions"))
    store.write(lsr.model_copy(update={"predictions": digest}), store.vectors(lsr))
    assert len(of(store, lsr).faults) >= 2


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"predictions": ""}, "predictions were not kept"),
        ({"metrics": {"mae": "older", "cc": "older"}}, "code of its metrics is another"),
    ],
)
def test_what_cannot_be_recomputed_says_why_and_is_no_fault(store, lsr, change, why):
    store.write(lsr.model_copy(update=change), store.vectors(lsr))
    outcome = of(store, lsr)
    assert outcome.faults == ()
    assert outcome.recomputed == ()
    assert why in outcome.not_recomputed


def test_a_dataset_that_is_not_here_is_no_fault(store, lsr, monkeypatch):
    monkeypatch.setattr("genebench.data.store.DataStore.find", lambda *_: None)
    outcome = of(store, lsr)
    assert outcome.faults == ()
    assert "is not prepared here" in outcome.not_recomputed


def seal(store, record, level="landlock", **changes):
    """Write a record as a sealed run would have written it."""
    changed = {"seal": Seal(level=level, reason="" if level == "landlock" else "old kernel")}
    return store.write(record.model_copy(update=changed | changes), store.vectors(record))


def test_an_annotation_says_what_was_recomputed_and_of_which_record(store, lsr):
    seal(store, lsr)
    annotate(of(store, lsr), store)
    verified = store.annotations.read(lsr.key).verified
    assert verified.record == sha256_of(store.root / f"{lsr.key}.json")
    assert set(verified.metrics) == set(lsr.scores)
    assert verified.source == "predictions"


def test_a_record_that_changed_after_its_audit_is_not_verified(store, lsr):
    seal(store, lsr)
    outcome = of(store, lsr)
    seal(store, lsr, notes=("another",))
    annotate(outcome, store)
    assert store.annotations.read(lsr.key).names == []


@pytest.mark.parametrize("level", ["view", "no"])
def test_a_method_that_could_have_seen_the_test_data_is_not_verified(store, lsr, level):
    seal(store, lsr, level)
    outcome = of(store, lsr)
    assert set(outcome.recomputed) == set(lsr.scores)
    [line] = outcome.unmarked
    assert line.startswith(f"its method could have seen the test data (seal {level}: old kernel)")
    with pytest.raises(ValueError, match="is not verified"):
        annotate(outcome, store)


@pytest.mark.parametrize("digest", ["0" * 16, None])
def test_a_metric_that_cannot_be_recomputed_keeps_the_mark_away(store, lsr, digest):
    """A tenth of the error, under a metric of other code, and honest predictions."""
    forged = {
        name: values / 10 if name.startswith(("gene-metric.mae", "profile-share.mae")) else values
        for name, values in store.vectors(lsr).items()
    }
    metrics = {name: code for name, code in lsr.metrics.items() if name != "mae"}
    metrics |= {"mae": digest} if digest else {}
    sealed = {"seal": Seal(level="landlock"), "metrics": metrics, "scores": scores_of(forged)}
    store.write(lsr.model_copy(update=sealed), forged)
    assert verify(store.paths, store.read(lsr.key)) == []
    outcome = of(store, lsr)
    assert outcome.unmarked == ("mae was not recomputed: its code here is not that of the record",)
    assert not outcome.is_verified


def test_a_metric_that_is_not_installed_keeps_the_mark_away(store, lsr):
    vectors = store.vectors(lsr) | {"gene-metric.magic": np.zeros(lsr.genes["target"])}
    sealed = {"seal": Seal(level="landlock"), "scores": scores_of(vectors)}
    store.write(lsr.model_copy(update=sealed), vectors)
    assert of(store, lsr).unmarked == ("magic was not recomputed: no such metric is installed",)


def test_a_share_that_no_metric_gives_keeps_the_mark_away(store, lsr):
    """Ranks are tested with shares: made-up ones make any difference significant."""
    score = lsr.scores["profile-pearson"]["all"].mean
    shares = {"profile-share.profile-pearson.all": np.full(lsr.profiles["test"], score)}
    vectors = store.vectors(lsr) | shares
    store.write(lsr.model_copy(update={"seal": Seal(level="landlock")}), vectors)
    [line] = of(store, lsr).unmarked
    assert line.startswith("profile-share.profile-pearson.all was not recomputed")


def test_predictions_made_again_from_the_model_need_no_seal(store, lsr):
    kept, digest = store.predictions(lsr), hashlib.sha256(b"a model").hexdigest()
    store.paths.new(lsr.key, digest, "model").write_bytes(b"a model")
    store.write(lsr.model_copy(update={"model": digest, "predictions": ""}), store.vectors(lsr))
    seen = []

    def predictor(record, model, dataset):
        seen.append((record.key, model.read_bytes(), dataset.digest))
        return np.array(kept)

    [outcome] = [o for o in audit(store, registry(), predictor) if o.key == lsr.key]
    assert seen == [(lsr.key, b"a model", lsr.identity.data)]
    assert (outcome.is_verified, outcome.source) == (True, "model")
    annotate(outcome, store)
    assert store.annotations.read(lsr.key).verified.source == "model"


def test_a_model_that_predicts_something_else_is_a_fault(store, lsr):
    kept, digest = store.predictions(lsr), hashlib.sha256(b"a model").hexdigest()
    store.paths.new(lsr.key, digest, "model").write_bytes(b"a model")
    store.write(lsr.model_copy(update={"model": digest}), store.vectors(lsr))
    outcomes = audit(store, registry(), lambda *_: np.array(kept) * np.float32(0.5))
    [outcome] = [outcome for outcome in outcomes if outcome.key == lsr.key]
    assert any(fault.startswith("mae is not what") for fault in outcome.faults)
