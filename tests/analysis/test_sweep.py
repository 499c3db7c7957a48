"""Grids: every point that was asked for, or every point that records hold."""

from __future__ import annotations

import pytest

from genebench import UserError
from genebench.analysis.sweep import grid_of, grids_in, table_of
from genebench.specs import MethodSpec, Param

SPEC = MethodSpec(
    name="net",
    title="Net",
    summary="a method",
    code="net:Net",
    params=(
        Param(name="layers", default=3, help="layers", presets={"small": 1}),
        Param(name="units", default=9000, help="units", presets={"small": 300}),
        Param(name="dropout", default=0.1, help="dropout"),
    ),
)


def params(layers=1, units=300, dropout=0.1):
    return {"layers": layers, "units": units, "dropout": dropout}


def test_a_grid_has_a_cell_for_every_point_be_it_empty(made_up):
    records = [made_up("net", params(1, 10)), made_up("net", params(2, 20), None)]
    grid = grid_of(SPEC, "small", {}, {"layers": ["1", "2"], "units": ["10", "20"]}, records)
    statuses = {point: [record.status for record in cell] for point, cell in grid.cells.items()}
    assert statuses == {(1, 10): ["done"], (1, 20): [], (2, 10): [], (2, 20): ["failed"]}
    assert grid.axes == {"layers": (1, 2), "units": (10, 20)}


def test_only_records_with_exactly_the_parameters_in_effect_belong_to_a_point(made_up):
    others = [
        made_up("net", params(dropout=0.2)),
        made_up("net", params(units=9000)),
        made_up("other", params()),
        made_up("net", {"layers": 1}),
    ]
    wanted = made_up("net", params())
    grid = grid_of(SPEC, "small", {}, {"layers": ["1"]}, [*others, wanted])
    assert grid.records == [wanted]
    assert grid_of(SPEC, "small", {"dropout": "0.2"}, {}, others).records == others[:1]
    assert grid_of(SPEC, "paper", {"layers": "1"}, {}, others).records == others[1:2]


def test_lists_are_points_of_a_grid_in_their_order(made_up):
    spec = MethodSpec(
        name="net", title="Net", summary="s", code="net:Net",
        params=(Param(name="hidden", default=(9, 9), help="h"),),
    )  # fmt: skip
    records = [made_up("net", {"hidden": hidden}) for hidden in ((64, 8), (64,), (8, 8, 8))]
    asked = grid_of(spec, "small", {}, {"hidden": ["64:8", "64"]}, records)
    assert list(asked.cells) == [(((64, 8)),), ((64,),)]
    assert all(asked.cells.values())
    [found] = grids_in(records)
    assert found.axes == {"hidden": ((8, 8, 8), (64,), (64, 8))}
    assert set(table_of([found])["grid.hidden"]) == {"8:8:8", "64", "64:8"}


def test_values_of_other_versions_of_a_method_are_sorted_whatever_their_type(made_up):
    values = [("a", 1), (1, "a"), 3, "word", (2,), True]
    [grid] = grids_in([made_up("net", {"p": value}) for value in values])
    assert grid.axes["p"] == (True, 3, "word", (1, "a"), (2,), ("a", 1))


def test_without_axes_there_is_one_point(made_up):
    grid = grid_of(SPEC, "small", {}, {}, [made_up("net", params())])
    assert list(grid.cells) == [()]


def test_seeds_share_a_cell_in_their_order(made_up):
    seeds = [made_up("net", params(), seed=seed) for seed in (2, 0, 1)]
    (cell,) = grid_of(SPEC, "small", {}, {}, seeds).cells.values()
    assert [record.identity.seed for record in cell] == [0, 1, 2]


def test_of_several_versions_of_the_code_the_last_that_ran_is_shown(made_up):
    code = {"distribution": "made-up", "version": "2.0", "digest": "1" * 16}
    old = made_up("net", params(), 0.4, started="2026-01-01T00:00:00+00:00")
    new = made_up("net", params(), 0.6, started="2026-01-02T00:00:00+00:00", code=code)
    for records in ([old, new], [new, old]):
        assert grid_of(SPEC, "small", {}, {}, records).records == [new]


def test_a_value_named_twice_is_one_column(made_up):
    grid = grid_of(SPEC, "small", {}, {"dropout": ["0.1", "0.10"]}, [])
    assert grid.axes == {"dropout": (0.1,)}


@pytest.mark.parametrize("axes", [{"layer": ["1"]}, {"layers": ["one"]}])
def test_a_parameter_that_the_method_lacks_or_cannot_read_is_the_users_error(axes):
    with pytest.raises(UserError, match="layer"):
        grid_of(SPEC, "small", {}, axes, [])


def test_the_axes_of_stored_records_are_the_parameters_that_differ(made_up):
    records = [made_up("net", params(layers, units)) for layers in (2, 1) for units in (90, 200)]
    records += [made_up("single", {"k": 5}), made_up("line", {"k": 9}), made_up("line", {"k": 10})]
    line, net = grids_in(records)
    assert (line.method, line.axes) == ("line", {"k": (9, 10)})
    assert (net.method, net.axes) == ("net", {"layers": (1, 2), "units": (90, 200)})
    assert len(net.cells) == 4


def test_records_that_lack_an_axis_have_no_place_in_the_grid(made_up):
    records = [made_up("net", params(units=units)) for units in (1, 2)]
    (grid,) = grids_in([*records, made_up("net", {"layers": 1})])
    assert grid.records == records


def test_the_tidy_table_has_means_over_seeds_and_says_what_is_missing(made_up):
    records = [made_up("net", params(1), mae, seed=seed) for seed, mae in enumerate((0.2, 0.4))]
    records += [made_up("net", params(2), None)]
    table = table_of([grid_of(SPEC, "small", {}, {"layers": ["1", "2", "3"]}, records)])
    rows = table[table["metric"].isin(["mae", ""])]
    assert list(rows["grid.layers"]) == [1, 2, 3]
    assert list(rows["status"]) == ["done", "failed", "missing"]
    assert list(rows["seeds"]) == [2, 0, 0]
    assert rows["mean"].iloc[0] == pytest.approx(0.3)
    assert rows["mean"].iloc[1:].isna().all()
