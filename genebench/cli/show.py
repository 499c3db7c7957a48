"""``genebench show``: one method with all its parameters, or one engine with its options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from genebench._util.text import printable, short, typed
from genebench.cli import output
from genebench.cli.completion import anything
from genebench.cli.options import JsonOption, PluginOption
from genebench.errors import UserError, unknown
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
            help="A method, engine, protocol, metric, dataset, or suite (by name or file).",
            metavar="NAME",
            autocompletion=anything,
        ),
    ],
    json: JsonOption = False,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Describe a method (summary, source, parameters and their presets), or anything by its name.

    Of things with one name, the method comes first.
    """
    methods = registry().methods
    if name not in methods.specs:
        if not _show_other(name, json=json):
            raise _unknown(name)
        return
    spec, origin = methods.get(name), methods.plugins[name]
    if json:
        output.as_json(
            {
                "name": spec.name,
                "kind": "method",
                "title": spec.title,
                "summary": spec.summary,
                "reference": spec.reference,
                "distribution": origin.distribution,
                "version": origin.version,
                "devices": list(spec.devices),
                "stochastic": spec.stochastic,
                "control": spec.control,
                "members": spec.members,
                "not_applicable": dict(spec.not_applicable),
                "bibtex": spec.bibtex,
                "params": [_as_json(param) for param in spec.params],
            }
        )
        return
    output.prose(f"{spec.name}: {spec.summary}")
    output.prose(
        f"From {origin.distribution} {origin.version}. Runs on {', '.join(spec.devices)}. "
        f"{'Results depend on the seed.' if spec.stochastic else 'Deterministic.'}"
    )
    if spec.members:
        output.prose(f"Made of other methods, which --set {name}.{spec.members} lists.")
    for protocol, reason in spec.not_applicable.items():
        output.prose(printable(f"Not applicable under {protocol}: {reason}"))
    if spec.reference:
        output.prose(printable(spec.reference))
    if spec.bibtex:
        output.prose(f"genebench cite {spec.name} prints its BibTeX.")
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


def _unknown(name: str) -> UserError:
    """Return the error for a name of nothing, which may be a dataset that is not prepared."""
    error = unknown("name", name, _names(), registry().methods.texts)
    if "Did you mean" in str(error):
        return error
    return UserError(
        f"{str(error).rstrip('.')}. If it is a dataset, prepare it first, from its manifest: "
        f"genebench data prepare {name}.toml (see docs/guides/data.md)."
    )


def _show_other(name: str, *, json: bool) -> bool:
    """Describe something that is no method. Return whether there is anything of this name."""
    from genebench.data.home import prepared_titles
    from genebench.runs.suite import shipped_suites

    specs = registry()
    if name in specs.engines.specs:
        _show_engine(name, json=json)
    elif specs.protocols.plugin_of(name):
        _show_protocol(name, json=json)
    elif name in specs.metrics.specs:
        _show_metric(name, json=json)
    elif name in specs.datasets.specs:
        _show_dataset(name, json=json)
    elif (titles := prepared_titles()) and name in titles:
        if json:
            output.as_json({"name": name, "kind": "prepared dataset", "title": titles[name]})
            return True
        output.prose(f"{name}, a prepared dataset: {titles[name]}")
        output.prose(f"genebench data info {name} shows its genes and profiles.")
    elif name in shipped_suites() or name.endswith(".toml"):
        _show_suite(name, json=json)
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


def _show_metric(name: str, *, json: bool) -> None:
    spec, plugin = registry().metrics.get(name), registry().metrics.plugins[name]
    if json:
        output.as_json(
            {
                "name": spec.name,
                "kind": "metric",
                "summary": spec.summary,
                "direction": spec.direction,
                "unit": spec.unit,
                **_distribution(plugin),
            }
        )
        return
    output.prose(f"{spec.name}, a metric: {spec.summary}")
    output.prose(f"{_origin(plugin)} {spec.direction.capitalize()} is better, unit: {spec.unit}.")


def _show_dataset(name: str, *, json: bool) -> None:
    spec, plugin = registry().datasets.get(name), registry().datasets.plugins[name]
    if json:
        output.as_json(
            {
                "name": spec.name,
                "kind": "dataset",
                "title": spec.title,
                "presets": list(spec.presets),
                **_distribution(plugin),
            }
        )
        return
    sizes = f" Sizes: {', '.join(spec.presets)}." if spec.presets else ""
    output.prose(f"{spec.name}, a dataset: {spec.title}")
    output.prose(f"{_origin(plugin)}{sizes}")


