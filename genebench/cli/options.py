"""Options that several commands share, and the parsing of their values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated

import typer

from genebench.errors import UserError
from genebench.results import DEFAULT_RESULTS

__all__ = [
    "DEFAULT_RESULTS",
    "DatasetOption",
    "DeviceOption",
    "DryRunOption",
    "EngineOption",
    "MethodsOption",
    "MetricsOption",
    "OnlyDatasetOption",
    "OnlyMethodsOption",
    "OnlyProtocolsOption",
    "OptionalMethodsOption",
    "PluginOption",
    "PresetOption",
    "ProtocolsOption",
    "QuietOption",
    "ReportFormatOption",
    "ResultsOption",
    "RetryFailedOption",
    "SealedOption",
    "SetOption",
    "SilentOption",
    "command_line",
    "grid_of",
    "overrides_of",
    "params_of",
]


def _load_plugins(files: list[Path] | None) -> list[Path] | None:
    """Load local plugin files. The option is eager, so this runs before names are looked up."""
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
        help="Load a local plugin file. Repeatable.",
    ),
]  # fmt: skip
ResultsOption = Annotated[
    Path, typer.Option("--results", metavar="DIR", help="Folder of the results.")
]
_METHODS = typer.Option("--methods", "--method", help="Comma-separated names, or all.")
MethodsOption = Annotated[str, _METHODS]
OptionalMethodsOption = Annotated[str | None, _METHODS]
ProtocolsOption = Annotated[
    str, typer.Option("--protocol", "--protocols", help="Comma-separated names, or all.")
]
DatasetOption = Annotated[str, typer.Option(help="A prepared or built-in dataset.")]
OnlyMethodsOption = Annotated[
    str | None, typer.Option("--methods", "--method", help="Only these, comma-separated.")
]
OnlyProtocolsOption = Annotated[
    str | None, typer.Option("--protocol", "--protocols", help="Only these, comma-separated.")
]
OnlyDatasetOption = Annotated[str | None, typer.Option(help="Only this dataset.")]
ReportFormatOption = Annotated[
    str, typer.Option("--format", help="terminal, markdown, latex, csv, json, or a plugin's.")
]
PresetOption = Annotated[
    str | None,
    typer.Option(help="tiny, small or paper. By default, as the dataset suggests."),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="METHOD.PARAM=VALUE", help="Set a parameter. Repeatable."),
]
MetricsOption = Annotated[
    str | None,
    typer.Option("--metrics", "--metric", help="Comma-separated names, or all. See list metrics."),
]
DeviceOption = Annotated[str, typer.Option(help="auto, cpu or cuda.")]
EngineOption = Annotated[
    str | None,
    typer.Option(
        help="Engine that executes the jobs. See list engines. Default: the first that keeps the "
        "limits."
    ),
]
SealedOption = Annotated[
    str | None,
    typer.Option(
        help="Methods to run where they cannot reach test data: auto (those that genebench does "
        "not ship), require (all, or stop) or off. Default: GENEBENCH_SEALED, or auto."
    ),
]
RetryFailedOption = Annotated[bool, typer.Option("--retry-failed", help="Run failed jobs again.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Show the jobs, and run none.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print only the tables.")]
SilentOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing.")]


def overrides_of(assignments: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return method → parameter → value, from the values of ``--set``.

    Raises:
        UserError: a value is not of the form METHOD.PARAM=VALUE.
    """
    chosen: dict[str, dict[str, str]] = {}
    for method, name, value in _parsed("--set", assignments, "METHOD.PARAM=VALUE", "knn.k_max=30"):
        chosen.setdefault(method, {})[name] = value
    return chosen


def params_of(assignments: Sequence[str]) -> dict[str, str]:
    """Return parameter → value, from the values of ``--param``.

    Raises:
        UserError: a value is not of the form PARAM=VALUE.
    """
    parsed = _parsed("--param", assignments, "PARAM=VALUE", "k_max=30")
    return {name: value for _, name, value in parsed}


def _parsed(
    option: str, assignments: Sequence[str], form: str, example: str
) -> Iterator[tuple[str, str, str]]:
    """Yield the method, the parameter and the value of each assignment.

    The method is empty if the form has none.
    """
    for assignment in assignments:
        target, equals, value = assignment.partition("=")
        # Method names may contain dots, and parameter names may not. So the last dot separates.
        method, dot, name = target.strip().rpartition(".")
        if not (equals and name and (method if "." in form else not dot)):
            raise UserError(
                f"{option} {assignment}: not an assignment. Write {form}, such as {example}."
            )
        yield method, name, value


def grid_of(axes: Sequence[str], methods: str) -> dict[str, dict[str, list[str]]]:
    """Return method → parameter → values, from the values of ``--grid``.

    Args:
        axes: ``METHOD.PARAM=VALUE,VALUE``. Without ``METHOD.`` an axis is for every method.
        methods: comma-separated names of methods.

    Raises:
        UserError: an axis has another form, or a parameter has two axes.
    """
    from genebench.plugins.registry import registry

    names = [spec.name for spec in registry().methods.choose(methods.split(","))]
    chosen: dict[str, dict[str, list[str]]] = {}
    for axis in axes:
        target, equals, values = axis.partition("=")
        method, _, name = target.strip().rpartition(".")
        if not (equals and name and values.strip()):
            raise UserError(
                f"--grid {axis}: not a list of values. "
                "Write PARAM=VALUE,VALUE, such as knn.k_max=10,30."
            )
        for owner in [method] if method else names:
            if name in chosen.setdefault(owner, {}):
                raise UserError(
                    f"--grid {axis}: {owner}.{name} has values already. Give it one --grid."
                )
            chosen[owner][name] = [value.strip() for value in values.split(",")]
    return chosen


def command_line() -> str:
    """Return the command of this process, for the record."""
    import shlex
    import sys

    return shlex.join(["genebench", *sys.argv[1:]])
