"""Weights in float32, with copies in bfloat16 for fast matrix products."""

from __future__ import annotations

import math

import torch

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
    """

    def __init__(self, master: torch.Tensor, dtype: torch.dtype) -> None:
        self.master = master.contiguous()
        self.fast = self.master if dtype == master.dtype else self.master.to(dtype)

    def add_(self, change: torch.Tensor) -> None:
        """Add a change, in the precision of ``fast``."""
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
        if self.fast is not self.master:
            self.fast.copy_(self.master)
