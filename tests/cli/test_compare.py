"""``genebench compare`` and ``genebench report ranks``."""

from __future__ import annotations

import importlib.util
import json
import shutil

import numpy as np
import pytest
from PIL import Image

from genebench import api
from genebench.results.store import ResultsStore


@pytest.fixture(scope="module")
def results(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("compare") / "results"
    api.run("lsr,knn-ge", dataset="sim", preset="tiny", results=folder)
    return folder


def test_the_difference_its_interval_and_its_test_are_printed(genebench, results):
    done = genebench("compare", "lsr", "knn-ge", "--notes", "--results", results)
    assert done.status == 0
    for said in (
        "lsr is better",
        "95 % interval",
        "paired wild bootstrap",
        "Holm",
        "groups",
        "SIM",
    ):
        assert said in done.out


def test_only_what_was_asked_for_is_compared(genebench, results):
    done = genebench(
        "compare", "lsr", "knn-ge", "--results", results,
        "--protocol", "geo", "--metric", "cc", "--panel", "strict", "--format", "json",
    )  # fmt: skip
    (row,) = json.loads(done.out)
    assert (row["protocol"], row["metric"], row["panel"]) == ("geo", "cc", "strict")
    assert row["difference"] > 0


def test_genes_and_figures_go_where_they_are_told(genebench, results, tmp_path):
    done = genebench(
        "compare", "lsr", "knn-ge", "--results", results, "--protocol", "geo",
        "--genes", tmp_path / "genes.csv", "--out", tmp_path / "figures",
    )  # fmt: skip
    assert done.status == 0
    assert (tmp_path / "genes.csv").read_text().count("\n") == 161
    assert len(list((tmp_path / "figures").iterdir())) == 8
    for path in (tmp_path / "figures").glob("*.png"):
        with Image.open(path) as picture:
            assert (np.asarray(picture.convert("L")) < 200).mean() > 0.005, "something is drawn"


def test_without_matplotlib_one_line_says_what_to_install(
    genebench, results, tmp_path, monkeypatch
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "genebench.reports.figures.drawing.find_spec",
        lambda name: None if name == "matplotlib" else find(name),
    )
    done = genebench("compare", "lsr", "knn-ge", "--results", results, "--out", tmp_path / "f")
    assert done.status == 2
    assert "genebench-suite[report]" in done.err
    assert done.out == ""


def test_an_unknown_method_gets_near_misses_and_status_2(genebench, results):
    done = genebench("compare", "lsr", "knn-g", "--results", results)
    assert done.status == 2
    assert "Did you mean knn-ge" in done.err
    assert done.err.count("\n") == 1


def test_a_folder_that_is_not_there_is_the_users_mistake(genebench, tmp_path):
    assert genebench("compare", "a", "b", "--results", tmp_path / "none").status == 2


def test_a_file_that_cannot_be_written_is_the_users_mistake(genebench, results, tmp_path):
    done = genebench(
        "compare", "lsr", "knn-ge", "--results", results, "--genes", tmp_path / "no" / "g.csv"
    )
    assert done.status == 2
    assert "--genes" in done.err


def test_a_record_with_damaged_vectors_is_shown_without_a_rank(
    genebench, results, tmp_path, caplog
):
    copy = shutil.copytree(results, tmp_path / "copy")
    broken = next(r for r in api.records(copy).records if r.identity.method == "lsr")
    ResultsStore(copy).paths.vectors(broken).write_bytes(b"")
    done = genebench(
        "report", "ranks", "--format", "markdown", "--results", copy,
        "--protocol", broken.identity.protocol,
    )  # fmt: skip
    assert done.status == 0
    rows = [
        line.split("|")[1:3] for line in done.out.partition("cost (")[0].splitlines() if "|" in line
    ]
    places = {name.strip(): place.strip() for name, place in rows if name.strip()}
    assert (places["lsr"], places["knn-ge"]) == ("–", "1")
    [warning] = caplog.messages
    assert broken.key in warning


def test_ranks_stand_in_the_tables_when_asked_for(genebench, results):
    with_ranks = genebench("report", "ranks", "--results", results, "--format", "markdown")
    tables = with_ranks.out.partition("cost (")[0]
    rows = [line.split("|")[1:3] for line in tables.splitlines() if line.startswith("| ")]
    places = {name.strip(): place.strip() for name, place in reversed(rows)}
    assert places["lsr"] == "1"
    assert places["knn-ge"] == "2"
    assert places["train-mean"] == places["copy-twin"] == "–"
    assert "rank = 1 + methods that are significantly better" in with_ranks.out
    assert "rank" not in genebench("report", "--results", results, "--format", "markdown").out


def test_ranks_are_values_too(genebench, results):
    rows = json.loads(genebench("report", "ranks", "--results", results, "--format", "json").out)
    geo = {row["method"]: row for row in rows if (row["protocol"], row["metric"]) == ("geo", "mae")}
    assert {name: row["rank"] for name, row in geo.items()} == {
        "lsr": 1, "knn-ge": 2, "train-mean": None, "copy-twin": None,
    }  # fmt: skip
    assert geo["lsr"]["low"] < geo["lsr"]["mean"] < geo["lsr"]["high"]
    assert geo["lsr"]["tied_with"] == ""
