"""A network in training: generator or discriminator."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial

import torch
from torch.nn.functional import linear

from genebench.training.precision import Weight
from genebench_ggan.layers import Function, flow, lengths, normalised, shapes

Tensors = Sequence[torch.Tensor]


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
        self.layers: list[dict[str, Weight]] = []
        """For each: ``weight`` (v, outputs × inputs), ``bias``, and ``gain`` (g) if normalised."""
        for shape in shapes(widths, sees_all):
            first = _xavier(shape, kind, random).to(device)
            bias = torch.zeros(shape[0], dtype=kind, device=device)
            layer = {"weight": Weight(first, dtype), "bias": Weight(bias, kind)}
            if norm == "weight":
                layer["gain"] = Weight(lengths(first), kind)
            self.layers.append(layer)

    @property
    def learnt(self) -> list[Weight]:
        """All that is learnt, in the order of :meth:`leaves`."""
        return [weight for layer in self.layers for weight in layer.values()]

    def leaves(self) -> list[torch.Tensor]:
        """What products read, as leaves to differentiate by; they share memory with it."""
        return [weight.fast.detach().requires_grad_() for weight in self.learnt]

    def __call__(
        self, inputs: torch.Tensor, leaves: Tensors = (), drop: Function | None = None
    ) -> torch.Tensor:
        """Profiles × inputs → profiles × outputs, float32 (or float64).

        Args:
            inputs: profiles × inputs.
            leaves: those to differentiate by; without them the network is a constant.
            drop: dropout of hidden units. What is dropped of one is so for all that see it.
        """
        layers = self._functions(leaves or [weight.fast for weight in self.learnt])
        found = flow(layers, self.sees_all, self._hidden(drop), inputs.to(self.dtype))
        return found.to(torch.promote_types(self.dtype, torch.float32))

    def _hidden(self, drop: Function | None) -> Function:
        return (lambda values: drop(self.activate(values))) if drop else self.activate

    def _functions(self, values: Tensors) -> list[Function]:
        left = iter(values)
        return [
            self._function(layer, {name: next(left) for name in layer}) for layer in self.layers
        ]

    def _function(self, layer: dict[str, Weight], now: dict[str, torch.Tensor]) -> Function:
        if "gain" not in layer:
            return partial(linear, weight=now["weight"], bias=now["bias"].to(self.dtype))
        length = lengths(layer["weight"].master)
        return partial(normalised, v=now["weight"], g=now["gain"], b=now["bias"], length=length)

    def refresh(self) -> None:
        """Make what products read agree with what was restored."""
        for weight in self.learnt:
            weight.refresh()

    def parameters(self) -> dict[str, torch.Tensor]:
        """All that is learnt by name and layer (``weight.0``, …), as references."""
        return {
            f"{name}.{at}": weight.master
            for at, layer in enumerate(self.layers)
            for name, weight in layer.items()
        }


def _xavier(shape: tuple[int, int], kind: torch.dtype, random: torch.Generator) -> torch.Tensor:
    """Uniform on ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010)."""
    bound = math.sqrt(6 / sum(shape))
    return torch.empty(shape, dtype=kind).uniform_(-bound, bound, generator=random)
