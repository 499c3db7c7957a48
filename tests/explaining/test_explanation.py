"""The folder of an explanation: what is in it, and that it is whole or not there."""

from __future__ import annotations

import json
from dataclasses import replace

import anndata
import numpy as np
import pandas as pd
import pytest

from genebench import UserError
from genebench.explaining.explanation import ABOUT, Explanation
from genebench.explaining.panels import enriched

TABLES = (
    "profiles", "targets", "landmarks", "clusters", "profile_relevance", "top", "target_relevance",
    "group_relevance", "trust", "twins",
)  # fmt: skip


def test_what_is_saved_is_read_again(explanation, tmp_path):
    explanation.save(tmp_path / "kept")
    again = Explanation.read(tmp_path / "kept")
    assert again.about == json.loads(json.dumps(explanation.about))
    assert again.unstable == explanation.unstable
    for name in TABLES:
        pd.testing.assert_frame_equal(
            getattr(again, name), getattr(explanation, name), rtol=1e-6, check_dtype=False,
            check_names=False, check_index_type=False, check_column_type=False,
        )  # fmt: skip


def test_over_representation_is_read_again(explanation, tmp_path):
    sets = {"first": frozenset({"SYML0", "SYML1", "SYML2"})}
    found = enriched(explanation, sets, "some/sets.gmt")
    found.save(tmp_path / "kept")
    again = Explanation.read(tmp_path / "kept").enrichment
    pd.testing.assert_frame_equal(again, found.enrichment, check_dtype=False)
    assert found.about["gene_sets"] == {"file": "sets.gmt", "sets": 1}


@pytest.mark.parametrize(
    ("kind", "table"), [("profiles", "profile_relevance"), ("targets", "target_relevance")]
)
def test_anndata_opens_landmarks_by_clusters_with_their_layers(explanation, tmp_path, kind, table):
    explanation.save(tmp_path / "kept")
    data = anndata.read_h5ad(tmp_path / "kept" / f"{kind}.h5ad")
    expected = getattr(explanation, table)
    assert list(data.obs_names) == list(expected.index)
    assert list(data.obs["symbol"]) == list(explanation.landmarks["symbol"])
    assert list(data.var_names) == [str(number) for number in expected.columns]
    assert list(data.var["label"]) == list(explanation.of_clusters(kind)["label"])
    assert {*data.layers} == {"relevance", "sign", "share"}
    np.testing.assert_allclose(data.layers["relevance"], expected, rtol=1e-6)
    np.testing.assert_array_equal(data.layers["sign"], np.sign(expected))
    np.testing.assert_array_equal(data.X, data.layers["relevance"])


def test_an_unstable_panel_says_so_in_its_table_and_file(explanation, tmp_path):
    trust = explanation.trust.assign(sound=False, reason="too weak")
    replace(explanation, trust=trust).save(tmp_path / "kept")
    assert pd.read_csv(tmp_path / "kept" / "panel-c.tsv", sep="\t")["unstable"].all()
    assert anndata.read_h5ad(tmp_path / "kept" / "targets.h5ad").var["unstable"].all()
    assert Explanation.read(tmp_path / "kept").unstable["d"] == ("too weak",) * len(
        trust[trust["panels"].str.contains("d")]
    )


def test_a_new_explanation_replaces_an_older_one_and_nothing_else(explanation, tmp_path):
    folder = tmp_path / "kept"
    explanation.save(folder, lambda new: (new / "panel-a.svg").write_text("old"))
    explanation.save(folder)
    assert not (folder / "panel-a.svg").exists()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "thesis.txt").touch()
    for place in (tmp_path / "own", tmp_path / "own" / "thesis.txt"):
        with pytest.raises(UserError, match="something else than an explanation"):
            explanation.save(place)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []


def test_files_of_a_user_beside_an_explanation_are_never_lost(explanation, tmp_path):
    folder = tmp_path / "kept"
    explanation.save(folder)
    explanation.save(folder)
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=r"holds other files .*\(notes\.txt\)"):
        explanation.save(folder)
    assert (folder / "notes.txt").read_text() == "mine"


def test_standard_errors_are_saved_and_read_again(explanation, tmp_path):
    errors = {
        "profile_errors": explanation.profile_relevance.abs() / 4,
        "target_errors": explanation.target_relevance.abs() / 5,
    }
    replace(explanation, **errors).save(tmp_path / "kept")
    again = Explanation.read(tmp_path / "kept")
    for name, table in errors.items():
        np.testing.assert_allclose(getattr(again, name), table, rtol=1e-6)
    layers = anndata.read_h5ad(tmp_path / "kept" / "targets.h5ad").layers
    np.testing.assert_allclose(layers["error"], errors["target_errors"], rtol=1e-6)


def test_an_interrupt_leaves_the_older_explanation_and_no_litter(explanation, tmp_path):
    folder = tmp_path / "kept"
    explanation.save(folder)

    def interrupted(new):
        (new / "panel-a.svg").write_text("half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explanation.save(folder, interrupted)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["kept"]
    assert not (folder / "panel-a.svg").exists()


def test_text_that_a_spreadsheet_would_run_is_written_as_text(explanation, tmp_path):
    landmarks = explanation.landmarks.assign(symbol='=HYPERLINK("x")')
    replace(explanation, landmarks=landmarks).save(tmp_path / "kept")
    assert "\t=HYPERLINK" not in (tmp_path / "kept" / "landmarks.tsv").read_text()


def test_a_folder_without_an_explanation_is_named(tmp_path):
    with pytest.raises(UserError, match="there is no explanation"):
        Explanation.read(tmp_path)


@pytest.mark.parametrize(
    ("file", "content"),
    [
        (ABOUT, "{"), (ABOUT, '{"genebench-explanation": 99}'),
        ("panel-a.tsv", "ensembl\tsymbol\tx\na\tb\tc\n"),
        ("trust.tsv", ""), ("panel-d.tsv", "group\t1\nx\t2\n"), ("twins.tsv", b"\xff\xfe"),
    ],
)  # fmt: skip
def test_a_damaged_explanation_is_refused_on_one_line(explanation, tmp_path, file, content):
    explanation.save(tmp_path / "kept")
    raw = content if isinstance(content, bytes) else content.encode()
    (tmp_path / "kept" / file).write_bytes(raw)
    with pytest.raises(UserError, match="Make it again"):
        Explanation.read(tmp_path / "kept")
