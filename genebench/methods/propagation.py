"""Relevance of landmarks in networks of torch.

The network's own code is run under a rule. No layer is described twice, so the relevance is that of
the network that predicts. In every rule, the relevance of a landmark is its value times a slope.

Layer-wise relevance propagation (Bach et al. 2015) passes the relevance of a unit on to its inputs,
in the shares that they have in its input ``z = Σ w x + b``. In terms of slopes, linear layers pass
on gradients as ever, and an activation g has, in place of its derivative, the quotient
``(g(z) − g(0)) / (z + ε sign z)`` (LRP-ε; Ancona et al. 2018, Table 1, for g(0) = 0). So
concatenations and sums of layers need no rule, and neither does batch normalisation, which is
linear once it is trained.

With these quotients fixed, the network is an affine function of its landmarks. Its slopes give the
relevance, and its value at 0 is the part that biases carry.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from genebench.method import Attribution
from genebench.methods.relevance import LRP_EPSILON, LRP_GAMMA, NETWORK_RULES, quadrature

EPSILON = 1e-7
"""ε, in the unit of z, which is about 1. That is float32's rounding of 1, so quotients of rounded
numbers stay below 1. A larger ε absorbs relevance."""
GAMMA = 0.25
"""γ, the factor of parts that have the sign of their sum (Montavon et al. 2019)."""

Function = Callable[..., Any]
Affine = Callable[[Tensor], Tensor]

_NAMES = (
    "celu", "elu", "erf", "gelu", "hardsigmoid", "hardswish", "hardtanh", "leaky_relu",
    "logsigmoid", "mish", "prelu", "relu", "relu6", "selu", "sigmoid", "silu", "softplus",
    "softsign", "tanh", "tanhshrink",
)  # fmt: skip
ACTIVATIONS: frozenset[Function] = frozenset(
    getattr(owner, name)
    for owner in (torch, torch.Tensor, functional)
    for stem in _NAMES
    for name in (stem, f"{stem}_")
    if hasattr(owner, name)
)
"""Functions that are replaced by quotients. Any other keeps its gradient."""
LINEAR: Mapping[Function, Callable[..., tuple[Tensor, Tensor, Tensor | None]]] = {
    functional.linear: lambda x, weight, bias=None: (x, weight, bias),
    torch.addmm: lambda bias, x, weight: (x, weight.T, bias),
    torch.matmul: lambda x, weight: (x, weight.T, None),
    torch.mm: lambda x, weight: (x, weight.T, None),
    torch.Tensor.matmul: lambda x, weight: (x, weight.T, None),
    torch.Tensor.__matmul__: lambda x, weight: (x, weight.T, None),
}
"""Function → its inputs, weights (outputs × inputs) and bias. LRP-γ replaces them."""


def network_relevance(
    total: Callable[[Tensor], Tensor],
    landmarks: NDArray[np.float32],
    rule: str,
    device: torch.device | str = "cpu",
) -> Attribution:
    """Return the relevance of landmarks for the output of a network.

    Args:
        total: function of profiles × landmarks that returns one number per profile: the weighted
            sum of targets. Multiply the last layer by the weights rather than its outputs. That
            makes a pass twice as fast where there are many targets. The parameters must not
            require gradients, and dropout must be off.
        landmarks: profiles × landmarks, standardised.
        rule: one of :data:`NETWORK_RULES`.
        device: device of the network.

    Raises:
        ValueError: there is no such rule.
    """
    x = torch.tensor(landmarks, device=device)
    if rule in {LRP_EPSILON, LRP_GAMMA}:
        slopes, rest, output = _propagated(total, x, gamma=GAMMA if rule == LRP_GAMMA else 0.0)
    elif rule == "gradient-input":
        output, slopes = _gradient(total, x)
        rest = output - (x * slopes).sum(1)
    elif rule == "integrated-gradients":
        slopes = torch.zeros_like(x)
        for position, weight in quadrature():
            slopes.add_(_gradient(total, position * x)[1], alpha=weight)
        with torch.no_grad():
            rest, output = total(torch.zeros_like(x)), total(x)
    else:
        raise ValueError(f"rule {rule} is not one of {', '.join(NETWORK_RULES)}")
    values, *sums = (part.cpu().numpy() for part in (x * slopes, rest, output))
    return Attribution(values, *sums)


def _gradient(total: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        output = total(x)
    return output.detach(), torch.autograd.grad(output.sum(), x)[0]


def _propagated(
    total: Callable[[Tensor], Tensor], x: Tensor, gamma: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return slopes, rest and output under LRP-γ, which is LRP-ε for γ = 0."""
    recording = _Recording(gamma)
    with torch.no_grad(), recording:
        output = total(x)
    with _Replay(recording.steps, gamma):
        rest, slopes = _gradient(total, torch.zeros_like(x))
    return slopes, rest, output


class _Recording(TorchFunctionMode):
    """A pass that computes what the network does, and keeps an affine function of each step."""

    def __init__(self, gamma: float) -> None:
        super().__init__()
        self._gamma = gamma
        self.steps: list[Affine] = []

    def __torch_function__(
        self,
        func: Function,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in ACTIVATIONS:
            z = args[0]
            # Copies, because some activations write to their argument.
            active = func(z.clone(), *args[1:], **named)
            at_zero = func(torch.zeros_like(z[:1]), *args[1:], **named)
            slope = (active - at_zero) / (z + EPSILON * torch.where(z < 0, -1.0, 1.0))
            self.steps.append(lambda new: torch.addcmul(at_zero, slope, new))
            return active
        if self._gamma and func in LINEAR:
            z = func(*args, **named)
            self.steps.append(_favouring(z, *LINEAR[func](*args, **named), self._gamma))
            return z
        return func(*args, **named)


class _Replay(TorchFunctionMode):
    """A pass under the affine functions of a recording, in their order."""

    def __init__(self, steps: Sequence[Affine], gamma: float) -> None:
        super().__init__()
        self._steps, self._gamma = iter(steps), gamma

    def __torch_function__(
        self,
        func: Function,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        if func in ACTIVATIONS:
            return next(self._steps)(args[0])
        if self._gamma and func in LINEAR:
            return next(self._steps)(LINEAR[func](*args, **named)[0])
        return func(*args, **named)


def _favouring(z: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, gamma: float) -> Affine:
    """Return the linear layer in which parts with the sign of their sum z count 1 + γ times.

    The result is scaled so that it is z at x. Landmarks and leaky units have both signs, so the
    parts are chosen by the sign of ``w x``, not of w.
    """
    plus, minus = weight.clamp(min=0), weight.clamp(max=0)
    is_positive, sum_is_positive = x > 0, z > 0
    bias = weight.new_zeros(()) if bias is None else bias
    favoured_bias = torch.where(sum_is_positive, bias.clamp(min=0), bias.clamp(max=0))

    def parts(new: Tensor) -> Tensor:
        positive = new * is_positive
        negative = new - positive
        with_plus = functional.linear(positive, plus) + functional.linear(negative, minus)
        with_minus = functional.linear(positive, minus) + functional.linear(negative, plus)
        favoured = torch.where(sum_is_positive, with_plus, with_minus) + favoured_bias
        return with_plus + with_minus + bias + gamma * favoured

    # The divisor has the sign of z and is larger, so it is 0 only where z is.
    divisor = parts(x)
    scale = torch.where(divisor == 0, 1.0, z / divisor)
    return lambda new: scale * parts(new)
