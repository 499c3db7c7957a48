"""Results on disk: records, their per-gene vectors, kept predictions and models."""

from __future__ import annotations

from pathlib import Path

DEFAULT_RESULTS = Path("results")
"""The results folder, unless the user names another one."""
