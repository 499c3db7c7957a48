"""Kernels of squared distances, and the unit of their widths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PAIRS = 200_000
"""Pairs of profiles for the median distance. Sets of at most 632 profiles are compared whole."""
PAIRS_PER_BLOCK = 10_000
"""Pairs measured at a time. They take 40 kB of memory for each landmark."""

SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "cauchy": lambda q: q.add_(1).reciprocal_(),
    "imq": lambda q: q.add_(1).rsqrt_(),
    "laplace": lambda q: q.sqrt_().neg_().exp_(),
    "rbf": lambda q: q.neg_().exp_(),
}
"""Kernel → function of q, the squared distance over the width. Each works in place."""
LINEAR_CAUCHY = "linear-cauchy"
KERNELS = (*SHAPES, LINEAR_CAUCHY)


@dataclass(frozen=True)
class Kernel:
    """A positive definite function of two profiles' landmarks.

    Attributes:
        name: one of :data:`KERNELS`.
        width: the squared distance for which q = 1.
        linear: factor of the inner product that :data:`LINEAR_CAUCHY` adds to the Cauchy kernel.
    """

    name: str
    width: float
    linear: float = 0.0

    def matrix(self, left: Tensor, right: Tensor) -> Tensor:
        """Return k(x, z) of each profile x of ``left`` and each z of ``right``, in float64.

        float32 would not do: the Laplace kernel takes the root of distances that cancel.
        """
        left, right = left.double(), right.double()
        products = left @ right.T
        added = products * self.linear if self.name == LINEAR_CAUCHY else None
        q = products.mul_(-2).add_(_squares(left)[:, None]).add_(_squares(right))
        q.clamp_(min=0).div_(self.width)
        shape = SHAPES["cauchy" if self.name == LINEAR_CAUCHY else self.name]
        values = shape(q)
        return values if added is None else values.add_(added)

    def diagonal(self, profiles: Tensor) -> Tensor:
        """Return k(x, x) of each profile, in float64."""
        ones = torch.ones(len(profiles), dtype=torch.float64, device=profiles.device)
        if self.name != LINEAR_CAUCHY:
            return ones
        return ones.add_(_squares(profiles.double()), alpha=self.linear)


def median_squared_distance(profiles: Tensor) -> float:
    """Return the median squared distance of two profiles, 0 for a single profile.

    Of many profiles, :data:`PAIRS` random pairs are measured. They are the same for every seed.
    """
    n = len(profiles)
    if n == 1:
        return 0.0
    if n * (n - 1) // 2 <= PAIRS:
        left, right = torch.triu_indices(n, n, 1, device=profiles.device)
    else:
        drawn = np.random.default_rng(0).integers(0, [[n], [n - 1]], (2, PAIRS))
        # The second profile is drawn from all but the first.
        drawn[1] += drawn[1] >= drawn[0]
        left, right = torch.from_numpy(drawn).to(profiles.device)
    blocks = zip(left.split(PAIRS_PER_BLOCK), right.split(PAIRS_PER_BLOCK), strict=True)
    distances = [
        (profiles[first] - profiles[second]).square_().sum(1, dtype=torch.float64)
        for first, second in blocks
    ]
    return float(np.median(torch.cat(distances).cpu().numpy()))


def _squares(profiles: Tensor) -> Tensor:
    return profiles.square().sum(1)
