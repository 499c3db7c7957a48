"""``genebench show``: one method with all its parameters, or one engine with its options."""

from __future__ import annotations

from typing import Annotated

import typer

from genebench._util.text import short
from genebench.cli import output
from genebench.cli.options import PluginOption
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
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Describe a method (summary, source, parameters and their presets), or an engine."""
    methods = registry().methods
    if name in registry().engines.specs and name not in methods.specs:
        _show_engine(name)
        return
    spec, origin = methods.get(name), methods.plugins[name]
    output.line(f"{spec.name}: {spec.summary}")
    output.line(
        f"From {origin.distribution} {origin.version}. Runs on {', '.join(spec.devices)}. "
        f"{'Results depend on the seed.' if spec.stochastic else 'Deterministic.'}"
    )
    if spec.members:
        output.line(f"Made of other methods, which --set {name}.{spec.members} lists.")
    if spec.reference:
        output.line(spec.reference)
    if spec.params:
        output.table(
            ("parameter", "type", *PRESETS, "allowed", "help"),
            [_row(param) for param in spec.params],
        )


def _show_engine(name: str) -> None:
    engines = registry().engines
    spec, origin = engines.get(name), engines.plugins[name]
    limits = f"Keeps limits of {' and '.join(spec.limits)}." if spec.limits else "Keeps no limits."
    output.line(f"{spec.name}: {spec.title}")
    output.line(f"From {origin.distribution} {origin.version}. {limits}")
    if spec.options:
        output.table(
            ("option", "type", "default", "allowed", "help"),
            [
                (
                    option.name, option.type.__name__, short(option.default), _allowed(option),
                    option.help,
                )
                for option in spec.options
            ],
        )  # fmt: skip


def _row(param: Param) -> tuple[str, ...]:
    values = (short(param.value_for(preset)) for preset in PRESETS)
    return (param.name, param.type.__name__, *values, _allowed(param), param.help)


def _allowed(param: Param) -> str:
    if param.choices:
        return ", ".join(map(str, param.choices))
    low, high = param.minimum, param.maximum
    bounds = [
        *([f"≥ {low:g}"] if low is not None else []),
        *([f"≤ {high:g}"] if high is not None else []),
    ]
    return ", ".join(bounds)
