"""Comparisons of what was run: which variants are meant, what tables and figures say."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

import genebench
from genebench import UserError, api
from genebench._util.hashing import key_of
from genebench.analysis.bootstrap import seed_interval
from genebench.analysis.comparisons import compare
from genebench.plugins.registry import registry
from genebench.reports.compare import ComparisonReport
from genebench.reports.figures import scatter
from genebench.results.panels import scores_of
from genebench.results.store import ResultsStore


@pytest.fixture(scope="module")
def results(tiny, tmp_path_factory):
    """lsr, two variants of knn and the controls under both protocols."""
    folder = tmp_path_factory.mktemp("compare") / "results"
    api.run(
        "lsr,knn", dataset="sim", preset="tiny", results=folder, grid={"knn": {"k_max": [1, 20]}}
    )
    return folder


@pytest.fixture(scope="module")
def found(results):
    return compare("lsr", "knn:k_max=1", results=results)


def test_both_protocols_are_compared_in_one_call(found):
    assert list(found.differences["protocol"]) == ["geo", "gtex"]
    assert genebench.compare is compare


def test_the_scores_are_those_of_the_records(found, results):
    row = found.differences.iloc[0]
    scores = {
        (r.identity.protocol, r.identity.method): r.scores["mae"]["all"].mean
        for r in ResultsStore(results).records()
        if r.identity.params.get("k_max") in (None, 1)
    }
    assert row["score_a"] == pytest.approx(scores["geo", "lsr"])
    assert row["score_b"] == pytest.approx(scores["geo", "knn"])
    assert row["low"] < row["difference"] < row["high"] < 0
    assert row["verdict"] == "lsr is better"


def test_each_score_has_its_interval_over_seeds_alone(results, tmp_path):
    store = ResultsStore(shutil.copytree(results, tmp_path / "seeds"))
    first = next(
        r for r in store.records() if (r.identity.method, r.identity.protocol) == ("lsr", "geo")
    )
    vectors = store.vectors(first)
    for seed in (1, 2):
        own = first.identity.model_copy(update={"seed": seed})
        more = {n: v * (1 + seed / 100) if ".mae" in n else v for n, v in vectors.items()}
        changes = {"identity": own, "key": key_of(own.model_dump()), "scores": scores_of(more)}
        store.write(first.model_copy(update=changes), more)
    found = compare("lsr", "knn:k_max=1", protocols="geo", results=store.root)
    scores = [record.scores["mae"]["all"].mean for record in found.pairs[0].a.records]
    row = found.differences.iloc[0]
    assert (row["seed_low_a"], row["seed_high_a"]) == pytest.approx(seed_interval(scores))
    assert np.isnan([row["seed_low_b"], row["seed_high_b"]]).all()
    report = ComparisonReport(found.records, registry(), comparisons=found)
    notes = [note for section in report.sections() for note in section.notes]
    assert any(f"is {row['seed_low_a']:.4f} … {row['seed_high_a']:.4f}" in n for n in notes)


def test_few_profiles_or_groups_are_said_to_make_p_values_rough(found):
    report = ComparisonReport(found.records, registry(), comparisons=found)
    notes = [note for section in report.sections() for note in section.notes]
    assert sum("p-values are rough" in note for note in notes) == len(found.pairs)


def test_groups_of_the_simulated_platforms_are_used(found):
    assert (found.differences["groups"] < found.differences["profiles"]).all()


def test_p_values_are_adjusted_for_the_number_of_protocols(found):
    low, high = sorted(found.differences["p"])
    assert sorted(found.differences["p_holm"]) == pytest.approx([2 * low, max(2 * low, high)])


def test_genes_of_all_comparisons_are_one_table_with_symbols(found, results):
    genes = found.genes
    assert len(genes) == 320
    assert genes["symbol"].str.startswith("SIM").all()
    vectors_of = ResultsStore(results).vectors
    lsr = next(
        r for r in ResultsStore(results).records()
        if (r.identity.method, r.identity.protocol) == ("lsr", "geo")
    )  # fmt: skip
    vectors = vectors_of(lsr)
    mine = genes[genes["protocol"] == "geo"].set_index("gene")["a"]
    assert mine[vectors["gene.id"]].to_numpy() == pytest.approx(vectors["gene-metric.mae"])


def test_shares_of_genes_add_up(found):
    shares = found.differences[["a_better", "same", "b_better"]].sum(axis=1)
    assert shares.to_numpy() == pytest.approx(1)


# Which ones are meant


def test_a_method_with_several_variants_must_be_told_which(results):
    with pytest.raises(UserError, match=r"knn is 2 variants .* knn \(k_max=1\) = "):
        compare("lsr", "knn", results=results)


def test_variants_of_one_method_can_be_compared(results):
    rows = compare("knn:k_max=1", "knn:k_max=20", results=results).differences
    assert set(rows["a"]) == {"knn (k_max=1)"}
    assert (rows["difference"] > 0).all()


def test_the_start_of_a_key_means_its_variant_under_its_protocol(results):
    record = next(
        r for r in ResultsStore(results).records()
        if r.identity.params.get("k_max") == 20 and r.identity.protocol == "gtex"
    )  # fmt: skip
    rows = compare(record.key[:10], "lsr", results=results).differences
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
def test_what_cannot_be_meant_is_refused_in_one_line(results, a, b, message):
    with pytest.raises(UserError, match=message):
        compare(a, b, results=results)


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
def test_options_that_fit_nothing_are_refused_in_one_line(results, options, message):
    with pytest.raises(UserError, match=message):
        compare("lsr", "knn:k_max=1", results=results, **options)


def test_methods_that_were_never_run_alike_cannot_be_compared(made_up, tmp_path):
    store = ResultsStore(tmp_path / "r")
    store.prepare()
    for method, protocol in (("lsr", "geo"), ("knn", "gtex")):
        store.write(made_up(method, {}, protocol=protocol), {})
    with pytest.raises(UserError, match="never both run on the same data"):
        compare("lsr", "knn", results=store.root)


def test_a_damaged_record_costs_itself_and_nothing_else(results, tmp_path, caplog):
    copy = shutil.copytree(results, tmp_path / "copy")
    broken = next(
        r for r in ResultsStore(copy).records()
        if (r.identity.method, r.identity.protocol) == ("lsr", "gtex")
    )  # fmt: skip
    (copy / f"{broken.key}.json").write_text("{}")
    assert list(compare("lsr", "knn:k_max=1", results=copy).differences["protocol"]) == ["geo"]
    assert broken.key in caplog.text


@pytest.mark.parametrize("damage", [None, np.zeros(3), np.array(["a"] * 160)])
def test_damaged_vectors_cost_their_record_and_nothing_else(results, tmp_path, caplog, damage):
    copy = shutil.copytree(results, tmp_path / "copy")
    store = ResultsStore(copy)
    broken = next(
        r for r in store.records() if (r.identity.method, r.identity.protocol) == ("lsr", "gtex")
    )
    if damage is None:
        (copy / f"{broken.key}.npz").unlink()
    else:
        np.savez(copy / f"{broken.key}.npz", **store.vectors(broken) | {"gene-metric.mae": damage})
    assert list(compare("lsr", "knn:k_max=1", results=copy).differences["protocol"]) == ["geo"]
    [warning] = caplog.messages
    assert f"{broken.key}.npz" in warning
    genes = genebench.records(copy).genes("mae")
    assert broken.key not in set(genes["key"])
    assert genes["key"].nunique() == 9


# Figures


def test_figures_are_drawn_for_each_protocol_as_svg_and_png(found, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "genebench.reports.figures.drawing._save", lambda figure, path: path.touch()
    )
    written = scatter.draw(found, tmp_path / "figures")
    assert sorted(path.name for path in written) == [
        f"{kind}-lsr-knn-k-max-1-sim-{protocol}-mae-all.{suffix}"
        for kind in ("density", "scatter")
        for protocol in ("geo", "gtex")
        for suffix in ("png", "svg")
    ]


def test_a_scatter_shows_every_gene_on_the_side_of_the_better_method(found):
    pair = found.pairs[0]
    panel = scatter.scatter(pair).axes[0]
    better, worse, same = (points.get_offsets() for points in panel.collections)
    assert len(better) + len(worse) + len(same) == 160
    assert (better[:, 1] < better[:, 0]).all(), "a, upwards, has the lower error"
    assert len(better) / 160 == pytest.approx(pair.share(1))
    assert panel.get_xlim() == panel.get_ylim()


def test_a_density_is_scipys_and_holds_every_gene(found):
    panel = scatter.density(found.pairs[0]).axes[0]
    x, y = panel.lines[0].get_data()
    assert np.trapezoid(y, x) == pytest.approx(1, abs=0.05)


def test_genes_are_written_as_csv(found, tmp_path):
    report = ComparisonReport(found.records, registry(), comparisons=found)
    report.write_genes(tmp_path / "genes.csv")
    read = pd.read_csv(tmp_path / "genes.csv")
    assert list(read.columns) == list(found.genes.columns)
    assert read["gain"].to_numpy() == pytest.approx(found.genes["gain"].to_numpy())
