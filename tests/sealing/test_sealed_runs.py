"""Tests that methods run sealed as they are, and that cheats end at an honest score."""

from __future__ import annotations

import numpy as np
import pytest

from genebench.api import run
from genebench.results.store import ResultsStore
from tests.sealing.conftest import needs_landlock
from tests.sealing.roads import ROADS


def scores_of(folder):
    """Return (method, protocol) → MAE of each gene."""
    store = ResultsStore(folder)
    return {
        (r.identity.method, r.identity.protocol): store.vectors(r)["gene-metric.mae"]
        for r in store.records()
        if r.status == "done"
    }


@needs_landlock
def test_every_road_ends_at_the_score_of_an_honest_fit(plugins, tiny, tmp_path):
    results = tmp_path / "results"
    options = {"dataset": "sim", "preset": "tiny", "results": results, "sealed": "require"}
    run("road-honest,knn", **options)
    before = {path: path.read_bytes() for path in results.glob("*.*")}
    # By itself, so that knn's record is a rival's to it.
    run(",".join(sorted(ROADS)), **options)
    scores = scores_of(results)
    for name in ROADS.keys() - {"road-transductive"}:
        for protocol in ("geo", "gtex"):
            honest = scores["road-honest", protocol]
            np.testing.assert_array_equal(scores[name, protocol], honest, name)
    assert all(path.read_bytes() == content for path, content in before.items())
    levels = {record.seal.level for record in ResultsStore(results).records()}
    assert levels == {"landlock"}


def test_unsealed_the_roads_lead_to_the_truth(plugins, tiny, tmp_path):
    """Otherwise the test above would show nothing."""
    names = "road-map,road-store,road-storelate,road-objects,road-frames,road-maps"
    results = tmp_path / "results"
    run(f"road-honest,{names}", dataset="sim", preset="tiny", results=results, sealed="off")
    scores = scores_of(results)
    honest = scores["road-honest", "geo"].mean()
    for name in names.split(","):
        assert scores[name, "geo"].mean() < honest / 4, name


@needs_landlock
@pytest.mark.parametrize("engine", ["local", "process"])
def test_methods_run_sealed_as_they_are(plugins, tiny, tmp_path, engine):
    methods = "lsr-l2,knn" if engine == "local" else "road-map"
    outside, inside = tmp_path / "outside", tmp_path / "inside"
    options = {"dataset": "sim", "preset": "tiny", "engine": engine}
    run(methods, results=inside, sealed="require", **options)
    scores = scores_of(inside)
    assert {record.seal.level for record in ResultsStore(inside).records()} == {"landlock"}
    run(methods.replace("road-map", "road-honest"), results=outside, sealed="off", **options)
    for key, values in scores_of(outside).items():
        same = key if key in scores else ("road-map", key[1])
        # Another order of profiles changes the last bit of a product of matrices.
        np.testing.assert_allclose(scores[same], values, rtol=1e-6, err_msg=str(key))


@needs_landlock
def test_sealed_runs_give_the_same_to_the_last_bit(plugins, tiny, tmp_path):
    for name in ("first", "second"):
        run("road-honest", dataset="sim", preset="tiny", results=tmp_path / name, sealed="require")
    first, second = scores_of(tmp_path / "first"), scores_of(tmp_path / "second")
    for key, values in first.items():
        np.testing.assert_array_equal(second[key], values, str(key))


@needs_landlock
def test_a_results_folder_may_be_named_from_the_working_directory(tiny, tmp_path, monkeypatch):
    """A job has another one, in which ``results`` is a folder that it may write to."""
    monkeypatch.chdir(tmp_path)
    run("lsr", "geo", dataset="sim", preset="tiny", results="results", sealed="require")
    assert {record.seal.level for record in ResultsStore(tmp_path / "results").records()} == {
        "landlock"
    }
