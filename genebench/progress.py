"""Progress of long work: what plugin authors may import, promised to stay."""

from __future__ import annotations

from genebench._util.progress import Progress, silent, sparkline

__all__ = ["Progress", "silent", "sparkline"]
