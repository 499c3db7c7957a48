"""Grids as tables: rows, columns, further tables; missing, failed and best cells; colours."""

from __future__ import annotations

import pytest

from genebench.plugins.registry import registry
from genebench.reports.reporters import markup as text
from genebench.reports.reporters import terminal
from genebench.reports.reporters.values import as_csv, as_json
from genebench.reports.sweep import SweepReport


def net(made_up, mae=0.5, /, layers=1, units=100, dropout=0.1, **changes):
    params = {"layers": layers, "units": units, "dropout": dropout}
    return made_up("net", params, mae, **changes)


def sections(*records):
    return list(SweepReport(records, registry()).sections())


def tables(*records, metric="MAE"):
    (section,) = sections(*records)
    return [table for table in section.tables if table.title.startswith(metric)]


def cells(table):
    return [row.cells for row in table.rows]


def marked(table):
    return {(y, x) for y, row in enumerate(table.rows) for x in row.best}


def test_one_parameter_is_one_row(made_up):
    (table,) = tables(net(made_up, 0.3, units=10), net(made_up, 0.2, units=20))
    assert table.columns == ("method", "units=10", "units=20")
    assert cells(table) == [("net", "0.3000 ± 0.1000", "0.2000 ± 0.1000")]
    assert marked(table) == {(0, 2)}


def test_two_parameters_are_rows_and_columns(made_up):
    maes = {(1, 10): 0.4, (1, 20): 0.3, (2, 10): 0.2, (2, 20): 0.5}
    records = [net(made_up, mae, layers=at[0], units=at[1]) for at, mae in maes.items()]
    (table,) = tables(*records)
    assert table.columns == ("method", "layers", "units=10", "units=20")
    assert [row[:2] for row in cells(table)] == [("net", "1"), ("net", "2")]
    assert marked(table) == {(1, 2)}


def test_a_third_parameter_makes_tables_and_only_those_that_hold_something(made_up):
    records = [
        net(made_up, 0.4, layers=1, units=10, dropout=0.1),
        net(made_up, 0.3, layers=2, units=20, dropout=0.1),
        net(made_up, 0.2, layers=2, units=10, dropout=0.25),
    ]
    first, second = tables(*records)
    assert first.title.endswith("layers × units · dropout=0.1")
    assert second.title.endswith("layers × units · dropout=0.25")
    assert cells(first)[0][2:] == ("0.4000 ± 0.1000", "–")
    assert (marked(first), marked(second)) == (set(), {(1, 2)}), "the best of the whole grid"


def test_the_best_cc_is_the_highest(made_up):
    (table,) = tables(net(made_up, 0.3, units=10), net(made_up, 0.2, units=20), metric="CC")
    assert marked(table) == {(0, 2)}
    assert [row.heat for row in table.rows] == [(None, 0.0, 1.0)]


def test_cells_that_are_equally_good_are_all_marked(made_up):
    (table,) = tables(*(net(made_up, 0.3, units=units) for units in (10, 20)))
    assert marked(table) == {(0, 1), (0, 2)}
    assert table.rows[0].heat == (None, None, None), "there is nothing to tell apart by colour"


def test_failed_and_missing_cells_are_shown_as_such(made_up):
    records = [
        net(made_up, 0.3, layers=1, units=10),
        net(made_up, None, layers=1, units=20),
        net(made_up, 0.2, layers=2, units=20),
    ]
    (table,) = tables(*records)
    assert [row[2:] for row in cells(table)] == [
        ("0.3000 ± 0.1000", "failed"), ("–", "0.2000 ± 0.1000"),
    ]  # fmt: skip
    (section,) = sections(*records)
    assert "net failed at layers=1 units=20: ValueError: no luck" in section.notes


def test_a_grid_in_which_everything_failed_is_still_a_table(made_up):
    (table,) = tables(*(net(made_up, None, units=units) for units in (1, 2)))
    assert cells(table) == [("net", "failed", "failed")]
    assert marked(table) == set()


def test_seeds_are_averaged_and_a_failed_one_hides_no_other(made_up):
    seeds = [net(made_up, mae, seed=seed) for seed, mae in enumerate((0.2, 0.4, None))]
    (table,) = tables(*seeds, net(made_up, 0.5, units=9))
    assert cells(table)[0][1:] == ("0.5000 ± 0.1000", "0.3000 ± 0.1000")


def test_grids_of_other_data_protocols_and_presets_are_never_in_one_table(made_up):
    def grid(**changes):
        return [net(made_up, units=units, **changes) for units in (1, 2)]

    others = [{"data": "f" * 16}, {"protocol": "gtex"}, {"preset": "paper"}, {"numerics": 2}]
    found = sections(*grid(), *(record for other in others for record in grid(**other)))
    assert len(found) == 1 + len(others)


def test_trials_of_tuning_are_no_results(made_up):
    trials = [net(made_up, units=units, test="geo/validation") for units in (1, 2)]
    assert sections(*trials) == []


def test_controls_stand_apart(made_up):
    records = [net(made_up, units=units) for units in (1, 2)]
    (section,) = sections(*records, made_up("train-mean", {}, 0.8))
    assert section.tables[-1].title == "controls"
    assert section.tables[-1].rows[0].cells[:2] == ("train-mean", "0.8000 ± 0.1000")
    assert section.tables[-1].rows[0].control


@pytest.mark.parametrize("layout", [terminal.render, text.markdown, text.latex, as_csv, as_json])
def test_every_reporter_can_lay_a_grid_out(made_up, layout):
    records = [net(made_up, 0.3, units=units) for units in (10, 20)]
    shown = layout(SweepReport(tuple(records), registry()))
    assert "units" in shown
    assert "0.3" in shown


def test_colours_are_used_only_where_there_are_some_and_else_a_star_marks_the_best(made_up):
    records = tuple(net(made_up, units / 100, units=units) for units in (10, 20))
    plain = terminal.render(SweepReport(records, registry()))
    assert "\x1b" not in plain
    assert "* 0.1000" in plain
    assert "* 0.2000" not in plain
    coloured = terminal.render(SweepReport(records, registry(), colour=True))
    assert "\x1b[1;4;" in coloured, "the best is bold and underlined upon its colour"
    assert "* 0.1000" not in coloured
