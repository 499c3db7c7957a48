"""The scaled score: where a method stands between the training mean and the twin ceiling."""

from __future__ import annotations

import json
import math
import shutil

import pytest

from genebench import api
from genebench.analysis.scaled import scaled
from genebench.metrics import genebench_metrics
from genebench.results.record import Score

METRICS = {spec.name: spec for spec in genebench_metrics() if spec.name in {"mae", "cc"}}


@pytest.fixture(scope="module")
def made(tiny, tmp_path_factory):
    """Lsr and the controls under both protocols: a results folder."""
    folder = tmp_path_factory.mktemp("scaled") / "results"
    api.run("lsr", dataset="sim", preset="tiny", results=folder)
    return folder


@pytest.fixture(scope="module")
def records(made):
    return {
        record.identity.method: record
        for record in api.records(made).records
        if record.identity.protocol == "geo"
    }


def scored(record, **means):
    """The record with other scores: ``mae_all=0.3``."""
    scores = {}
    for name, mean in means.items():
        metric, panel = name.split("_")
        scores.setdefault(metric, {})[panel] = Score(mean=mean, std=0.0, genes=1)
    return record.model_copy(update={"scores": scores})


@pytest.fixture
def controls(records):
    return [
        scored(records["train-mean"], mae_all=0.8, mae_twin=0.7, cc_all=0.0, cc_twin=0.0),
        scored(records["copy-twin"], mae_all=0.75, mae_twin=0.3, cc_all=0.1, cc_twin=0.8),
    ]


def values(table):
    return table.set_index(["metric", "panel"])["scaled"].to_dict()


def test_the_floor_is_that_of_the_panel_and_the_ceiling_that_of_the_twins(records, controls):
    lsr = scored(records["lsr"], mae_all=0.4, mae_twin=0.2, cc_all=0.6, cc_twin=0.8)
    assert values(scaled([lsr], controls, METRICS)) == pytest.approx(
        {
            ("mae", "all"): (0.4 - 0.8) / (0.3 - 0.8),
            ("mae", "twin"): (0.2 - 0.7) / (0.3 - 0.7),
            ("cc", "all"): 0.75,
            ("cc", "twin"): 1.0,
        }
    )


def test_controls_are_zero_and_one_of_their_own_scale(controls):
    table = scaled(controls, controls, METRICS)
    floor, ceiling = (
        values(table[table["method"] == name]) for name in ("train-mean", "copy-twin")
    )
    assert set(floor.values()) == {0.0}
    assert ceiling["mae", "twin"] == ceiling["cc", "twin"] == 1.0


def test_a_ceiling_no_better_than_its_floor_is_no_scale(records, controls):
    poor = [controls[0], scored(records["copy-twin"], mae_twin=0.9, cc_twin=0.4)]
    lsr = scored(records["lsr"], mae_all=0.4, cc_all=0.6)
    table = values(scaled([lsr], poor, METRICS))
    assert math.isnan(table["mae", "all"])
    assert table["cc", "all"] == pytest.approx(1.5)


def test_a_ceiling_that_is_hardly_better_than_its_floor_is_no_scale_either(records, controls):
    poor = [controls[0], scored(records["copy-twin"], mae_twin=0.795, cc_twin=0.05)]
    lsr = scored(records["lsr"], mae_all=0.4, cc_all=0.6)
    assert all(map(math.isnan, values(scaled([lsr], poor, METRICS)).values()))


@pytest.mark.parametrize(
    "change",
    [
        lambda record: record.model_copy(update={"status": "failed", "scores": {}}),
        lambda record: record.model_copy(
            update={"identity": record.identity.model_copy(update={"data": "0" * 16})}
        ),
    ],
    ids=["failed", "of other data"],
)
def test_without_both_controls_of_the_same_test_there_is_no_scale(records, controls, change):
    lsr = scored(records["lsr"], mae_all=0.4)
    assert len(scaled([lsr], controls, METRICS)) == 1
    assert len(scaled([lsr], [change(controls[0]), controls[1]], METRICS)) == 0


