"""Figures in the style of papers, and what can be measured on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest


@pytest.fixture
def style() -> Iterator[None]:
    """Draw in the style of all figures."""
    pytest.importorskip("matplotlib")
    from genebench.reports.figures.style import paper

    with paper():
        yield


@pytest.fixture
def cut_off() -> Callable[..., list[str]]:
    """cut_off(figure): the texts that the edge of the page cuts."""

    def find(figure) -> list[str]:
        from matplotlib.text import Text

        figure.draw_without_rendering()
        # matplotlib keeps ticks beyond the ends of an axis, and does not draw them.
        beyond = {
            id(label)
            for axes in figure.axes
            for axis in (axes.xaxis, axes.yaxis)
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
            if not min(axis.get_view_interval()) <= tick.get_loc() <= max(axis.get_view_interval())
            for label in (tick.label1, tick.label2)
        }
        width, height = figure.get_size_inches() * figure.dpi
        return [
            text.get_text()
            for text in figure.findobj(Text)
            if text.get_text().strip() and text.get_visible() and id(text) not in beyond
            for box in [Text.get_window_extent(text)]
            if box.x0 < -1 or box.y0 < -1 or box.x1 > width + 1 or box.y1 > height + 1
        ]

    return find
