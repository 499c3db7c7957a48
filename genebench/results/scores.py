"""From a metric's vector to its scores on the panels of target genes.

445 of the 943 published landmarks are targets too, and on RNA-seq both come from one measurement:
there a target's value can be copied. So every gene-wise metric is reported on three panels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.results.record import Score

METRIC = "metric."
"""What the names of metric vectors begin with."""

PANELS = ("all", "strict", "twin")
"""``all`` targets (comparable with papers); ``strict``: those that are no landmark; ``twin``."""


def summarise(values: NDArray[np.float64], twin: NDArray[np.bool_]) -> dict[str, Score]:
    """Score per panel of a gene-wise metric; panels without a gene are left out.

    A profile-wise metric (as many values as profiles, not genes) has the panel ``all`` only.
    """
    masks = {"all": np.ones(len(values), dtype=bool)}
    if len(twin) == len(values):
        masks |= {"strict": ~twin, "twin": twin}
    return {panel: _score(values[mask]) for panel, mask in masks.items() if mask.any()}


def scores_of(vectors: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, Score]]:
    """Metric → panel → score, from a record's vectors (``metric.<name>``, ``gene.twin``)."""
    return {
        name.removeprefix(METRIC): summarise(values, vectors["gene.twin"])
        for name, values in vectors.items()
        if name.startswith(METRIC)
    }


def agree(given: Score | None, expected: Score | None) -> bool:
    """Whether two scores are the same, rounding apart; a missing one agrees with none."""
    return given is not None and expected is not None and given.agrees_with(expected)


def _score(values: NDArray[np.float64]) -> Score:
    return Score(mean=float(values.mean()), std=float(values.std()), genes=len(values))
