"""Published layouts, from a file in the form of the original to a table of results."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from genebench.data.store import DataStore
from genebench.datasets.manifest import find_prepared
from tests.formats import layouts

LANDMARKS, TARGETS = 8, 14
GENES = [f"ENSG{100 + gene:011d}" for gene in range(LANDMARKS + TARGETS)]
PROBES = [f"{gene}_at" for gene in range(len(GENES))]
ARRAY_LAYOUTS = ("GSE1000_series_matrix.txt.gz", "hgu133a_rma_okFiles_080619_MAGETAB.csv")
"""Layouts of microarrays. The others are of RNA-seq."""


def expression(profiles: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    loadings = np.random.default_rng(1).normal(size=(2, len(GENES)))
    noise = random.normal(scale=0.2, size=(profiles, len(GENES)))
    return np.clip(7 + random.normal(size=(profiles, 2)) @ loadings + noise, 1, 15).round(3)


def plain(path: Path, ids, profiles, values) -> Path:
    rows = [f"{gene}\t{layouts.numbers(row)}" for gene, row in zip(ids, values.T, strict=True)]
    path.write_text("\n".join(["\t".join(["id", *profiles]), *rows, ""]))
    return path


def manifest(folder: Path, layout: str) -> Path:
    """Write a compendium whose arrays (or GTEx) are a file in some layout."""
    for name, genes in (("lm.txt", range(LANDMARKS)), ("tg.txt", range(LANDMARKS, len(GENES)))):
        rows = [f"SYM{g}\t{GENES[g]}\t{PROBES[g]}" for g in genes]
        (folder / name).write_text("\n".join([*rows, ""]))
    is_array = layout in ARRAY_LAYOUTS
    of_arrays, of_gtex = ("arrays.tsv", layout) if not is_array else (layout, "gtex.tsv")
    ids = "symbol" if layout.startswith("Omics") else "ensembl"
    arrays = layouts.LAYOUTS[layout] if is_array else plain
    arrays(folder / of_arrays, PROBES, [f"GSM{n}" for n in range(24)], expression(24, 2))
    plain(folder / "lcl.tsv", GENES, [f"HG{n}" for n in range(5)], np.exp2(expression(5, 3)))
    names = [f"SYM{gene}" for gene in range(len(GENES))] if ids == "symbol" else GENES
    rna = plain if is_array else layouts.LAYOUTS[layout]
    rna(folder / of_gtex, names, [f"X{n}" for n in range(8)], np.exp2(expression(8, 4)))
    group = 'group = "series"\n' if layout.startswith(("GSE", "human")) else ""
    text = f"""
name = "layout"
recipe = "dgex"
duplicates = "keep"
genes = {{ landmarks = "lm.txt", targets = "tg.txt" }}
[platforms.geo]
matrix = "{of_arrays}"
ids = "probe"
{group if is_array else ""}
[platforms.1000g]
matrix = "lcl.tsv"
ids = "ensembl"
[platforms.gtex]
matrix = "{of_gtex}"
ids = "{ids}"
{"" if is_array else group}
"""
    path = folder / "layout.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("layout", layouts.LAYOUTS)
def test_each_layout_becomes_a_table(genebench, tmp_path, monkeypatch, layout):
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    path = manifest(tmp_path, layout)
    prepared = genebench("data", "prepare", path)
    assert prepared.status == 0, prepared.err
    ran = genebench("run", "--dataset", "layout", "--preset", "tiny", "--methods", "lsr-l2",
                    "--protocol", "geo,gtex", "--results", tmp_path / "results")  # fmt: skip
    assert ran.status == 0, ran.err
    assert "lsr-l2" in ran.out
    dataset = DataStore().open("layout")
    assert (dataset.info["landmarks"], dataset.info["targets"]) == (LANDMARKS, TARGETS)
    if 'group = "series"' in path.read_text():
        platform = "geo" if layout in ARRAY_LAYOUTS else "gtex"
        assert dataset.profile_table(platform)["group"].str.startswith("GSE").all()


def test_a_list_beside_a_matrix_that_changed_is_noticed(genebench, tmp_path, monkeypatch):
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path / "home"))
    path = manifest(tmp_path, "filtered_feature_bc_matrix")
    assert genebench("data", "prepare", path).status == 0
    assert find_prepared(path) is not None
    (tmp_path / "filtered_feature_bc_matrix" / "barcodes.tsv.gz").touch()
    assert find_prepared(path) is None
