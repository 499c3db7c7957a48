"""The lasso for all targets at once, from moments alone.

For each target, with its weights w (one per landmark)::

    minimise  P(w) = ‖y − Xw‖² + λ‖w‖₁ = yy − 2 wᵀxy + wᵀ xx w + λ‖w‖₁

The alternating direction method of multipliers (Boyd et al. 2011, section 6.4) keeps a smooth copy
of w, which solves a ridge problem, and a sparse one, which is shrunk towards zero. All targets
share the matrix of the ridge problem, so an iteration is one matrix product for all of them.

A target is finished when its duality gap is small enough. With a residual ``r`` of any weights and
``c = Xᵀr``, each ``s·r`` with ``0 ≤ s ≤ λ / (2 max|c|)`` is feasible in the dual problem and bounds
the minimum from below by ``D = 2s yᵀr − s²‖r‖²``; all of it follows from the moments. Both copies
of w give such a bound and the better one counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor

from genebench.moments import Moments

COUPLING = 4.0
"""Strength ρ that ties the two copies together, at λ_max and relative to the landmarks' mean
scatter; it falls with √λ. Found by trial: a third of it, or three times, takes twice as long."""
OVER_RELAXATION = 1.6
ITERATIONS_PER_CHECK = 10
TARGETS_PER_TILE = 2048
"""How many targets are worked on at once: bounds memory."""
SINGLE_PRECISION_GAP = 1e-5
"""For smaller gaps the iterations run in float64. The gap itself is always float64."""


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
    def of(cls, found: Moments, device: str) -> Self:
        """Those of moments, on a device."""
        given = (found.xx, found.xy, found.yy)
        return cls(*(torch.from_numpy(part).to(device, torch.float64) for part in given))

    def only(self, which: Tensor) -> Products:
        """Those of some targets: positions, or a mask."""
        return Products(self.xx, self.xy[:, which], self.yy[which])


@dataclass(frozen=True)
class Solution:
    """Weights for one λ.

    Attributes:
        weights: W, landmarks × targets; exact zeros where a landmark is not used.
        pull: what the penalty holds against each weight, ``Xᵀr`` cut to ±λ/2; landmarks × targets.
        gap: how far P is from its minimum at most, relative to ``yy``; one per target, float64.
    """

    weights: Tensor
    pull: Tensor
    gap: Tensor


@dataclass(frozen=True)
class _Ridge:
    """The ridge problem that the iterations for one λ share."""

    penalty: float
    coupling: float
    inverse: Tensor
    """Of the landmarks' scatter with the coupling added to its diagonal."""

    @property
    def bound(self) -> float:
        """The largest multiplier that the penalty can hold against."""
        return self.penalty / (2 * self.coupling)


@dataclass(frozen=True)
class _Work:
    """Targets that are not finished, as columns; ``free`` is their plain ridge solution."""

    position: Tensor
    products: Products
    free: Tensor
    sparse: Tensor
    multiplier: Tensor

    def only(self, which: Tensor) -> _Work:
        columns = (part[:, which] for part in (self.free, self.sparse, self.multiplier))
        return _Work(self.position[which], self.products.only(which), *columns)

    def iterate(self, shrink: Tensor, bound: float) -> Tensor:
        """A few iterations in place; returns the smooth copy of the weights."""
        sparse, multiplier = self.sparse, self.multiplier
        smooth = torch.empty_like(sparse)
        for _ in range(ITERATIONS_PER_CHECK):
            torch.addmm(self.free, shrink, sparse - multiplier, out=smooth)
            multiplier.add_(smooth, alpha=OVER_RELAXATION).add_(sparse, alpha=1 - OVER_RELAXATION)
            sparse.copy_(multiplier)
            multiplier.clamp_(-bound, bound)
            sparse.sub_(multiplier)
        return smooth


