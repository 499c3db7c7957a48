"""Curves of choices: the error that is drawn is the one on the validation set."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib")

from matplotlib.figure import Figure

from genebench.plugins.registry import registry
from genebench.reports.figures.choice import choice_parts, drawings
from genebench.reports.figures.style import paper


def test_the_curve_is_of_the_validation_set_and_the_mark_is_at_its_choice(made_up):
    # D-GEX records the error on training profiles first, which falls on.
    curve = {
        "epoch": [1.0, 2.0, 3.0], "loss": [9.0, 5.0, 4.0], "mae train": [0.5, 0.3, 0.1],
        "mae geo": [0.6, 0.4, 0.5],
    }  # fmt: skip
    record = made_up("net", {}, 0.4, curves={"learning": curve}, choices={"epoch": 2})
    with paper():
        [drawing] = drawings(choice_parts([record], registry(), ["learning"]))
        [axes] = drawing.figure.axes
        assert isinstance(drawing.figure, Figure)
        line, chosen, mark = axes.lines
        assert list(line.get_ydata()) == [0.6, 0.4, 0.5]
        assert list(chosen.get_xdata()) == [2, 2]
        assert (*mark.get_xdata(), *mark.get_ydata()) == (2.0, 0.4)
        assert axes.get_ylabel() == "validation MAE (std)"
