"""Fair comparisons of methods that infer target genes from landmark genes."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from genebench.errors import UserError
from genebench.hookspecs import hookimpl
from genebench.method import Context, Method, Model, NotApplicable

if TYPE_CHECKING:
    from genebench import specs
    from genebench.data.profiles import Profiles
    from genebench.methods.sklearn import sklearn_method
    from genebench.models.saved import open_model
    from genebench.reports.paper import figures
    from genebench.results.record import Record
    from genebench.tasks import (
        compare,
        explain,
        leaks,
        load,
        predict,
        prepare,
        ranks,
        records,
        report,
        run,
        tune,
    )

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
    "leaks",
    "load",
    "open_model",
    "predict",
    "prepare",
    "ranks",
    "records",
    "report",
    "run",
    "sklearn_method",
    "specs",
    "tune",
]

# Imported on first use: these need numpy and pandas, and ``genebench --help`` must start fast.
_LAZY = {
    "Profiles": "genebench.data.profiles",
    "Record": "genebench.results.record",
    "compare": "genebench.tasks",
    "explain": "genebench.tasks",
    "figures": "genebench.reports.paper",
    "leaks": "genebench.tasks",
    "load": "genebench.api",
    "open_model": "genebench.models.saved",
    "predict": "genebench.tasks",
    "prepare": "genebench.tasks",
    "ranks": "genebench.tasks",
    "records": "genebench.api",
    "report": "genebench.tasks",
    "run": "genebench.api",
    "sklearn_method": "genebench.methods.sklearn",
    "tune": "genebench.tasks",
}


def __getattr__(name: str) -> Any:
    """Import a public name from its module."""
    if name == "specs":
        return import_module("genebench.specs")
    if name in _LAZY:
        return getattr(import_module(_LAZY[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