class Lasso:
    """All targets of some moments, for one λ after another.

    Attributes:
        penalty_max: the smallest λ for which all weights of all targets are zero.
    """

    def __init__(
        self,
        found: Moments,
        device: str = "cpu",
        *,
        gap: float = 1e-4,
        iterations: int = 1000,
        tile: int = TARGETS_PER_TILE,
    ) -> None:
        """Take up the moments.

        Args:
            found: moments of the training profiles.
            device: ``cpu`` or ``cuda``.
            gap: the duality gap, relative to ``yy``, at which a target is finished.
            iterations: how many a target may take for one λ, rounded down to tens.
            tile: targets worked on at once.
        """
        self._products = Products.of(found, device)
        self._gap, self._checks, self._tile = gap, iterations // ITERATIONS_PER_CHECK, tile
        self._dtype = torch.float32 if gap >= SINGLE_PRECISION_GAP else torch.float64
        self._scatter = float(self._products.xx.diagonal().mean()) or 1.0
        self.penalty_max = 2 * float(self._products.xy.abs().max())

    def zero(self) -> Solution:
        """All weights zero: where a path begins."""
        nothing = torch.zeros_like(self._products.xy, dtype=self._dtype)
        return Solution(nothing, nothing, torch.zeros_like(self._products.yy))

    def solve(self, penalty: float, start: Solution) -> Solution:
        """The solution for a penalty λ > 0, sought from one for another λ."""
        ridge = self._ridge(penalty)
        solution = Solution(*map(torch.empty_like, (start.weights, start.pull, start.gap)))
        targets = torch.arange(len(start.gap), device=start.gap.device)
        for tile in torch.split(targets, self._tile):
            self._solve(self._begin(tile, ridge, start), ridge, solution)
        return solution

    def _ridge(self, penalty: float) -> _Ridge:
        # Cholesky for each λ costs less than the products that one eigendecomposition would need.
        relative = penalty / self.penalty_max if self.penalty_max else 1.0
        coupling = COUPLING * self._scatter * math.sqrt(min(relative, 1.0))
        coupled = self._products.xx.clone()
        coupled.diagonal().add_(coupling)
        return _Ridge(penalty, coupling, torch.cholesky_inverse(torch.linalg.cholesky(coupled)))

    def _begin(self, tile: Tensor, ridge: _Ridge, start: Solution) -> _Work:
        products = self._products.only(tile)
        return _Work(
            position=tile,
            products=products,
            free=(ridge.inverse @ products.xy).to(self._dtype),
            sparse=start.weights[:, tile],
            multiplier=(start.pull[:, tile] / ridge.coupling).clamp_(-ridge.bound, ridge.bound),
        )

    def _solve(self, work: _Work, ridge: _Ridge, solution: Solution) -> None:
        """Iterate, and write each target to ``solution`` as soon as it is finished."""
        shrink = (ridge.coupling * ridge.inverse).to(self._dtype)
        smooth = work.sparse
        for left in range(self._checks, -1, -1):
            gap = relative_gap(work.products, ridge.penalty, work.sparse, smooth)
            finished = gap <= (self._gap if left else math.inf)
            ended = work.only(finished)
            solution.weights[:, ended.position] = ended.sparse
            solution.pull[:, ended.position] = ended.multiplier * ridge.coupling
            solution.gap[ended.position] = gap[finished]
            work = work.only(~finished)
            if not len(work.position):
                return
            smooth = work.iterate(shrink, ridge.bound)


def relative_gap(products: Products, penalty: float, weights: Tensor, other: Tensor) -> Tensor:
    """Duality gap of weights, divided by ``yy``: one per target, float64.

    Args:
        products: of the targets.
        penalty: λ.
        weights: landmarks × targets.
        other: weights whose residual may give the better lower bound; of the same shape.

    Returns:
        The gap of each target; zero for one that never varies.
    """
    square, along, correlation = _residual(products, weights)
    lower = _lower_bound(penalty, square, along, correlation)
    if other is not weights:
        lower = torch.maximum(lower, _lower_bound(penalty, *_residual(products, other)))
    gap = square + penalty * weights.abs().sum(0, dtype=torch.float64) - lower
    return torch.where(products.yy > 0, gap.clamp(min=0) / products.yy, 0.0)


def _residual(products: Products, weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """``‖r‖²``, ``yᵀr`` and ``Xᵀr`` of the residual r."""
    weights = weights.double()
    correlation = torch.addmm(products.xy, products.xx, weights, alpha=-1)
    along = products.yy - (weights * products.xy).sum(0)
    return along - (weights * correlation).sum(0), along, correlation


def _lower_bound(penalty: float, square: Tensor, along: Tensor, correlation: Tensor) -> Tensor:
    """D of the residual, scaled as is best within what is feasible."""
    tiny = torch.finfo(square.dtype).tiny
    feasible = penalty / (2 * correlation.abs().amax(0))
    scale = torch.minimum(along / square.clamp(min=tiny), feasible).clamp(min=0)
    return 2 * scale * along - scale**2 * square
