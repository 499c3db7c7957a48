"""Differences of records: settings by name, scores with their sign, pairs of two folders."""

from __future__ import annotations

import json
import re

import pytest

from genebench.analysis.difference import paired, score_differences, setting_differences
from genebench.plugins.registry import registry
from genebench.reports.changes import ChangesReport
from genebench.reports.reporters.markup import markdown
from genebench.results.bundle import write_bundle
from genebench.results.store import ResultsStore


def test_a_difference_is_the_second_score_minus_the_first(made_up):
    a, b = made_up("knn", {"k": 1}, 0.5), made_up("knn", {"k": 2}, 0.4)
    rows = score_differences([(a, b)]).set_index("metric")
    assert rows.loc["mae", "difference"] == pytest.approx(-0.1)
    assert rows.loc["cc", "difference"] == pytest.approx(0.1)
    assert (rows.loc["mae", "key_a"], rows.loc["mae", "key_b"]) == (a.key, b.key)


def test_settings_that_differ_are_named_with_both_values(made_up):
    a = made_up("knn", {"k": 1, "same": 3}, 0.5)
    b = made_up("knn", {"k": 2, "same": 3, "new": True}, 0.4, choices={"lambda": 3})
    assert setting_differences(a, b) == [
        ("params.k", "1", "2"),
        ("params.new", "–", "true"),
        ("choices.lambda", "–", "3"),
    ]
    assert not setting_differences(a, a)


def test_a_library_that_one_process_had_not_loaded_is_no_change(made_up):
    def with_versions(number, **versions):
        record = made_up("knn", {"hidden": (8 * number, 4)}, 0.5)
        provenance = record.provenance.model_copy(update={"versions": versions})
        return record.model_copy(update={"provenance": provenance})

    old = with_versions(1, numpy="2.0", torch="2.9")
    assert setting_differences(old, with_versions(2, numpy="2.1")) == [
        ("params.hidden", "8:4", "16:4"),
        ("versions.numpy", "2.0", "2.1"),
    ]
    newer = with_versions(1, numpy="2.0", torch="3.0", scipy="1")
    assert setting_differences(old, newer) == [("versions.torch", "2.9", "3.0")]


def test_records_of_two_folders_are_paired_across_code_and_data(made_up):
    code = {"distribution": "made-up", "version": "2.0", "digest": "1" * 16}
    old = [made_up("knn", {"k": 1}, 0.5), made_up("lsr", {}, 0.5)]
    new = [
        made_up("knn", {"k": 1}, 0.4, code=code, data="f" * 16),
        made_up("knn", {"k": 2}, 0.4),
        made_up("lsr", {}, 0.4, test="geo/validation"),
    ]
    found = paired(old, new)
    assert found.pairs == [(old[0], new[0])]
    assert found.only_a == [old[1]]
    assert found.only_b == [new[1]]


def test_of_several_records_the_same_key_is_taken_else_the_last(made_up):
    code = {"distribution": "made-up", "version": "2.0", "digest": "1" * 16}
    first = made_up("lsr", {}, 0.5, started="2026-01-02T00:00:00+00:00")
    earlier = made_up("lsr", {}, 0.6, code=code, started="2026-01-01T00:00:00+00:00")
    assert paired([first, earlier], [earlier]).pairs == [(earlier, earlier)]
    other = made_up("lsr", {}, 0.7, data="f" * 16)
    assert paired([first, earlier], [other]).pairs == [(first, other)]


def test_the_command_compares_records_and_folders(lsr_and_knn, genebench, tmp_path):
    keys = [
        record.key
        for record in ResultsStore(lsr_and_knn).records()
        if (record.identity.method, record.identity.protocol) == ("knn", "geo")
    ]
    shown = genebench("results", "diff", *keys, "--results", lsr_and_knn)
    assert shown.status == 0
    assert "params.k_max" in shown.out
    content = json.loads(
        genebench("results", "diff", *keys, "--results", lsr_and_knn, "--json").out
    )
    assert {"setting": "params.k_max"}.items() <= content["pairs"][0]["settings"][0].items()
    mae = [row for row in content["scores"] if (row["metric"], row["panel"]) == ("mae", "all")]
    assert mae[0]["difference"] == mae[0]["b"] - mae[0]["a"] != 0
    same = genebench("results", "diff", lsr_and_knn, lsr_and_knn)
    assert "no setting differs" in same.out
    assert "0 only in" in same.out


