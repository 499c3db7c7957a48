"""Heat maps as files: what is printed in the cells, names, repeatability, refusals."""

from __future__ import annotations

import re
from importlib import util

import pytest

from genebench import UserError
from genebench.plugins.registry import registry
from genebench.reports.figures import drawing as figures
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


def texts_of(figure):
    return [text.get_text() for panel in figure.axes for text in panel.texts]


def drawn(records, monkeypatch, folder):
    found = {}
    monkeypatch.setattr(figures, "_save", lambda figure, path: found.setdefault(path.name, figure))
    SweepReport(records, registry()).draw(folder)
    return found


def test_values_are_printed_in_the_cells_failed_and_missing_ones_too(
    records, monkeypatch, tmp_path
):
    mae, *_ = drawn(records, monkeypatch, tmp_path).values()
    one = ["0.4100\n± 0.1000", "0.3200\n± 0.1000", "failed", "–"]
    assert texts_of(mae) == one * 2
    weights = [text.get_weight() for text in mae.axes[0].texts]
    assert weights == ["normal", "bold", "normal", "normal"]
    assert [panel.get_title() for panel in mae.axes] == ["one", "two"]


def test_the_best_is_the_lightest_whichever_way_a_metric_points(records, monkeypatch, tmp_path):
    for figure in drawn(records, monkeypatch, tmp_path).values():
        worst, best, failed, missing = (
            sum(patch.get_facecolor()[:3]) for patch in figure.axes[0].patches
        )
        assert best > worst
        assert failed == missing


def test_a_figure_for_each_metric_as_svg_and_png(records, tmp_path):
    written = SweepReport(records, registry()).draw(tmp_path / "new" / "folder")
    assert [path.name for path in written] == [
        f"heat-sim-geo-small-01234567-{metric}.{suffix}"
        for metric in ("mae", "cc")
        for suffix in ("svg", "png")
    ]
    assert written[0].read_bytes().startswith(b"<?xml")
    assert written[1].read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in written[0].parent.iterdir()) == sorted(
        path.name for path in written
    )


def test_drawing_again_gives_the_same_bytes(records, tmp_path):
    report = SweepReport(records, registry(), metrics=("mae",))
    first = [path.read_bytes() for path in report.draw(tmp_path)]
    assert [path.read_bytes() for path in report.draw(tmp_path)] == first


def test_one_parameter_and_three_can_be_drawn(made_up, tmp_path):
    records = [made_up("line", {"k": k}, k / 10) for k in (1, 2, 3)]
    records += [
        made_up("cube", {"a": a, "b": b, "c": c}, 0.1) for a in "xy" for b in "xy" for c in "xy"
    ]
    assert len(SweepReport(tuple(records), registry(), metrics=("mae",)).draw(tmp_path)) == 2


@pytest.mark.parametrize("name", ["<script>", "../../x", "$\\frac$", "x" * 200])
def test_a_hostile_record_bends_neither_file_names_nor_the_drawing(made_up, tmp_path, name):
    records = tuple(made_up(name, {"$k": f"${k}"}, 0.1, dataset=name, protocol=name) for k in "ab")
    written = SweepReport(records, registry()).draw(tmp_path / "figures")
    for path in written:
        assert path.parent == tmp_path / "figures"
        assert re.fullmatch(r"heat-[a-z0-9-]{0,200}\.(svg|png)", path.name)
    assert b"<script" not in written[0].read_bytes()


def test_figures_that_would_have_one_name_get_two(made_up, tmp_path):
    records = tuple(
        made_up("net", {"k": k}, numerics=numerics) for numerics in (1, 2) for k in (1, 2)
    )
    written = SweepReport(records, registry()).draw(tmp_path)
    assert len({path.name for path in written}) == 8


def test_without_matplotlib_one_line_says_what_to_install(records, tmp_path, monkeypatch):
    monkeypatch.setattr(
        figures, "find_spec", lambda name: None if name == "matplotlib" else util.find_spec(name)
    )
    with pytest.raises(UserError, match=r"genebench\[report\]"):
        SweepReport(records, registry()).draw(tmp_path / "figures")
    assert not (tmp_path / "figures").exists()


def test_a_folder_that_cannot_be_written_to_is_the_users_error(records, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write"):
        SweepReport(records, registry()).draw(tmp_path / "file")
