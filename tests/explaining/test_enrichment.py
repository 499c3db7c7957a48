"""Over-representation against Fisher's exact test, false discovery rates, and GMT files."""

from __future__ import annotations

import gzip

import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, fisher_exact

import genebench as package
from genebench import UserError
from genebench.datasets.sim.planted import planted
from genebench.explaining.clusters import k_means
from genebench.explaining.components import components
from genebench.explaining.enrichment import known_sets, over_representation, read_gmt

GENES = [f"G{number}" for number in range(200)]


def test_p_values_are_those_of_a_one_sided_fisher_test():
    random = np.random.default_rng(0)
    sets = {f"set {n}": frozenset(random.choice(GENES, 30, replace=False)) for n in range(5)}
    lists = {n: random.choice(GENES, 25, replace=False) for n in range(3)}
    table = over_representation(lists, GENES, sets)
    assert len(table) == 15
    for row in table.itertuples():
        drawn, genes = set(lists[row.cluster]), sets[row.set]
        both = len(drawn & genes)
        counts = [[both, len(drawn) - both], [len(genes) - both, 200 - len(drawn | genes)]]
        assert row.p == pytest.approx(fisher_exact(counts, "greater").pvalue, rel=1e-9)
        assert row.found == both
        assert row.expected == pytest.approx(25 * 30 / 200)
        assert set(filter(None, row.genes.split())) == drawn & genes


def test_q_values_are_those_of_benjamini_and_hochberg():
    random = np.random.default_rng(1)
    sets = {f"set {n}": frozenset(random.choice(GENES, 30, replace=False)) for n in range(9)}
    table = over_representation({1: GENES[:40]}, GENES, sets)
    # The textbook form: p · m / rank, made monotone from the largest down.
    scaled = table["p"] * 9 / np.arange(1, 10)
    expected = np.minimum.accumulate(scaled[::-1])[::-1].clip(upper=1)
    np.testing.assert_allclose(table["q"], expected)
    np.testing.assert_allclose(table["q"], false_discovery_control(table["p"]))


def test_only_genes_that_could_have_been_found_count():
    sets = {"mixed": frozenset(GENES[:5]) | {f"elsewhere {n}" for n in range(500)}}
    [row] = over_representation({1: [*GENES[:5], "elsewhere 1"]}, GENES, sets).to_dict("records")
    assert (row["background"], row["size"], row["drawn"], row["found"]) == (200, 5, 5, 5)


def test_tiny_sets_are_left_out():
    sets = {"two": frozenset(GENES[:2]), "three": frozenset(GENES[:3])}
    assert list(over_representation({1: GENES[:9]}, GENES, sets)["set"]) == ["three"]


def test_a_planted_set_is_found_and_random_ones_hardly_ever_are():
    random = np.random.default_rng(2)
    lists = {n: random.choice(GENES, 20, replace=False) for n in range(10)}
    sets = {f"random {n}": frozenset(random.choice(GENES, 20, replace=False)) for n in range(40)}
    sets["planted"] = frozenset(lists[3][:15])
    table = over_representation(lists, GENES, sets)
    found = table[table["q"] <= 0.05]
    assert list(zip(found["cluster"], found["set"], strict=True)) == [(3, "planted")]


def test_no_set_gives_an_empty_table():
    assert over_representation({1: GENES[:5]}, GENES, {}).empty


def tables():
    index = pd.Index(["ENSG1", "ENSG2"])
    landmarks = pd.DataFrame({"symbol": ["TP53", "MYC"]}, index=index)
    return landmarks, pd.DataFrame({"symbol": ["ACTB"]}, index=pd.Index(["ENSG3"]))


def test_symbols_and_ensembl_ids_are_both_known():
    known = known_sets({"s": frozenset({"TP53", "ENSG3", "what"})}, *tables(), "x.gmt")
    assert known == {"s": frozenset({"ENSG1", "ENSG3"})}


def test_sets_without_a_known_gene_are_refused():
    with pytest.raises(UserError, match=r"x\.gmt: none of its 2 genes is a landmark or a target"):
        known_sets({"s": frozenset({"a"}), "t": frozenset({"b"})}, *tables(), "x.gmt")


