"""Tidy tables: one row per value, failed jobs included."""

from __future__ import annotations

import pytest

from genebench.analysis.tidy import COLUMNS, tidy
from genebench.results.record import Failure


@pytest.fixture(scope="module")
def record(made_up):
    """Two metrics on three panels, no two values the same."""
    scores = {
        metric: {
            panel: {"mean": mean + place / 10, "std": 0.1 + place / 100, "genes": 10}
            for place, panel in enumerate(("all", "strict", "twin"))
        }
        for metric, mean in (("mae", 0.3), ("cc", 0.7))
    }
    return made_up("lsr", {}, protocol="gtex", preset="tiny", scores=scores)


def test_there_is_one_row_for_each_metric_and_panel(record):
    table = tidy([record])
    assert len(table) == 6
    assert set(zip(table["metric"], table["panel"], strict=True)) == {
        (metric, panel) for metric in ("mae", "cc") for panel in ("all", "strict", "twin")
    }


def test_a_row_says_what_its_value_is_about(record):
    row = tidy([record]).set_index(["metric", "panel"]).loc["mae", "strict"]
    score = record.scores["mae"]["strict"]
    assert (row["dataset"], row["protocol"], row["method"]) == ("sim", "gtex", "lsr")
    assert (row["preset"], row["seed"], row["status"]) == ("tiny", 0, "done")
    assert row["key"] == record.key
    assert (row["mean"], row["std_genes"]) == (score.mean, score.std)


def test_a_failed_record_is_one_row_without_a_value(record):
    failure = Failure(kind="ValueError", message="no luck", traceback="")
    failed = record.model_copy(update={"status": "failed", "scores": {}, "failure": failure})
    table = tidy([failed, record])
    assert len(table) == 7
    (row,) = table[table["status"] == "failed"].to_dict("records")
    assert (row["method"], row["panel"], row["metric"]) == ("lsr", "", "")
    assert table[["mean", "std_genes"]].isna().sum().tolist() == [1, 1]
    assert table["mean"].dtype == float


def test_no_records_give_an_empty_table_with_the_columns():
    assert tuple(tidy([]).columns) == COLUMNS
    assert len(tidy([])) == 0


def test_records_keep_their_order(record):
    other = record.model_copy(update={"dataset": "aaa"})
    assert tidy([record, other])["dataset"].tolist() == ["sim"] * 6 + ["aaa"] * 6


def test_every_row_says_how_its_record_was_sealed(made_up):
    sealed = made_up("lsr", {}, seal={"level": "landlock", "abi": 7})
    assert set(tidy([sealed, made_up("knn", {})])["sealed"]) == {"landlock", "no"}
