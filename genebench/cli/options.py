"""Options that several commands share, and the parsing of their values."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from genebench.cli.completion import names_of, suites, words
from genebench.errors import UserError
from genebench.results import DEFAULT_RESULTS
from genebench.specs import PRESETS

__all__ = [
    "DEFAULT_RESULTS",
    "CostOption",
    "DatasetOption",
    "DeviceOption",
    "DryRunOption",
    "EngineOption",
    "EngineSetOption",
    "GridOption",
    "JsonOption",
    "KeepModelsOption",
    "KeepPredictionsOption",
    "LandmarkMapOption",
    "MethodsOption",
    "MetricsOption",
    "NotesOption",
    "NotifyFileOption",
    "OnlyDatasetOption",
    "OnlyMethodsOption",
    "OnlyProtocolsOption",
    "OptionalDatasetOption",
    "OptionalMethodsOption",
    "OptionalProtocolsOption",
    "OptionalSeedsOption",
    "PluginOption",
    "PresetOption",
    "ProtocolsOption",
    "QuietOption",
    "ReportFormatOption",
    "ResultsOption",
    "RetryFailedOption",
    "SealedOption",
    "SetOption",
    "ShardOption",
    "SilentOption",
    "SuiteArgument",
    "TargetMapOption",
    "TrainSizeOption",
    "command_line",
    "engine_options_of",
    "grid_of",
    "overrides_of",
    "params_of",
    "shard_of",
]


def _load_plugins(files: list[Path] | None) -> list[Path] | None:
    """Load local plugin files. The option is eager, so this runs before names are looked up."""
    if files:
        from genebench.plugins.discovery import use_files
        from genebench.plugins.registry import registry

        use_files(files)
        registry.cache_clear()
    return files


def _from_files(name: str) -> Callable[[typer.Context, typer.CallbackParam, Any], Any]:
    """Return a callback that takes a value from the files of defaults, if it is not typed."""

    def callback(ctx: typer.Context, param: typer.CallbackParam, value: Any) -> Any:
        source = ctx.get_parameter_source(param.name or "")
        if ctx.resilient_parsing or source is None or source.name != "DEFAULT":
            return value
        from genebench.runs.config import preferred

        found = preferred(name)
        if found is None:
            return value
        if isinstance(found, list):
            return ",".join(found)
        return Path(found) if isinstance(value, Path) else found

    return callback


PluginOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--plugin", metavar="FILE.py", callback=_load_plugins, is_eager=True,
        help="Load a local plugin file. Repeatable.",
    ),
]  # fmt: skip
LandmarkMapOption = Annotated[
    Path | None,
    typer.Option(
        "--landmarks", metavar="MAP", help="Map of the landmarks. Default: the published one."
    ),
]
TargetMapOption = Annotated[
    Path | None,
    typer.Option(
        "--targets", metavar="MAP", help="Map of the targets. Default: the published one."
    ),
]
ResultsOption = Annotated[
    Path,
    typer.Option(
        "--results", metavar="DIR", help="Folder of the results.",
        callback=_from_files("results"),
    ),
]  # fmt: skip
_METHODS = typer.Option(
    "--methods", "--method", help="Comma-separated names, or all.",
    autocompletion=names_of("methods"),
)  # fmt: skip
MethodsOption = Annotated[str, _METHODS]
OptionalMethodsOption = Annotated[str | None, _METHODS]
SuiteArgument = Annotated[
    str | None,
    typer.Argument(
        help="A suite: a TOML file of what to run, or a shipped one by name.",
        autocompletion=suites,
    ),
]
ProtocolsOption = Annotated[
    str,
    typer.Option(
        "--protocol", "--protocols", help="Comma-separated names, or all.",
        autocompletion=names_of("protocols"), callback=_from_files("protocols"),
    ),
]  # fmt: skip
OptionalProtocolsOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        "--protocols",
        help="Comma-separated names, or all. Default: geo,gtex.",
        autocompletion=names_of("protocols"),
    ),
]
DatasetOption = Annotated[
    str,
    typer.Option(
        help="A prepared or built-in dataset.",
        autocompletion=names_of("datasets"), callback=_from_files("dataset"),
    ),
]  # fmt: skip
OptionalDatasetOption = Annotated[
    str | None,
    typer.Option(
        help="A prepared or built-in dataset. Default: sim.", autocompletion=names_of("datasets")
    ),
]
OptionalSeedsOption = Annotated[
    int | None, typer.Option(help="Number of seeds of stochastic methods. Default: 1.")
]
TrainSizeOption = Annotated[
    str | None,
    typer.Option(
        "--train-size", "--train-sizes", metavar="N,…",
        help="Numbers of training profiles, comma-separated, or all. Every protocol is run at "
        "each. Default: all.",
    ),
]  # fmt: skip
OnlyMethodsOption = Annotated[
    str | None,
    typer.Option(
        "--methods",
        "--method",
        help="Only these, comma-separated.",
        autocompletion=names_of("methods"),
    ),
]
OnlyProtocolsOption = Annotated[
    str | None,
    typer.Option(
        "--protocol",
        "--protocols",
        help="Only these, comma-separated.",
        autocompletion=names_of("protocols"),
    ),
]
OnlyDatasetOption = Annotated[
    str | None, typer.Option(help="Only this dataset.", autocompletion=names_of("datasets"))
]
ReportFormatOption = Annotated[
    str,
    typer.Option(
        "--format",
        help="terminal, markdown, latex, csv, json, or a plugin's.",
        autocompletion=names_of("reporters"),
    ),
]
NotesOption = Annotated[
    bool, typer.Option("--notes", help="Print all notes: sizes, tests, choices, seals.")
]
CostOption = Annotated[bool, typer.Option("--cost", help="Print the table of costs, too.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PresetOption = Annotated[
    str | None,
    typer.Option(
        help="tiny, small or paper. By default, as the dataset suggests.",
        autocompletion=words(*PRESETS),
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="METHOD.PARAM=VALUE", help="Set a parameter. A list is A:B. Repeatable."
    ),
]
GridOption = Annotated[
    list[str] | None,
    typer.Option(metavar="[METHOD.]PARAM=VALUE,…", help="Run every combination. Repeatable."),
]
KeepPredictionsOption = Annotated[
    bool, typer.Option("--keep-predictions", help="Keep predictions as .npy.")
]
KeepModelsOption = Annotated[
    bool, typer.Option("--keep-models", help="Keep models as .safetensors.")
]
MetricsOption = Annotated[
    str | None,
    typer.Option(
        "--metrics",
        "--metric",
        help="Comma-separated names, or all. See list metrics.",
        autocompletion=names_of("metrics"),
    ),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        help="auto, cpu or cuda (also gpu).",
        autocompletion=words("auto", "cpu", "cuda"), callback=_from_files("device"),
    ),
]  # fmt: skip
EngineOption = Annotated[
    str | None,
    typer.Option(
        help="Engine that executes the jobs. See list engines. Default: as the suite or the config "
        "file says, or the first that keeps the limits.",
        autocompletion=names_of("engines"),
    ),
]
EngineSetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--engine-set", metavar="NAME.OPTION=VALUE", help="Set an option of an engine. Repeatable."
    ),
]
ShardOption = Annotated[
    str | None,
    typer.Option(
        metavar="I/N",
        help="Run only every N-th job, from the I-th on. With auto, a Slurm job array gives I "
        "and N.",
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
NotifyFileOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE", help="Append a line of JSON for each job that ends, and one at the end."
    ),
]
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


def engine_options_of(assignments: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return engine → option → value, from the values of ``--engine-set``.

    Raises:
        UserError: a value is not of the form NAME.OPTION=VALUE.
    """
    chosen: dict[str, dict[str, str]] = {}
    for engine, name, value in _parsed(
        "--engine-set", assignments, "NAME.OPTION=VALUE", "slurm.partition=gpu"
    ):
        chosen.setdefault(engine, {})[name] = value
    return chosen


