"""Learning curves in the number of training profiles: which results belong to one curve."""

from __future__ import annotations

import json

import pytest
from scipy import stats

from genebench import UserError
from genebench.plugins.registry import registry
from genebench.reports.reporters import markup as text
from genebench.reports.reporters import terminal
from genebench.reports.reporters.values import as_csv, as_json
from genebench.reports.sizes import SizesReport
from genebench.results.filters import RecordFilter

WHOLE = 80


@pytest.fixture
def at(made_up):
    """at(size, method, mae): a record at a training size, where 80 is the whole training set."""

    def at(size, method="net", mae=0.5, /, protocol="geo", params=None, **changes):
        sized = size != WHOLE
        return made_up(
            method, params or {}, mae,
            protocol=f"{protocol}-n{size}" if sized else protocol,
            train=f"geo/train/{size}-profiles" if sized else "geo/train",
            profiles={"train": size, "validation": 10, "test": 10},
            **changes,
        )  # fmt: skip

    return at


def report(*records, **fields):
    return SizesReport(tuple(records), registry(), **fields)


def table(*records, metric="MAE"):
    (section,) = report(*records).sections()
    [found] = [table for table in section.tables if table.title.startswith(metric)]
    return found


def cells(found):
    return [row.cells for row in found.rows]


def test_methods_are_rows_and_sizes_are_columns_in_order(at):
    found = table(at(80, "a", 0.3), at(20, "a", 0.5), at(40, "a", 0.4), at(20, "b", 0.6))
    assert found.columns == ("method", "20", "40", "80")
    assert cells(found) == [("a", "0.5000", "0.4000", "0.3000"), ("b", "0.6000", "–", "–")]


def test_rows_are_ordered_by_the_largest_size_and_the_best_of_each_size_is_marked(at):
    found = table(
        at(20, "slow", 0.6), at(80, "slow", 0.3), at(20, "fast", 0.5), at(80, "fast", 0.4),
        at(20, "train-mean", 0.1), at(80, "train-mean", 0.1),
    )  # fmt: skip
    assert [row.cells[0] for row in found.rows] == ["slow", "fast", "train-mean"]
    assert [set(row.best) for row in found.rows] == [{2}, {1}, set()]


def test_the_best_cc_is_the_highest(at):
    found = table(at(20, "a", 0.6), at(80, "a", 0.3), at(80, "b", 0.4), metric="CC")
    assert [row.best for row in found.rows] == [frozenset({1, 2}), frozenset()]


def test_results_of_other_data_protocols_and_tests_are_in_sections_of_their_own(at):
    curves = ({}, {"data": "f" * 16}, {"protocol": "gtex"}, {"test": "geo/other"})
    records = [at(size, **changes) for changes in curves for size in (20, 80)]
    titles = [section.title for section in report(*records).sections()]
    assert len(titles) == len(curves)
    assert [title.split(" · ")[1] for title in titles] == ["geo", "geo", "geo", "gtex"]


def test_other_parameters_and_other_code_are_other_curves(at):
    code = {"distribution": "made-up", "version": "1.0", "digest": "1" * 16}
    found = table(
        at(20, params={"k": 1}), at(80, params={"k": 1}), at(20, params={"k": 2}),
        at(20, "b"), at(80, "b", code=code),
    )  # fmt: skip
    assert {row[0] for row in cells(found)} == {
        "net (k=1)", "net (k=2)", "b (code 0000000)", "b (code 1111111)",
    }  # fmt: skip


def test_trials_are_no_points(at):
    with pytest.raises(UserError, match="at several training sizes"):
        report(at(20), at(80, test="geo/validation")).check()


def test_one_size_is_no_curve(at):
    with pytest.raises(UserError, match=r"--train-size 2000,8000,all"):
        report(at(20, "a"), at(20, "b"), at(80, protocol="gtex")).check()


def test_seeds_are_averaged_with_an_interval_and_failures_are_shown(at):
    maes = (0.30, 0.32, 0.37)
    records = [at(20, "net", mae, seed=seed) for seed, mae in enumerate(maes)]
    records += [at(80, "net", 0.2), at(40, "net", None)]
    (section,) = report(*records).sections()
    assert cells(section.tables[0]) == [("net", "0.3300", "failed", "0.2000")]
    assert "net failed at 40: ValueError: no luck" in section.notes
    assert any(note.startswith("net: mean of") for note in section.details)
    row = report(*records, metrics=("mae",)).values().set_index("train_profiles").loc[20]
    low, high = stats.t.interval(0.95, 2, loc=0.33, scale=stats.sem(maes))
    assert (row["seed_low"], row["seed_high"]) == pytest.approx((low, high))
    assert row["seeds"] == 3


def test_seconds_have_those_of_members(at):
    records = [at(20, seconds={"fit": 1.5, "score": 9.0}), at(80, seconds={"fit": 1, "members": 2})]
    (section,) = report(*records).sections()
    assert cells(section.tables[-1]) == [("net", "1.50", "3.00")]


def test_a_protocol_that_is_named_brings_its_sizes(at):
    everything = [at(20), at(80), at(20, protocol="gtex"), at(80, protocol="gtex")]
    for names, columns in (("geo", ["20", "80"]), ("geo,geo-n20", ["20", "80"])):
        chosen = RecordFilter(protocols=names)
        shown = report(
            *chosen.apply(everything), all_records=tuple(everything), record_filter=chosen
        )
        (section,) = shown.sections()
        assert list(section.tables[0].columns[1:]) == columns
    chosen = RecordFilter(protocols="geo-n20")
    with pytest.raises(UserError, match="several training sizes"):
        report(
            *chosen.apply(everything), all_records=tuple(everything), record_filter=chosen
        ).check()


@pytest.mark.parametrize("layout", [terminal.render, text.markdown, text.latex, as_csv, as_json])
def test_every_reporter_can_lay_curves_out(at, layout):
    shown = layout(report(at(20, "net", 0.5), at(80, "net", 0.25)))
    assert "net" in shown
    assert "0.25" in shown


def test_values_hold_every_panel_of_real_results(genebench, tiny, tmp_path):
    folder = tmp_path / "r"
    genebench("run", "--methods", "lsr", "--train-size", "60,all", "--preset", "tiny",
              "--results", folder, "-q")  # fmt: skip
    rows = json.loads(genebench("report", "sizes", "--results", folder, "--format", "json").out)
    scores = json.loads(genebench("report", "--results", folder, "--format", "json").out)
    expected = {
        (row["protocol"], row["method"], row["panel"], row["metric"]): row["mean"] for row in scores
    }
    assert len(rows) == len(expected)
    for row in rows:
        sized = f"{row['protocol']}-n60" if row["train_profiles"] == 60 else row["protocol"]
        assert row["mean"] == expected[sized, row["method"], row["panel"], row["metric"]]


def test_filled_landmarks_are_always_noted(at):
    records = [at(20), at(80)]
    filled = records[1].model_copy(update={"genes": {**records[1].genes, "filled": 2}})
    [section] = report(records[0], filled).sections()
    assert "2 landmarks not measured on some platform" in section.notes[0]
    [section] = report(*records).sections()
    assert not any("not measured" in note for note in section.notes)
