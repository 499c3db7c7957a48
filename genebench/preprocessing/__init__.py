"""Preprocessing: from raw platforms to normalised expression, split. The built-in splits, as hooks.

The functions are in :mod:`genebench.preprocessing.splits`, so that listing imports no numpy.
"""

from __future__ import annotations

from genebench.hookspecs import CONTRACT, hookimpl
from genebench.specs import SplitSpec

genebench_contract = CONTRACT


@hookimpl
def genebench_splits() -> list[SplitSpec]:
    """Return the published split, the one that keeps groups together, and that of L1000."""
    return [
        SplitSpec(
            name="random",
            title="Random",
            summary="single profiles, 80 % train, 10 % validation, 10 % test, as published",
            code="genebench.preprocessing.splits:random_split",
        ),
        SplitSpec(
            name="group",
            title="By group",
            summary="whole groups of the profile table (GEO series, donors), about 80/10/10",
            code="genebench.preprocessing.splits:group_split",
        ),
        SplitSpec(
            name="l1000",
            title="L1000",
            summary="by position in the file: 2,500 train, 500 validation, 176 test of 3,176",
            code="genebench.preprocessing.splits:l1000_split",
        ),
    ]
