"""``genebench show``: one method with all its parameters, or one engine with its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from genebench._util.text import printable, short
from genebench.cli import output
from genebench.cli.options import JsonOption, PluginOption
from genebench.plugins.registry import registry
from genebench.specs import PRESETS, Param


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "show",
        short_help="Describe a method and its parameters, or an engine.",
        epilog="Example: genebench show lsr-l2",
    )(show)


def show(
    name: Annotated[str, typer.Argument(help="A method or an engine.", metavar="NAME")],
    json: JsonOption = False,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Describe a method (summary, source, parameters and their presets), or an engine."""
    methods = registry().methods
    if name in registry().engines.specs and name not in methods.specs:
        _show_engine(name, json=json)
        return
    spec, origin = methods.get(name), methods.plugins[name]
    if json:
        output.as_json(
            {
                "name": spec.name,
                "title": spec.title,
                "summary": spec.summary,
                "reference": spec.reference,
                "distribution": origin.distribution,
                "version": origin.version,
                "devices": list(spec.devices),
                "stochastic": spec.stochastic,
                "control": spec.control,
                "members": spec.members,
                "params": [_as_json(param) for param in spec.params],
            }
        )
        return
    output.line(f"{spec.name}: {spec.summary}")
    output.line(
        f"From {origin.distribution} {origin.version}. Runs on {', '.join(spec.devices)}. "
        f"{'Results depend on the seed.' if spec.stochastic else 'Deterministic.'}"
    )
    if spec.members:
        output.line(f"Made of other methods, which --set {name}.{spec.members} lists.")
    if spec.reference:
        output.prose(printable(spec.reference))
    if spec.params:
        output.line()
        _print_params(
            ("parameter", *PRESETS, "allowed"),
            [
                (
                    param.name, *(short(param.value_for(preset)) for preset in PRESETS),
                    _allowed(param),
                )
                for param in spec.params
            ],
            [param.help for param in spec.params],
        )  # fmt: skip


def _print_params(
    columns: Sequence[str], rows: Sequence[tuple[str, ...]], helps: Sequence[str]
) -> None:
    """Print a table of parameters, and below it what each one is.

    Help is prose, which has no room beside the values in a narrow terminal.
    """
    output.table(columns, rows)
    widest = max(len(row[0]) for row in rows)
    for row, text in zip(rows, helps, strict=True):
        output.prose(f"{printable(row[0]):{widest}}  {printable(text)}", hanging=widest + 2)
    output.line()


def _show_engine(name: str, *, json: bool) -> None:
    engines = registry().engines
    spec, origin = engines.get(name), engines.plugins[name]
    if json:
        output.as_json(
            {
                "name": spec.name,
                "title": spec.title,
                "distribution": origin.distribution,
                "version": origin.version,
                "limits": list(spec.limits),
                "options": [
                    {
                        "name": option.name,
                        "type": option.type.__name__,
                        "default": option.default,
                        "allowed": _allowed(option),
                        "help": option.help,
                    }
                    for option in spec.options
                ],
            }
        )
        return
    limits = f"Keeps limits of {' and '.join(spec.limits)}." if spec.limits else "Keeps no limits."
    output.line(f"{spec.name}: {spec.title}")
    output.line(f"From {origin.distribution} {origin.version}. {limits}")
    if spec.options:
        output.line()
        _print_params(
            ("option", "default", "allowed"),
            [(option.name, short(option.default), _allowed(option)) for option in spec.options],
            [option.help for option in spec.options],
        )


def _as_json(param: Param) -> dict[str, Any]:
    return {
        "name": param.name,
        "type": param.type.__name__,
        "values": {preset: param.value_for(preset) for preset in PRESETS},
        "choices": list(param.choices or ()),
        "minimum": param.minimum,
        "maximum": param.maximum,
        "help": param.help,
    }


def _allowed(param: Param) -> str:
    """Return the type of a parameter with its bounds, or its choices."""
    if param.choices:
        return ", ".join(map(str, param.choices))
    low, high = param.minimum, param.maximum
    bounds = [
        *([f"≥ {low:g}"] if low is not None else []),
        *([f"≤ {high:g}"] if high is not None else []),
    ]
    return " ".join([param.type.__name__, ", ".join(bounds)]).strip()
