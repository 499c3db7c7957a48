"""Suites in their own layout: rows by their names, grids, the paper's values where they belong."""

from __future__ import annotations

import pytest

from genebench.errors import UserError
from genebench.plugins.registry import registry
from genebench.reports import suite as suite_report
from genebench.reports.suite import SuiteReport
from genebench.results.published import GRIDS, PUBLISHED, SETTINGS
from genebench.runs.suite import Run, Suite, read_suite

SPECS = registry().methods.specs
PUBLISHED_ROWS = ["LSR", "LSR-L1", "LSR-L2", "KNN-GE", "D-GEX", "GGAN"]


def of(made_up, method, mae=0.5, /, preset="paper", params=None, **changes):
    """A record of a method that there is, with the parameters in effect."""
    values = SPECS[method].values(preset, {}) | (params or {})
    return made_up(method, values, mae, preset=preset, **changes)


def sections(suite, *records, **given):
    suite = suite if isinstance(suite, Suite) else read_suite(suite)
    return list(SuiteReport(records, registry(), run_suite=suite, **given).sections())


def cells(table):
    return [row.cells for row in table.rows]


def grid(made_up, method, protocol="geo", preset="paper", **changes):
    """Every cell of Tables 2 and 4; the MAE of a cell is that of its place."""
    units = {"paper": (3000, 6000, 9000), "small": (300, 600, 900)}[preset]
    shapes = [(layers, width) for layers in (1, 2, 3) for width in units]
    return [
        of(
            made_up, method, 0.4 - at / 100, preset=preset, protocol=protocol,
            params={"layers": shape[0], "units": shape[1], **changes.get("params", {})},
            **{name: value for name, value in changes.items() if name != "params"},
        )
        for at, shape in enumerate(shapes)
    ]  # fmt: skip


# Tables 1 and 3


def test_table_1_has_the_papers_rows_in_its_order_by_its_names(made_up):
    records = [of(made_up, method, 0.3) for method in ("ggan", "lsr-l2", "dgex", "lsr", "knn-ge")]
    (section,) = sections("table1", *records, made_up("train-mean", {}, 0.8))
    (table,) = section.tables
    assert table.columns == ("method", "MAE", "CC")
    assert [row.cells[0] for row in table.rows] == [*PUBLISHED_ROWS, "train-mean"]
    assert table.rows[1].cells == ("LSR-L1", "–", "–"), "what was not run is still a row"
    assert table.rows[0].cells == ("LSR", "0.3000 ± 0.1000", "0.7000 ± 0.1000")
    assert "–: not run, 1 of 6" in section.notes


def test_the_ablation_has_a_row_for_each_step_by_its_name(made_up):
    steps = read_suite("ablation").runs
    records = [of(made_up, run.methods[0], params=run.at("paper").set) for run in steps]
    (section,) = sections("ablation", *records)
    (table,) = section.tables
    assert [row.cells[0] for row in table.rows] == [run.name for run in steps]
    assert not any("–" in row.cells for row in table.rows)


def test_what_failed_is_still_a_row_and_is_never_the_best(made_up):
    records = [of(made_up, "lsr", 0.4), of(made_up, "lsr-l1", None), of(made_up, "lsr-l2", 0.3)]
    (section,) = sections("table1", *records)
    (table,) = section.tables
    assert cells(table)[1] == ("LSR-L1", "failed", "failed")
    assert [sorted(row.best) for row in table.rows] == [[], [], [1, 2], [], [], []]
    assert "LSR-L1 failed: ValueError: no luck" in section.notes


def test_published_values_stand_beside_ours_on_the_published_data_only(made_up):
    ours = [of(made_up, method, 0.3, published_data=True) for method in ("lsr", "dgex")]
    (section,) = sections("table1", *ours)
    (table,) = section.tables
    assert table.columns == ("method", "MAE", "published", "CC", "published")
    assert cells(table)[0] == (
        "LSR", "0.3000 ± 0.1000", "0.3763 ± 0.0844", "0.7000 ± 0.1000", "0.8227 ± 0.0956",
    )  # fmt: skip
    assert cells(table)[1] == ("LSR-L1", "–", "0.3756 ± 0.0841", "–", "0.8221 ± 0.0960"), (
        "what was not run has been published all the same"
    )
    (section,) = sections("table1", *(of(made_up, method) for method in ("lsr", "dgex")))
    assert "published" not in section.tables[0].columns


def test_published_values_are_for_the_published_parameters_only(made_up):
    small = of(made_up, "dgex", preset="small", published_data=True)
    (section,) = sections("table1", small)
    row = dict(zip(PUBLISHED_ROWS, cells(section.tables[0]), strict=False))["D-GEX"]
    assert row[1:] == ("0.5000 ± 0.1000", "–", "0.5000 ± 0.1000", "–")


