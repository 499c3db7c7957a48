"""Random masks."""

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
