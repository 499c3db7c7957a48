"""Relevance of landmarks in networks of torch.

The network's own code is run under a rule. No layer is described twice, so the relevance is that of
the network that predicts. In every rule, the relevance of a landmark is its value times a slope.

Layer-wise relevance propagation (Bach et al. 2015) passes the relevance of a unit on to its inputs,
in the shares that they have in its input ``z = Σ w x + b``. In terms of slopes, linear layers pass
on gradients as ever, and an activation g has, in place of its derivative, the quotient
``(g(z) − g(0)) / (z + ε sign z)`` (LRP-ε; Ancona et al. 2018, Table 1, for g(0) = 0). So
concatenations and sums of layers need no rule, and neither does batch normalisation, which is
linear once it is trained.

The relevance of a bias is its value times its slope in the same way. The sum of all biases is the
rest that no landmark carries.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from genebench.method import Attribution
from genebench.methods.relevance import (
    LRP_EPSILON,
    LRP_GAMMA,
    MOST_STEPS,
    NETWORK_RULES,
    STEPS,
    quadrature,
)

EPSILON = 1e-7
"""ε, in the unit of z, which is about 1. That is float32's rounding of 1, so quotients of rounded
numbers stay below 1. A larger ε absorbs relevance."""
_MISSED = 0.002
"""Error of integrated gradients, relative to |output| and |rest| of the profile, above which points
are added."""
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


def _product(x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
    return x, weight.T if weight.ndim > 1 else weight, None


LINEAR: Mapping[Function, Callable[..., tuple[Tensor, Tensor, Tensor | None]]] = {
    functional.linear: lambda x, weight, bias=None: (x, weight, bias),
    torch.addmm: lambda bias, x, weight: (x, weight.T, bias),
    torch.matmul: _product,
    torch.mm: _product,
    torch.Tensor.matmul: _product,
    torch.Tensor.__matmul__: _product,
}
"""Function → its inputs, weights (outputs × inputs) and bias. LRP-γ replaces them."""
AFFINE: frozenset[Function] = frozenset(
    getattr(owner, name)
    for owner in (torch, torch.Tensor, functional)
    for name in (
        "add", "sub", "rsub", "__add__", "__radd__", "__sub__", "__rsub__", "addcmul", "batch_norm",
    )
    if hasattr(owner, name)
)  # fmt: skip
"""Other functions that may add constants, which are then part of the rest."""


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
        with torch.no_grad():
            rest, output = total(torch.zeros_like(x)), total(x)
        slopes = _integrated(total, x, rest, output)
    else:
        raise ValueError(f"rule {rule} is not one of {', '.join(NETWORK_RULES)}")
    values, *sums = (part.cpu().numpy() for part in (x * slopes, rest, output))
    return Attribution(values, *sums)


def _integrated(
    total: Callable[[Tensor], Tensor], x: Tensor, rest: Tensor, output: Tensor
) -> Tensor:
    """Return integrated gradients. Profiles that miss their sum get twice as many points.

    Each profile is judged by its own sum, so that the result does not depend on the block.
    Kinks make the quadrature coarse. At :data:`MOST_STEPS` points, the error is left for the
    conservation check.
    """
    slopes = torch.empty_like(x)
    left, steps = torch.arange(len(x), device=x.device), STEPS
    allowed = _MISSED * (output.abs() + rest.abs())
    while len(left):
        rows, sums = x[left], torch.zeros_like(x[left])
        for position, weight in quadrature(steps):
            sums.add_(_gradient(total, position * rows)[1], alpha=weight)
        slopes[left] = sums
        missed = ((rows * sums).sum(1) + rest[left] - output[left]).abs()
        left, steps = left[missed > allowed[left]], 2 * steps
        if steps > MOST_STEPS:
            break
    return slopes


def _gradient(total: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, Tensor]:
    x = x.detach().requires_grad_()
    with torch.enable_grad():
        output = total(x)
    return output.detach(), torch.autograd.grad(output.sum(), x)[0]


def _propagated(
    total: Callable[[Tensor], Tensor], x: Tensor, gamma: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Return slopes, rest and output under LRP-γ, which is LRP-ε for γ = 0."""
    x = x.detach().requires_grad_()
    rest = x.new_zeros(len(x))
    with torch.enable_grad(), _Propagation(gamma, rest):
        output = total(x)
    return torch.autograd.grad(output.sum(), x)[0], rest, output.detach()