# --- as a report ----------------------------------------------------------------------------------


def test_the_report_finds_the_controls_though_only_a_method_is_asked_for(genebench, made):
    outcome = genebench("report", "scaled", "--results", made, "--methods", "lsr")
    assert outcome.status == 0, outcome.err
    assert "MAE, scaled (higher is better)" in outcome.out
    assert "train-mean  " not in outcome.out


def test_perfect_ceilings_are_pointed_out_where_twins_are_one_measurement(genebench, made):
    outcome = genebench("report", "scaled", "--results", made, "--protocol", "gtex")
    assert "the ceiling is perfect agreement" in outcome.out
    outcome = genebench("report", "scaled", "--results", made, "--protocol", "geo")
    assert "the ceiling is perfect agreement" not in outcome.out


def test_values_of_the_scaled_report_are_made_of_stored_scores(genebench, made, records):
    shown = genebench("report", "scaled", "--results", made, "--format", "json").out
    row = next(
        row
        for row in json.loads(shown)
        if (row["key"], row["panel"], row["metric"]) == (records["lsr"].key, "strict", "mae")
    )
    u = records["lsr"].scores["mae"]["strict"].mean
    b = records["train-mean"].scores["mae"]["strict"].mean
    r = records["copy-twin"].scores["mae"]["twin"].mean
    assert (row["score"], row["floor"], row["ceiling"]) == (u, b, r)
    assert row["scaled"] == pytest.approx((u - b) / (r - b))


def test_results_without_controls_say_so(genebench, made, tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(made, folder)
    for record in api.records(folder).records:
        if record.identity.method == "copy-twin":
            (folder / f"{record.key}.json").unlink()
    outcome = genebench("report", "scaled", "--results", folder)
    assert outcome.status == 2
    assert "No test has records of both controls, train-mean and copy-twin." in outcome.err


def test_metrics_without_a_better_ceiling_say_so(genebench, made):
    outcome = genebench("report", "scaled", "--results", made, "--metrics", "profile-cc")
    assert outcome.status == 2
    assert "By no metric shown, copy-twin is clearly better on panel twin" in outcome.err


# --- metrics that are asked for -------------------------------------------------------------------


def test_reports_show_the_published_metrics_unless_others_are_asked_for(genebench, made):
    shown = genebench("report", "--results", made).out
    assert "MAE (" in shown
    assert "RMSE (" not in shown
    shown = genebench("report", "--results", made, "--metrics", "rmse,profile-cc").out
    assert "RMSE (" in shown
    assert "CC of profiles (" in shown
    assert "MAE (" not in shown
    every = ("--metrics", "all", "--format", "json")
    rows = json.loads(genebench("report", "--results", made, *every).out)
    assert {"mae", "r2", "profile-r2"} <= {row["metric"] for row in rows}


@pytest.mark.parametrize(
    ("metric", "said"),
    [("rsme", "Did you mean rmse"), ("spearman", "run --metrics spearman"), (",", "no metric")],
)
def test_a_metric_that_is_not_there_is_one_line(genebench, made, metric, said):
    outcome = genebench("report", "--results", made, "--metrics", metric)
    assert outcome.status == 2
    assert said in outcome.err
    assert len(outcome.err.splitlines()) == 1


def test_a_costly_metric_that_is_asked_for_scores_what_was_done_before(genebench, made, tmp_path):
    folder = tmp_path / "results"
    shutil.copytree(made, folder)
    command = ("run", "--preset", "tiny", "--methods", "lsr", "--results", folder)
    assert "nothing to do" in genebench(*command).err
    outcome = genebench(*command, "--metrics", "recall")
    assert outcome.status == 0, outcome.err
    assert "recall ↑" in outcome.out
    assert "MAE ↓" in outcome.out
    assert all("recall" in record.scores for record in api.records(folder).records)
    assert "nothing to do" in genebench(*command, "--metrics", "recall").err
    assert "nothing to do" in genebench(*command).err
    assert genebench(*command, "--metrics", "recal").status == 2
