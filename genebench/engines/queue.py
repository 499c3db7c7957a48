"""Jobs in the queue of an engine, as ``genebench status`` shows them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Queued:
    """A job that a scheduler holds: it waits, or runs on some machine."""

    key: str
    """Key of the job."""
    engine: str
    """Name of the engine."""
    state: str
    """State in the scheduler's own words, such as ``PENDING``."""
    host: str
    """Machine that the job is on. Empty while it waits."""
    reason: str
    """Reason for waiting, in the scheduler's own words. Empty if there is none."""
