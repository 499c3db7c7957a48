"""Fair comparisons of methods that infer target genes from landmark genes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genebench.errors import UserError
from genebench.hookspecs import hookimpl
from genebench.method import Context, Method, Model, NotApplicable

if TYPE_CHECKING:
    from genebench import specs
    from genebench.analysis.comparisons import compare
    from genebench.api import explain, load, records, run
    from genebench.data.profiles import Profiles
    from genebench.methods.sklearn import sklearn_method
    from genebench.models.saved import open_model
    from genebench.reports.paper import figures
    from genebench.results.record import Record

__all__ = [
    "Context",
    "Method",
    "Model",
    "NotApplicable",
    "Profiles",
    "Record",
    "UserError",
    "compare",
    "explain",
    "figures",
    "hookimpl",
    "load",
    "open_model",
    "records",
    "run",
    "sklearn_method",
    "specs",
]

# Imported on first use: these need numpy and pandas, and ``genebench --help`` must start fast.
_LAZY = {
    "Profiles": "genebench.data.profiles",
    "Record": "genebench.results.record",
    "compare": "genebench.analysis.comparisons",
    "explain": "genebench.api",
    "figures": "genebench.reports.paper",
    "load": "genebench.api",
    "open_model": "genebench.models.saved",
    "records": "genebench.api",
    "run": "genebench.api",
    "sklearn_method": "genebench.methods.sklearn",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name == "specs":
        return import_module("genebench.specs")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
