"""Dropout."""

from __future__ import annotations

import torch

from genebench.training import bernoulli


class Dropout:
    """Zero a share of values, and scale up the others (inverted dropout)."""

    def __init__(self, share: float, random: torch.Generator) -> None:
        self._kept, self._random = 1 - share, random

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Values under a fresh mask."""
        if self._kept == 1:
            return values
        return values * bernoulli(values.shape, self._kept, self._random, values.dtype)