def test_table_3_asks_for_the_dgex_that_the_paper_ran_on_gtex(made_up):
    setting = SETTINGS["gtex", "dgex"]
    right = of(made_up, "dgex", 0.45, params=setting, protocol="gtex", published_data=True)
    wrong = of(made_up, "dgex", 0.55, protocol="gtex", published_data=True)
    (section,) = sections("table3", right, wrong)
    row = cells(section.tables[0])[4]
    assert row[:3] == ("D-GEX", "0.4500 ± 0.1000", "0.4380 ± 0.1237")


def test_under_cheaper_presets_tables_1_and_3_share_their_fits():
    for preset in ("small", "tiny"):
        (own,) = [run for run in read_suite("table3").runs if run.methods == ["dgex"]]
        values = {name: str(value) for name, value in own.at(preset).set.items()}
        assert SPECS["dgex"].values(preset, values) == SPECS["dgex"].values(preset, {})


# Tables 2 and 4


def test_table_2_is_layers_by_units_for_both_models(made_up):
    records = [*grid(made_up, "dgex"), *grid(made_up, "ggan-fc")]
    (section,) = sections("table2", *records)
    mae, cc, _controls = section.tables
    assert mae.columns == ("method", "layers", "units=3000", "units=6000", "units=9000")
    assert [row[:2] for row in cells(mae)] == [
        (name, layers) for name in ("D-GEX", "GGAN") for layers in "123"
    ]
    assert cells(mae)[0][2:] == ("0.4000 ± 0.1000", "0.3900 ± 0.1000", "0.3800 ± 0.1000")
    assert [sorted(row.best) for row in mae.rows] == [[], [], [4]] * 2
    assert cc.title.startswith("CC")


def test_the_papers_grid_stands_below_ours_on_its_data(made_up):
    records = grid(made_up, "dgex", published_data=True)[:4]
    (section,) = sections("table2", *records)
    mae, cc, _controls = section.tables
    assert cells(mae)[:4] == [
        ("D-GEX", "1", "0.4000 ± 0.1000", "0.3900 ± 0.1000", "0.3800 ± 0.1000"),
        ("D-GEX, published", "1", "0.3421 ± 0.0858", "0.3337 ± 0.0869", "0.3300 ± 0.0874"),
        ("D-GEX", "2", "0.3700 ± 0.1000", "–", "–"),
        ("D-GEX, published", "2", "0.3377 ± 0.0854", "0.3280 ± 0.0869", "0.3224 ± 0.0879"),
    ]
    assert cells(mae)[4:6] == [
        ("D-GEX", "3", "–", "–", "–"),
        ("D-GEX, published", "3", "0.3362 ± 0.0850", "0.3252 ± 0.0868", "0.3204 ± 0.0879"),
    ]
    assert cells(mae)[6] == ("GGAN", "1", "–", "–", "–"), "a method that was not run at all"
    assert cells(mae)[7][:3] == ("GGAN, published", "1", "0.3265 ± 0.0854")
    assert not any("published" in row[0] for row in cells(cc)), "the paper gives no CC there"


def test_the_gtex_grid_of_dgex_is_that_of_more_dropout(made_up):
    published = {"protocol": "gtex", "published_data": True}
    more = grid(made_up, "dgex", params={"dropout": 0.25}, **published)
    usual = grid(made_up, "dgex", **published)
    (section,) = sections("table4", *more)
    assert cells(section.tables[0])[1][2:] == tuple(
        str(GRIDS["gtex", "dgex"][1, units]) for units in (3000, 6000, 9000)
    )
    assert sections("table4", *usual) == []


def test_nothing_of_other_data_is_beside_the_papers_grid(made_up):
    (section,) = sections("table2", *grid(made_up, "ggan-fc"))
    assert not any("published" in row[0] for row in cells(section.tables[0]))


def test_cheaper_presets_have_narrower_grids_of_the_same_shape(made_up):
    small = grid(made_up, "dgex", preset="small")
    paper = grid(made_up, "dgex")
    first, second = sections("table2", *small, *paper)
    assert first.tables[0].columns[2:] == ("units=300", "units=600", "units=900")
    assert second.tables[0].columns[2:] == ("units=3000", "units=6000", "units=9000")
    assert ("preset small" in first.title, "preset paper" in second.title) == (True, True)
    (only,) = sections("table2", *small, *paper, preset="small")
    assert only == first


def test_under_cheaper_presets_tables_2_and_4_share_their_fits():
    for preset in ("small", "tiny"):
        runs = [
            run.at(preset)
            for name in ("table2", "table4")
            for run in read_suite(name).runs
            if "dgex" in run.methods
        ]
        sets = [{name: str(value) for name, value in run.set.items()} for run in runs]
        values = [SPECS["dgex"].values(preset, fixed) for fixed in sets]
        assert values[0] == values[1]
        assert runs[0].grid == runs[1].grid


