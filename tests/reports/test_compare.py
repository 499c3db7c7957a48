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


def test_each_protocol_has_a_scatter_and_a_density(comparisons, style):
    assert [drawing.name for drawing in scatter.drawings(comparisons)] == [
        f"{kind}-lsr-knn-k-max-1-sim-{protocol}-mae-all"
        for protocol in ("geo", "gtex")
        for kind in ("scatter", "density")
    ]


def test_a_scatter_shows_every_gene_on_the_side_of_the_better_method(comparisons, style):
    pair = comparisons.pairs[0]
    drawing = scatter.scatter("name", [pair], 85)
    axes = drawing.figure.axes[0]
    better, worse, same = (points.get_offsets() for points in axes.collections)
    assert len(better) + len(worse) + len(same) == 160
    assert (better[:, 1] < better[:, 0]).all(), "a, upwards, has the lower error"
    assert len(better) / 160 == pytest.approx(pair.share(1))
    assert axes.get_xlim() == axes.get_ylim()
    drawn = np.sort(np.ma.getdata(np.ma.concatenate([better, worse, same])), axis=0)
    np.testing.assert_allclose(drawn, np.sort(drawing.numbers[["b", "a"]].to_numpy(), axis=0))


def test_many_genes_are_counted_in_hexagons(comparisons, style, monkeypatch):
    monkeypatch.setattr(scatter, "FEW_GENES", 100)
    drawing = scatter.scatter("name", list(comparisons.pairs), 180)
    for axes, pair in zip(drawing.figure.axes, comparisons.pairs, strict=False):
        [hexagons] = axes.collections
        inside = len(pair.genes) - scatter._outside(pair, axes.get_xlim())
        assert hexagons.get_array().sum() == inside > 100
    scale = drawing.figure.axes[-1]
    assert scale.get_ylabel() == "target genes in a hexagon"


def test_a_density_holds_every_gene_and_names_the_means(comparisons, style):
    pair = comparisons.pairs[0]
    axes = scatter.density("name", pair, 85).figure.axes[0]
    for line, mean, column in zip(axes.lines[::2], axes.lines[1::2], "ab", strict=True):
        assert np.trapezoid(line.get_ydata(), line.get_xdata()) == pytest.approx(1, abs=0.05)
        assert mean.get_xdata()[0] == pytest.approx(pair.genes[column].mean())


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
