"""genebench figures: files, reasons, mistakes."""

from __future__ import annotations

import importlib.util
import json

import pytest

pytest.importorskip("matplotlib")


def test_files_are_named_and_what_is_left_out_has_a_reason(genebench, lsr_and_knn, tmp_path):
    done = genebench(
        "figures", lsr_and_knn, "--out", tmp_path, "--only", "forest,learning",
        "--protocol", "geo", "--format", "svg,png",
    )  # fmt: skip
    assert done.status == 0, done.err
    [line] = done.out.splitlines()
    assert line.startswith(f"drawn: {tmp_path}/forest-sim-geo-tiny-")
    assert line.endswith("-mae.{svg,png,csv}")
    assert done.err.startswith("left out: learning: one training size only")
    assert {path.suffix for path in tmp_path.iterdir()} == {".svg", ".png", ".csv"}


def test_json_lists_files_and_reasons(genebench, lsr_and_knn, tmp_path):
    done = genebench(
        "figures", lsr_and_knn, "--out", tmp_path, "--only", "forest", "--format", "png", "--json"
    )
    content = json.loads(done.out)
    assert sorted(content["files"]) == sorted(map(str, tmp_path.iterdir()))
    assert content["left_out"] == []


def test_without_matplotlib_one_line_says_what_to_install(
    genebench, lsr_and_knn, tmp_path, monkeypatch
):
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "genebench.reports.figures.drawing.find_spec",
        lambda name: None if name == "matplotlib" else find(name),
    )
    done = genebench("figures", lsr_and_knn, "--out", tmp_path / "f")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "genebench-suite[report]" in done.err
    assert not (tmp_path / "f").exists()


def test_a_mistake_is_one_line(genebench, lsr_and_knn, tmp_path):
    for options in (("--only", "tree"), ("--width", "90"), ("--format", "gif")):
        done = genebench("figures", lsr_and_knn, "--out", tmp_path / "f", *options)
        assert (done.status, done.err.count("\n")) == (2, 1)


def test_the_help_lists_the_kinds(genebench):
    assert "critical differences" in genebench("figures", "--help").out
