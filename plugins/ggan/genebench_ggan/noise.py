"""Randomness of training: dropout, and the mask over what the discriminator is shown."""

from __future__ import annotations

import torch

_WORD = 1 << 16
"""Values of the 16 random bits that decide on an element; several times as fast as one draw."""


def bernoulli(
    shape: torch.Size, share: float, random: torch.Generator, dtype: torch.dtype
) -> torch.Tensor:
    """A share of elements 1 / share, the others 0: their mean is 1. On the generator's device.

    The share is taken to the nearest 1/65536.
    """
    below = round(share * _WORD)
    if below >= _WORD:
        return torch.ones(shape, dtype=dtype, device=random.device)
    words = torch.empty(-(-shape.numel() // 4), dtype=torch.int64, device=random.device)
    words.random_(-(1 << 63), None, generator=random)
    bits = words.view(torch.int16)[: shape.numel()].view(shape)
    return (bits < below - _WORD // 2).to(dtype).mul_(_WORD / below)


class Dropout:
    """Zero a share of values, and scale up the others (inverted dropout)."""

    def __init__(self, share: float, random: torch.Generator) -> None:
        self._kept, self._random = 1 - share, random

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Values under a fresh mask."""
        if self._kept == 1:
            return values
        return values * bernoulli(values.shape, self._kept, self._random, values.dtype)
