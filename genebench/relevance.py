"""Relevance of landmarks. Plugins may rely on this import path.

:meth:`genebench.Model.relevance` says what to return. Names are imported on first use, because a
linear model does not need torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from genebench.method import Attribution
    from genebench.methods.propagation import network_relevance
    from genebench.methods.relevance import (
        LINEAR_RULES,
        NETWORK_RULES,
        linear_relevance,
        quadrature,
    )

__all__ = [
    "LINEAR_RULES",
    "NETWORK_RULES",
    "Attribution",
    "linear_relevance",
    "network_relevance",
    "quadrature",
]

_MODULES = {
    "LINEAR_RULES": "genebench.methods.relevance",
    "NETWORK_RULES": "genebench.methods.relevance",
    "Attribution": "genebench.method",
    "linear_relevance": "genebench.methods.relevance",
    "network_relevance": "genebench.methods.propagation",
    "quadrature": "genebench.methods.relevance",
}


def __getattr__(name: str) -> Any:
    """Import a public name from the module that holds it."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
