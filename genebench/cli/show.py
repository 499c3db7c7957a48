"""``genebench show``: one method with all its parameters, or one engine with its options."""

from __future__ import annotations

from typing import Annotated

import typer

from genebench._util.text import short
from genebench.cli import output
from genebench.cli.options import PluginOption
from genebench.errors import unknown
from genebench.plugins.plugin import Plugin
from genebench.plugins.registry import registry
from genebench.specs import PRESETS, Param


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "show",
        short_help="Describe a method, protocol, metric, dataset, engine or suite.",
        epilog="Example: genebench show lsr-l2",
    )(show)


def show(
    name: Annotated[
        str,
        typer.Argument(
            help="A method, an engine, a protocol, a metric, a dataset or a suite.", metavar="NAME"
        ),
    ],
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Describe a method (summary, source, parameters and their presets), or anything by its name.

    Of things with one name, the method comes first.
    """
    methods = registry().methods
    if name not in methods.specs:
        if not _show_other(name):
            raise unknown("name", name, _names(), methods.texts)
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


def _show_other(name: str) -> bool:
    """Describe something that is no method. Return whether there is anything of this name."""
    from genebench.data.home import prepared_titles
    from genebench.runs.suite import shipped_suites

    specs = registry()
    if name in specs.engines.specs:
        _show_engine(name)
    elif specs.protocols.plugin_of(name):
        _show_protocol(name)
    elif name in specs.metrics.specs:
        metric = specs.metrics.get(name)
        output.line(f"{metric.name}, a metric: {metric.summary}")
        origin, direction = _origin(specs.metrics.plugins[name]), metric.direction.capitalize()
        output.line(f"{origin} {direction} is better, unit: {metric.unit}.")
    elif name in specs.datasets.specs:
        dataset = specs.datasets.get(name)
        sizes = f" Sizes: {', '.join(dataset.presets)}." if dataset.presets else ""
        output.line(f"{dataset.name}, a dataset: {dataset.title}")
        output.line(f"{_origin(specs.datasets.plugins[name])}{sizes}")
    elif (titles := prepared_titles()) and name in titles:
        output.line(f"{name}, a prepared dataset: {titles[name]}")
        output.line(f"genebench data info {name} shows its genes and profiles.")
    elif name in shipped_suites():
        _show_suite(name)
    else:
        return False
    return True


def _names() -> list[str]:
    """Return every name that can be shown."""
    from genebench.data.home import prepared_titles
    from genebench.runs.suite import shipped_suites

    specs = registry()
    kinds = (specs.methods, specs.engines, specs.protocols, specs.metrics, specs.datasets)
    declared = [name for kind in kinds for name in kind.specs]
    return [*declared, *prepared_titles(), *shipped_suites()]


def _show_protocol(name: str) -> None:
    protocols = registry().protocols
    spec = protocols.get(name)
    plugin = protocols.plugin_of(name)
    output.line(f"{spec.name}, a protocol: {spec.summary}")
    output.line(
        f"{_origin(plugin) if plugin else ''} Version {spec.version}."
        f"{f' A variant of {spec.variant_of}.' if spec.variant_of else ''}"
    )
    parts = zip(("training set", "validation set", "test set"), spec.parts, strict=True)
    output.table(("part", "profiles"), [(role, str(part)) for role, part in parts])


def _show_suite(name: str) -> None:
    from genebench.runs.suite import read_suite

    suite = read_suite(name)
    output.line(f"{name}, a suite: {suite.title}")
    output.line(f"Protocols: {', '.join(suite.protocols)}. Run it: genebench run {name}.")
    output.table(
        ("methods", "set", "grid"),
        [
            (
                ", ".join(run.methods),
                " ".join(f"{key}={value}" for key, value in run.set.items()),
                " ".join(f"{key}={','.join(map(str, v))}" for key, v in run.grid.items()),
            )
            for run in suite.runs
        ],
    )


def _origin(plugin: Plugin) -> str:
    return f"From {plugin.distribution} {plugin.version}."


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
