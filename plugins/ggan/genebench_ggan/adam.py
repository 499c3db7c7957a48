"""Adam (Kingma & Ba 2015), in one pass over memory whatever the precision of products."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch.optim.adam import adam

from genebench.training.precision import Weight

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
_PIECE = {"cpu": 1 << 21, "cuda": 1 << 24}
"""Elements updated at a time: those that caches hold in every form that an update touches."""


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
    def step(self, gradients: Sequence[torch.Tensor], rate: float) -> None:
        """Descend along gradients, one for each weight, at a learning rate."""
        moments = zip(self._first, self._second, strict=True)
        for weight, gradient, own in zip(self._weights, gradients, moments, strict=True):
            wholes = (weight.master, weight.fast, gradient.contiguous(), *own)
            for pieces in zip(*map(_pieces, wholes), strict=True):
                self._update(pieces, rate)
        self._steps += 1

    def _update(self, pieces: tuple[torch.Tensor, ...], rate: float) -> None:
        master, fast, gradient, first, second = pieces
        # The function counts the step, in the tensor that it is given.
        adam(
            [master], [gradient.to(master.dtype)], [first], [second], [], [self._steps.clone()],
            fused=True, amsgrad=False, beta1=BETA1, beta2=BETA2, lr=rate, weight_decay=0.0,
            eps=EPSILON, maximize=False,
        )  # fmt: skip
        if fast.dtype != master.dtype:
            fast.copy_(master)

    def state(self) -> dict[str, torch.Tensor]:
        """All that it remembers, as references."""
        first = {f"first.{at}": value for at, value in enumerate(self._first)}
        second = {f"second.{at}": value for at, value in enumerate(self._second)}
        return first | second | {"steps": self._steps}


def _pieces(whole: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """A tensor's elements in order, so many at a time."""
    return whole.view(-1).split(_PIECE[whole.device.type])  # type: ignore[no-untyped-call,no-any-return]
