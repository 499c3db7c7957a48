"""Adam (Kingma & Ba 2015), in one pass over memory whatever the precision of products."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch.optim.adam import adam

from genebench.training.precision import Weight
from genebench_ggan.layers import Gradient

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
_PIECE = {"cpu": 1 << 22, "cuda": 1 << 24}
"""Elements updated at a time: few enough for caches to hold their gradient, enough for its product
to be fast."""
Moments = tuple[torch.Tensor, torch.Tensor]


class Adam:
    """Updates of some weights, and what is remembered between them.

    Both moments are float32 also where products are bfloat16: in so few digits the second one
    would not move, as 0.999 of it rounds to itself.
    """

    def __init__(self, weights: Sequence[Weight]) -> None:
        self._weights = weights
        self._first = [torch.zeros_like(weight.master) for weight in weights]
        self._second = [torch.zeros_like(weight.master) for weight in weights]
        self._steps = torch.zeros((), device=weights[0].master.device)

    @torch.no_grad()
    def step(self, gradients: Sequence[Gradient], rate: float) -> None:
        """Descend along gradients, one for each weight, at a learning rate."""
        every = zip(self._weights, gradients, self._first, self._second, strict=True)
        for weight, gradient, first, second in every:
            for rows in _pieces(weight.master):
                master, own = weight.master[rows], (first[rows], second[rows])
                self._update(master, gradient(rows).to(master.dtype), own, rate)
                if weight.fast is not weight.master:
                    weight.fast[rows] = master
        self._steps += 1

    def _update(
        self, master: torch.Tensor, gradient: torch.Tensor, moments: Moments, rate: float
    ) -> None:
        first, second = moments
        # The function counts the step, in the tensor that it is given.
        adam(
            [master], [gradient], [first], [second], [], [self._steps.clone()],
            fused=True, amsgrad=False, beta1=BETA1, beta2=BETA2, lr=rate, weight_decay=0.0,
            eps=EPSILON, maximize=False,
        )  # fmt: skip

    def state(self) -> dict[str, torch.Tensor]:
        """All that it remembers, as references."""
        first = {f"first.{at}": value for at, value in enumerate(self._first)}
        second = {f"second.{at}": value for at, value in enumerate(self._second)}
        return first | second | {"steps": self._steps}


def _pieces(whole: torch.Tensor) -> Iterator[slice]:
    """Rows that are updated at a time."""
    size = max(1, _PIECE[whole.device.type] * len(whole) // whole.numel())
    return (slice(start, start + size) for start in range(0, len(whole), size))
