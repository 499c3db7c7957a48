"""Names of relevance rules, and the relevance of linear models. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.method import Attribution

LRP_EPSILON, LRP_GAMMA = "lrp-epsilon", "lrp-gamma"
NETWORK_RULES = (LRP_EPSILON, LRP_GAMMA, "gradient-input", "integrated-gradients")
"""Rules of networks."""
LINEAR_RULES = ("exact", LRP_EPSILON, "gradient-input", "integrated-gradients")
"""Rules of linear models. They all give the same: landmark times weight."""
PERMUTATION = "permutation"
RULES = (
    "auto", "lrp-epsilon", "lrp-gamma", "gradient-input", "integrated-gradients", "exact",
    PERMUTATION,
)  # fmt: skip
"""All rules. A model has some of them. ``auto`` is its first, and every model has the last."""
STEPS = 32
"""Points of the quadrature of integrated gradients. Networks start with these."""
MOST_STEPS = 512
"""Points of the quadrature for profiles of networks that still miss their sum."""


def linear_relevance(
    landmarks: NDArray[np.floating[Any]], slopes: NDArray[np.floating[Any]], rest: float = 0.0
) -> Attribution:
    """Return the relevance of landmarks for ``landmarks @ slopes + rest``, in float64.

    Args:
        landmarks: profiles × landmarks.
        slopes: one for each landmark.
        rest: the constant.
    """
    values = landmarks.astype(np.float64) * slopes
    return Attribution(values, np.full(len(values), float(rest)), values.sum(1) + rest)


def quadrature(steps: int = STEPS) -> Iterator[tuple[float, float]]:
    """Yield position and weight of each point of the Gauss-Legendre quadrature on 0…1."""
    positions, weights = np.polynomial.legendre.leggauss(steps)
    yield from zip(((positions + 1) / 2).tolist(), (weights / 2).tolist(), strict=True)
