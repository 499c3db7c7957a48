"""What each leak is worth: a protocol beside its variants."""

from __future__ import annotations

import json
import shutil

import pytest

from genebench._util.hashing import key_of
from genebench.api import run
from genebench.results.store import ResultsStore


@pytest.fixture(scope="module")
def results(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaks")
    run("lsr", "all", "sim", preset="tiny", results=folder)
    return folder


def test_a_difference_is_the_variants_score_minus_the_originals(results, genebench):
    differences = json.loads(
        genebench("report", "leaks", "--results", results, "--format", "json").out
    )
    values = json.loads(genebench("report", "--results", results, "--format", "json").out)
    score = {
        (row["protocol"], row["method"], row["metric"]): row["mean"]
        for row in values
        if row["panel"] == "all"
    }
    pairs = {(row["original"], row["variant"]) for row in differences}
    assert pairs == {
        ("geo", "geo-strict"),
        ("gtex", "gtex-strict"),
        ("geo", "geo-series"),
        ("geo-series", "geo-series-strict"),
    }
    for row in differences:
        before = score[row["original"], row["method"], row["metric"]]
        after = score[row["variant"], row["method"], row["metric"]]
        assert (row["mean_original"], row["mean_variant"]) == (before, after)
        assert row["difference"] == pytest.approx(after - before)


def test_only_results_with_the_same_parameters_are_subtracted(results, genebench, tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    for k_max in (3, 5):
        for protocol in ("geo", "geo-strict") if k_max == 5 else ("geo",):
            run("knn", protocol, preset="tiny", params={"knn": {"k_max": k_max}}, results=folder)
    rows = json.loads(genebench("report", "leaks", "--results", folder, "--format", "json").out)
    [knn] = [row for row in rows if (row["method"], row["metric"]) == ("knn", "mae")]
    assert json.loads(knn["params"])["k_max"] == 5
    run("knn", "geo-strict", preset="tiny", params={"knn": {"k_max": 3}}, results=folder)
    shown = genebench("report", "leaks", "--results", folder).out
    assert "knn (k_max=3)" in shown
    assert "knn (k_max=5)" in shown


def test_every_method_has_a_row_under_each_variant(results, genebench):
    shown = genebench("report", "leaks", "--results", results).out
    titles = (
        "MAE: geo → geo-strict",
        "CC: gtex → gtex-strict",
        "MAE: geo → geo-series",
        "MAE: geo-series → geo-series-strict",
    )
    for title in titles:
        assert title in shown
    assert shown.count("\nlsr ") == 8


def test_without_a_pair_to_compare_it_says_what_to_run(results, genebench):
    outcome = genebench("report", "leaks", "--results", results, "--protocol", "geo")
    assert outcome.status == 2
    assert "Run geo with geo-strict" in outcome.err
    assert outcome.err.count("\n") == 1


def test_grouped_splitting_is_harder_than_random_splitting(results, genebench):
    rows = json.loads(genebench("report", "--results", results, "--format", "json").out)
    mae = {
        row["protocol"]: row["mean"]
        for row in rows
        if (row["method"], row["panel"], row["metric"]) == ("lsr", "all", "mae")
    }
    assert mae["geo-series"] > mae["geo"]


def _rows(folder, genebench, **where):
    shown = json.loads(genebench("report", "leaks", "--results", folder, "--format", "json").out)
    return [row for row in shown if all(row[name] == value for name, value in where.items())]


def test_two_kernels_of_one_method_are_two_rows(tiny, tmp_path, genebench):
    for kernel in ("rbf", "cauchy"):
        params = {"kernel-ridge": {"kernel": kernel}}
        run("kernel-ridge", "geo,geo-strict", preset="tiny", params=params, results=tmp_path)
    rows = _rows(tmp_path, genebench, method="kernel-ridge", metric="mae", preset="tiny")
    assert {row["label"].split("kernel=")[1].split(",")[0].strip(")") for row in rows} == {
        "rbf", "cauchy",
    }  # fmt: skip
    assert len({row["mean_original"] for row in rows}) == 2


def test_only_seeds_that_both_have_are_subtracted(tiny, tmp_path, genebench):
    run("dgex", "geo", preset="tiny", seeds=2, results=tmp_path)
    run("dgex", "geo-strict", preset="tiny", seeds=1, results=tmp_path)
    scores = {
        (record.identity.protocol, record.identity.seed): record.scores["mae"]["all"].mean
        for record in ResultsStore(tmp_path).records()
        if record.identity.method == "dgex"
    }
    [row] = _rows(tmp_path, genebench, method="dgex", metric="mae")
    assert row["seeds"] == 1
    assert row["mean_original"] == scores["geo", 0] != scores["geo", 1]
    assert row["difference"] == pytest.approx(scores["geo-strict", 0] - scores["geo", 0])


def test_each_training_size_has_its_own_pair(tiny, tmp_path, genebench):
    run("lsr", "geo,geo-strict", preset="tiny", train_sizes=[40, "all"], results=tmp_path)
    rows = _rows(tmp_path, genebench, method="lsr", metric="mae")
    assert {(row["original"], row["variant"]) for row in rows} == {
        ("geo", "geo-strict"),
        ("geo-n40", "geo-strict-n40"),
    }


def test_results_of_edited_code_are_not_subtracted_from_those_before(results, genebench, tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(results, folder)
    store = ResultsStore(folder)
    for record in list(store.records()):
        identity = record.identity
        if (identity.method, identity.protocol) == ("lsr", "geo-strict"):
            code = identity.code.model_copy(update={"digest": "edited"})
            changed = identity.model_copy(update={"code": code})
            vectors = store.vectors(record)
            edited = record.model_copy(
                update={"identity": changed, "key": key_of(changed.model_dump())}
            )
            store.write(edited, vectors)
            store.paths.record(record.key).unlink()
    assert not _rows(folder, genebench, method="lsr", variant="geo-strict")
    assert _rows(folder, genebench, method="lsr", variant="gtex-strict")


def test_results_with_other_parameters_get_their_own_error(tiny, tmp_path, genebench):
    for protocol, k_max in (("geo", 3), ("geo-strict", 5)):
        run("knn", protocol, preset="tiny", params={"knn": {"k_max": k_max}}, results=tmp_path)
    outcome = genebench("report", "leaks", "--results", tmp_path, "--methods", "knn")
    assert outcome.status == 2
    assert "the same data, parameters" in outcome.err