def shard_of(text: str | None) -> tuple[int, int] | None:
    """Return the number of a share and the number of shares, from the value of ``--shard``.

    Raises:
        UserError: the value is not of the form I/N, or the variables of a job array are missing.
    """
    if text is None:
        return None
    if text == "auto":
        text = _shard_of_array()
    index, slash, count = text.partition("/")
    try:
        shard = int(index), int(count)
    except ValueError:
        shard = 0, 0
    if not (slash and 1 <= shard[0] <= shard[1]):
        raise UserError(
            f"--shard {text}: no share of the jobs. Write I/N with I from 1 to N, such as 1/4, or "
            "auto in a Slurm job array."
        )
    return shard


def _shard_of_array() -> str:
    """Return the share of this task of a Slurm job array, as typed."""
    numbers = {}
    # A user may set the first two by hand. Slurm sets all of them.
    for name, default in {"ID": "", "COUNT": "", "MIN": "1", "STEP": "1"}.items():
        variable = f"SLURM_ARRAY_TASK_{name}"
        try:
            numbers[name] = int(os.environ.get(variable, default))
        except ValueError:
            raise UserError(
                f"--shard auto: {variable} is {os.environ.get(variable, 'not set')}. Run the "
                "command in a job array (sbatch --array=1-4), or write the share: --shard 1/4."
            ) from None
    place, rest = divmod(numbers["ID"] - numbers["MIN"], max(numbers["STEP"], 1))
    if rest or not 0 <= place < numbers["COUNT"]:
        raise UserError(
            f"--shard auto: task {numbers['ID']} is not in an array of {numbers['COUNT']} tasks "
            f"from {numbers['MIN']} on. Number them without gaps, such as --array=1-4."
        )
    return f"{place + 1}/{numbers['COUNT']}"


def params_of(assignments: Sequence[str], method: str) -> dict[str, str]:
    """Return parameter → value, from the values of ``--set`` of a command on one method.

    Args:
        assignments: the values, with the name of a method before the parameter or without.
        method: values of other methods are left out.

    Raises:
        UserError: a value is not of the form [METHOD.]PARAM=VALUE.
    """
    parsed = _parsed("--set", assignments, "[METHOD.]PARAM=VALUE", "k_max=30")
    return {name: value for owner, name, value in parsed if owner in {"", method}}


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
        has_owner = bool(method) or (form.startswith("[") and not dot)
        if not (equals and name and has_owner):
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
