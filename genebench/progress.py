"""Progress of long work. Plugins may rely on this import path."""

from __future__ import annotations

from genebench._util.progress import Progress, silent, sparkline

__all__ = ["Progress", "silent", "sparkline"]
