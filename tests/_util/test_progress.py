"""Curves in one word."""

from __future__ import annotations

import pytest

from genebench._util.progress import sparkline, without_curves


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.5], "▁"),
        ([0.5, 0.5, 0.5], "▁▁▁"),
        ([8, 7, 6, 5, 4, 3, 2, 1], "█▇▆▅▄▃▂▁"),
        ([0.9, 0.2, 0.3], "█▁▂"),
    ],
)
def test_a_curve_goes_from_its_lowest_to_its_highest_value(values, expected):
    assert sparkline(values) == expected


@pytest.mark.parametrize("length", [16, 17, 31, 500])
def test_a_long_curve_is_as_wide_as_any_and_ends_at_its_last_value(length):
    falling = [1 / (1 + at) for at in range(length - 1)]
    drawn = sparkline([*falling, 2.0])
    assert len(drawn) == 16
    assert drawn[-1] == "█"
    assert list(drawn[:-1]) == sorted(drawn[:-1], reverse=True)


def test_a_message_without_curves_has_no_gaps():
    message = f"epoch 9, geo 0.41 {sparkline([3, 2])}, gtex 0.65 {sparkline([1, 2])}\x1b"
    assert without_curves(message) == "epoch 9, geo 0.41, gtex 0.65 �"
