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

GENE_METRIC, PROFILE_METRIC = "gene-metric.", "profile-metric."
"""What the names of metric vectors begin with, by what their values are of."""

PROFILE_SHARE = "profile-share."
"""What the names of vectors begin with that say what each test profile adds to a score.

The mean over profiles of ``profile-share.<metric>.<panel>`` is the metric's mean over the panel,
and the mean under other weights of the profiles is, to first order, the score under those weights:
exactly so for a mean over profiles such as MAE."""

PROFILE_GROUP = "profile.group"
"""Name of the vector that says which profiles belong together: a GEO series, a donor."""

GENE_MODEL = "gene-model."
"""What the names of vectors begin with that a model says of its targets."""

PANELS = ("all", "strict", "twin")
"""``all`` targets (comparable with papers); ``strict``: those that are no landmark; ``twin``."""


def share_name(metric: str, panel: str) -> str:
    """Name of the vector of what each profile adds to a metric's score on a panel."""
    return f"{PROFILE_SHARE}{metric}.{panel}"


def panels_of(twin: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Panel → which targets are in it; panels without a gene are left out."""
    masks = {"all": np.ones_like(twin), "strict": ~twin, "twin": twin}
    return {panel: mask for panel, mask in masks.items() if mask.any()}


def summarise(values: NDArray[np.float64], twin: NDArray[np.bool_]) -> dict[str, Score]:
    """Score per panel of a gene-wise metric."""
    return {panel: _score(values[mask]) for panel, mask in panels_of(twin).items()}


def scores_of(vectors: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, Score]]:
    """Metric → panel → score, from a record's vectors; profile-wise ones have panel ``all``."""
    scores: dict[str, dict[str, Score]] = {}
    for name, values in vectors.items():
        if name.startswith(GENE_METRIC):
            scores[name.removeprefix(GENE_METRIC)] = summarise(values, vectors["gene.twin"])
        elif name.startswith(PROFILE_METRIC):
            scores[name.removeprefix(PROFILE_METRIC)] = {"all": _score(values)}
    return scores


def agree(given: Score | None, expected: Score | None) -> bool:
    """Whether two scores are the same, rounding apart; a missing one agrees with none."""
    return given is not None and expected is not None and given.agrees_with(expected)


def _score(values: NDArray[np.float64]) -> Score:
    return Score(mean=float(values.mean()), std=float(values.std()), genes=len(values))
