"""Moments of the training profiles. Plugins may rely on this import path."""

from __future__ import annotations

from genebench.methods.moments import Moments, moments

__all__ = ["Moments", "moments"]
