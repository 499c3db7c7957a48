"""One plugin, and the checks of its module and its specs against the contract."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from genebench import hookspecs, specs
from genebench.errors import describe
from genebench.hookspecs import CONTRACT, PROJECT
from genebench.plugins.time_limit import Overdue

KINDS = (
    "formats", "datasets", "splits", "protocols", "methods", "metrics", "engines", "reports",
    "reporters",
)  # fmt: skip
"""Kinds of specs. The hook ``genebench_<kind>`` returns those of a kind."""


class ContractError(Exception):
    """A breach of the contract by a plugin, noticed by genebench itself."""


class BrokenDeclarationError(Exception):
    """A plugin failed in the process that reads declarations.

    The message, and the traceback in ``lines``, are those of the plugin.
    """

    def __init__(self, message: str, lines: str) -> None:
        super().__init__(message)
        self.lines = lines


@dataclass
class Plugin:
    """One plugin: its specs if it works, and the reason if it is broken."""

    name: str
    distribution: str
    version: str
    load: Callable[[], Any]
    """Function that imports the plugin's module and returns it."""
    module: Any = None
    """The plugin's module. None if it was not imported."""
    offers: dict[str, list[Any]] = field(default_factory=dict)
    """Kind → specs."""
    error: str = ""
    """Why the plugin is isolated, in one line. Empty if it works."""
    traceback: str = ""
    file: Path | None = None
    """The local file of the plugin. None if it is a package."""
    digest: str = ""
    """SHA-256 of that file as it was loaded."""

    def isolate(self, error: BaseException) -> None:
        """Mark the plugin as broken, with the reason, and drop its specs."""
        described = describe(error)
        # The messages of these two are written for users. The class name would say no more.
        if isinstance(error, ContractError | Overdue):
            described = described.removeprefix(f"{type(error).__name__}: ")
        self.error = described
        self.traceback = "".join(traceback.format_exception(error))
        if isinstance(error, BrokenDeclarationError):
            self.error, self.traceback = str(error), error.lines
        self.offers = {}


def check_module(module: Any) -> None:
    """Check the contract version of a plugin's module, and that its hooks are marked.

    Raises:
        ContractError: the module declares no version or another one, or a hook is not marked.
    """
    version = getattr(module, "genebench_contract", None)
    if version != CONTRACT:
        declared = "no contract version" if version is None else f"contract version {version!r}"
        raise ContractError(
            f"declares {declared}. This genebench needs genebench_contract = {CONTRACT}."
        )
    # pluggy ignores functions that are not marked, so a forgotten mark would pass unnoticed.
    for name in dir(module):
        if not (name.startswith(f"{PROJECT}_") and hasattr(hookspecs, name)):
            continue
        if not getattr(getattr(module, name), f"{PROJECT}_impl", None):
            raise ContractError(f"defines {name} without a mark. Add @genebench.hookimpl.")


def check_spec(spec: Any, kind: str) -> None:
    """Check that a hook returned a spec of its kind.

    Raises:
        ContractError: it is something else.
    """
    # By the module's attribute: metrics → MetricSpec.
    expected = getattr(specs, f"{kind.removesuffix('s').title()}Spec")
    if not isinstance(spec, expected):
        raise ContractError(
            f"{PROJECT}_{kind} returned {spec!r}, not a {expected.__name__}. "
            f"Return only objects of {expected.__name__}."
        )
