"""A linear layer under weight normalisation, with gradients written by hand.

The layer computes ``y = x wᵀ + b`` with ``w = g v / ‖v‖`` for each output unit (weight
normalisation, Salimans & Kingma 2016). GGAN has it on every layer (Wang et al. 2018, §4.1.4).
``w`` is never written to memory. The layer multiplies by ``v`` and scales the product::

    forward    z = x vᵀ      y = s z + b      with s = g / ‖v‖

    gradients  db = Σ dy
               dg = Σ dy z / ‖v‖
               dv = s (dyᵀ x) − s (Σ dy z) / ‖v‖² · v

Sums are over the batch. ``dy`` is the gradient of the loss by ``y``. The last term of ``dv`` exists
because ‖v‖ depends on ``v``. The gradient by ``x`` is autograd's.

The reason is memory traffic. A step of a wide network spends more time on reading and writing
matrices of the size of ``v`` than it must. Autograd writes ``w``, then ``dw``, then ``dv``, and the
optimiser reads ``dv`` again. Here ``dv`` is computed for a few rows at a time, when the optimiser
updates these rows, and no whole gradient exists.

The measured gain, from ``benchmarks/README.md``: GGAN 3 × 3000, 943 landmarks, 9,520 targets,
batches of 200, float32, two virtual cores of an Intel Xeon with AMX, torch 2.13.0. Folding weight
normalisation into the product made a step 1.39 times as fast (4,080 → 2,944 ms). Gradients of a few
rows at a time in fused Adam made it another 1.32 times as fast (2,944 → 2,236 ms).

The tests compare the layer with :func:`torch.nn.utils.parametrizations.weight_norm`, with numerical
derivatives, and whole steps with the plain ``torch.nn`` networks in ``tests/reference.py``.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch

from genebench.training import Weight, product

Gradient = Callable[[slice], torch.Tensor]
"""Some rows of a gradient, computed on demand."""


class LayerCache(NamedTuple):
    """The values of one forward pass that the layer's gradients need.

    Attributes:
        x: profiles × inputs.
        z: profiles × outputs, before scale and bias.
        y: profiles × outputs.
        norm: ‖v‖ of each output unit. Empty without weight normalisation.
    """

    x: torch.Tensor
    z: torch.Tensor
    y: torch.Tensor
    norm: torch.Tensor


class FastLinear:
    """A linear layer, with or without weight normalisation.

    Attributes:
        trainable: v as ``weight`` (outputs × inputs), ``bias`` and, under weight normalisation, g
            as ``gain``.

    Args:
        weight: the first v, outputs × inputs. Its row norms are the first gains.
        norm: ``weight`` or ``none``.
        dtype: the type of x, and of v in products.
    """

    def __init__(self, weight: torch.Tensor, norm: str, dtype: torch.dtype) -> None:
        self._dtype, exact = dtype, weight.dtype
        self.weight = Weight(weight, dtype)
        self.trainable = {
            "weight": self.weight,
            "bias": Weight(weight.new_zeros(len(weight)), exact),
        }
        if norm == "weight":
            # With g = ‖v‖ the layer starts as the plain layer of the same weights.
            self.trainable["gain"] = Weight(row_norms(weight), exact)

    def __call__(self, x: torch.Tensor) -> LayerCache:
        """Return the layer's output for profiles × inputs, with the values its gradients need."""
        bias = self.trainable["bias"].master.to(self._dtype)
        if "gain" not in self.trainable:
            y = product(x, self.weight.fast, bias)
            return LayerCache(x, y, y, bias.new_empty(0))
        z, norm = product(x, self.weight.fast), self.weight.norms
        if norm is None:
            norm = row_norms(self.weight.master)
        scale = self.trainable["gain"].master / norm
        return LayerCache(x, z, torch.addcmul(bias, z, scale.to(self._dtype)), norm)

    @torch.no_grad()
    def gradients(self, cache: LayerCache, dy: torch.Tensor) -> list[Gradient]:
        """Return the gradients of :attr:`trainable`, in its order.

        Args:
            cache: values of the forward pass.
            dy: gradient of the loss by the layer's output, profiles × outputs.
        """
        v = self.weight.master
        db = dy.sum(dim=0, dtype=v.dtype)
        if "gain" not in self.trainable:
            return [WeightGradient(dy, cache.x, v), db.__getitem__]
        g, norm = self.trainable["gain"].master, cache.norm
        dg = (dy * cache.z).sum(dim=0, dtype=v.dtype) / norm
        # g dg / ‖v‖² is s (Σ dy z) / ‖v‖², the factor of v in the second term of dv.
        dv = WeightGradient(dy * (g / norm).to(dy.dtype), cache.x, v, g * dg / norm.square())
        return [dv, db.__getitem__, dg.__getitem__]


class WeightGradient:
    """The gradient ``dyᵀ x − radial · v`` of v.

    It reads v when it is called, so it must be called for a row before that row is updated.

    Attributes:
        radial: factor of v for each row, or None for 0.
    """

    def __init__(
        self, dy: torch.Tensor, x: torch.Tensor, v: torch.Tensor, radial: torch.Tensor | None = None
    ) -> None:
        # On the CPU, products of a transposed bfloat16 matrix take two to four times as long as
        # those of contiguous rows (benchmarks/README.md).
        self._dy_rows, self._x, self._v, self.radial = dy.T.contiguous(), x, v, radial

    def __call__(self, rows: slice) -> torch.Tensor:
        """Return rows of the gradient, in the type of v."""
        gradient = (self._dy_rows[rows] @ self._x).to(self._v.dtype)
        if self.radial is None:
            return gradient
        return gradient.addcmul_(self._v[rows], self.radial[rows, None], value=-1)

    def first_term(self, rows: slice, scratch: torch.Tensor) -> torch.Tensor:
        """Return rows of ``dyᵀ x`` in the type of x, written to ``scratch``, a vector."""
        dy_rows = self._dy_rows[rows]
        shape = len(dy_rows), self._x.shape[1]
        return torch.mm(dy_rows, self._x, out=scratch[: math.prod(shape)].view(shape))


def row_norms(v: torch.Tensor) -> torch.Tensor:
    """Return ‖v‖ of each row."""
    norms: torch.Tensor = torch.linalg.vector_norm(v, dim=1)
    return norms
