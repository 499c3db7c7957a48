"""Adam (Kingma & Ba 2015) and momentum, in one pass over memory whatever products' precision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence

import torch
from torch.optim.adam import adam

from genebench.training import Weight
from genebench_ggan.layers import Gradient

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
MOMENTUM = 0.5
"""D-GEX's."""
_PIECE = {"cpu": 1 << 22, "cuda": 1 << 24}
"""Elements updated at a time: few enough for caches to hold their gradient, enough for its product
to be fast."""


class Optimiser(ABC):
    """Updates of some weights, and what is remembered between them.

    What is remembered is float32 also where products are bfloat16.
    """

    def __init__(self, weights: Sequence[Weight]) -> None:
        self._weights = weights

    @torch.no_grad()
    def step(self, gradients: Sequence[Gradient], rate: float) -> None:
        """Descend along gradients, one for each weight, at a learning rate."""
        for at, (weight, gradient) in enumerate(zip(self._weights, gradients, strict=True)):
            for rows in _pieces(weight.master):
                master = weight.master[rows]
                self._update(at, rows, master, gradient(rows).to(master.dtype), rate)
                if weight.fast is not weight.master:
                    weight.fast[rows] = master

    @abstractmethod
    def _update(
        self, at: int, rows: slice, master: torch.Tensor, gradient: torch.Tensor, rate: float
    ) -> None:
        """Move some rows of a weight; the gradient may be written over."""

    @abstractmethod
    def state(self) -> dict[str, torch.Tensor]:
        """All that it remembers, as references."""

    def _remembered(self) -> list[torch.Tensor]:
        return [torch.zeros_like(weight.master) for weight in self._weights]


class Adam(Optimiser):
    """Steps by the running mean of gradients over that of their squares.

    In bfloat16's few digits the second moment would not move, as 0.999 of it rounds to itself.
    """

    def __init__(self, weights: Sequence[Weight]) -> None:
        super().__init__(weights)
        self._first, self._second = self._remembered(), self._remembered()
        self._steps = torch.zeros((), device=weights[0].master.device)

    def step(self, gradients: Sequence[Gradient], rate: float) -> None:
        """Descend along gradients, one for each weight, at a learning rate."""
        super().step(gradients, rate)
        self._steps += 1

    def _update(
        self, at: int, rows: slice, master: torch.Tensor, gradient: torch.Tensor, rate: float
    ) -> None:
        first, second = self._first[at][rows], self._second[at][rows]
        # The function counts the step, in the tensor that it is given.
        adam(
            [master], [gradient], [first], [second], [], [self._steps.clone()],
            fused=True, amsgrad=False, beta1=BETA1, beta2=BETA2, lr=rate, weight_decay=0.0,
            eps=EPSILON, maximize=False,
        )  # fmt: skip

    def state(self) -> dict[str, torch.Tensor]:
        """Both moments, and the number of steps."""
        first = {f"first.{at}": value for at, value in enumerate(self._first)}
        second = {f"second.{at}": value for at, value in enumerate(self._second)}
        return first | second | {"steps": self._steps}


class Momentum(Optimiser):
    """Classical momentum: ``v ← μ v − rate · gradient``, ``w ← w + v``."""

    def __init__(self, weights: Sequence[Weight]) -> None:
        super().__init__(weights)
        self._velocities = self._remembered()

    def _update(
        self, at: int, rows: slice, master: torch.Tensor, gradient: torch.Tensor, rate: float
    ) -> None:
        master += self._velocities[at][rows].mul_(MOMENTUM).add_(gradient, alpha=-rate)

    def state(self) -> dict[str, torch.Tensor]:
        """The velocities."""
        return {f"velocity.{at}": value for at, value in enumerate(self._velocities)}


OPTIMISERS: dict[str, type[Optimiser]] = {"adam": Adam, "sgd": Momentum}
"""By the name that the parameter has for them."""


def _pieces(whole: torch.Tensor) -> Iterator[slice]:
    """Rows that are updated at a time."""
    size = max(1, _PIECE[whole.device.type] * len(whole) // whole.numel())
    return (slice(start, start + size) for start in range(0, len(whole), size))
