"""The report of a comparison: tables, notes and figures."""

from __future__ import annotations

import shutil

import numpy as np
import pandas as pd
import pytest

from genebench._util.hashing import key_of
from genebench.analysis.bootstrap import seed_interval
from genebench.analysis.comparisons import compare
from genebench.plugins.registry import registry
from genebench.reports.compare import ComparisonReport
from genebench.reports.figures import scatter
from genebench.results.panels import scores_of
from genebench.results.store import ResultsStore


@pytest.fixture(scope="module")
def comparisons(lsr_and_knn):
    return compare("lsr", "knn:k_max=1", results=lsr_and_knn)


def test_each_score_has_its_interval_over_seeds_alone(lsr_and_knn, tmp_path):
    store = ResultsStore(shutil.copytree(lsr_and_knn, tmp_path / "seeds"))
    first = next(
        r for r in store.records() if (r.identity.method, r.identity.protocol) == ("lsr", "geo")
    )
    vectors = store.vectors(first)
    for seed in (1, 2):
        own = first.identity.model_copy(update={"seed": seed})
        more = {n: v * (1 + seed / 100) if ".mae" in n else v for n, v in vectors.items()}
        changes = {"identity": own, "key": key_of(own.model_dump()), "scores": scores_of(more)}
        store.write(first.model_copy(update=changes), more)
    comparisons = compare("lsr", "knn:k_max=1", protocols="geo", results=store.root)
    scores = [record.scores["mae"]["all"].mean for record in comparisons.pairs[0].a.records]
    row = comparisons.differences.iloc[0]
    assert (row["seed_low_a"], row["seed_high_a"]) == pytest.approx(seed_interval(scores))
    assert np.isnan([row["seed_low_b"], row["seed_high_b"]]).all()
    report = ComparisonReport(comparisons.records, registry(), comparisons=comparisons)
    notes = [note for section in report.sections() for note in section.details]
    assert any(f"is {row['seed_low_a']:.4f} … {row['seed_high_a']:.4f}" in n for n in notes)


def test_few_profiles_or_groups_are_said_to_make_p_values_rough(comparisons):
    report = ComparisonReport(comparisons.records, registry(), comparisons=comparisons)
    notes = [note for section in report.sections() for note in section.notes]
    [rough] = [note for note in notes if "p-values are rough" in note]
    assert rough.startswith("geo, gtex: ")


def test_figures_are_drawn_for_each_protocol_as_svg_and_png(comparisons, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "genebench.reports.figures.drawing._save", lambda figure, path: path.touch()
    )
    written = scatter.draw(comparisons, tmp_path / "figures")
    assert sorted(path.name for path in written) == [
        f"{kind}-lsr-knn-k-max-1-sim-{protocol}-mae-all.{suffix}"
        for kind in ("density", "scatter")
        for protocol in ("geo", "gtex")
        for suffix in ("png", "svg")
    ]


def test_a_scatter_shows_every_gene_on_the_side_of_the_better_method(comparisons):
    pair = comparisons.pairs[0]
    axes = scatter.scatter(pair).axes[0]
    better, worse, same = (points.get_offsets() for points in axes.collections)
    assert len(better) + len(worse) + len(same) == 160
    assert (better[:, 1] < better[:, 0]).all(), "a, upwards, has the lower error"
    assert len(better) / 160 == pytest.approx(pair.share(1))
    assert axes.get_xlim() == axes.get_ylim()


def test_a_density_is_scipys_and_holds_every_gene(comparisons):
    axes = scatter.density(comparisons.pairs[0]).axes[0]
    x, y = axes.lines[0].get_data()
    assert np.trapezoid(y, x) == pytest.approx(1, abs=0.05)


def test_genes_are_written_as_csv(comparisons, tmp_path):
    report = ComparisonReport(comparisons.records, registry(), comparisons=comparisons)
    report.write_genes(tmp_path / "genes.csv")
    read = pd.read_csv(tmp_path / "genes.csv")
    assert list(read.columns) == list(comparisons.genes.columns)
    assert read["gain"].to_numpy() == pytest.approx(comparisons.genes["gain"].to_numpy())


def test_filled_landmarks_are_always_noted(lsr_and_knn, tmp_path):
    store = ResultsStore(shutil.copytree(lsr_and_knn, tmp_path / "filled"))
    for record in store.records():
        genes = {**record.genes, "filled": 2}
        store.write(record.model_copy(update={"genes": genes}), store.vectors(record))
    comparisons = compare("lsr", "knn:k_max=1", protocols="geo", results=store.root)
    report = ComparisonReport(comparisons.records, registry(), comparisons=comparisons)
    [section] = report.sections()
    assert "2 landmarks not measured on some platform" in section.notes[0]
