"""Remarks on choices at the end of a grid."""

from __future__ import annotations

import pytest

from genebench._util.choices import edge_note


@pytest.mark.parametrize(
    ("chosen", "values", "note"),
    [
        (5, [1, 3, 5], "k=5 is at the edge of its grid. Try larger values, too."),
        (0.1, [0.1, 1], "k=0.1 is at the edge of its grid. Try smaller values, too."),
        (3, [1, 3, 5], ""),
        (3, [3], ""),
        ("b", ["a", "b"], ""),
        (True, [True, False], ""),
        (1, [1, "auto"], ""),
    ],
)
def test_a_number_at_the_end_of_its_grid_is_noted(chosen, values, note):
    assert edge_note("k", chosen, values) == note
