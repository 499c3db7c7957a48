"""What each leak is worth: a protocol beside its variants."""

from __future__ import annotations

import json
import shutil

import pytest

from genebench.api import run


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
