"""Random masks."""

from __future__ import annotations

import torch

_VALUES_16_BITS = 1 << 16
"""Values of the 16 random bits that decide on one element.

One draw of 64 bits serves four elements, which is several times as fast as one draw for each.
"""


def bernoulli(
    shape: torch.Size, share: float, random: torch.Generator, dtype: torch.dtype
) -> torch.Tensor:
    """Return a random mask with mean 1, on the generator's device.

    Args:
        shape: shape of the mask.
        share: probability that an element is ``1 / share``, rounded to the nearest 1/65536. All
            others are 0.
        random: generator of the random numbers.
        dtype: type of the mask.
    """
    below = round(share * _VALUES_16_BITS)
    if below >= _VALUES_16_BITS:
        return torch.ones(shape, dtype=dtype, device=random.device)
    words = torch.empty(-(-shape.numel() // 4), dtype=torch.int64, device=random.device)
    words.random_(-(1 << 63), None, generator=random)
    bits = words.view(torch.int16)[: shape.numel()].view(shape)
    # int16 runs from −32768 to 32767, so the threshold is shifted by half of the values.
    return (bits < below - _VALUES_16_BITS // 2).to(dtype).mul_(_VALUES_16_BITS / below)