def test_long_commits_are_cut_and_stand_side_by_side(made_up, genebench, tmp_path, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    keys = []
    for number, commit in enumerate(("a" * 40, "b" * 40)):
        record = made_up("lsr", {}, 0.5 + number / 10, seed=number)
        changes = {"git": {"genebench": commit}, "platform": f"{number} {'Linux-6-x86' * 8}"}
        provenance = record.provenance.model_copy(update=changes)
        record = record.model_copy(update={"provenance": provenance})
        keys.append(store.write(record, {}).key)
    shown = genebench("results", "diff", *keys, "--results", store.root)
    assert shown.status == 0, shown.err
    [line] = [line for line in shown.out.splitlines() if "git.genebench" in line]
    assert line.split() == ["git.genebench", "a" * 10, "b" * 10]
    [line] = [line for line in shown.out.splitlines() if line.startswith("platform")]
    assert "0 Linux" in line
    assert "1 Linux" in line


def test_a_folder_is_not_compared_with_a_record(lsr_and_knn, genebench):
    outcome = genebench("results", "diff", lsr_and_knn, "lsr@geo")
    assert outcome.status == 2
    assert "Name two of one kind" in outcome.err


def test_changes_are_told_apart_and_named_in_markdown(made_up):
    """The table for a pull request: better, worse, the same, new, gone and failed."""
    code = {"distribution": "made-up", "version": "2.0", "digest": "1" * 16}
    old = [
        made_up("same", {}, 0.5), made_up("better", {}, 0.5), made_up("gone", {}, 0.5),
        made_up("broken", {}, 0.5), made_up("knn", {"k": 1}, 0.4), made_up("knn", {"k": 2}, 0.4),
    ]  # fmt: skip
    new = [
        made_up("same", {}, 0.5), made_up("better", {}, 0.4, code=code),
        made_up("new|<b>", {}, 0.3), made_up("broken", {}, None, code=code),
        made_up("knn", {"k": 1}, 0.45, code=code), made_up("knn", {"k": 2}, 0.4, code=code),
    ]  # fmt: skip
    text = markdown_of(old, new)
    rows = {
        cells[0]: cells[1:]
        for line in text.splitlines()
        if (cells := [cell.strip() for cell in line.strip("|").split("|")]) and len(cells) == 5
    }
    assert rows["same"] == ["0.5000", "0.5000", "+0.0000", "the same"]
    assert rows["better"] == ["0.5000", "0.6000", "+0.1000", "better"]  # the last table is of CC
    assert rows["broken"] == ["0.5000", "failed", "–", "unscored"]
    assert rows["gone"] == ["0.5000", "–", "–", "gone"]
    assert rows["knn (k=1)"] == ["0.6000", "0.5500", "-0.0500", "worse"]
    assert rows["knn (k=2)"] == ["0.6000", "0.6000", "+0.0000", "the same"]
    assert "new\\|&lt;b&gt;" in text
    assert "MAE: " in text
    assert "1 better" in text
    assert "code.version: 1.0 → 2.0 (better, broken, knn)" in text


def test_seeds_are_averaged_over_those_that_both_sides_have(made_up):
    old = [made_up("net", {}, mae, seed=seed) for seed, mae in enumerate([0.4, 0.6, 0.9])]
    new = [made_up("net", {}, mae, seed=seed) for seed, mae in enumerate([0.4, 0.5])]
    assert "| 0.5000 | 0.4500 |" in re.sub(r" +", " ", markdown_of(old, new))


def markdown_of(old, new):
    return markdown(ChangesReport((), registry(), pairing=paired(old, new), names=("old", "new")))


def test_folders_and_bundles_are_compared_in_markdown(lsr_and_knn, genebench, tmp_path):
    bundle = tmp_path / "bundle.zip"
    store = ResultsStore(lsr_and_knn)
    write_bundle(bundle, store, store.sound()[0], {"name": "", "contact": "", "licence": ""})
    text = genebench("results", "diff", lsr_and_knn, bundle, "--markdown", "--metrics", "mae").out
    assert text.startswith("## sim · geo\n")
    assert text.count("the same") >= 8
    assert not re.search(r"better \||worse|new \|", text)
    (tmp_path / "empty").mkdir()
    assert "new" in genebench("results", "diff", tmp_path / "empty", bundle, "--markdown").out
    nothing = genebench("results", "diff", tmp_path / "empty", tmp_path / "empty", "--markdown")
    assert "No results to compare" in nothing.out
    both = genebench("results", "diff", lsr_and_knn, bundle, "--markdown", "--json")
    assert (both.status, both.err.count("\n")) == (2, 1)
