"""The figures that a results folder allows, and the reasons for those that it does not."""

from __future__ import annotations

import pandas as pd
import pytest

import genebench
from genebench import UserError
from genebench.plugins.registry import registry
from genebench.reports.paper import KINDS, LeftOut, figure_set
from genebench.reports.ranks import RanksReport
from genebench.results.store import ResultsStore
from genebench.runs.suite import read_suite

pytest.importorskip("matplotlib")

DRAWN = {"forest", "critical", "scatter", "targets", "cost", "choice", "heat"}


@pytest.fixture(scope="module")
def made(lsr_and_knn, tmp_path_factory):
    """Every figure of two methods under one protocol."""
    out = tmp_path_factory.mktemp("figures")
    return out, genebench.figures(lsr_and_knn, out, protocols="geo", width=85, formats="svg")


def kind_of(path):
    kind = path.name.partition("-sim-geo-")[0]
    return "choice" if kind.startswith("curve") else kind


def test_what_can_be_drawn_is_drawn_and_the_rest_has_a_reason(made):
    out, (files, left_out) = made
    assert {kind_of(path) for path in files} == DRAWN
    assert {path.suffix for path in files} == {".svg", ".csv"}
    assert sorted(files) == sorted(out.iterdir())
    assert [line.split(": ")[1] for line in left_out] == ["learning", "ablation"]
    assert "one training size only" in left_out[0]


def test_numbers_are_those_of_the_report_of_ranks(made, lsr_and_knn):
    store = ResultsStore(lsr_and_knn)
    records = [r for r in store.sound()[0] if r.identity.protocol == "geo"]
    report = RanksReport(tuple(records), registry(), vectors_of=store.vectors, metrics=("mae",))
    ranks = report.values().query("not control").set_index("method")
    for kind in ("forest", "critical"):
        [path] = [p for p in made[1].files if kind_of(p) == kind and p.suffix == ".csv"]
        table = pd.read_csv(path, keep_default_na=False).set_index("method")
        assert list(table.index) == list(ranks.index)
        for name, expected in ranks["tied_with"].items():
            assert table["tied_with"][name] == expected.replace(",knn", ", knn")
        assert list(table["mean"].astype(float)) == pytest.approx(list(ranks["mean"]))
        assert list(table["rank"].astype(int)) == list(ranks["rank"])


def test_genes_of_a_scatter_and_of_properties_are_all_in_the_tables(made):
    tables = {kind_of(path): pd.read_csv(path) for path in made[1].files if path.suffix == ".csv"}
    scatter, targets = tables["scatter"], tables["targets"]
    assert set(scatter["method_b"]) | set(scatter["method_a"]) == set(tables["forest"]["method"])
    assert scatter.groupby("method_b")["gene"].nunique().eq(160).all()
    genes, bins = targets[targets["gene"].notna()], targets[targets["gene"].isna()]
    assert genes["correlation"].between(0, 1).all()
    for (method, kind), part in bins.groupby(["method", "property"]):
        values = genes[genes["method"] == method]
        assert part["genes"].sum() == len(values) == 160
        assert part[kind].is_monotonic_increasing
        weighted = (part["value"] * part["genes"]).sum() / 160
        assert weighted == pytest.approx(values["value"].mean())


def test_properties_of_targets_are_those_of_the_training_profiles(tiny, lsr_and_knn):
    import numpy as np

    from genebench.analysis.targets import target_properties

    record = ResultsStore(lsr_and_knn).sound()[0][0]
    table = target_properties(record, registry())
    train = tiny.profiles(registry().protocols.get(record.identity.protocol).train)
    x, y = np.asarray(train.landmarks, float), np.asarray(train.targets, float)
    expected = np.abs(np.corrcoef(x.T, y[:, 7])[-1, :-1])
    assert table["correlation"].iloc[7] == pytest.approx(expected.max(), rel=1e-5)
    assert table["landmark"].iloc[7] == train.landmark_genes.index[expected.argmax()]
    raw = np.concatenate([*train.expression_blocks()])[:, x.shape[1] + 7]
    assert table["variance"].iloc[7] == pytest.approx(raw.astype(float).var(), rel=1e-4)


@pytest.mark.parametrize("width", [85, 180])
def test_every_axis_has_a_unit_and_no_text_is_cut_off(lsr_and_knn, width, cut_off):
    from matplotlib.text import Text

    from genebench.reports.figures.style import paper, size_of

    chosen = figure_set(lsr_and_knn, protocols="gtex", width=width)
    with paper():
        for kind in DRAWN:
            for item in KINDS[kind].draw(chosen):
                assert not isinstance(item, LeftOut)
                figure = item.figure
                assert size_of(figure)[0] == pytest.approx(width)
                names = [
                    label.replace("\n", " ")
                    for axes in figure.axes
                    for label in (axes.get_xlabel(), axes.get_ylabel(), axes.get_title("left"))
                ]
                unit = chosen.metrics[0].unit
                assert any(unit in name or "(std)" in name for name in names), (kind, names)
                assert not any("…" in name for name in names if unit[:4] in name), names
                assert cut_off(figure) == []
                sizes = [text.get_fontsize() for text in figure.findobj(Text)]
                assert min(sizes) >= 6


def test_rows_of_the_ablation_are_compared_with_the_row_that_they_come_from(made_up, tmp_path):
    store = ResultsStore(tmp_path / "results")
    store.prepare()
    runs = [run for run in read_suite("ablation").runs if run.name.startswith(("L1", "+ input"))]
    spec = registry().methods.get
    for place, run in enumerate(runs):
        params = spec(run.methods[0]).values(
            "small", {k: str(v) for k, v in run.at("small").set.items()}
        )
        store.write(made_up(run.methods[0], params, 0.5 - place / 100), {})
    _, left_out = genebench.figures(store.root, tmp_path / "out", only="ablation", formats="png")
    assert left_out == []
    [path] = (tmp_path / "out").glob("ablation-*.csv")
    table = pd.read_csv(path, keep_default_na=False)
    # An apostrophe keeps spreadsheets from running "+ …" as a formula.
    table = table.assign(**{name: table[name].str.lstrip("'") for name in ("step", "after")})
    assert list(table["step"]) == [run.name for run in runs]
    after = dict(zip(table["step"], table["after"], strict=True))
    assert after["L1 in place of MSE"] == "+ input dropout"
    assert after["L1, adversary"] == after["L1, consistency"] == "L1 in place of MSE"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"only": "forest,scater"}, "Did you mean scatter"),
        ({"width": 100}, "85 or 180 mm"),
        ({"formats": "pdf,eps"}, "eps"),
        ({"formats": ","}, "No format of figures is named"),
        ({"metrics": "mea"}, "mae"),
        ({"protocols": "none"}, "none"),
    ],
)
def test_a_mistake_is_one_line_and_nothing_is_written(lsr_and_knn, tmp_path, options, message):
    with pytest.raises(UserError, match=message) as error:
        genebench.figures(lsr_and_knn, tmp_path / "out", **options)
    assert "\n" not in str(error.value)
    assert not (tmp_path / "out").exists()
