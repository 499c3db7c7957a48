"""Options that several commands share, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from genebench.errors import UserError
from genebench.results import DEFAULT_RESULTS

__all__ = [
    "DEFAULT_RESULTS",
    "DeviceOption",
    "DryRunOption",
    "EngineOption",
    "MetricsOption",
    "PluginOption",
    "PresetOption",
    "QuietOption",
    "ResultsOption",
    "RetryFailedOption",
    "SetOption",
    "command_line",
    "grid_of",
    "overrides_of",
]


def _load_plugins(files: list[Path] | None) -> list[Path] | None:
    """Load local plugin files before anything is looked up by name."""
    if files:
        from genebench.plugins.discovery import use_files
        from genebench.plugins.registry import registry

        use_files(files)
        registry.cache_clear()
    return files


PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", metavar="FILE.py", callback=_load_plugins, is_eager=True,
        help="Load a local plugin file; repeatable.",
    ),
]  # fmt: skip
ResultsOption = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Folder of the results.")
]
PresetOption = Annotated[
    str | None, typer.Option(help="tiny, small or paper; what the dataset suggests unless given.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="METHOD.PARAM=VALUE", help="Set a parameter; repeatable."),
]
MetricsOption = Annotated[
    str | None,
    typer.Option("--metrics", "--metric", help="Comma-separated names, or all; see list metrics."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
EngineOption = Annotated[
    str | None,
    typer.Option(help="Where jobs are executed. Default: the first engine that keeps the limits."),
]
RetryFailedOption = Annotated[bool, typer.Option("--retry-failed", help="Try failed jobs again.")]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would be done, and do nothing.")
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Only the tables.")]


def overrides_of(assignments: Sequence[str]) -> dict[str, dict[str, str]]:
    """Method → parameter → value, of ``--set``."""
    chosen: dict[str, dict[str, str]] = {}
    for assignment in assignments:
        target, equals, value = assignment.partition("=")
        # Method names may hold dots; parameter names may not.
        method, dot, name = target.strip().rpartition(".")
        if not (equals and dot and method and name):
            raise UserError(f"--set {assignment}: write METHOD.PARAM=VALUE, as in knn.k_max=30")
        chosen.setdefault(method, {})[name] = value
    return chosen


def grid_of(axes: Sequence[str], methods: str) -> dict[str, dict[str, list[str]]]:
    """Method → parameter → values, of ``--grid``; without a method, an axis is every method's."""
    from genebench.plugins.registry import registry

    names = [spec.name for spec in registry().methods.choose(methods.split(","))]
    chosen: dict[str, dict[str, list[str]]] = {}
    for axis in axes:
        target, equals, values = axis.partition("=")
        method, _, name = target.strip().rpartition(".")
        if not (equals and name and values.strip()):
            raise UserError(f"--grid {axis}: write PARAM=VALUE,VALUE, as in knn.k_max=10,30")
        for owner in [method] if method else names:
            if name in chosen.setdefault(owner, {}):
                raise UserError(
                    f"--grid {axis}: {owner}.{name} has its values already; name it once"
                )
            chosen[owner][name] = [value.strip() for value in values.split(",")]
    return chosen


def command_line() -> str:
    """The command that was issued, for the record."""
    import shlex
    import sys

    return shlex.join(["genebench", *sys.argv[1:]])
