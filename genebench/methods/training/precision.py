"""Weights in float32, with copies in bfloat16 for fast matrix products."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch.nn.functional import linear

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_PIECE_ELEMENTS = 1 << 21
"""Elements of a piece of an update, which a CPU's shared cache holds in all three tensors.

The caches of single cores hold fewer. But threads wait for each other after every piece, and on a
busy machine small pieces cost more than they save.
"""


class Weight:
    """A weight matrix as two tensors: updates add up in ``master``, products read ``fast``.

    They are the same tensor unless ``dtype`` is narrower than float32. Then ``fast`` is a rounded
    copy. Updates too small for bfloat16 still add up in the master.

    Attributes:
        norms: the Euclidean norm of each row of ``master``, where the last update computed it.
    """

    norms: torch.Tensor | None = None

    def __init__(self, master: torch.Tensor, dtype: torch.dtype) -> None:
        self.master = master.contiguous()
        self.fast = self.master if dtype == master.dtype else self.master.to(dtype)

    def add_(self, change: torch.Tensor) -> None:
        """Add a change, in the precision of ``fast``."""
        self.norms = None
        if self.fast is self.master:
            self.master.add_(change)
            return
        # Piece by piece: a sum is rounded while the cache still holds it.
        on_cpu = self.master.device.type == "cpu"
        n_pieces = math.ceil(self.master.numel() / _PIECE_ELEMENTS) if on_cpu else 1
        tensors = (self.master, self.fast, change)
        pieces = (tensor.view(-1).tensor_split(n_pieces) for tensor in tensors)
        for master, fast, part in zip(*pieces, strict=True):
            fast.copy_(master.add_(part))

    def refresh(self) -> None:
        """Copy ``master`` to ``fast``, after something else has written to ``master``."""
        self.norms = None
        if self.fast is not self.master:
            self.fast.copy_(self.master)


def product(x: torch.Tensor, v: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """Return ``x vᵀ + bias``: profiles × outputs, with a gradient by x, and none by v.

    Args:
        x: profiles × inputs.
        v: outputs × inputs.
        bias: one value for each output.
    """
    if x.device.type != "cpu" or x.dtype != torch.bfloat16:
        return linear(x, v, bias)
    z: torch.Tensor = _RowsFirst.apply(x, v)  # type: ignore[no-untyped-call]
    return z if bias is None else z + bias


class _RowsFirst(torch.autograd.Function):
    """``x vᵀ`` as ``(v xᵀ)ᵀ``, whose wide factor is not transposed.

    On a CPU, matrix units read either factor in blocks. A factor in transposed order is copied for
    that. A copy of x is cheap, one of v took longer than the product: 34 ms against 15 ms for 100 ×
    3877 by 3877 × 7653 (one core of an Intel Xeon with AMX, torch 2.13.0).
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(v)
        return (v @ x.T).T.contiguous()

    @staticmethod
    def backward(ctx: Any, dy: torch.Tensor) -> tuple[torch.Tensor, None]:
        (v,) = ctx.saved_tensors
        return dy @ v, None
