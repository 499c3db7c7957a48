"""genebench data new-manifest: files in, a manifest out that prepares as it stands."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from genebench.data.store import DataStore
from genebench.formats.base import Content
from genebench.formats.opening import write_matrix

EXAMPLE = Path(__file__).resolve().parents[2] / "docs" / "example"


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """A home, and a working folder with the files of the example."""
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    shutil.copytree(EXAMPLE, tmp_path / "files")
    monkeypatch.chdir(tmp_path / "files")
    return tmp_path / "files"


@pytest.fixture
def new(genebench):
    """new(files…): run the command, and return its outcome and the manifest."""

    def new(*files: str, out: str = "new.toml"):
        maps = "--landmarks", "map_lm.txt", "--targets", "map_tg.txt"
        outcome = genebench("data", "new-manifest", *files, *maps, "--out", out)
        assert outcome.status == 0, outcome.err
        return outcome.out, tomllib.loads(Path(out).read_text("utf-8"))

    return new


def read(name):
    separator = "\t" if not name.endswith("csv") else ","
    return pd.read_csv(name, sep=separator, index_col=0, skiprows=2 if ".gct" in name else 0)


def test_the_files_of_the_example_give_its_dataset(new, genebench):
    shown, manifest = new("arrays.tsv", "lcl.tsv", "gtex.gct", "arrays.samples.tsv")
    assert manifest["platforms"] == {
        "geo": {
            "matrix": "arrays.tsv",
            "ids": "probe",
            "profiles": "arrays.samples.tsv",
            "group": "series",
        },
        "1000g": {"matrix": "lcl.tsv", "ids": "ensembl"},
        "gtex": {"matrix": "gtex.gct", "ids": "symbol"},
    }
    assert shown.count("12 of 12") == shown.count("24 of 24") == 3
    assert "then run: genebench data prepare new.toml" in shown
    for name in ("example.toml", "new.toml"):
        assert genebench("data", "prepare", name).status == 0
    assert len({DataStore().open(name).digest for name in ("example", "mine")}) == 1


def test_two_platforms_of_swapped_roles(new, genebench):
    shown, manifest = new("geo=gtex.gct", "gtex=arrays.tsv", "arrays.samples.tsv")
    assert manifest["platforms"]["geo"] == {
        "matrix": "gtex.gct",
        "ids": "symbol",
        "level": "linear",
    }
    assert manifest["platforms"]["gtex"]["group"] == "series"
    assert "no file is 1000g, so no gtex protocols" in shown
    assert "geo has no group, so no geo-series protocols" in shown
    outcome = genebench("data", "prepare", "new.toml")
    assert outcome.status == 0, outcome.err
    assert "geo: 16 profiles found, SIM-gtex-000001 … SIM-gtex-000046" in outcome.out


def test_layouts_are_recognised(new, genebench, folder):
    """Profiles in rows after row numbers, ids of two kinds, a mean, gaps, and a gene twice."""
    arrays = read("arrays.tsv").T.rename_axis("ModelID").reset_index()
    arrays.to_csv("wide.csv")
    rna = read("gtex.gct").drop(columns="Description")
    symbols = rna.index.tolist()
    rna.index = [f"{symbol}|{number}" for number, symbol in enumerate(symbols)]
    rna.loc[f"{symbols[0]}|999"] = rna.iloc[0] + 1
    rna["mean"] = rna.mean(axis=1)
    rna = rna.astype(object)
    rna.iloc[3, 2] = "NA"
    rna.to_csv("tcga.tsv", sep="\t", index_label="gene")
    shown, manifest = new("wide.csv", "tcga.tsv")
    assert manifest["platforms"]["geo"] == {
        "matrix": "wide.csv",
        "ids": "probe",
        "orientation": "profiles",
    }
    assert manifest["platforms"]["gtex"] == {
        "matrix": "tcga.tsv",
        "ids": "symbol",
        "id_pattern": "SYM|entrez",
        "repeated": "mean",
        "missing_values": "drop-gene",
    }
    assert "tcga.tsv: mean: unlike the other profiles. If it is none, skip it" in shown
    text = Path("new.toml").read_text("utf-8")
    assert '# skip_columns = ["mean"]' in text
    Path("new.toml").write_text(text.replace("# skip_columns", "skip_columns"), "utf-8")
    outcome = genebench("data", "prepare", "new.toml")
    assert outcome.status == 0, outcome.err
    platforms = DataStore().open("mine").info["platforms"]
    assert platforms["geo"]["profiles"] == 40
    assert platforms["geo"]["found"]["id_column"] == "ModelID"
    assert platforms["gtex"]["profiles"] == 16
    assert platforms["gtex"]["repeated"] == {"rule": "mean", "genes": 1, "other_rows": 0}
    assert platforms["gtex"]["missing_values"]["cells"] == 1
    assert "gtex: 1 missing value in genes of the maps. drop-gene left out 1 row (" in outcome.out
    assert "gtex: 1 id of the maps in several rows. Taken: mean" in outcome.out


def test_the_column_of_ids_is_found(new):
    rna = read("lcl.tsv")
    rna.insert(0, "gene_id", rna.index)
    rna.index = [f"x{number}" for number in range(len(rna))]
    rna.to_csv("lcl2.csv", index_label="row")
    _, manifest = new("arrays.tsv", "lcl2.csv")
    assert manifest["platforms"]["1000g"] == {
        "matrix": "lcl2.csv",
        "ids": "ensembl",
        "id_column": "gene_id",
        "skip_columns": ["row"],
    }


def test_entrez_ids_need_aliases(new):
    rna = read("lcl.tsv")
    rna.index = 7 * np.arange(len(rna)) + 11
    rna.to_csv("l1000.csv", index_label="gene")
    shown, manifest = new("arrays.tsv", "l1000.csv")
    assert manifest["genes"]["aliases"] == "aliases.tsv"
    assert [item["ids"] for item in manifest["platforms"].values()] == ["probe", "entrez"]
    assert "make aliases.tsv first, with genebench data aliases" in shown


def test_z_scores_are_named(new):
    values = read("arrays.tsv")
    values = values.sub(values.mean(axis=1), axis=0).div(values.std(axis=1), axis=0)
    values.to_csv("z.tsv", sep="\t", index_label="id")
    shown, _ = new("geo=z.tsv")
    assert "z.tsv: these look like z-scores or other values centred by gene" in shown


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["nothing.tsv"], "nothing.tsv: no such file."),
        (["arrays.samples.tsv"], "arrays.samples.tsv: no gene of the maps is in it, as any kind"),
        (["geo=arrays.tsv", "geo=gtex.gct"], "2 matrices for the roles geo, 1000g, gtex. Give one"),
        (["arrays.tsv", "--out", "example.toml"], "example.toml: the file exists already."),
        (["arrays.tsv", "--out", "no/x.toml"], "no/x.toml: there is no folder no."),
    ],
)
def test_refusals_are_one_line(genebench, files, words):
    before = sorted(Path().rglob("*"))
    outcome = genebench(
        "data", "new-manifest", "--landmarks", "map_lm.txt", "--targets", "map_tg.txt", *files
    )
    assert outcome.status == 2
    assert words in outcome.err
    assert outcome.err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_the_published_maps_are_the_default(genebench, folder):
    outcome = genebench("data", "new-manifest", "arrays.tsv")
    assert outcome.status == 2
    assert "map_lm.txt: the published map of the landmarks is not here. Run gene" in outcome.err
    downloads = folder.parent / "home" / "downloads"
    downloads.mkdir(parents=True)
    for name in ("map_lm.txt", "map_tg.txt"):
        shutil.copy(name, downloads / name)
    assert genebench("data", "new-manifest", "arrays.tsv").status == 0
    assert tomllib.loads(Path("manifest.toml").read_text())["genes"] == {
        "landmarks": str(downloads / "map_lm.txt"),
        "targets": str(downloads / "map_tg.txt"),
    }


def test_aliases_of_a_file_of_hgnc(genebench, folder):
    genes = [line.split("\t") for line in Path("map_lm.txt").read_text("utf-8").splitlines()]
    rows = ["symbol\tstatus\talias_symbol\tprev_symbol\tentrez_id\tensembl_gene_id\tdate_modified"]
    rows += [
        f"{symbol}\tApproved\t\tPREV{number}\t{number + 500}\t\t2026-01-0{number % 9 + 1}"
        for number, (symbol, *_) in enumerate(genes)
    ]
    Path("hgnc.txt").write_text("\n".join([*rows, ""]))
    command = "data", "aliases", "hgnc.txt", "aliases.tsv"
    maps = "--landmarks", "map_lm.txt", "--targets", "map_tg.txt"
    outcome = genebench(*command, *maps)
    assert outcome.status == 0, outcome.err
    assert "12 of 30 genes of the maps found: 0 by Ensembl id, 12 by symbol" in outcome.out
    lines = Path("aliases.tsv").read_text("utf-8").splitlines()
    assert "# licence: HGNC: CC0 1.0, https://www.genenames.org/about/license/" in lines
    assert f"500\t{genes[0][1]}" in lines
    assert genebench(*command, *maps).err.count("\n") == 1  # it is there already


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["arrays.tsv", "arrays.tsv"], "arrays.tsv: given more than once"),
        (["arrays.tsv", "--name", "Bad Name"], "--name: dataset name 'Bad Name' is malformed"),
    ],
)
def test_arguments_that_no_manifest_can_have(genebench, arguments, words):
    maps = "--landmarks", "map_lm.txt", "--targets", "map_tg.txt"
    outcome = genebench("data", "new-manifest", *arguments, *maps)
    assert outcome.status == 2
    assert words in outcome.err
    assert not Path("manifest.toml").exists()


def test_an_index_with_gaps_and_no_name(new):
    table = read("lcl.tsv").reset_index(names="my ids")
    table.index = [3 * number + 2 for number in range(len(table))]
    table.to_csv("filtered.tsv", sep="\t")
    _, manifest = new("arrays.tsv", "filtered.tsv")
    assert manifest["platforms"]["gtex"]["ids"] == "ensembl"


def test_coverage_that_is_not_known_yet(new):
    table = read("lcl.tsv")
    table.index = [str(100 + 7 * number) for number in range(len(table))]
    table.to_csv("entrez.tsv", sep="\t", index_label="entrez")
    shown, _ = new("arrays.tsv", "entrez.tsv")
    assert "? of 12" in shown
    assert "0 of 12" not in shown


def test_a_table_that_repeats_a_column_of_the_matrix_is_left_out(new, genebench):
    table = pd.read_csv("arrays.samples.tsv", sep="\t", index_col=0)
    values = read("arrays.tsv").T
    content = Content(
        genes=pd.DataFrame(index=values.columns),
        profiles=table.loc[values.index, ["series"]],
        blocks=lambda: iter([values.to_numpy()]),
    )
    write_matrix(Path("arrays.h5ad"), content)
    shown, manifest = new("arrays.h5ad", "arrays.samples.tsv")
    assert manifest["platforms"]["geo"] == {
        "matrix": "arrays.h5ad", "ids": "probe", "group": "series",
    }  # fmt: skip
    assert "arrays.samples.tsv is left out: arrays.h5ad has columns of the same name (ser" in shown
    outcome = genebench("data", "prepare", "new.toml")
    assert outcome.status == 0, outcome.err


def test_row_numbers_of_a_profile_table_are_no_ids(new, genebench):
    pd.read_csv("arrays.samples.tsv", sep="\t").to_csv("numbered.csv")
    _, manifest = new("arrays.tsv", "numbered.csv")
    assert manifest["platforms"]["geo"]["profiles"] == "numbered.csv"
    outcome = genebench("data", "prepare", "new.toml")
    assert outcome.status == 0, outcome.err
    assert DataStore().open("mine").info["platforms"]["geo"]["group"] == "series"