class _Propagation(TorchFunctionMode):
    """A forward pass whose gradients are the slopes of layer-wise relevance propagation.

    Args:
        gamma: γ.
        rest: one number for each profile. The backward pass adds the relevance of biases.
    """

    def __init__(self, gamma: float, rest: Tensor) -> None:
        super().__init__()
        self._gamma, self._rest = gamma, rest

    def __torch_function__(
        self,
        func: Function,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        named = kwargs or {}
        constant: Tensor | None
        if func in ACTIVATIONS:
            result, constant = _activated(args[0], lambda z: func(z, *args[1:], **named))
        elif func in LINEAR:
            x, weight, constant = LINEAR[func](*args, **named)
            result = func(*args, **named)
            if self._gamma and _follows(x) and not _follows(weight):
                result, constant = _favouring(result, x, weight, constant, self._gamma)
        elif func in AFFINE:
            zeros = (_zeros(each) if _follows(each) else each for each in args)
            constant = func(*zeros, **named).detach()
            result = func(*args, **named)
        else:
            return func(*args, **named)
        if constant is not None and _follows(result):
            result.register_hook(partial(self._add, constant))  # type: ignore[no-untyped-call]
        return result

    def _add(self, constant: Tensor, slopes: Tensor) -> None:
        """Add the relevance of constants, for the slopes of what they were added to."""
        parts = slopes * constant
        # The last axis is one of units. Networks side by side have axes before the profiles.
        others = [axis for axis in range(parts.ndim) if axis != max(parts.ndim - 2, 0)]
        self._rest += parts.sum(others) if others else parts


def _follows(value: object) -> bool:
    """Return whether a value depends on landmarks."""
    return isinstance(value, Tensor) and value.requires_grad


def _zeros(value: Tensor) -> Tensor:
    return torch.zeros_like(value[:1])


def _activated(z: Tensor, activate: Affine) -> tuple[Tensor, Tensor]:
    """Return the activation of z, with the quotient as its derivative, and its value at 0."""
    with torch.no_grad():
        # A copy, because some activations write to their argument.
        active, at_zero = activate(z.clone()), activate(_zeros(z))
        slope = (active - at_zero) / (z + EPSILON * torch.where(z < 0, -1.0, 1.0))
        remainder = torch.addcmul(active, slope, z, value=-1)
    return torch.addcmul(remainder, slope, z), at_zero


def _favouring(
    z: Tensor, x: Tensor, weight: Tensor, bias: Tensor | None, gamma: float
) -> tuple[Tensor, Tensor]:
    """Return z of a linear layer in which parts with its sign count 1 + γ times, and its bias.

    The result is scaled, so that it is z. Landmarks and leaky units have both signs, so parts are
    chosen by the sign of ``w x``, not of w.
    """
    plus, minus = weight.clamp(min=0), weight.clamp(max=0)
    positive, negative, is_positive = x * (x > 0), x * (x <= 0), z > 0
    with_plus = functional.linear(positive, plus) + functional.linear(negative, minus)
    with_minus = functional.linear(positive, minus) + functional.linear(negative, plus)
    bias = weight.new_zeros(()) if bias is None else bias
    constant = bias + gamma * torch.where(is_positive, bias.clamp(min=0), bias.clamp(max=0))
    parts = with_plus + with_minus + gamma * torch.where(is_positive, with_plus, with_minus)
    with torch.no_grad():
        # The divisor has the sign of z and is larger, so it is 0 only where z is.
        divisor = parts + constant
        scale = torch.where(divisor == 0, 1.0, z / divisor)
        constant *= scale
    return torch.addcmul(constant, scale, parts), constant
