"""Compiled loops give what Python gives, wherever their machine code can or cannot be kept."""

from __future__ import annotations

import numpy as np

from genebench.preprocessing.compiled import compiled, compiled_loosely

SOURCE = """
def total(values):
    total = 0.0
    for value in values:
        total += value
    return total
"""


def test_code_is_compiled_without_a_cache_folder():
    written: dict = {}
    exec(SOURCE, written)  # of no file: there is no place beside it
    values = np.random.default_rng(0).normal(size=1000)
    assert compiled(written["total"])(values) == written["total"](values)
    assert abs(compiled_loosely(written["total"])(values) - values.sum()) < 1e-10
