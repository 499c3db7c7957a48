"""Files that are never seen half-written, and locks. Plugins may rely on this import path."""

from __future__ import annotations

from genebench._util.files import (
    atomic_write,
    reason_of,
    sweep,
    temporary_folder,
    user_errors,
)
from genebench._util.locks import Lock, LocksUnsupportedError, lock

__all__ = [
    "Lock",
    "LocksUnsupportedError",
    "atomic_write",
    "lock",
    "reason_of",
    "sweep",
    "temporary_folder",
    "user_errors",
]
