"""``genebench show``: one method with all its parameters."""

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
        short_help="Describe a method and its parameters.",
        epilog="Example: genebench show lsr-l2",
    )(show)


def show(
    method: Annotated[str, typer.Argument(help="A method.", metavar="METHOD")],
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Describe a method: summary, source, parameters and their presets."""
    methods = registry().methods
    spec, origin = methods.get(method), methods.plugins[method]
    output.line(f"{spec.name}: {spec.summary}")
    output.line(
        f"From {origin.distribution} {origin.version}. Runs on {', '.join(spec.devices)}. "
        f"{'Results depend on the seed.' if spec.stochastic else 'Deterministic.'}"
    )
    if spec.reference:
        output.line(spec.reference)
    if spec.params:
        output.table(
            ("parameter", "type", *PRESETS, "allowed", "help"),
            [_row(param) for param in spec.params],
        )


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
