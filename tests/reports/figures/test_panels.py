"""Diagrams: ticks of logarithmic axes."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from genebench.reports.figures.panels import log_ticks, panels
from genebench.reports.figures.style import paper


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (2, 9, ["2", "5"]),
        (8, 90, ["10", "20", "50"]),
        (0.9, 110, ["1", "3", "10", "30", "100"]),
        (0.9, 11_000, ["1", "10", "100", "1,000", "10⁴"]),
        (0.0009, 1.1, ["0.001", "0.01", "0.1", "1"]),
    ],
)
def test_a_logarithmic_axis_has_few_ticks_of_few_digits(low, high, shown):
    with paper():
        _, [axes] = panels(1, 90, "title")
        axes.set(xscale="log", xlim=(low, high))
        log_ticks(axes, high / low)
        axes.figure.draw_without_rendering()
        texts = [
            tick.label1.get_text()
            for tick in axes.xaxis.get_major_ticks()
            if low <= tick.get_loc() <= high
        ]
    assert texts == shown
    assert not axes.xaxis.get_minor_ticks()
