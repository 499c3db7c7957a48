"""Colours of heat maps: those of matplotlib's cividis, with ink that can be read upon them."""

from __future__ import annotations

import pytest

from genebench.reports.figures.colours import ink, paint

matplotlib = pytest.importorskip("matplotlib")


@pytest.mark.parametrize("heat", [step / 20 for step in range(21)])
def test_the_colours_are_cividis(heat):
    expected = [255 * part for part in matplotlib.colormaps["cividis"](heat)[:3]]
    given = [int(paint(heat)[at : at + 2], 16) for at in (1, 3, 5)]
    assert given == pytest.approx(expected, abs=8)


def luminance(colour):
    parts = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4
             for part in matplotlib.colors.to_rgb(colour)]  # fmt: skip
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


@pytest.mark.parametrize("heat", [step / 20 for step in range(21)])
def test_text_upon_them_has_the_contrast_that_wcag_asks_for(heat):
    light, dark = sorted([luminance(ink(heat)), luminance(paint(heat))], reverse=True)
    assert (light + 0.05) / (dark + 0.05) >= 4.5