# Any suite


def test_one_section_will_do_for_methods_that_are_the_same_under_every_preset(made_up):
    lsr = of(made_up, "lsr", preset="small")
    (section,) = sections("table1", lsr, of(made_up, "dgex", preset="paper"))
    assert "preset paper" in section.title
    assert cells(section.tables[0])[0][1] == "0.5000 ± 0.1000"


def test_settings_of_one_method_are_told_apart(made_up):
    suite = Suite(
        title="k",
        runs=[Run(methods=["knn"], set={"k_max": k}) for k in (3, 5)],
        names={"knn": "KNN"},
    )
    records = [of(made_up, "knn", 0.3, params={"k_max": 3})]
    (section,) = sections(suite, *records)
    assert [row[:2] for row in cells(section.tables[0])] == [
        ("KNN (k_max=3)", "0.3000 ± 0.1000"), ("KNN (k_max=5)", "–"),
    ]  # fmt: skip


def test_single_settings_and_grids_of_one_suite_are_tables_of_one_section(made_up):
    suite = Suite(runs=[Run(methods=["lsr"]), Run(methods=["knn"], grid={"k_max": [3, 5]})])
    records = [of(made_up, "lsr"), of(made_up, "knn", params={"k_max": 3})]
    (section,) = sections(suite, *records)
    assert [len(table.rows) for table in section.tables] == [1, 1, 1]
    assert cells(section.tables[1])[0] == ("knn", "0.5000 ± 0.1000", "–")


def test_a_suite_of_all_methods_has_controls_but_once(made_up):
    records = [of(made_up, "lsr"), made_up("train-mean", {}, 0.8)]
    (section,) = sections(Suite(runs=[Run(methods=["all"])]), *records)
    labels = [row.cells[0] for row in section.tables[0].rows]
    assert labels.count("train-mean") == 1
    assert labels[-1] == "train-mean"


def test_a_method_that_is_not_installed_is_named(made_up):
    suite = Suite(runs=[Run(methods=["lsr", "gone"])])
    (section,) = sections(suite, of(made_up, "lsr"), made_up("gone", {}))
    assert cells(section.tables[0])[1] == ("gone", "–", "–")
    assert "gone: gone is not installed" in section.notes


def test_nothing_is_laid_out_where_nothing_was_run(made_up):
    assert sections("table1", made_up("other", {})) == []


@pytest.mark.parametrize("key", GRIDS)
def test_the_best_of_dgex_in_the_grids_is_what_the_papers_text_says(key):
    """3 × 9000 on GEO and 2 × 9000 on GTEx are said to be the best of D-GEX; GGAN beats it."""
    best = min(GRIDS[key], key=lambda shape: GRIDS[key][shape].mean)
    if key[1] == "dgex":
        assert best == {"geo": (3, 9000), "gtex": (2, 9000)}[key[0]]
    else:
        theirs = GRIDS[key[0], "dgex"]
        assert all(GRIDS[key][shape].mean < theirs[shape].mean for shape in theirs)
        assert PUBLISHED[key[0], "ggan", "mae"].mean < GRIDS[key][best].mean


# Figures 2 and 3


def test_the_suite_of_figures_draws_each_model_under_its_protocol(made_up, tmp_path, monkeypatch):
    records = [
        of(made_up, method, protocol=protocol, preset="small")
        for method in ("ggan-fc", "ggan")
        for protocol in ("geo", "gtex")
    ]
    drawn = []

    def draw(name, explanation, folder):
        drawn.append((name, explanation))
        return [folder / f"{name}.svg"]

    monkeypatch.setattr(suite_report, "draw_with_tables", draw)
    report = SuiteReport(
        tuple(records), registry(), argument="figures",
        explanation_of=lambda record: (record.identity.method, record.identity.protocol),
    )  # fmt: skip
    files = report.draw(tmp_path)
    assert [explained for _, explained in drawn] == [("ggan-fc", "geo"), ("ggan", "gtex")]
    assert [path.name[:8] for path in files] == ["figure-2", "figure-3"]


def test_records_that_are_in_no_folder_cannot_be_explained(made_up, tmp_path):
    report = SuiteReport((of(made_up, "ggan-fc"),), registry(), argument="figures")
    with pytest.raises(UserError, match="only results in a folder can be explained"):
        report.draw(tmp_path)


def test_filled_landmarks_are_always_noted(made_up):
    record = of(made_up, "lsr", 0.3)
    filled = record.model_copy(update={"genes": {**record.genes, "filled": 2}})
    assert "2 landmarks not measured on some platform" in sections("table1", filled)[0].notes[0]
    assert not any("not measured" in note for note in sections("table1", record)[0].notes)
