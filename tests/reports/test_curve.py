"""The report of curves: its length in a terminal, and the point that is marked."""

from __future__ import annotations

import math

import pytest

from genebench.plugins.registry import registry
from genebench.reports.curve import CurveReport


@pytest.fixture
def section(made_up):
    def section(errors, name="mae", **fields):
        curve = {"lambda": [float(at) for at in range(len(errors))], name: errors, "rank": errors}
        record = made_up("ridge", {}, 0.5).model_copy(update={"curves": {"path": curve}})
        (found,) = CurveReport(
            (record,), registry(), argument="path", **fields
        ).sections()  # fmt: skip
        return found

    return section


def first_cells(section):
    return [row.cells[0] for row in section.tables[0].rows]


def bowl(points, best):
    return [abs(at - best) + 1.0 for at in range(points)]


def test_a_terminal_shows_the_best_point_its_neighbours_and_the_ends(section):
    found = section(bowl(50, 20), with_all_points=False)
    assert first_cells(found) == ["0", "… 17 more", "18", "19", "20", "21", "22", "… 26 more", "49"]
    assert found.notes == ("43 of 50 points are not shown. Print all of them: --all",)


@pytest.mark.parametrize("best", [0, 3, 6])
def test_a_gap_of_one_point_is_filled(section, best):
    found = section(bowl(7, best), with_all_points=False)
    assert all(cell != "… 1 more" for cell in first_cells(found))


def test_all_points_are_shown_on_request(section):
    found = section(bowl(50, 20), with_all_points=True)
    assert len(first_cells(found)) == 50
    assert not found.notes


def test_the_least_error_is_marked_though_others_are_no_numbers(section):
    found = section([3.0, math.nan, 1.0, 2.0], "mae geo", with_all_points=True)
    assert [row.best for row in found.tables[0].rows] == [set(), set(), {1}, set()]


@pytest.mark.parametrize("name", ["loss", "mae train"])
def test_a_curve_without_a_validation_error_has_no_best_point(section, name):
    found = section(bowl(9, 4), name, with_all_points=False)
    assert not any(row.best for row in found.tables[0].rows)
    assert first_cells(found) == ["0", "… 7 more", "8"]
    assert found.notes == ("7 of 9 points are not shown. Print all of them: --all",)


def test_a_curve_of_no_numbers_has_no_best_point(section):
    found = section([math.nan] * 3, with_all_points=True)
    assert [row.best for row in found.tables[0].rows] == [set()] * 3
