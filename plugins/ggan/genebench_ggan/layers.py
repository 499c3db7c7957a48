"""Linear layers with weight normalisation folded in, and how layers are joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.nn.functional import leaky_relu

Function = Callable[[torch.Tensor], torch.Tensor]
"""Profiles × inputs → profiles × outputs."""


class _Normalised(torch.autograd.Function):
    """``y = g/‖v‖ · z + b`` with ``z = v x``: no normalised copy of v is ever written.

    Of a gradient ``dy`` come ``dx = vᵀ(s dy)``, ``dg = Σ dy z / ‖v‖`` (over the batch) and
    ``dv = (s dy) xᵀ − s (Σ dy z) / ‖v‖² · v``, where ``s = g/‖v‖``; the second term is there
    because ‖v‖ depends on v, too.
    """

    @staticmethod
    def forward(  # noqa: PLR0917  as autograd calls it
        ctx: Any,
        x: torch.Tensor,
        v: torch.Tensor,
        g: torch.Tensor,
        b: torch.Tensor,
        length: torch.Tensor,
    ) -> torch.Tensor:
        z = x @ v.T
        ctx.save_for_backward(x, v, g, length, z)
        return torch.addcmul(b.to(z.dtype), z, (g / length).to(z.dtype))

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        x, v, g, length, z = ctx.saved_tensors
        scaled = dy * (g / length).to(dy.dtype)
        dx = scaled @ v if ctx.needs_input_grad[0] else None
        if not ctx.needs_input_grad[1]:
            return dx, None, None, None, None
        dg = (dy * z).sum(dim=0, dtype=g.dtype) / length
        along = (g * dg / length.square()).to(v.dtype)
        dv = (scaled.T @ x).addcmul_(v, along[:, None], value=-1)
        return dx, dv, dg, dy.sum(dim=0, dtype=g.dtype), None


def normalised(
    x: torch.Tensor,
    v: torch.Tensor,
    g: torch.Tensor,
    b: torch.Tensor,
    length: torch.Tensor | None = None,
) -> torch.Tensor:
    """A linear layer whose weights are ``g v / ‖v‖``, unit by unit (Salimans & Kingma 2016).

    Args:
        x: profiles × inputs.
        v: outputs × inputs, of the type of x.
        g: length of each unit's weights; may be wider than v, as may b and length.
        b: bias of each unit.
        length: ‖v‖ of each unit, where it is known more exactly than v's type would tell.
    """
    known = lengths(v.detach()) if length is None else length
    y: torch.Tensor = _Normalised.apply(x, v, g, b, known)  # type: ignore[no-untyped-call]
    return y


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
