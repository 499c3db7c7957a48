"""One D-GEX network: landmarks → tanh layers → targets, and its step of gradient descent.

The gradient is written by hand instead of left to autograd. Classical momentum is
``v ← μ v − lr · g``, and the gradient of a weight matrix is ``g = δᵀ h``. So an update is one
matrix product that adds into ``v``, and no gradient is ever stored.

The measured gain, from ``benchmarks/README.md``: 943 landmarks, 9,520 targets, two networks of
3 × 3000, batches of 200, two virtual cores of an Intel Xeon with AMX, torch 2.13.0. A step is 1.4
times as fast as a plain PyTorch loop in float32, and 2.2 times in bfloat16.

Constants are those of the code that Chen et al. (2016) published.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import torch

from genebench.training import Weight, bernoulli, product

OUTPUT_BOUND = 1e-4
"""Half-width of the uniform distribution of the first output weights."""
RATE_FACTOR = 3.0
"""Factor of the learning rate for every weight matrix but the first."""
RATE_DECAY = 0.9
"""Factor of the learning rate after an epoch in which the training error rose."""
RATE_FLOOR = 1e-5
"""Learning rate at which the decay ends."""


class Network:
    """A network in training.

    Products, activations and velocities are of type ``dtype``. Weights and biases are updated in
    float32 (in float64 where ``dtype`` is that).

    Args:
        sizes: landmarks, units of each hidden layer, targets.
        rate: learning rate at the start.
        momentum: μ.
        dropout: share of hidden units that are zeroed.
        dtype: float32 or bfloat16 (float64 in tests).
        device: ``cpu`` or ``cuda``.
        random: a generator on the CPU for the first weights, so that they are the same on any
            device.
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
        exact = torch.promote_types(dtype, torch.float32)
        bounds = [math.sqrt(6 / (i + o)) for i, o in pairwise(sizes[:-1])]
        shapes = zip(sizes[1:], sizes[:-1], [*bounds, OUTPUT_BOUND], strict=True)
        self.weights = [
            Weight(
                torch.empty(o, i, dtype=exact).uniform_(-b, b, generator=random).to(device), dtype
            )
            for o, i, b in shapes
        ]
        self.biases = [torch.zeros(o, dtype=exact, device=device) for o in sizes[1:]]
        self.velocities = [torch.zeros_like(weight.fast) for weight in self.weights]
        self.bias_velocities = [torch.zeros_like(bias) for bias in self.biases]
        # Tensors, because a checkpoint holds the values of tensors.
        self.rate = torch.tensor(rate, dtype=torch.float64)
        self.error = torch.tensor(math.inf, dtype=torch.float64)
        self.momentum, self.dropout, self.dtype = momentum, dropout, dtype

    def begin_epoch(self, random: torch.Generator) -> None:
        """Set the generator of this epoch's dropout, and the copies that products read."""
        self.random = random
        for weight in self.weights:
            weight.refresh()

    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Return profiles × targets in float32 for profiles × landmarks, without dropout."""
        hidden = landmarks.to(self.dtype)
        for layer in range(len(self.weights) - 1):
            hidden = self._linear(layer, hidden).tanh_()
        return self._linear(-1, hidden).float()

    def step(self, landmarks: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        """Descend on a mini-batch, and return its squared error, summed over profiles and genes."""
        inputs, slopes = [landmarks.to(self.dtype)], []
        for layer in range(len(self.weights) - 1):
            hidden = self._linear(layer, inputs[-1]).tanh_()
            # The derivative of tanh is 1 − tanh². Dropout multiplies it by the same mask.
            slope = hidden.square().neg_().add_(1)
            if self.dropout:
                mask = self._mask(hidden)
                hidden *= mask
                slope *= mask
            inputs.append(hidden)
            slopes.append(slope)
        residual = self._linear(-1, inputs[-1]) - targets
        self._descend(inputs, slopes, residual)
        return residual.square().sum()

    def _linear(self, layer: int, inputs: torch.Tensor) -> torch.Tensor:
        return product(inputs, self.weights[layer].fast, self.biases[layer].to(self.dtype))

    def _mask(self, hidden: torch.Tensor) -> torch.Tensor:
        """Return a mask of inverted dropout: 0, or 1 over the share that is kept."""
        return bernoulli(hidden.shape, 1 - self.dropout, self.random, self.dtype)

    def _descend(
        self, inputs: Sequence[torch.Tensor], slopes: Sequence[torch.Tensor], residual: torch.Tensor
    ) -> None:
        """Propagate the error back, and update each layer as soon as its weights were used for it.

        The loss is the batch's mean of the genes' sum of squares. Its gradient by the outputs is
        ``2 · residual / n``.
        """
        rate = -2 * float(self.rate) / len(residual)
        delta = residual.to(self.dtype)
        for layer in reversed(range(len(inputs))):
            weight, velocity = self.weights[layer], self.velocities[layer]
            # The layer below needs the weights as they were before the update.
            before = delta @ weight.fast if layer else None
            factor = RATE_FACTOR if layer else 1.0
            delta_rows = delta.T
            if self.dtype == torch.bfloat16:
                # On the CPU, products of a transposed bfloat16 matrix take two to four times as
                # long as those of contiguous rows (benchmarks/README.md).
                delta_rows = delta_rows.contiguous()
            velocity.addmm_(delta_rows, inputs[layer], beta=self.momentum, alpha=rate * factor)
            weight.add_(velocity)
            bias_gradient = delta.sum(dim=0, dtype=self.biases[layer].dtype)
            self.bias_velocities[layer].mul_(self.momentum).add_(bias_gradient, alpha=rate)
            self.biases[layer].add_(self.bias_velocities[layer])
            if before is not None:
                delta = before.mul_(slopes[layer - 1])

    def end_epoch(self, error: float) -> None:
        """Lower the learning rate if the error on the monitored training profiles rose.

        A rate that starts below :data:`RATE_FLOOR` stays as it is.
        """
        if error > float(self.error):
            lowest = self.rate.clamp(max=RATE_FLOOR)
            self.rate.copy_(torch.maximum(self.rate * RATE_DECAY, lowest))
        self.error.fill_(error)

    def parameters(self) -> dict[str, torch.Tensor]:
        """Return references to weights (outputs × inputs) and biases, by name and layer."""
        weights = {f"weight.{layer}": weight.master for layer, weight in enumerate(self.weights)}
        return weights | {f"bias.{layer}": bias for layer, bias in enumerate(self.biases)}

    def state(self) -> dict[str, torch.Tensor]:
        """Return references to every tensor that training depends on."""
        velocities = {f"velocity.{layer}": value for layer, value in enumerate(self.velocities)}
        velocities |= {
            f"bias_velocity.{layer}": value for layer, value in enumerate(self.bias_velocities)
        }
        return self.parameters() | velocities | {"rate": self.rate, "error": self.error}
