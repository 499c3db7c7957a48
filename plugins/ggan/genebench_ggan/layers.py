"""Linear layers with weight normalisation folded in, and how layers are joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.nn.functional import leaky_relu, linear

from genebench.training import Weight

Function = Callable[[torch.Tensor], torch.Tensor]
"""Profiles × inputs → profiles × outputs."""


Gradient = Callable[[slice], torch.Tensor]
"""Rows of a gradient. Nothing keeps the whole: it would cost a pass over memory to write and read
it, and on a CPU to be given the memory costs more than that."""


class Passed(NamedTuple):
    """What went through a layer: ``y = s z + b`` with ``z = v x``."""

    x: torch.Tensor
    z: torch.Tensor
    y: torch.Tensor
    length: torch.Tensor
    """‖v‖ of each unit; of none that are not normalised."""


class Layer:
    """A linear layer; normalised, its weights are ``g v / ‖v‖`` by unit (Salimans & Kingma 2016).

    The normalised weights are never written: they act as ``y = s z + b`` with ``z = v x`` and
    ``s = g/‖v‖``. Autograd carries errors back to ``x`` alone. What ``v``, ``g`` and ``b`` get is
    written out in :meth:`gradients`.

    Args:
        first: v to start from, outputs × inputs; its lengths are the first gains.
        norm: ``weight`` or ``none``.
        dtype: of x, and of v where products read it.
    """

    def __init__(self, first: torch.Tensor, norm: str, dtype: torch.dtype) -> None:
        kind, self._dtype = first.dtype, dtype
        self.weight = Weight(first, dtype)
        self.learnt = {"weight": self.weight, "bias": Weight(first.new_zeros(len(first)), kind)}
        if norm == "weight":
            self.learnt["gain"] = Weight(lengths(first), kind)

    def __call__(self, x: torch.Tensor) -> Passed:
        """Profiles × inputs → profiles × outputs, and what gradients are made of."""
        bias = self.learnt["bias"].master.to(self._dtype)
        if "gain" not in self.learnt:
            y = linear(x, self.weight.fast, bias)
            return Passed(x, y, y, bias.new_empty(0))
        z, length = linear(x, self.weight.fast), lengths(self.weight.master)
        scale = self.learnt["gain"].master / length
        return Passed(x, z, torch.addcmul(bias, z, scale.to(self._dtype)), length)

    @torch.no_grad()
    def gradients(self, passed: Passed, dy: torch.Tensor) -> list[Gradient]:
        """Gradients of what is learnt, in the order of ``learnt``, given that of y.

        ``db = Σ dy``, ``dg = Σ dy z / ‖v‖`` (both over the batch) and
        ``dv = (s dy)ᵀ x − s (Σ dy z)/‖v‖² · v``; the second term is there because ‖v‖ depends on v.
        """
        v = self.weight.master
        db = dy.sum(dim=0, dtype=v.dtype)
        if "gain" not in self.learnt:
            return [_Outer(dy, passed.x, v), db.__getitem__]
        g, length = self.learnt["gain"].master, passed.length
        dg = (dy * passed.z).sum(dim=0, dtype=v.dtype) / length
        scaled = dy * (g / length).to(dy.dtype)
        outer = _Outer(scaled, passed.x, v, g * dg / length.square())
        return [outer, db.__getitem__, dg.__getitem__]


class _Outer:
    """Rows of ``dyᵀ x − along · v``, of the type of v."""

    def __init__(
        self, dy: torch.Tensor, x: torch.Tensor, v: torch.Tensor, along: torch.Tensor | None = None
    ) -> None:
        # The CPU's product of narrow numbers is several times as fast on rows in order.
        self._turned, self._x, self._v, self._along = dy.T.contiguous(), x, v, along

    def __call__(self, rows: slice) -> torch.Tensor:
        found = (self._turned[rows] @ self._x).to(self._v.dtype)
        if self._along is None:
            return found
        return found.addcmul_(self._v[rows], self._along[rows, None], value=-1)


def lengths(v: torch.Tensor) -> torch.Tensor:
    """‖v‖ of each row."""
    found: torch.Tensor = torch.linalg.vector_norm(v, dim=1)
    return found


def activation(params: Mapping[str, Any]) -> Function:
    """What hidden units make of their input."""
    if params["activation"] == "tanh":
        return torch.tanh
    return partial(leaky_relu, negative_slope=params["slope"])


def views(params: Mapping[str, Any]) -> tuple[bool, ...]:
    """For each layer of the generator: whether it sees all layers before it, or only the last."""
    return (*[params["dense"]] * params["layers"], params["output_sees"] == "all")


def shapes(widths: Sequence[int], sees_all: Sequence[bool]) -> list[tuple[int, int]]:
    """Outputs × inputs of each layer.

    Args:
        widths: inputs of the network, units of each hidden layer, outputs.
        sees_all: for each layer, whether it sees the input and all layers before it.
    """
    return [
        (width, sum(widths[:at]) if everything else widths[at - 1])
        for at, (width, everything) in enumerate(zip(widths[1:], sees_all, strict=True), start=1)
    ]


def flow(
    layers: Sequence[Function],
    sees_all: Sequence[bool],
    activate: Function,
    inputs: torch.Tensor,
) -> torch.Tensor:
    """Send profiles through layers; ``activate`` comes after every one but the last."""
    *hidden, output = layers
    seen = [inputs]
    for layer, everything in zip(hidden, sees_all[:-1], strict=True):
        seen.append(activate(layer(_joined(seen, everything))))
    return output(_joined(seen, sees_all[-1]))


def _joined(seen: Sequence[torch.Tensor], everything: bool) -> torch.Tensor:
    return torch.cat(list(seen), dim=1) if everything and len(seen) > 1 else seen[-1]
