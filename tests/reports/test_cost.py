"""Scores beside costs, and the Pareto fronts."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genebench.analysis.costs import pareto_front
from genebench.plugins.registry import registry
from genebench.reports.cost import CostReport
from genebench.reports.reporters import markup as text
from genebench.reports.reporters import terminal
from genebench.reports.reporters.values import as_csv, as_json

VALUES = st.integers(0, 6).map(float)


@given(st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=12))
def test_the_front_is_the_running_minimum_of_the_loss(points):
    costs, losses = zip(*points, strict=True)
    front = pareto_front(costs, losses)
    on_front = {points[index] for index in front}
    # Another way to find it: along ascending cost, the points whose loss is a new minimum.
    best, expected = np.inf, set()
    for cost, loss in sorted(points):
        if loss < best:
            best = loss
            expected.add((cost, loss))
    assert on_front == expected
    assert len(front) == sum(point in expected for point in points), "equals are all on it"
    assert [costs[index] for index in front] == sorted(costs[index] for index in front)


def made(made_up, method, mae, seconds, memory=1, **changes):
    return made_up(method, {}, mae, seconds={"fit": seconds}, peak_memory=memory * 10**6, **changes)


def report(*records, **fields):
    return CostReport(tuple(records), registry(), **fields)


def test_a_method_is_on_a_front_if_none_is_better_for_less(made_up):
    records = [
        made(made_up, "best", 0.2, 9.0, 5), made(made_up, "quick", 0.4, 1.0, 6),
        made(made_up, "beaten", 0.5, 2.0, 6), made(made_up, "small", 0.6, 3.0, 4),
        made(made_up, "train-mean", 0.1, 0.0, 1),
    ]  # fmt: skip
    (section,) = report(*records).sections()
    table = section.tables[0]
    assert table.columns == ("method", "MAE", "fit s", "peak memory MB", "device", "front")
    assert [row.cells for row in table.rows] == [
        ("best", "0.2000", "9.00", "5", "cpu", "seconds, memory"),
        ("quick", "0.4000", "1.00", "6", "cpu", "seconds"),
        ("beaten", "0.5000", "2.00", "6", "cpu", "–"),
        ("small", "0.6000", "3.00", "4", "cpu", "memory"),
        ("train-mean", "0.1000", "0.00", "1", "cpu", "–"),
    ]
    assert [bool(row.best) for row in table.rows] == [True, False, False, False, False]


def test_where_higher_is_better_the_front_goes_up(made_up):
    # CC of made-up records is 1 − MAE.
    records = [
        made(made_up, "a", 0.2, 9.0),
        made(made_up, "b", 0.4, 1.0),
        made(made_up, "c", 0.5, 2.0),
    ]
    values = report(*records, metrics=("cc",)).values().set_index("method")
    assert values["front_seconds"].to_dict() == {"a": True, "b": True, "c": False}


def test_seconds_are_a_mean_over_seeds_and_have_those_of_members(made_up):
    records = [
        made_up("net", {}, 0.3, seed=seed, seconds=seconds, peak_memory=(seed + 1) * 10**6)
        for seed, seconds in enumerate(({"fit": 1.0}, {"fit": 2.0, "members": 3.0}))
    ]
    [row] = report(*records, metrics=("mae",)).values().itertuples()
    assert (row.fit_seconds, row.peak_memory, row.seeds) == (3.0, 2_000_000, 2)


def test_costs_are_those_of_the_seeds_that_are_done(made_up):
    done = made(made_up, "net", 0.3, 2.0, memory=1, seed=0)
    failed = made(made_up, "net", None, 0.0, memory=9, seed=1)
    [row] = report(done, failed, metrics=("mae",)).values().itertuples()
    assert (row.fit_seconds, row.peak_memory) == (2.0, 1_000_000)


def test_each_size_and_preset_is_a_section_of_its_own(made_up):
    sized = {"protocol": "geo-n20", "train": "geo/train/20-profiles"}
    records = [
        made(made_up, "net", 0.3, 1.0), made(made_up, "net", 0.4, 1.0, **sized),
        made_up("net", {"k": 2}, 0.2, preset="paper"),
        made(made_up, "net", 0.4, 1.0, test="geo/validation"),
    ]  # fmt: skip
    titles = [section.title for section in report(*records).sections()]
    assert [title.rpartition(" · cost")[0] for title in titles] == [
        "sim · geo · preset paper", "sim · geo · preset small", "sim · geo-n20 · preset small",
    ]  # fmt: skip


def test_failures_are_named_and_have_no_row(made_up):
    (section,) = report(made(made_up, "a", 0.3, 1.0), made(made_up, "b", None, 1.0)).sections()
    assert [row.cells[0] for row in section.tables[0].rows] == ["a"]
    assert "b failed: ValueError: no luck" in section.notes


def test_times_of_several_machines_are_said_to_be_so(made_up):
    one, other = made(made_up, "a", 0.3, 1.0), made(made_up, "b", 0.4, 1.0)
    elsewhere = other.provenance.model_copy(update={"host": "there"})
    other = other.model_copy(update={"provenance": elsewhere})
    notes = [section.notes for section in report(one, other).sections()]
    assert "times are from 2 machines, so that they compare roughly" in notes[0]


@pytest.mark.parametrize("layout", [terminal.render, text.markdown, text.latex, as_csv, as_json])
def test_every_reporter_can_lay_costs_out(made_up, layout):
    shown = layout(report(made(made_up, "net", 0.25, 1.0)))
    assert "net" in shown
    assert "0.25" in shown
