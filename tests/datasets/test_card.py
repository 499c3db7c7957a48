"""The card of a dataset, its figures, and its metadata in Croissant 1.0."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genebench.data.store import DataStore
from genebench.datasets.card import between, card_text, make_card
from genebench.datasets.croissant import croissant
from genebench.datasets.manifest import read_manifest
from genebench.preprocessing.recipe import prepare

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "example"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    store = DataStore(tmp_path_factory.mktemp("store"))
    return prepare(read_manifest(EXAMPLE / "example.toml"), store=store)


@pytest.fixture(scope="module")
def card(dataset):
    return make_card(dataset)


def test_facts_are_those_of_the_dataset(dataset, card):
    facts = card.facts
    assert json.loads(json.dumps(facts)) == facts
    assert (facts["digest"], facts["landmarks"], facts["targets"]) == (dataset.digest, 12, 24)
    geo = facts["platforms"]["geo"]
    assert (geo["profiles"], geo["sources"][0]["file"]) == (40, "arrays.tsv")
    assert geo["coverage"]["targets"] == {"found": 24, "in_map": 24}
    groups = dataset.profile_table("geo")["group"].value_counts()
    assert (geo["groups"]["number"], geo["groups"]["largest"]) == (len(groups), groups.iloc[0])
    assert sum(geo["split"].values()) == 40
    assert "groups" not in facts["platforms"]["gtex"]


def test_levels_count_every_value(dataset, card):
    for name, counts in card.levels.items():
        assert counts.sum() == dataset.expression(name).size
    assert card.edges[0] == min(dataset.expression(name).min() for name in dataset.platforms)


def test_components_are_those_of_sklearn(dataset, card):
    decomposition = pytest.importorskip("sklearn.decomposition")
    landmarks = [dataset.expression(name)[:, :12] for name in dataset.platforms]
    fitted = decomposition.PCA(2, svd_solver="full").fit(np.concatenate(landmarks).astype(float))
    scores = fitted.transform(np.concatenate(landmarks))
    np.testing.assert_allclose(card.explained, fitted.explained_variance_ratio_, rtol=1e-6)
    found = card.points[["PC1", "PC2"]].to_numpy()
    np.testing.assert_allclose(np.abs(found), np.abs(scores), atol=1e-4)


def test_variance_between_groups():
    groups = pd.Series(["a", "a", "b", "b"])
    assert between(np.array([[1.0], [1.0], [3.0], [3.0]]), groups) == 1
    assert between(np.array([[1.0], [3.0], [1.0], [3.0]]), groups) == 0
    assert between(np.ones((4, 2)), groups) == 0
    # One gene of 4 between groups, another of 4 within them.
    assert between(np.array([[1.0, 1.0], [1, 3], [3, 1], [3, 3]]), groups) == 0.5


def test_known_files_have_their_licence(dataset, tmp_path):
    info = dataset.info["platforms"]["gtex"] | {"source": "GTEx_RNASeq_RPKM_n2921x55993.gctx"}
    changed = DataStore(dataset.root.parents[2]).open(dataset.name)
    changed.info["platforms"]["gtex"] = info
    changed.info["platforms"]["1000g"]["licence"] = "CC0"
    platforms = make_card(changed).facts["platforms"]
    assert "Cite Chen et al. 2016" in platforms["gtex"]["sources"][0]["licence"]
    assert platforms["1000g"]["sources"][0]["licence"] == "CC0"
    assert platforms["geo"]["sources"][0]["licence"] == "not stated"


def test_text_of_files_is_no_markup(card):
    hostile = {**card.facts, "title": "a|b <script> [x](y)\n# new"}
    text = card_text(type(card)(hostile, card.edges, card.levels, card.points, card.explained))
    assert "<script>" not in text
    assert "\na\\|b &lt;script> \\[x](y) # new\n" in text


def test_croissant_has_what_the_specification_requires(dataset, card):
    metadata = croissant(dataset, card, url="https://example.org/d", creator="A lab")
    assert json.loads(json.dumps(metadata)) == metadata
    # https://docs.mlcommons.org/croissant/docs/croissant-spec.html, "Required" of each class
    required = {"@context", "@type", "conformsTo", "name", "description", "license", "url"}
    assert required | {"creator", "datePublished"} <= set(metadata)
    assert metadata["conformsTo"] == "http://mlcommons.org/croissant/1.0"
    files = {file["@id"]: file for file in metadata["distribution"]}
    for name, file in files.items():
        assert {"@type", "@id", "name", "contentUrl", "encodingFormat", "sha256"} <= set(file)
        content = (dataset.root / name).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
        assert file["contentSize"] == f"{len(content)} B"
    ids = [*files]
    for records in metadata["recordSet"]:
        ids.append(records["@id"])
        [file] = {field["source"]["fileObject"]["@id"] for field in records["field"]}
        with (dataset.root / file).open(encoding="utf-8") as stream:
            header = stream.readline().rstrip("\n").split("\t")
        columns = [field["source"]["extract"]["column"] for field in records["field"]]
        assert columns == header
        ids += [field["@id"] for field in records["field"]]
        assert records["key"]["@id"] in ids
    assert len(set(ids)) == len(ids)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of its own libraries
def test_croissant_is_valid_to_its_own_library(dataset, card, tmp_path):
    library = pytest.importorskip("mlcroissant")
    path = dataset.root / "croissant.json"
    path.write_text(json.dumps(croissant(dataset, card, url="", creator="")), "utf-8")
    try:
        read = library.Dataset(jsonld=path)
        assert not read.metadata.issues.errors
        rows = list(read.records("geo_profiles"))
    finally:
        path.unlink()
    assert [row["geo_profiles/profile"].decode() for row in rows] == (
        dataset.profile_table("geo").index.tolist()
    )


@pytest.fixture
def changed(dataset):
    return DataStore(dataset.root.parents[2]).open(dataset.name)


def test_a_paired_dataset_has_two_files_and_its_own_recipe(changed):
    changed.info["origin"]["recipe"] = "paired"
    changed.info["platforms"]["gtex"] |= {
        "source": "beads.tsv",
        "source_of_targets": "GTEx_RNASeq_RPKM_n2921x55993.gctx",
    }
    card = make_card(changed)
    text = card_text(card)
    assert "by recipe paired" in text
    assert "not normalised" in text
    assert "| gtex landmarks | beads.tsv | not stated |" in text
    assert "| gtex targets | GTEx_RNASeq_RPKM_n2921x55993.gctx | " in text
    assert "Cite Chen et al. 2016" in text
    based_on = croissant(changed, card, url="", creator="")["isBasedOn"]
    assert {"beads.tsv", "GTEx_RNASeq_RPKM_n2921x55993.gctx"} <= set(based_on)


def test_the_papers_of_a_manifest_are_cited(changed):
    bibtex = "@article{a,\n title={T|x}}"
    changed.info["origin"]["bibtex"] = bibtex
    card = make_card(changed)
    assert "\n    @article{a,\n    title={T|x}}\n" in card_text(card)
    assert croissant(changed, card, url="", creator="")["citeAs"] == bibtex


def test_profiles_without_a_group_are_no_group(changed, monkeypatch):
    table = changed.profile_table("geo").copy()
    n_groups = table["group"].nunique()
    table.iloc[:5, table.columns.get_loc("group")] = ""
    tables = {name: changed.profile_table(name) for name in changed.platforms} | {"geo": table}
    monkeypatch.setattr(type(changed), "profile_table", lambda _, name: tables[name])
    groups = make_card(changed).facts["platforms"]["geo"]["groups"]
    assert (groups["number"], groups["profiles_without"]) == (
        table.loc[table["group"] != "", "group"].nunique(),
        5,
    )
    assert groups["number"] <= n_groups
