"""Moments of the training profiles: what plugin authors may import, promised to stay."""

from __future__ import annotations

from genebench.methods.moments import Moments, moments

__all__ = ["Moments", "moments"]
