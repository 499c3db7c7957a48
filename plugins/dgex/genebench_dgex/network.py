"""One D-GEX network: landmarks → tanh layers → targets, and its step of gradient descent.

The gradient is written out instead of left to autograd: classical momentum, ``v ← μ v − lr · g``
with ``g = δᵀ h``, is then one matrix product that adds into v, and no gradient is ever stored.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch
from torch.nn.functional import linear

from genebench.training import Weight, bernoulli

OUTPUT_SPREAD = 1e-4
"""Half-width of the uniform distribution that output weights start from."""
FASTER = 3.0
"""Times the learning rate: every weight matrix but the first."""
DROP, FLOOR = 0.9, 1e-5
"""What the learning rate is multiplied by when the training error rose, and where that ends."""


class Network:
    """A network in training.

    Products, activations and velocities are of type ``dtype``; weights add up in float32 (in
    float64 where ``dtype`` is that).

    Args:
        sizes: landmarks, units of each hidden layer, targets.
        rate: learning rate at the start.
        momentum: μ.
        dropout: share of hidden units that are zeroed.
        dtype: float32, bfloat16; float64 to compare with.
        device: where it lives.
        random: a generator of the CPU, for the first weights: they are the same on any device.
    """

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        rate: float,
        momentum: float,
        dropout: float,
        dtype: torch.dtype,
        device: str,
        random: torch.Generator,
    ) -> None:
        kind = torch.promote_types(dtype, torch.float32)
        bounds = [math.sqrt(6 / (i + o)) for i, o in pairwise(sizes[:-1])]
        shapes = zip(sizes[1:], sizes[:-1], [*bounds, OUTPUT_SPREAD], strict=True)
        self.weights = [
            Weight(
                torch.empty(o, i, dtype=kind).uniform_(-b, b, generator=random).to(device), dtype
            )
            for o, i, b in shapes
        ]
        self.biases = [torch.zeros(o, dtype=kind, device=device) for o in sizes[1:]]
        self.velocities = [torch.zeros_like(weight.fast) for weight in self.weights]
        self.bias_velocities = [torch.zeros_like(bias) for bias in self.biases]
        self.rate = torch.tensor(rate, dtype=torch.float64)
        self.error = torch.tensor(math.inf, dtype=torch.float64)
        self.momentum, self.dropout, self.dtype = momentum, dropout, dtype

    def begin_epoch(self, random: torch.Generator) -> None:
        """Take the generator for this epoch's dropout."""
        self.random = random
        for weight in self.weights:
            weight.refresh()

    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Profiles × landmarks → profiles × targets, without dropout."""
        hidden = landmarks.to(self.dtype)
        for at in range(len(self.weights) - 1):
            hidden = self._linear(at, hidden).tanh_()
        return self._linear(-1, hidden).float()

    def step(self, landmarks: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Descend on a mini-batch; its squared error, summed over profiles and genes."""
        inputs, slopes = [landmarks.to(self.dtype)], []
        for at in range(len(self.weights) - 1):
            hidden = self._linear(at, inputs[-1]).tanh_()
            slope = hidden.square().neg_().add_(1)
            if self.dropout:
                mask = self._mask(hidden)
                hidden *= mask
                slope *= mask
            inputs.append(hidden)
            slopes.append(slope)
        gap = self._linear(-1, inputs[-1]) - targets
        self._descend(inputs, slopes, gap)
        return gap.square().sum()

    def _linear(self, at: int, inputs: torch.Tensor) -> torch.Tensor:
        return linear(inputs, self.weights[at].fast, self.biases[at].to(self.dtype))

    def _mask(self, hidden: torch.Tensor) -> torch.Tensor:
        """Inverted dropout: 0, or 1 over the share that is kept."""
        return bernoulli(hidden.shape, 1 - self.dropout, self.random, self.dtype)

    def _descend(
        self, inputs: Sequence[torch.Tensor], slopes: Sequence[torch.Tensor], gap: torch.Tensor
    ) -> None:
        """Carry the error back, and move every layer once it is no longer needed for that.

        The loss is the batch's mean of the genes' sum of squares: its gradient is ``2 gap / n``.
        """
        rate = -2 * float(self.rate) / len(gap)
        delta = gap.to(self.dtype)
        for at in reversed(range(len(inputs))):
            weight, velocity = self.weights[at], self.velocities[at]
            before = delta @ weight.fast if at else None
            faster = FASTER if at else 1.0
            turned = delta.T
            if self.dtype == torch.bfloat16:
                # The CPU's product of narrow numbers is several times as fast on rows in order.
                turned = turned.contiguous()
            velocity.addmm_(turned, inputs[at], beta=self.momentum, alpha=rate * faster)
            weight.add_(velocity)
            pull = delta.sum(dim=0, dtype=self.biases[at].dtype)
            self.bias_velocities[at].mul_(self.momentum).add_(pull, alpha=rate)
            self.biases[at].add_(self.bias_velocities[at])
            if before is not None:
                delta = before.mul_(slopes[at - 1])

    def end_epoch(self, error: float) -> None:
        """Slow down when the error on the training profiles rose."""
        if error > float(self.error):
            self.rate.copy_(torch.maximum(self.rate * DROP, self.rate.clamp(max=FLOOR)))
        self.error.fill_(error)

    def parameters(self) -> dict[str, torch.Tensor]:
        """Weights (outputs × inputs) and biases by name and layer, as references."""
        weights = {f"weight.{at}": weight.master for at, weight in enumerate(self.weights)}
        return weights | {f"bias.{at}": bias for at, bias in enumerate(self.biases)}

    def state(self) -> dict[str, torch.Tensor]:
        """All that its training depends on, as references."""
        velocities = {f"velocity.{at}": value for at, value in enumerate(self.velocities)}
        velocities |= {f"push.{at}": value for at, value in enumerate(self.bias_velocities)}
        return self.parameters() | velocities | {"rate": self.rate, "error": self.error}


def count(sizes: Sequence[int]) -> int:
    """Weights and biases of a network of these sizes."""
    return sum((i + 1) * o for i, o in pairwise(sizes))
