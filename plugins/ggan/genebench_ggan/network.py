"""The architecture of generator and discriminator, and a network in training."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn.functional import leaky_relu

from genebench.training import Weight, bernoulli
from genebench_ggan.fast_linear import FastLinear, Gradient, LayerCache

Function = Callable[[torch.Tensor], torch.Tensor]
"""Profiles × inputs → profiles × outputs."""


def activation(params: Mapping[str, Any]) -> Function:
    """Return the activation of hidden units."""
    if params["activation"] == "tanh":
        return torch.tanh
    return partial(leaky_relu, negative_slope=params["slope"])


def dense_layers(params: Mapping[str, Any]) -> tuple[bool, ...]:
    """Return for each layer of the generator whether it is densely connected.

    A densely connected layer sees the landmarks and all layers before it (DenseNet, §4.1.4). Any
    other layer sees only the one before it.
    """
    return (*[params["dense"]] * params["layers"], params["output_sees"] == "all")


def layer_shapes(
    widths: Sequence[int], dense: Sequence[bool], combine: str = "concat"
) -> list[tuple[int, int]]:
    """Return outputs × inputs of each layer.

    Args:
        widths: inputs of the network, units of each hidden layer, outputs.
        dense: for each layer, whether it is densely connected.
        combine: ``concat`` or ``add``, for densely connected layers.
    """
    return [
        (width, sum(widths[:layer]) if is_dense and combine == "concat" else widths[layer - 1])
        for layer, (width, is_dense) in enumerate(zip(widths[1:], dense, strict=True), start=1)
    ]


def forward(
    layers: Sequence[Function],
    dense: Sequence[bool],
    activate: Function,
    inputs: torch.Tensor,
    combine: str = "concat",
) -> torch.Tensor:
    """Return the network's outputs. ``activate`` follows every layer but the last."""
    *hidden, output = layers
    seen = [inputs]
    for layer, is_dense in zip(hidden, dense[:-1], strict=True):
        seen.append(activate(layer(_layer_input(seen, is_dense, combine))))
    return output(_layer_input(seen, dense[-1], combine))


def _layer_input(seen: Sequence[torch.Tensor], is_dense: bool, combine: str) -> torch.Tensor:
    """Return what a layer sees of the landmarks and the hidden layers before it."""
    if not is_dense or len(seen) == 1:
        return seen[-1]
    if combine == "concat":
        return torch.cat(list(seen), dim=1)
    # The landmarks have another width than the hidden layers, so they cannot be added.
    return torch.stack(list(seen[1:])).sum(dim=0)


class Dropout:
    """Inverted dropout: a share of values becomes zero, and the others are scaled up."""

    def __init__(self, share: float, random: torch.Generator) -> None:
        self._kept_share, self._random = 1 - share, random

    def __call__(self, values: torch.Tensor) -> torch.Tensor:
        """Return values under a fresh mask."""
        if self._kept_share == 1:
            return values
        return values * bernoulli(values.shape, self._kept_share, self._random, values.dtype)


class Network:
    """Linear layers, with or without weight normalisation, and an activation between them.

    Products and activations are of type ``dtype``. Weights, biases and gains are updated in float32
    (in float64 where ``dtype`` is that).

    Args:
        widths: inputs, units of each hidden layer, outputs.
        dense: for each layer, whether it is densely connected.
        combine: how densely connected layers see hidden layers: ``concat`` or ``add``.
        activate: activation of hidden units.
        norm: ``weight`` or ``none``.
        dtype: float32 or bfloat16 (float64 in tests).
        device: ``cpu`` or ``cuda``.
        random: a generator on the CPU for the first weights, so that they are the same on any
            device.
    """

    def __init__(
        self,
        widths: Sequence[int],
        *,
        dense: Sequence[bool],
        combine: str = "concat",
        activate: Function,
        norm: str,
        dtype: torch.dtype,
        device: str,
        random: torch.Generator,
    ) -> None:
        self.dense, self.activate, self.dtype = dense, activate, dtype
        self._combine = combine
        exact = torch.promote_types(dtype, torch.float32)
        self.layers = [
            FastLinear(_xavier(shape, exact, random).to(device), norm, dtype)
            for shape in layer_shapes(widths, dense, combine)
        ]

    @property
    def trainable(self) -> list[Weight]:
        """Weights, biases and gains of all layers, in the order of :meth:`gradients`."""
        return [weight for layer in self.layers for weight in layer.trainable.values()]

    def __call__(
        self,
        inputs: torch.Tensor,
        caches: list[LayerCache] | None = None,
        dropout: Function | None = None,
    ) -> torch.Tensor:
        """Return profiles × outputs in float32 (or float64), for profiles × inputs.

        Args:
            inputs: profiles × inputs.
            caches: a list that receives each layer's cache, for :meth:`gradients`. Without it,
                gradients by the inputs still flow through the network.
            dropout: dropout of hidden units. Every layer that sees a unit sees it dropped or kept
                alike.
        """

        def activate(values: torch.Tensor) -> torch.Tensor:
            active = self.activate(values)
            return dropout(active) if dropout else active

        layers = [partial(_apply, layer, caches) for layer in self.layers]
        outputs = forward(layers, self.dense, activate, inputs.to(self.dtype), self._combine)
        return outputs.to(torch.promote_types(self.dtype, torch.float32))

    def gradients(self, loss: torch.Tensor, caches: Sequence[LayerCache]) -> list[Gradient]:
        """Return the gradients of a loss, in the order of :attr:`trainable`.

        They are computed when called, from the weights of that moment. So a weight's gradient must
        be read before the weight is changed.
        """
        dys = torch.autograd.grad(loss, [cache.y for cache in caches])
        return [
            gradient
            for layer, cache, dy in zip(self.layers, caches, dys, strict=True)
            for gradient in layer.gradients(cache, dy)
        ]

    def refresh(self) -> None:
        """Update the copies that products read from weights that a checkpoint restored."""
        for weight in self.trainable:
            weight.refresh()

    def parameters(self) -> dict[str, torch.Tensor]:
        """Return references to weights, biases and gains by name and layer (``weight.0``, …)."""
        return {
            f"{name}.{index}": weight.master
            for index, layer in enumerate(self.layers)
            for name, weight in layer.trainable.items()
        }


def _apply(layer: FastLinear, caches: list[LayerCache] | None, x: torch.Tensor) -> torch.Tensor:
    cache = layer(x)
    if caches is not None:
        # Autograd differentiates down to each y, and the layer does the rest by hand. The first
        # layer's y depends on no tensor that autograd follows, so it is marked here.
        cache.y.requires_grad_()
        caches.append(cache)
    return cache.y


def _xavier(shape: tuple[int, int], dtype: torch.dtype, random: torch.Generator) -> torch.Tensor:
    """Return weights uniform on ±√(6 / (inputs + outputs)) (Glorot & Bengio 2010)."""
    bound = math.sqrt(6 / sum(shape))
    return torch.empty(shape, dtype=dtype).uniform_(-bound, bound, generator=random)