def _show_protocol(name: str, *, json: bool) -> None:
    protocols = registry().protocols
    spec = protocols.get(name)
    plugin = protocols.plugin_of(name)
    roles = "training set", "validation set", "test set"
    parts = [(role, str(part)) for role, part in zip(roles, spec.parts, strict=True)]
    if json:
        output.as_json(
            {
                "name": spec.name,
                "kind": "protocol",
                "summary": spec.summary,
                "protocol_version": spec.version,
                "variant_of": spec.variant_of,
                "folds": spec.folds,
                "repeats": spec.repeats,
                "parts": dict(parts),
                **(_distribution(plugin) if plugin else {}),
            }
        )
        return
    output.prose(f"{spec.name}, a protocol: {spec.summary}")
    output.prose(
        f"{_origin(plugin) if plugin else ''} Version {spec.version}."
        f"{f' A variant of {spec.variant_of}.' if spec.variant_of else ''}"
    )
    if spec.is_family:
        number = spec.repeats or spec.folds
        output.prose(
            f"It is run {number} times: {spec.name}.1 to {spec.name}.{number}."
            if number != "leave-one-out"
            else f"It is run once for each value of column {spec.test.column or 'group'}, as "
            f"{spec.name}.LABEL. genebench run --dry-run lists them."
        )
    output.table(("part", "profiles"), parts)


def _show_suite(name: str, *, json: bool) -> None:
    from genebench.runs.suite import read_suite

    suite = read_suite(name)
    if json:
        runs = [
            {"methods": list(run.methods), "set": dict(run.set), "grid": dict(run.grid)}
            for run in suite.runs
        ]
        output.as_json(
            {
                "name": name,
                "kind": "suite",
                "title": suite.title,
                "protocols": list(suite.protocols),
                "runs": runs,
            }
        )
        return
    output.prose(f"{name}, a suite: {suite.title}" if suite.title else f"{name}, a suite.")
    output.prose(f"Protocols: {', '.join(suite.protocols)}. Run it: genebench run {name}.")
    columns = {
        "name": [run.name for run in suite.runs],
        "methods": [", ".join(run.methods) for run in suite.runs],
        "set": [
            " ".join(f"{key}={typed(value)}" for key, value in run.set.items())
            for run in suite.runs
        ],
        "grid": [
            " ".join(f"{key}={','.join(map(typed, values))}" for key, values in run.grid.items())
            for run in suite.runs
        ],
    }
    columns = {name: cells for name, cells in columns.items() if any(cells)}
    output.table([*columns], [*zip(*columns.values(), strict=True)])


def _distribution(plugin: Plugin) -> dict[str, str]:
    return {"distribution": plugin.distribution, "version": plugin.version}


def _origin(plugin: Plugin) -> str:
    return f"From {plugin.distribution} {plugin.version}."


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
                "kind": "engine",
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
    output.prose(f"{spec.name}: {spec.title}")
    output.prose(f"From {origin.distribution} {origin.version}. {limits}")
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
        "list": {"min_length": param.min_length, "max_length": param.max_length}
        if param.is_list
        else None,
        "values": {preset: param.value_for(preset) for preset in PRESETS},
        "choices": list(param.choices or ()),
        "minimum": param.minimum,
        "maximum": param.maximum,
        "help": param.help,
    }


def _allowed(param: Param) -> str:
    """Return the type of a parameter with its bounds, or its choices."""
    values = _allowed_values(param)
    if not param.is_list:
        return values
    low, high = param.min_length, param.max_length
    length = f"{low}" if low == high else f"{low} to {high}"
    return f"list of {length}: {values}"


def _allowed_values(param: Param) -> str:
    """Return what a value may be, or each value of a list."""
    if param.choices:
        return ", ".join(map(str, param.choices))
    low, high = param.minimum, param.maximum
    bounds = [
        *([f"≥ {low:g}"] if low is not None else []),
        *([f"≤ {high:g}"] if high is not None else []),
    ]
    return " ".join([param.type.__name__, ", ".join(bounds)]).strip()
