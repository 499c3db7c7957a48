"""Panels of target genes, and the score of a metric's vector on each panel.

445 of the 943 published landmarks are target genes too. On RNA-seq both come from one measurement,
so a method could copy the target's value. Every gene-wise metric is therefore reported on three
panels.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.results.record import Score

GENE_METRIC, PROFILE_METRIC = "gene-metric.", "profile-metric."
"""Prefixes of the names of metric vectors: one value per gene, or per profile."""

PROFILE_SHARE = "profile-share."
"""Prefix of the names of share vectors: how much each test profile adds to a score.

The mean over profiles of ``profile-share.<metric>.<panel>`` is the metric's score on the panel.
A weighted mean is, to first order, the score under those weights. For a mean over profiles, such as
MAE, it is exactly that score."""

PROFILE_GROUP = "profile.group"
"""Name of the vector with each profile's group: a GEO series, or a donor."""

GENE_MODEL = "gene-model."
"""Prefix of the names of vectors that a model reports about its targets."""

PANELS = ("all", "strict", "twin")
"""``all``: every target, comparable with papers. ``strict``: targets that are no landmark.
``twin``: targets that are landmarks too."""


def share_name(metric: str, panel: str) -> str:
    """Return the name of the share vector of a metric on a panel."""
    return f"{PROFILE_SHARE}{metric}.{panel}"


def panels_of(twin: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Return the mask of targets of each panel. Panels without a gene are left out."""
    masks = {"all": np.ones_like(twin), "strict": ~twin, "twin": twin}
    return {panel: mask for panel, mask in masks.items() if mask.any()}


def summarise(values: NDArray[np.float64], twin: NDArray[np.bool_]) -> dict[str, Score]:
    """Return the score of a gene-wise metric on each panel."""
    return {panel: _score(values[mask]) for panel, mask in panels_of(twin).items()}


def scores_of(vectors: Mapping[str, NDArray[Any]]) -> dict[str, dict[str, Score]]:
    """Return metric → panel → score, from a record's vectors.

    Profile-wise metrics have the panel ``all`` only.
    """
    scores: dict[str, dict[str, Score]] = {}
    for name, values in vectors.items():
        if name.startswith(GENE_METRIC):
            scores[name.removeprefix(GENE_METRIC)] = summarise(values, vectors["gene.twin"])
        elif name.startswith(PROFILE_METRIC):
            scores[name.removeprefix(PROFILE_METRIC)] = {"all": _score(values)}
    return scores


def agree(score: Score | None, expected: Score | None) -> bool:
    """Return whether two scores are the same but for rounding. A missing one agrees with none."""
    return score is not None and expected is not None and score.agrees_with(expected)


def _score(values: NDArray[np.float64]) -> Score:
    # ddof 0, as in the ± of Wang et al. 2018: the spread over these very genes, no estimate.
    return Score(mean=float(values.mean()), std=float(values.std()), genes=len(values))
