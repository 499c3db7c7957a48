"""Weights in float32, and the copies in bfloat16 that fast products read."""

from __future__ import annotations

import torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_CACHED = 1 << 21
"""Elements that a CPU's shared cache holds in every form that an update touches. Its own caches
hold fewer, but the threads wait for each other after every piece: where they do not have the
processors to themselves, that costs more than it saves."""


class Weight:
    """A weight matrix: ``master``, which updates add up in, and ``fast``, which products read.

    They are one tensor unless ``dtype`` is narrower than float32: then ``fast`` is the master
    rounded, and small updates are not lost in it.
    """

    def __init__(self, master: torch.Tensor, dtype: torch.dtype) -> None:
        self.master = master.contiguous()
        self.fast = self.master if dtype == master.dtype else self.master.to(dtype)

    def add_(self, change: torch.Tensor) -> None:
        """Add a change, in the precision of ``fast``."""
        if self.fast is self.master:
            self.master.add_(change)
            return
        # Piece by piece: what was just added is rounded while the cache still holds it.
        wholes = (self.master, self.fast, change)
        pieces = (whole.view(-1).tensor_split(self._pieces) for whole in wholes)
        for master, fast, part in zip(*pieces, strict=True):
            fast.copy_(master.add_(part))

    @property
    def _pieces(self) -> int:
        if self.master.device.type != "cpu":
            return 1
        return -(-self.master.numel() // _CACHED)

    def refresh(self) -> None:
        """Make ``fast`` agree with a ``master`` that was written to."""
        if self.fast is not self.master:
            self.fast.copy_(self.master)
