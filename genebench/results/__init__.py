"""Results: records, their per-gene vectors and kept predictions, on disk."""

from __future__ import annotations

from pathlib import Path

DEFAULT_RESULTS = Path("results")
"""Where results go unless the user names a folder."""