def test_gmt_files_are_read_plain_and_compressed(tmp_path):
    text = "one\thttp://x\tTP53\tMYC\t\n\ntwo\t\tACTB\r\n"
    (tmp_path / "a.gmt").write_text(text)
    (tmp_path / "a.gmt.gz").write_bytes(gzip.compress(text.encode()))
    expected = {"one": frozenset({"TP53", "MYC"}), "two": frozenset({"ACTB"})}
    assert read_gmt(tmp_path / "a.gmt") == expected
    assert read_gmt(tmp_path / "a.gmt.gz") == expected


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no gene set"),
        (b"name only\n", "line 1: no gene set"),
        (b"a\tb\tc\na\tb\td\n", "line 2: set a occurs twice"),
        (b"a\tb\t\xff\n", "not UTF-8 text"),
    ],
)
def test_files_without_sets_are_refused(tmp_path, content, message):
    (tmp_path / "bad.gmt").write_bytes(content)
    with pytest.raises(UserError, match=message):
        read_gmt(tmp_path / "bad.gmt")


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "a.gmt").write_text("one\t\tTP53\n", "utf-8-sig")
    assert list(read_gmt(tmp_path / "a.gmt")) == ["one"]


@pytest.mark.parametrize(
    "name", ["missing.gmt", "folder", "bad.gmt.gz", "cut.gmt.gz", "hit.gmt.gz"]
)
def test_files_that_cannot_be_read_are_named(tmp_path, name):
    (tmp_path / "folder").mkdir()
    whole = gzip.compress(b"".join(b"%d\t\tTP53\n" % n for n in range(999)))
    (tmp_path / "cut.gmt.gz").write_bytes(whole[:-40])
    (tmp_path / "hit.gmt.gz").write_bytes(whole[:20] + b"\xff" * 30 + whole[50:])
    (tmp_path / "bad.gmt.gz").write_bytes(b"no gzip")
    with pytest.raises(UserError, match=f"{name}: cannot be read"):
        read_gmt(tmp_path / name)


@pytest.fixture(scope="module")
def simulated():
    """Return the profiles of preset small, the planted sets, and a ridge regression on them."""
    data = package.load("sim", "geo", preset="small")
    x, y = data.train.landmarks.astype(float), data.train.targets.astype(float)
    weights = np.linalg.solve(x.T @ x + 30 * np.eye(x.shape[1]), x.T @ (y - y.mean(axis=0)))
    sets = {name: frozenset(genes) for name, genes in planted("small").gene_sets.items()}
    return data.test, sets, weights


def found_in(numbers, simulated):
    """Return how many planted and how many random sets come out for clusters of targets."""
    test, sets, _ = simulated
    symbols = test.target_genes["symbol"]
    lists = {int(number): symbols[numbers == number] for number in np.unique(numbers)}
    table = over_representation(lists, symbols, sets)
    found = set(table[table["q"] <= 0.05]["set"])
    return tuple(sum(name.startswith(start) for name in found) for start in ("PATHWAY", "RANDOM"))


def test_planted_pathways_come_out_for_clusters_of_measured_targets(simulated):
    """No model is involved: it is the statistics that are tested."""
    test, *_ = simulated
    coordinates = components(lambda: test.column_blocks("targets"), 50, seed=0).genes
    planted_ones, random_ones = found_in(k_means(coordinates, 36, seed=0), simulated)
    assert planted_ones >= 12
    assert random_ones == 0


def test_planted_pathways_come_out_of_the_predictions_of_a_model(simulated):
    """Clusters are those of ``--targets-by predictions``. Shuffled weights find nothing."""
    test, _, weights = simulated
    shuffled = np.random.default_rng(0).permutation(weights.ravel()).reshape(weights.shape)
    counts = []
    for each in (weights, shuffled):
        predictions = test.landmarks @ each
        coordinates = components(lambda found=predictions: [found], 50, seed=0).genes
        counts.append(found_in(k_means(coordinates, 36, seed=0), simulated))
    assert counts[0][0] >= 16
    assert counts[0][1] == 0
    assert counts[1] == (0, 0)


@pytest.mark.parametrize("top", [5, 20])
def test_lists_of_landmarks_find_no_random_set_and_hardly_a_planted_one(simulated, top):
    """A pathway has three to nine of 100 landmarks, and hundreds of pairs are tested."""
    test, sets, weights = simulated
    coordinates = components(lambda: test.column_blocks("targets"), 50, seed=0).genes
    numbers = k_means(coordinates, 20, seed=0)
    sizes = np.abs(test.landmarks).mean(axis=0)
    symbols = test.landmark_genes["symbol"].to_numpy()
    lists = {}
    for number in range(20):
        effects = sizes * np.abs(weights[:, numbers == number].mean(axis=1))
        lists[number + 1] = symbols[np.argsort(-effects)[:top]]
    table = over_representation(lists, symbols, sets)
    found = set(table[table["q"] <= 0.05]["set"])
    assert not any(name.startswith("RANDOM") for name in found)
    assert len(found) <= 2
