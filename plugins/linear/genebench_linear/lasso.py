"""The lasso for all targets at once, from moments alone.

For each target, with its weights w (one per landmark)::

    minimise  P(w) = ‖y − Xw‖² + λ‖w‖₁ = yy − 2 wᵀxy + wᵀ xx w + λ‖w‖₁

The alternating direction method of multipliers (Boyd et al. 2011, section 6.4) keeps two copies of
w. The smooth copy solves a ridge problem, and the sparse copy is shrunk towards zero. All targets
share the matrix of the ridge problem, so an iteration is one matrix product for all of them.

A target is finished when its duality gap is small enough. Let ``r`` be the residual of any weights,
and ``c = Xᵀr``. Each ``s·r`` with ``0 ≤ s ≤ λ / (2 max|c|)`` is feasible in the dual problem. It
bounds the minimum from below by ``D = 2s yᵀr − s²‖r‖²``, which follows from the moments. Both
copies of w give such a bound, and the larger one counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from genebench.moments import Moments

COUPLING = 4.0
"""Coupling ρ of the two copies at λ_max, relative to the landmarks' mean scatter.

It falls with √λ. The value was found by trial: a third of it, or three times, takes twice as long.
"""
OVER_RELAXATION = 1.6
"""Over-relaxation α of ADMM. Boyd et al. (2011, section 3.4.3) report that 1.5 to 1.8 helps."""
ITERATIONS_PER_CHECK = 10
"""Iterations between checks of the gap. A check takes two products in float64, an iteration one."""
TARGETS_PER_TILE = 2048
"""Targets solved at once. It bounds memory."""
SINGLE_PRECISION_GAP = 1e-5
"""The smallest gap for iterations in float32. Below it they run in float64, as the gap always does.
"""


class Products(NamedTuple):
    """Moments as tensors, float64.

    Attributes:
        xx: scatter of the landmarks, landmarks × landmarks.
        xy: products of landmarks and targets, landmarks × targets.
        yy: scatter of each target.
    """

    xx: Tensor
    xy: Tensor
    yy: Tensor

    @classmethod
    def of(cls, train_moments: Moments, device: str) -> Self:
        """Return the products of some moments, on a device."""
        parts = (train_moments.xx, train_moments.xy, train_moments.yy)
        return cls(*(torch.from_numpy(part).to(device, torch.float64) for part in parts))

    def only(self, targets: Tensor) -> Products:
        """Return the products of some targets, given as indices or as a mask."""
        return Products(self.xx, self.xy[:, targets], self.yy[targets])


@dataclass(frozen=True)
class Solution:
    """Weights for one λ.

    Attributes:
        weights: W, landmarks × targets, with exact zeros where a landmark is not used.
        pull: ``Xᵀr`` clipped to ±λ/2, the multiplier of each weight, landmarks × targets.
        gap: duality gap relative to ``yy``, an upper bound of P's distance from its minimum.
            One per target, float64.
    """

    weights: Tensor
    pull: Tensor
    gap: Tensor


@dataclass(frozen=True)
class _Ridge:
    """The ridge problem that all iterations for one λ share.

    Attributes:
        penalty: λ.
        coupling: ρ.
        inverse: inverse of the landmarks' scatter with ρ added to its diagonal.
    """

    penalty: float
    coupling: float
    inverse: Tensor

    @property
    def bound(self) -> float:
        """Bound of the scaled multipliers, λ / 2ρ: the threshold of the shrinkage."""
        return self.penalty / (2 * self.coupling)


@dataclass(frozen=True)
class _Unfinished:
    """The targets of a tile that are not finished, as columns.

    Attributes:
        position: index of each target in the solution.
        products: products of these targets.
        free: the plain ridge solution.
        sparse: the sparse copy of the weights.
        multiplier: the scaled multiplier, ``Xᵀr / ρ`` at the optimum.
    """

    position: Tensor
    products: Products
    free: Tensor
    sparse: Tensor
    multiplier: Tensor

    def only(self, targets: Tensor) -> _Unfinished:
        columns = (part[:, targets] for part in (self.free, self.sparse, self.multiplier))
        return _Unfinished(self.position[targets], self.products.only(targets), *columns)

    def iterate(self, shrink: Tensor, bound: float) -> Tensor:
        """Do a few iterations in place, and return the smooth copy of the weights."""
        sparse, multiplier = self.sparse, self.multiplier
        smooth = torch.empty_like(sparse)
        for _ in range(ITERATIONS_PER_CHECK):
            torch.addmm(self.free, shrink, sparse - multiplier, out=smooth)
            multiplier.add_(smooth, alpha=OVER_RELAXATION).add_(sparse, alpha=1 - OVER_RELAXATION)
            # Soft thresholding: what exceeds the bound is the new sparse copy, and the rest is the
            # new multiplier.
            sparse.copy_(multiplier)
            multiplier.clamp_(-bound, bound)
            sparse.sub_(multiplier)
        return smooth


class Lasso:
    """The lasso of all targets of some moments, for one λ after another.

    Attributes:
        penalty_max: the smallest λ for which all weights of all targets are zero.
    """

    def __init__(
        self,
        train_moments: Moments,
        device: str = "cpu",
        *,
        gap: float = 1e-4,
        iterations: int = 1000,
        tile: int = TARGETS_PER_TILE,
    ) -> None:
        """Copy the moments to the device.

        Args:
            train_moments: moments of the training profiles.
            device: ``cpu`` or ``cuda``.
            gap: the duality gap, relative to ``yy``, at which a target is finished.
            iterations: most iterations of a target for one λ, rounded down to tens.
            tile: targets solved at once.
        """
        self._products = Products.of(train_moments, device)
        self._gap, self._checks, self._tile = gap, iterations // ITERATIONS_PER_CHECK, tile
        self._dtype = torch.float32 if gap >= SINGLE_PRECISION_GAP else torch.float64
        self._scatter = float(self._products.xx.diagonal().mean()) or 1.0
        self.penalty_max = 2 * float(self._products.xy.abs().max())

    def zero(self) -> Solution:
        """Return the solution at λ_max, where all weights are zero."""
        nothing = torch.zeros_like(self._products.xy, dtype=self._dtype)
        return Solution(nothing, nothing, torch.zeros_like(self._products.yy))

    def solve(self, penalty: float, start: Solution) -> Solution:
        """Return the solution for a penalty λ > 0, starting from the one for another λ."""
        ridge = self._ridge(penalty)
        solution = Solution(*map(torch.empty_like, (start.weights, start.pull, start.gap)))
        targets = torch.arange(len(start.gap), device=start.gap.device)
        for tile in torch.split(targets, self._tile):
            products = self._products.only(tile)
            multiplier = (start.pull[:, tile] / ridge.coupling).clamp_(-ridge.bound, ridge.bound)
            unfinished = _Unfinished(
                position=tile,
                products=products,
                free=(ridge.inverse @ products.xy).to(self._dtype),
                sparse=start.weights[:, tile],
                multiplier=multiplier,
            )
            self._solve_tile(unfinished, ridge, solution)
        return solution

    def _ridge(self, penalty: float) -> _Ridge:
        # Cholesky for each λ costs less than the products that one eigendecomposition would need.
        relative = penalty / self.penalty_max if self.penalty_max else 1.0
        coupling = COUPLING * self._scatter * math.sqrt(min(relative, 1.0))
        coupled = self._products.xx.clone()
        coupled.diagonal().add_(coupling)
        return _Ridge(penalty, coupling, torch.cholesky_inverse(torch.linalg.cholesky(coupled)))

    def _solve_tile(self, unfinished: _Unfinished, ridge: _Ridge, solution: Solution) -> None:
        """Iterate, and write each target to ``solution`` as soon as it is finished."""
        shrink = (ridge.coupling * ridge.inverse).to(self._dtype)
        smooth = unfinished.sparse
        for checks_left in range(self._checks, -1, -1):
            gap = relative_gap(unfinished.products, ridge.penalty, unfinished.sparse, smooth)
            # The last check ends every target, with any gap.
            finished = gap <= (self._gap if checks_left else math.inf)
            done = unfinished.only(finished)
            solution.weights[:, done.position] = done.sparse
            solution.pull[:, done.position] = done.multiplier * ridge.coupling
            solution.gap[done.position] = gap[finished]
            unfinished = unfinished.only(~finished)
            if not len(unfinished.position):
                return
            smooth = unfinished.iterate(shrink, ridge.bound)


def relative_gap(products: Products, penalty: float, weights: Tensor, other: Tensor) -> Tensor:
    """Return the duality gap of weights, divided by ``yy``.

    Args:
        products: products of the targets.
        penalty: λ.
        weights: landmarks × targets.
        other: other weights of the same shape, whose residual may give a better lower bound.

    Returns:
        The gap of each target, float64. It is zero for a target that never varies.
    """
    square, along, correlation = _residual(products, weights)
    lower = _lower_bound(penalty, square, along, correlation)
    if other is not weights:
        lower = torch.maximum(lower, _lower_bound(penalty, *_residual(products, other)))
    gap = square + penalty * weights.abs().sum(0, dtype=torch.float64) - lower
    return torch.where(products.yy > 0, gap.clamp(min=0) / products.yy, 0.0)


def _residual(products: Products, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return ``‖r‖²``, ``yᵀr`` and ``Xᵀr`` of the residual r."""
    weights = weights.double()
    correlation = torch.addmm(products.xy, products.xx, weights, alpha=-1)
    along = products.yy - (weights * products.xy).sum(0)
    return along - (weights * correlation).sum(0), along, correlation


def _lower_bound(penalty: float, square: Tensor, along: Tensor, correlation: Tensor) -> Tensor:
    """Return the dual value D of ``s·r``, for the best feasible s."""
    tiny = torch.finfo(square.dtype).tiny
    feasible = penalty / (2 * correlation.abs().amax(0))
    scale = torch.minimum(along / square.clamp(min=tiny), feasible).clamp(min=0)
    return 2 * scale * along - scale**2 * square
