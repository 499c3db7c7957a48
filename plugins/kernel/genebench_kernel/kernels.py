"""Kernels of squared distances, and the unit of their widths."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

PAIRS = 200_000
"""Pairs of profiles for the median distance. Sets of at most 632 profiles are compared whole."""
PAIRS_PER_BLOCK = 10_000
"""Pairs measured at a time. They take 40 kB of memory for each landmark."""

SMALLEST_Q = 1e-20
"""Least q in the slope of the Laplace kernel."""

SHAPES: dict[str, Callable[[Tensor], Tensor]] = {
    "cauchy": lambda q: q.add_(1).reciprocal_(),
    "imq": lambda q: q.add_(1).rsqrt_(),
    "laplace": lambda q: q.sqrt_().neg_().exp_(),
    "rbf": lambda q: q.neg_().exp_(),
}
"""Kernel → function of q, the squared distance over the width. Each works in place."""
SLOPES: dict[str, Callable[[Tensor], Tensor]] = {
    "cauchy": lambda q: (1 + q).square().reciprocal().neg(),
    "imq": lambda q: (1 + q).pow(-1.5).mul(-0.5),
    # The slope is infinite at q = 0, where a profile is a centre.
    "laplace": lambda q: (-q.sqrt()).exp() / (-2 * q.clamp(min=SMALLEST_Q).sqrt()),
    "rbf": lambda q: (-q).exp().neg(),
}
"""Kernel → derivative by q of its function."""
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
        shape = SHAPES[self._radial]
        values = shape(q)
        return values if added is None else values.add_(added)

    @property
    def _radial(self) -> str:
        """Name of the part that depends on the distance."""
        return "cauchy" if self.name == LINEAR_CAUCHY else self.name

    def slopes(
        self,
        profiles: Tensor,
        centres: Tensor,
        coefficients: Tensor,
        points: Iterable[tuple[float, float]],
    ) -> Tensor:
        """Return the mean gradient of ``k(x) @ coefficients`` on the way from 0 to each profile x.

        The gradient of a kernel of q at the position s of the way is ``2 k′(q) (s x − z) / width``.
        So means of k′ and of s k′ over the way suffice, for each profile x and each centre z.

        Args:
            profiles: profiles × landmarks, float64.
            centres: centres × landmarks, float64.
            coefficients: one for each centre, float64.
            points: position in 0…1 and weight of each point of a quadrature.

        Returns:
            Profiles × landmarks.
        """
        products = profiles @ centres.T
        squares, of_centres = _squares(profiles)[:, None], _squares(centres)
        mean, moment = torch.zeros_like(products), torch.zeros_like(products)
        for position, weight in points:
            q = (position**2 * squares - 2 * position * products + of_centres) / self.width
            slope = SLOPES[self._radial](q.clamp_(min=0)).mul_(weight)
            mean += slope
            moment.add_(slope, alpha=position)
        moments = moment @ coefficients
        slopes = (moments[:, None] * profiles - (mean * coefficients) @ centres) * (2 / self.width)
        if self.name == LINEAR_CAUCHY:
            slopes += self.linear * (coefficients @ centres)
        return slopes

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
