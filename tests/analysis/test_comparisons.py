"""Comparisons of what was run: which variants are meant, and what differs."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

import genebench
from genebench import UserError
from genebench.analysis.comparisons import compare
from genebench.results.store import ResultsStore


@pytest.fixture(scope="module")
def comparisons(lsr_and_knn):
    return compare("lsr", "knn:k_max=1", results=lsr_and_knn)


def test_both_protocols_are_compared_in_one_call(comparisons):
    assert list(comparisons.differences["protocol"]) == ["geo", "gtex"]
    assert genebench.compare is compare


def test_the_scores_are_those_of_the_records(comparisons, lsr_and_knn):
    row = comparisons.differences.iloc[0]
    scores = {
        (r.identity.protocol, r.identity.method): r.scores["mae"]["all"].mean
        for r in ResultsStore(lsr_and_knn).records()
        if r.identity.params.get("k_max") in (None, 1)
    }
    assert row["score_a"] == pytest.approx(scores["geo", "lsr"])
    assert row["score_b"] == pytest.approx(scores["geo", "knn"])
    assert row["low"] < row["difference"] < row["high"] < 0
    assert row["verdict"] == "lsr is better"


def test_groups_of_the_simulated_platforms_are_used(comparisons):
    assert (comparisons.differences["groups"] < comparisons.differences["profiles"]).all()


def test_p_values_are_adjusted_for_the_number_of_protocols(comparisons):
    low, high = sorted(comparisons.differences["p"])
    assert sorted(comparisons.differences["p_holm"]) == pytest.approx([2 * low, max(2 * low, high)])


def test_genes_of_all_comparisons_are_one_table_with_symbols(comparisons, lsr_and_knn):
    genes = comparisons.genes
    assert len(genes) == 320
    assert genes["symbol"].str.startswith("SIM").all()
    vectors_of = ResultsStore(lsr_and_knn).vectors
    lsr = next(
        r for r in ResultsStore(lsr_and_knn).records()
        if (r.identity.method, r.identity.protocol) == ("lsr", "geo")
    )  # fmt: skip
    vectors = vectors_of(lsr)
    mine = genes[genes["protocol"] == "geo"].set_index("gene")["a"]
    assert mine[vectors["gene.id"]].to_numpy() == pytest.approx(vectors["gene-metric.mae"])


def test_shares_of_genes_add_up(comparisons):
    shares = comparisons.differences[["a_better", "same", "b_better"]].sum(axis=1)
    assert shares.to_numpy() == pytest.approx(1)


def test_a_method_with_several_variants_must_be_told_which(lsr_and_knn):
    with pytest.raises(UserError, match=r"knn is 2 variants .* knn \(k_max=1\) = "):
        compare("lsr", "knn", results=lsr_and_knn)


def test_variants_of_one_method_can_be_compared(lsr_and_knn):
    rows = compare("knn:k_max=1", "knn:k_max=20", results=lsr_and_knn).differences
    assert set(rows["a"]) == {"knn (k_max=1)"}
    assert (rows["difference"] > 0).all()


def test_the_start_of_a_key_means_its_variant_under_its_protocol(lsr_and_knn):
    record = next(
        r for r in ResultsStore(lsr_and_knn).records()
        if r.identity.params.get("k_max") == 20 and r.identity.protocol == "gtex"
    )  # fmt: skip
    rows = compare(record.key[:10], "lsr", results=lsr_and_knn).differences
    assert list(rows["protocol"]) == ["gtex"]
    assert rows["a"][0] == "knn (k_max=20)"


@pytest.mark.parametrize(
    ("a", "b", "message"),
    [
        ("lrs", "knn:k_max=1", "unknown method among these results 'lrs'. Did you mean lsr"),
        ("lsr", "lsr", "are the same method"),
        ("lsr", "knn:k_max=7", "No result of knn has k_max=7. Its parameters are k_max"),
        ("lsr", "knn:k=1", "Its parameters are k_max"),
        ("lsr", "knn:k_max=one", "No result of knn has k_max=one"),
        ("lsr", "0123456789ab", "unknown method among these results '0123456789ab'"),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_line(lsr_and_knn, a, b, message):
    with pytest.raises(UserError, match=message):
        compare(a, b, results=lsr_and_knn)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"panel": "twins"}, "unknown panel 'twins'. Did you mean twin"),
        ({"metric": "mse"}, "unknown metric 'mse'"),
        ({"protocols": "gtx"}, "unknown protocol among these results 'gtx'. Did you mean gtex"),
        ({"dataset": "u133"}, "unknown dataset among these results 'u133'"),
        ({"metric": "profile-recall"}, "do not both have profile-recall"),
    ],
)
def test_options_that_fit_nothing_are_refused_in_one_line(lsr_and_knn, options, message):
    with pytest.raises(UserError, match=message):
        compare("lsr", "knn:k_max=1", results=lsr_and_knn, **options)


def test_methods_that_were_never_run_alike_cannot_be_compared(made_up, tmp_path):
    store = ResultsStore(tmp_path / "r")
    store.prepare()
    for method, protocol in (("lsr", "geo"), ("knn", "gtex")):
        store.write(made_up(method, {}, protocol=protocol), {})
    with pytest.raises(UserError, match="never both run on the same data"):
        compare("lsr", "knn", results=store.root)


def test_a_damaged_record_costs_itself_and_nothing_else(lsr_and_knn, tmp_path, caplog):
    copy = shutil.copytree(lsr_and_knn, tmp_path / "copy")
    broken = next(
        r for r in ResultsStore(copy).records()
        if (r.identity.method, r.identity.protocol) == ("lsr", "gtex")
    )  # fmt: skip
    (copy / f"{broken.key}.json").write_text("{}")
    assert list(compare("lsr", "knn:k_max=1", results=copy).differences["protocol"]) == ["geo"]
    assert broken.key in caplog.text


@pytest.mark.parametrize("damage", [None, np.zeros(3), np.array(["a"] * 160)])
def test_damaged_vectors_cost_their_record_and_nothing_else(lsr_and_knn, tmp_path, caplog, damage):
    copy = shutil.copytree(lsr_and_knn, tmp_path / "copy")
    store = ResultsStore(copy)
    broken = next(
        r for r in store.records() if (r.identity.method, r.identity.protocol) == ("lsr", "gtex")
    )
    path = store.paths.vectors(broken)
    if damage is None:
        path.unlink()
    else:
        np.savez(path, **store.vectors(broken) | {"gene-metric.mae": damage})
    assert list(compare("lsr", "knn:k_max=1", results=copy).differences["protocol"]) == ["geo"]
    [warning] = caplog.messages
    assert path.name in warning
    genes = genebench.records(copy).genes("mae")
    assert broken.key not in set(genes["key"])
    assert genes["key"].nunique() == 9


def test_a_method_that_is_not_applicable_is_named_with_its_reason(made_up, tmp_path):
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    none = {"status": "not applicable", "reason": "needs arrays.", "failure": None}
    store.write(made_up("lsr", {}, None, **none), {})
    store.write(made_up("knn", {}), {})
    for pair in (("lsr", "knn"), ("knn", "lsr")):
        with pytest.raises(UserError, match=r"lsr is not applicable under geo: needs arrays\."):
            compare(*pair, results=store.root)


def test_a_method_that_failed_is_named_with_its_reason(made_up, tmp_path):
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    store.write(made_up("lsr", {}, None), {})
    store.write(made_up("knn", {}), {})
    with pytest.raises(UserError, match=r"lsr failed under geo \(no luck\)\. .*--retry-failed\."):
        compare("knn", "lsr", results=store.root)
