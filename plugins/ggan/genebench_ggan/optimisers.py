"""Adam (Kingma & Ba 2015) and momentum, a few rows at a time, with state in float32."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch.optim.adam import adam

from genebench.training import Weight
from genebench_ggan.fast_linear import Gradient, WeightGradient

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""Adam's constants (§4.1.4)."""
MOMENTUM = 0.5
"""The momentum of D-GEX (Chen et al. 2016)."""
# A piece is small enough for caches to hold its gradient. It is large enough for the gradient's
# product to be fast: in many small pieces the threads wait for each other after each.
_PIECE_ELEMENTS = {"cpu": 1 << 22, "cuda": 1 << 24}


class Optimiser(ABC):
    """Updates of some weights, and the state kept between them.

    The state is float32 even where products are bfloat16.
    """

    def __init__(self, weights: Sequence[Weight]) -> None:
        self._weights = weights

    @torch.no_grad()
    def step(self, gradients: Sequence[Gradient], rate: float) -> None:
        """Update every weight along its gradient, at a learning rate."""
        for index, gradient in enumerate(gradients):
            self._step(index, gradient, rate)

    def _step(self, index: int, gradient: Gradient, rate: float) -> None:
        """Update one weight."""
        weight = self._weights[index]
        # Gradient, update and copy of a piece follow each other while caches hold it. A whole
        # gradient would be new memory in each step, which a CPU gets at 1.2 GB/s
        # (benchmarks/README.md).
        for rows in _pieces(weight.master):
            master = weight.master[rows]
            self._update(index, rows, master, gradient(rows).to(master.dtype), rate)
            if weight.fast is not weight.master:
                weight.fast[rows] = master

    @abstractmethod
    def _update(
        self, index: int, rows: slice, master: torch.Tensor, gradient: torch.Tensor, rate: float
    ) -> None:
        """Update some rows of one weight in place. The gradient may be overwritten."""

    @abstractmethod
    def state(self) -> dict[str, torch.Tensor]:
        """Return references to the optimiser's state."""

    def _zeros(self) -> list[torch.Tensor]:
        return [torch.zeros_like(weight.master) for weight in self._weights]


class Adam(Optimiser):
    """Adam with torch's fused kernel, or in one pass where products on a CPU are bfloat16.

    Both moments are float32. In bfloat16 the second moment would not decay, as 0.999 times a
    bfloat16 number rounds to the number itself.
    """

    def __init__(self, weights: Sequence[Weight]) -> None:
        super().__init__(weights)
        self._first, self._second = self._zeros(), self._zeros()
        self._steps = torch.zeros((), device=weights[0].master.device)
        # Allocated once, for the reason given in Optimiser.
        pieces = [
            weight.master[next(_pieces(weight.master))]
            for weight in weights
            if _is_in_one_pass(weight)
        ]
        longest = max((piece.numel() for piece in pieces), default=0)
        self._scratch = torch.empty(longest, dtype=torch.bfloat16)

    def step(self, gradients: Sequence[Gradient], rate: float) -> None:
        """Update every weight along its gradient, at a learning rate."""
        super().step(gradients, rate)
        self._steps += 1

    def _step(self, index: int, gradient: Gradient, rate: float) -> None:
        weight = self._weights[index]
        if not (_is_in_one_pass(weight) and isinstance(gradient, WeightGradient)):
            super()._step(index, gradient, rate)
            return
        from genebench.training import adam_in_one_pass  # with numba, which takes half a second

        radial = gradient.radial
        if radial is None:
            radial = torch.zeros(len(weight.master))
        for rows in _pieces(weight.master):
            adam_in_one_pass(
                weight, rows, gradient.first_term(rows, self._scratch), radial[rows],
                (self._first[index], self._second[index]), rate=rate, steps=int(self._steps) + 1,
                betas=(BETA1, BETA2), epsilon=EPSILON,
            )  # fmt: skip

    def _update(
        self, index: int, rows: slice, master: torch.Tensor, gradient: torch.Tensor, rate: float
    ) -> None:
        first, second = self._first[index][rows], self._second[index][rows]
        # The kernel increments the step count that it is given. It is called once for each piece,
        # so it gets a copy.
        adam(
            [master], [gradient], [first], [second], [], [self._steps.clone()],
            fused=True, amsgrad=False, beta1=BETA1, beta2=BETA2, lr=rate, weight_decay=0.0,
            eps=EPSILON, maximize=False,
        )  # fmt: skip

    def state(self) -> dict[str, torch.Tensor]:
        """Return references to both moments and to the number of steps."""
        first = {f"first.{index}": value for index, value in enumerate(self._first)}
        second = {f"second.{index}": value for index, value in enumerate(self._second)}
        return first | second | {"steps": self._steps}


class Momentum(Optimiser):
    """Gradient descent with classical momentum: ``v ← μ v − rate · gradient``, ``w ← w + v``."""

    def __init__(self, weights: Sequence[Weight]) -> None:
        super().__init__(weights)
        self._velocities = self._zeros()

    def _update(
        self, index: int, rows: slice, master: torch.Tensor, gradient: torch.Tensor, rate: float
    ) -> None:
        master += self._velocities[index][rows].mul_(MOMENTUM).add_(gradient, alpha=-rate)

    def state(self) -> dict[str, torch.Tensor]:
        """Return references to the velocities."""
        return {f"velocity.{index}": value for index, value in enumerate(self._velocities)}


OPTIMISERS: dict[str, type[Optimiser]] = {"adam": Adam, "sgd": Momentum}
"""Optimisers by their name in the parameter ``optimiser``."""


def _is_in_one_pass(weight: Weight) -> bool:
    """Return whether products with a weight are bfloat16 on a CPU."""
    return weight.fast.dtype == torch.bfloat16 and weight.fast.device.type == "cpu"


def _pieces(tensor: torch.Tensor) -> Iterator[slice]:
    """Yield the rows that are updated at a time."""
    size = max(1, _PIECE_ELEMENTS[tensor.device.type] * len(tensor) // tensor.numel())
    return (slice(start, start + size) for start in range(0, len(tensor), size))
