"""Heat maps as files: what is printed in the cells, names, repeatability, refusals."""

from __future__ import annotations

import re
from importlib import util

import pytest

from genebench import UserError
from genebench.plugins.registry import registry
from genebench.reports.figures import drawing as figures
from genebench.reports.figures.heatmap import drawings
from genebench.reports.figures.style import size_of
from genebench.reports.sweep import SweepReport

pytest.importorskip("matplotlib")


@pytest.fixture
def records(made_up):
    """Two methods over layers × units; one cell failed, one is missing."""
    maes = {(1, 10): 0.41, (1, 20): 0.32, (2, 10): None}
    return tuple(
        made_up(method, {"layers": layers, "units": units}, mae)
        for method in ("one", "two")
        for (layers, units), mae in maes.items()
    )


@pytest.fixture
def drawn(style, records):
    """The figure of each metric."""
    report = SweepReport(records, registry())
    return [item.figure for item in drawings(report.layouts(), report.shown_metrics())]


def test_values_are_printed_in_the_cells_failed_and_missing_ones_too(drawn):
    maps = drawn[0].axes[:2]
    one = ["0.4100\n± 0.1000", "0.3200\n± 0.1000", "failed", "–"]
    assert [[text.get_text() for text in axes.texts] for axes in maps] == [one, one]
    weights = [text.get_weight() for text in maps[0].texts]
    assert weights == ["normal", "bold", "normal", "normal"]
    assert [axes.get_title(loc="left") for axes in maps] == ["one", "two"]


def test_the_best_is_the_lightest_whichever_way_a_metric_points(drawn):
    for figure in drawn:
        worst, best, failed, missing = (
            sum(patch.get_facecolor()[:3]) for patch in figure.axes[0].patches
        )
        assert best > worst
        assert failed == missing


@pytest.mark.parametrize("width", [85, 180])
@pytest.mark.parametrize("columns", [3, 9, 20])
def test_wide_grids_stay_on_the_page(made_up, width, columns, cut_off, style):
    records = [
        made_up(method, {"layers": layers, "units": 100 * units}, 0.3 + units / 100)
        for method in ("one", "another-method-of-a-long-name")
        for layers in (1, 2)
        for units in range(1, columns + 1)
    ]
    report = SweepReport(tuple(records), registry(), metrics=("mae",))
    [item] = drawings(report.layouts(), report.shown_metrics(), width)
    assert size_of(item.figure)[0] == pytest.approx(width)
    assert cut_off(item.figure) == []
    assert len(item.numbers) == 4 * columns
    texts = [text for axes in item.figure.axes for text in axes.texts if text.get_text()]
    boxes = [text.get_window_extent() for text in texts]
    assert not any(
        one.overlaps(other) for place, one in enumerate(boxes) for other in boxes[:place]
    )


def test_a_figure_for_each_metric_with_its_numbers(records, tmp_path):
    written = SweepReport(records, registry()).draw(tmp_path / "new" / "folder")
    assert [path.name for path in written] == [
        f"heat-sim-geo-small-01234567-{metric}.{suffix}"
        for metric in ("mae", "cc")
        for suffix in ("pdf", "svg", "png", "csv")
    ]
    starts = [path.read_bytes()[:5] for path in written[:3]]
    assert starts == [b"%PDF-", b"<?xml", b"\x89PNG\r"]
    assert sorted(path.name for path in written[0].parent.iterdir()) == sorted(
        path.name for path in written
    )


def test_one_parameter_and_three_can_be_drawn(made_up, tmp_path):
    records = [made_up("line", {"k": k}, k / 10) for k in (1, 2, 3)]
    records += [
        made_up("cube", {"a": a, "b": b, "c": c}, 0.1) for a in "xy" for b in "xy" for c in "xy"
    ]
    assert len(SweepReport(tuple(records), registry(), metrics=("mae",)).draw(tmp_path)) == 4


@pytest.mark.parametrize("name", ["<script>", "../../x", "$\\frac$", "x" * 200])
def test_a_hostile_record_bends_neither_file_names_nor_the_drawing(made_up, tmp_path, name):
    records = tuple(made_up(name, {"$k": f"${k}"}, 0.1, dataset=name, protocol=name) for k in "ab")
    written = SweepReport(records, registry()).draw(tmp_path / "figures")
    for path in written:
        assert path.parent == tmp_path / "figures"
        assert re.fullmatch(r"heat-[a-z0-9-]{0,200}\.(pdf|svg|png|csv)", path.name)
    assert b"<script" not in written[1].read_bytes()


def test_figures_that_would_have_one_name_get_two(made_up, tmp_path):
    records = tuple(
        made_up("net", {"k": k}, numerics=numerics) for numerics in (1, 2) for k in (1, 2)
    )
    written = SweepReport(records, registry()).draw(tmp_path)
    assert len({path.name for path in written}) == 16


def test_without_matplotlib_one_line_says_what_to_install(records, tmp_path, monkeypatch):
    monkeypatch.setattr(
        figures, "find_spec", lambda name: None if name == "matplotlib" else util.find_spec(name)
    )
    with pytest.raises(UserError, match=r"genebench-suite\[report\]"):
        SweepReport(records, registry()).draw(tmp_path / "figures")
    assert not (tmp_path / "figures").exists()
