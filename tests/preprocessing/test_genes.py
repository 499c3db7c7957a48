"""Gene maps and matching, against plain dictionaries."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genebench.errors import UserError
from genebench.formats.base import Rows
from genebench.preprocessing.genes import (
    coverage,
    match,
    match_maps,
    read_gene_map,
    strip_version,
)
from genebench.preprocessing.probe_means import ProbeMeans

MAP = pd.DataFrame(
    {"symbol": ["AA", "BB", "CC", "AA"], "probes": ["p1", "p2,p3", "p4, p5 ,p6", "p7"]},
    index=["ENSG01", "ENSG02", "ENSG03", "ENSGR01"],
)


def rows(genes: pd.DataFrame, ids: list[str], kind: str) -> list[list[str]]:
    """The ids found for each gene."""
    matched = match(genes, pd.Index(ids), kind, source="m.tsv")
    ends = np.cumsum(matched.counts)
    return [
        [ids[position] for position in matched.positions[end - count : end]]
        for end, count in zip(ends, matched.counts, strict=True)
    ]


def test_read_gene_map(write):
    genes = read_gene_map(
        write("map.txt", "NA\tENSG1\tp1\r\nIL9R\tENSG2\tp2,p3\r\nIL9R\tENSG3\t\n")
    )
    assert genes.index.tolist() == ["ENSG1", "ENSG2", "ENSG3"]
    assert genes["symbol"].tolist() == ["NA", "IL9R", "IL9R"]
    assert genes["probes"].tolist() == ["p1", "p2,p3", ""]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("A\tE1\tp1\nB\tE2\n", "gene 2 has 2 tab-separated columns, not 3"),
        ("A,E1,p1\n", "gene 1 has 1 tab-separated columns, not 3"),
        ("A\tE1\tp1\nB\tE1\tp2\n", "1 repeated gene ids?: E1"),
        ("A\t\tp1\n", "gene number 1 has an empty id"),
        ("\n", "no gene in it"),
        ("", "file is empty"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_bad_gene_map(write, content, words):
    with pytest.raises(UserError, match=rf"map\.txt: .*{words}"):
        read_gene_map(write("map.txt", content))


def test_missing_gene_map(tmp_path):
    with pytest.raises(UserError, match=r"map\.txt: no such file"):
        read_gene_map(tmp_path / "map.txt")


def test_only_ensembl_ids_lose_a_version():
    ids = ["ENSG00000127720.3", "ENSGR0000124334.10", "ENSMUSG01.1", "AC068137.5", "ENSG1.x", "X.1"]
    stripped = ["ENSG00000127720", "ENSGR0000124334", "ENSMUSG01", "AC068137.5", "ENSG1.x", "X.1"]
    assert strip_version(pd.Index(ids)).tolist() == stripped


def test_match_by_every_kind_of_id():
    assert rows(MAP, ["p6", "p3", "x", "p2", "p4"], "probe") == [[], ["p2", "p3"], ["p4", "p6"], []]
    assert rows(MAP, ["ENSG03.7", "ENSG01", "ENSGR01.2"], "ensembl") == [
        ["ENSG01"],
        [],
        ["ENSG03.7"],
        ["ENSGR01.2"],
    ]
    assert rows(MAP, ["BB", "AA"], "symbol") == [["AA"], ["BB"], [], ["AA"]]


def test_a_map_may_carry_versions_too():
    versioned = MAP.set_axis([f"{gene}.4" for gene in MAP.index])
    assert rows(versioned, ["ENSG02.5"], "ensembl") == [[], ["ENSG02.5"], [], []]


def test_ids_that_differ_in_their_version_only():
    with pytest.raises(UserError, match=r"m\.tsv: 2 Ensembl ids .*: ENSG01\.1, ENSG01\.2\. Keep"):
        match(MAP, pd.Index(["ENSG01.1", "ENSG01.2", "ENSG02"]), "ensembl", source="m.tsv")


probes = st.sampled_from([f"p{i}" for i in range(12)])


@given(
    st.lists(st.lists(probes, min_size=1, max_size=4, unique=True), min_size=1, max_size=6),
    st.lists(probes, unique=True),
)
def test_average_is_the_mean_of_each_gene_s_probes(genes, ids):
    table = pd.DataFrame({"symbol": "s", "probes": [",".join(g) for g in genes]})
    expected = [[p for p in gene if p in ids] for gene in genes]
    assert rows(table, ids, "probe") == expected

    matched = match(table, pd.Index(ids, dtype="str"), "probe", source="m")
    assert matched.found.tolist() == [bool(gene) for gene in expected]
    kept = matched.take(matched.found)
    if not kept.positions.size:
        return
    values = np.random.default_rng(0).normal(size=(3, len(ids))).astype(np.float32)
    layers = ProbeMeans(kept)
    assert sorted(layers.positions) == sorted(kept.positions)
    means = layers.average(Rows(values, layers.positions))
    picked = layers.average(Rows.of(values[:, layers.positions]))
    np.testing.assert_array_equal(means, picked)
    frame = pd.DataFrame(values, columns=ids, dtype=float)
    theirs = np.stack([frame[gene].mean(axis=1) for gene in expected if gene], axis=1)
    assert means.dtype == np.float64
    np.testing.assert_allclose(means, theirs, rtol=1e-12)


def test_rows_of_another_shape_are_refused_before_compiled_code_sees_them():
    layers = ProbeMeans(match(MAP, pd.Index(["p1", "p2", "p4", "p7"]), "probe", source="m"))
    values = np.zeros((2, 4))
    assert layers.average(Rows(values, layers.positions)).shape == (2, 4)
    for columns in (layers.positions[:-1], layers.positions + 1, layers.positions - 1):
        with pytest.raises(ValueError, match="columns"):
            layers.average(Rows(values, columns))
    with pytest.raises(ValueError, match="means of shape"):
        layers.average(Rows(values, layers.positions), np.empty((3, 4)))


def test_coverage_is_ready_for_json():
    matched = match(MAP, pd.Index(["p1", "p2", "p4", "p5", "p6"]), "probe", source="m")
    assert json.loads(json.dumps(coverage(MAP, matched))) == {
        "in_map": 4,
        "found": 3,
        "missing": ["ENSGR01"],
        "partial": ["ENSG02"],
    }


@pytest.mark.parametrize(
    ("ids", "kind", "words"),
    [
        (["AA", "CC", "x"], "ensembl", 'As symbol ids 3 would match. Write ids = "symbol"'),
        (["ENSG02.1"], "probe", 'As ensembl ids 1 would match. Write ids = "ensembl"'),
        (["p2", "p3", "p1"], "symbol", 'As probe ids 2 would match. Write ids = "probe"'),
        (["a", "b", "c", "d"], "symbol", "No other kind fits. Its ids begin with 'a', 'b', 'c', …"),
    ],
)
def test_nothing_matches(ids, kind, words):
    with pytest.raises(
        UserError, match=rf"^no gene of the maps is in m\.tsv as {kind} ids\. {words}"
    ):
        match_maps(MAP[:2], MAP[2:], pd.Index(ids), kind, source="m.tsv")


def test_one_gene_of_either_map_suffices():
    landmarks, targets = match_maps(MAP[:2], MAP[2:], pd.Index(["CC"]), "symbol", source="m.tsv")
    assert landmarks.found.tolist() == [False, False]
    assert targets.found.tolist() == [True, False]


@pytest.mark.realdata
def test_published_maps(realdata):
    landmarks = read_gene_map(realdata / "map_lm.txt")
    targets = read_gene_map(realdata / "map_tg.txt")
    assert (len(landmarks), len(targets)) == (943, 9520)
    assert targets["symbol"].nunique() == 9519
    assert not landmarks["probes"].str.contains(",").any()
    assert targets["probes"].str.contains(",").sum() == 3755
