"""Figures of several series: learning curves and fronts, and labels that cover no other."""

from __future__ import annotations

import re
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from matplotlib.text import Text

from genebench.plugins.registry import registry
from genebench.reports.cost import CostReport
from genebench.reports.figures import learning, pareto
from genebench.reports.figures.panels import panels
from genebench.reports.figures.series import label_points, spread
from genebench.reports.figures.style import paper, style
from genebench.reports.sizes import SizesReport

GAP = 0.05


@given(st.lists(st.floats(-0.5, 1.5), min_size=1, max_size=20))
def test_labels_are_apart_within_the_diagram_and_in_the_order_of_their_points(wanted):
    places = spread(wanted, GAP)
    order = sorted(range(len(wanted)), key=lambda index: (wanted[index], index))
    ordered = [places[index] for index in order]
    assert all(after - before > GAP - 1e-9 for before, after in pairwise(ordered))
    assert ordered[0] >= -1e-9
    assert ordered[-1] <= 1 + 1e-9


def test_labels_with_room_stand_where_they_are_wanted():
    assert spread([0.9, 0.1, 0.5], GAP) == pytest.approx([0.9, 0.1, 0.5])


METHODS = ("one", "two", "three", "four")


@pytest.fixture
def records(made_up):
    """Four methods and a control at three sizes. One is far off at the smallest, one has seeds."""
    made = []
    for size in (20, 40, 80):
        sized = {"protocol": f"geo-n{size}", "train": f"geo/train/{size}-profiles"}
        for place, method in enumerate((*METHODS, "train-mean")):
            far = 50.0 if (method, size) == ("two", 20) else 0.0
            for seed in range(3 if method == "one" else 1):
                mae = 0.3 + place / 100 + 1 / size + far + seed / 1000
                made.append(
                    made_up(
                        method, {}, mae, seed=seed, seconds={"fit": 10.0**place * size},
                        profiles={"train": size, "validation": 10, "test": 10},
                        **({} if size == 80 else sized),
                    )
                )  # fmt: skip
    return tuple(made)


def drawn(report, width=180):
    """Return the figure of each name."""
    module = learning if isinstance(report, SizesReport) else pareto
    metrics = [registry().metrics.specs[name] for name in report.metrics]
    with paper():
        made = list(module.drawings(report.parts(), metrics, width))
        for item in made:
            item.figure.draw_without_rendering()
    return {item.name: item.figure for item in made}


def texts_of(axes):
    return [text.get_text() for text in axes.texts]


def test_a_line_for_each_method_with_its_label_and_none_for_controls(records):
    report = SizesReport(records, registry(), metrics=("mae",))
    [figure] = drawn(report).values()
    [axes] = figure.axes
    assert sorted(texts_of(axes)) == sorted(METHODS)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["20", "40", "80"]
    assert [list(line.get_xdata()) for line in axes.lines] == [[20, 40, 80]] * len(METHODS)
    [first] = [line for line in axes.lines if line.get_color() == style(0)[0]]
    assert list(first.get_ydata()) == pytest.approx([0.351, 0.326, 0.3135])
    assert len(axes.collections) == 3, "an interval for each size of the method with seeds"


def test_a_value_far_off_flattens_no_other_curve_and_is_said_to_be_missing(records):
    report = SizesReport(records, registry())
    for name, figure in drawn(report).items():
        [axes] = figure.axes
        low, high = axes.get_ylim()
        assert high - low < 0.2
        shown = [low < value < high for line in axes.lines for value in line.get_ydata()]
        assert shown.count(False) == 1
        word = "Larger" if "mae" in name else "Smaller"
        assert any(f"{word} values than shown" in text.get_text() for text in figure.texts)
    sound = [record for record in records if record.identity.method != "two"]
    report = SizesReport(tuple(sound), registry(), metrics=("mae",))
    [figure] = drawn(report).values()
    assert not any("than shown" in text.get_text() for text in figure.texts)


def test_points_have_seconds_and_scores_and_the_front_is_a_line(records):
    report = CostReport(records, registry(), metrics=("mae",))
    figure = drawn(report)["cost-sim-geo-small-01234567-mae"]
    [axes] = figure.axes
    points = [tuple(points.get_offsets()[0]) for points in axes.collections]
    assert [seconds for seconds, _ in points] == pytest.approx([80, 800, 8000, 80_000])
    assert sorted(texts_of(axes)) == sorted(METHODS)
    assert axes.lines[0].get_xdata()[0] == 80, "the first method beats all others"


def test_labels_of_points_cover_no_other_label(made_up):
    records = tuple(
        made_up(f"method-{place}", {}, 0.3 + place % 3 / 1000, seconds={"fit": 10 + place})
        for place in range(9)
    )
    report = CostReport(records, registry(), metrics=("mae",))
    [figure] = drawn(report).values()
    # Those of the text alone, without the line to its point.
    boxes = [Text.get_window_extent(text) for text in figure.axes[0].texts]
    overlapping = [
        (one, other)
        for one in range(len(boxes))
        for other in range(one)
        if boxes[one].overlaps(boxes[other])
    ]
    assert overlapping == []


POINTS = {
    "corners": [(0, 0), (0, 1), (1, 0), (1, 1)],
    "edge": [(1, place / 7) for place in range(8)],
    "crowd": [(0.5 + place / 1000, 0.5 - place / 1000) for place in range(8)],
    "one place": [(0.5, 0.5)] * 4,
}


@pytest.mark.parametrize("points", POINTS.values(), ids=POINTS)
def test_labels_lie_within_the_diagram_and_cover_no_other_where_there_is_room(points):
    labels = [f"method-{place} (units={place})" for place in range(len(points))]
    with paper():
        figure, [axes] = panels(1, 180, "title", aspect=0.5)
        axes.set(xlim=(0, 1), ylim=(0, 1))
        label_points(axes, labels, points)
        figure.draw_without_rendering()
        boxes = [Text.get_window_extent(text) for text in axes.texts]
        inside = axes.get_window_extent().padded(1)
    assert sorted(text.get_text().replace("\n", " ") for text in axes.texts) == labels
    for box in boxes:
        assert inside.containsx(box.x0)
        assert inside.containsx(box.x1)
        assert inside.containsy(box.y0)
        assert inside.containsy(box.y1)
    assert not [(one, other) for one, other in combinations(boxes, 2) if one.overlaps(other)]


def test_points_beyond_the_axis_have_no_label():
    with paper():
        _, [axes] = panels(1, 180, "title")
        axes.set(xlim=(0, 1), ylim=(0, 1))
        label_points(axes, ["shown", "beyond"], [(0.5, 0.5), (0.5, 2.0)])
    assert texts_of(axes) == ["shown"]


@pytest.mark.parametrize("name", ["<script>", "../../x", "$\\frac$", "x" * 200])
@pytest.mark.parametrize("report", [SizesReport, CostReport])
def test_a_hostile_record_bends_neither_file_names_nor_the_drawing(made_up, tmp_path, name, report):
    records = tuple(
        made_up(
            name, {}, 0.1, dataset=name, protocol=f"p-n{size}", seconds={"fit": 0.0},
            train=f"geo/train/{size}-profiles",
            profiles={"train": size, "validation": 10, "test": 10},
        )
        for size in (20, 40)
    )  # fmt: skip
    written = report(records, registry()).draw(tmp_path / "figures")
    assert written
    for path in written:
        assert path.parent == tmp_path / "figures"
        assert re.fullmatch(r"[a-z0-9-]{1,200}\.(pdf|svg|png|csv)", path.name)
    assert b"<script" not in written[1].read_bytes()
