"""A network in training: generator or discriminator."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from genebench.training import Weight
from genebench_ggan.layers import Function, Gradient, Layer, Passed, flow, shapes

Tape = list[Passed]
"""What went through each layer."""


class Network:
    """Linear layers, each under weight normalisation or not, and an activation between them.

    Products and activations are of type ``dtype``; all that is learnt adds up in float32 (in
    float64 where ``dtype`` is that).

    Args:
        widths: inputs, units of each hidden layer, outputs.
        sees_all: for each layer, whether it sees the input and all layers before it.
        activate: activation of hidden units.
        norm: ``weight`` or ``none``.
        dtype: float32, bfloat16; float64 to compare with.
        device: where it lives.
        random: a generator of the CPU, for the first weights: they are the same on any device.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        sees_all: Sequence[bool],
        activate: Function,
        norm: str,
        dtype: torch.dtype,
        device: str,
        random: torch.Generator,
    ) -> None:
        self.sees_all, self.activate, self.dtype = sees_all, activate, dtype
        kind = torch.promote_types(dtype, torch.float32)
        self.layers = [
            Layer(_xavier(shape, kind, random).to(device), norm, dtype)
            for shape in shapes(widths, sees_all)
        ]

    @property
    def learnt(self) -> list[Weight]:
        """All that is learnt, in the order of :meth:`gradients`."""
        return [weight for layer in self.layers for weight in layer.learnt.values()]

    def __call__(
        self, inputs: torch.Tensor, tape: Tape | None = None, drop: Function | None = None
    ) -> torch.Tensor:
        """Profiles × inputs → profiles × outputs, float32 (or float64).

        Args:
            inputs: profiles × inputs.
            tape: takes what :meth:`gradients` needs; without one the network is a constant.
            drop: dropout of hidden units. What is dropped of one is so for all that see it.
        """
        layers = [self._function(layer, tape) for layer in self.layers]
        found = flow(layers, self.sees_all, self._hidden(drop), inputs.to(self.dtype))
        return found.to(torch.promote_types(self.dtype, torch.float32))

    def _hidden(self, drop: Function | None) -> Function:
        return (lambda values: drop(self.activate(values))) if drop else self.activate

    @staticmethod
    def _function(layer: Layer, tape: Tape | None) -> Function:
        def through(x: torch.Tensor) -> torch.Tensor:
            passed = layer(x)
            if tape is not None:
                passed.y.requires_grad_()
                tape.append(passed)
            return passed.y

        return through

    def gradients(self, loss: torch.Tensor, tape: Tape) -> list[Gradient]:
        """Gradients of a loss by all that is learnt, in the order of :attr:`learnt`.

        They are worked out when asked for, from weights of now: for a weight, before it is changed.
        """
        errors = torch.autograd.grad(loss, [passed.y for passed in tape])
        return [
            gradient
            for layer, passed, error in zip(self.layers, tape, errors, strict=True)
            for gradient in layer.gradients(passed, error)
        ]

    def refresh(self) -> None:
        """Make what products read agree with what was restored."""
        for weight in self.learnt:
            weight.refresh()

    def parameters(self) -> dict[str, torch.Tensor]:
        """All that is learnt by name and layer (``weight.0``, …), as references."""
        return {
            f"{name}.{at}": weight.master
            for at, layer in enumerate(self.layers)
            for name, weight in layer.learnt.items()
        }


def _xavier(shape: tuple[int, int], kind: torch.dtype, random: torch.Generator) -> torch.Tensor:
    """Uniform on ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010)."""
    bound = math.sqrt(6 / sum(shape))
    return torch.empty(shape, dtype=kind).uniform_(-bound, bound, generator=random)
