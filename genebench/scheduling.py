"""Engines of schedulers, such as Slurm and Ray. Plugins may rely on this import path.

An engine writes an order for each job, and has the scheduler run ``python -P -m
genebench.engines.node`` on some machine, or :class:`Node` in a process of its own. Records, claims
and attempts come back through the results folder, which a :class:`Monitor` watches. Names are
imported on first use, because listing an engine must start fast.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genebench._util.hashing import KEY
    from genebench.engines.environment import node_environment
    from genebench.engines.monitor import Monitor
    from genebench.engines.node import (
        BROKEN,
        CLAIMED,
        DONE,
        GRACE_SECONDS,
        MEMORY,
        REFUSED,
        STOPPED,
        Node,
    )
    from genebench.engines.queue import Queued
    from genebench.engines.turns import left_of
    from genebench.processes.worker import last_words
    from genebench.results.record import Failure
    from genebench.runs.claims import Claim, claims, discard
    from genebench.runs.execute import describe_job, fail
    from genebench.runs.jobs import Job, Settings
    from genebench.runs.orders import (
        Attempt,
        attempts,
        has_checkpoints,
        is_left,
        remove_order,
        write_attempt,
        write_order,
    )
    from genebench.runs.provenance import now

__all__ = [
    "BROKEN",
    "CLAIMED",
    "DONE",
    "GRACE_SECONDS",
    "KEY",
    "MEMORY",
    "REFUSED",
    "STOPPED",
    "Attempt",
    "Claim",
    "Failure",
    "Job",
    "Monitor",
    "Node",
    "Queued",
    "Settings",
    "attempts",
    "claims",
    "describe_job",
    "discard",
    "fail",
    "has_checkpoints",
    "is_left",
    "last_words",
    "left_of",
    "node_environment",
    "now",
    "remove_order",
    "write_attempt",
    "write_order",
]

_MODULES = {
    "genebench._util.hashing": ("KEY",),
    "genebench.engines.environment": ("node_environment",),
    "genebench.engines.monitor": ("Monitor",),
    "genebench.engines.node": (
        "BROKEN",
        "CLAIMED",
        "DONE",
        "GRACE_SECONDS",
        "MEMORY",
        "REFUSED",
        "STOPPED",
        "Node",
    ),
    "genebench.engines.queue": ("Queued",),
    "genebench.engines.turns": ("left_of",),
    "genebench.processes.worker": ("last_words",),
    "genebench.results.record": ("Failure",),
    "genebench.runs.claims": ("Claim", "claims", "discard"),
    "genebench.runs.execute": ("describe_job", "fail"),
    "genebench.runs.jobs": ("Job", "Settings"),
    "genebench.runs.orders": (
        "Attempt",
        "attempts",
        "has_checkpoints",
        "is_left",
        "remove_order",
        "write_attempt",
        "write_order",
    ),
    "genebench.runs.provenance": ("now",),
}
"""Module → its names that are offered here."""


def __getattr__(name: str) -> Any:
    """Import a public name from the module that holds it."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(import_module(module), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
