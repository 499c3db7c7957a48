"""Forest plots, critical differences and ladders: numbers, ties, and labels of any length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("matplotlib")

from genebench.analysis.rank import Standing
from genebench.analysis.variants import Variant
from genebench.plugins.registry import registry
from genebench.reports.figures.critical import columns_of, critical, groups_of_ties
from genebench.reports.figures.forest import forest
from genebench.reports.figures.ladder import ladder
from genebench.reports.figures.style import WIDTHS, size_of

MAE = registry().metrics.specs["mae"]


def standings(ties, labels=None):
    """Return standings of as many methods as ``ties`` has rows: ties[a][b] is a tie of a < b."""
    number = len(ties)
    labels = labels or [f"m{place}" for place in range(number)]
    variants = [Variant(label, ()) for label in labels]
    return [
        Standing(
            variant=variants[a], mean=0.4 + a / 100, rank=a + 1, rank_low=a + 1, rank_high=a + 1,
            tied_with=tuple(
                variants[b] for b in range(number) if b != a and ties[min(a, b)][max(a, b)]
            ),
            difference=a / 100 if a else None, p=0.5 if ties[0][a] else 0.01,
            difference_low=a / 100 - 0.015 if a else None,
            difference_high=a / 100 + 0.02 if a else None,
            profiles=60, groups=20,
        )
        for a in range(number)
    ]  # fmt: skip


graphs = st.integers(1, 9).flatmap(
    lambda number: st.lists(
        st.lists(st.booleans(), min_size=number, max_size=number),
        min_size=number, max_size=number,
    )
)  # fmt: skip


@given(graphs)
def test_bars_show_the_ties_of_the_table_and_no_other(ties):
    groups = groups_of_ties(standings(ties))
    shown = {(a, b) for group in groups for a in group for b in group if a < b}
    assert shown == {
        (a, b) for a in range(len(ties)) for b in range(a + 1, len(ties)) if ties[a][b]
    }
    places = list(zip(columns_of(groups), groups, strict=True))
    assert all(
        one[-1] < other[0] or other[-1] < one[0]
        for index, (column, one) in enumerate(places)
        for other_column, other in places[:index]
        if column == other_column
    ), "bars of one column do not touch"


@pytest.mark.usefixtures("style")
def test_marks_on_bars_are_drawn_where_their_methods_are():
    # A noisy third method is tied with both, and these differ from each other.
    ties = [[False, False, True], [False, False, True], [False, False, False]]
    drawn = critical("c", standings(ties), MAE, "sim", 85)
    diagram, bars = drawn.figure.axes
    rows = [line.get_ydata()[0] for line in diagram.lines if line.get_marker() == "o"]
    marks = [[*line.get_ydata()] for line in bars.lines if line.get_marker() == "o"]
    assert marks == [[rows[0], rows[2]], [rows[1], rows[2]]]
    assert list(drawn.numbers["bars"]) == ["1", "2", "1 2"]
    means = [line.get_xdata()[0] for line in diagram.lines if line.get_marker() == "o"]
    assert means == list(drawn.numbers["mean"])


@pytest.mark.usefixtures("style")
def test_a_forest_plot_shows_the_numbers_of_its_table():
    ties = [[False, True, False], [False] * 3, [False] * 3]
    drawn = forest("f", standings(ties), MAE, "sim", 180)
    [axes], table = drawn.figure.axes, drawn.numbers
    points = [line for line in axes.lines if line.get_marker() in {"o", "s"}]
    assert [line.get_xdata()[0] for line in points] == list(table["difference"][1:])
    # A tie is an open circle, and a significant difference a filled square.
    assert [line.get_marker() for line in points] == ["o", "s"]
    assert points[0].get_markerfacecolor() == "white"
    intervals = [segment[:, 0] for part in axes.collections for segment in part.get_segments()]
    np.testing.assert_allclose(intervals, table[["low", "high"]][1:].to_numpy())
    assert f"({MAE.unit})" in axes.get_xlabel().replace("\n", " ")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("number", [2, 13, 54])
@pytest.mark.usefixtures("style")
def test_no_label_is_cut_off_or_covers_another(width, number, cut_off):
    long = "ggan (layers=3, units=9000, dropout=0.25, optimiser=adam, weight_decay=1e-05)"
    labels = [long if place % 2 else f"a-method-of-a-very-long-name-{place}"
              for place in range(number)]  # fmt: skip
    table = standings([[(a + b) % 3 == 0 for b in range(number)] for a in range(number)], labels)
    for draw in (forest, critical):
        figure = draw("f", table, MAE, "sim · gtex · preset small", width).figure
        assert size_of(figure)[0] == pytest.approx(width)
        assert cut_off(figure) == []
        boxes = [text.get_window_extent() for text in figure.texts]
        assert not any(
            one.overlaps(other) for index, one in enumerate(boxes) for other in boxes[:index]
        )


@pytest.mark.usefixtures("style")
def test_a_value_far_off_is_an_arrow_with_its_value():
    table = standings([[False] * 5 for _ in range(5)])
    far = [*table[:4], Standing(**{**vars(table[4]), "difference": 9.5, "mean": 9.9})]
    [axes] = forest("f", far, MAE, "sim", 85).figure.axes
    assert axes.get_xlim()[1] < 1
    assert [text.get_text() for text in axes.texts] == ["+9.5000"]


@pytest.mark.usefixtures("style")
def test_a_ladder_has_a_row_for_each_step(cut_off):
    table = standings([[False] * 3 for _ in range(3)])
    steps = [(f"+ step {place}", row) for place, row in enumerate(table)]
    drawn = ladder("l", steps, [None, (0, None), (0, None)], MAE, "sim", 85)
    assert list(drawn.numbers["after"]) == ["", "+ step 0", "+ step 0"]
    assert list(drawn.numbers["mean"]) == [row.mean for row in table]
    assert cut_off(drawn.figure) == []
