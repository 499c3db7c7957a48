"""``genebench list``: everything that this installation offers, by kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from genebench._util.text import printable_line
from genebench.cli import output
from genebench.cli.options import PluginOption
from genebench.errors import UserError, unknown
from genebench.plugins.discovery import installed
from genebench.plugins.plugin import Plugin
from genebench.plugins.registry import registry

Rows = list[dict[str, str]]


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "list",
        short_help="List what this installation offers.",
        epilog="Example: genebench list methods",
    )(list_)


def list_(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="methods, datasets, formats, splits, protocols, metrics, engines, reports, "
            "reporters or plugins.",
        ),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the traceback of each broken plugin.")
    ] = False,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """List what this installation offers, with the plugin of each entry."""
    if not kind:
        raise UserError(f"no kind to list. Name one of {', '.join(_KINDS)}.")
    if kind not in _KINDS:
        raise unknown("kind of thing to list", kind, _KINDS)
    rows = _KINDS[kind]()
    if json:
        output.as_json(rows)
    else:
        columns = tuple(rows[0]) if rows else ("name",)
        output.table(columns, [tuple(row.values()) for row in rows])
    if traceback:
        for broken in installed().broken:
            typer.echo(f"\n{broken.name} ({broken.distribution} {broken.version})")
            for line in broken.traceback.splitlines():
                typer.echo(printable_line(line))


def _specs(kind: str, *fields: str) -> Callable[[], Rows]:
    """Return a function that lists the specs of a kind, with some of their fields."""

    def cell(value: object) -> str:
        return " ".join(value) if isinstance(value, tuple) else str(value)

    def rows() -> Rows:
        specs = getattr(registry(), kind)
        return [
            {"name": name, "plugin": _origin(specs.plugins[name])}
            | {field: cell(getattr(spec, field)) for field in fields}
            for name, spec in specs.specs.items()
        ]

    return rows


def _origin(plugin: Plugin) -> str:
    return f"{plugin.distribution} {plugin.version}"


def _datasets() -> Rows:
    from genebench.data.home import prepared_titles

    declared = [
        {
            "name": name,
            "plugin": _origin(registry().datasets.plugins[name]),
            "sizes": ", ".join(spec.presets),
            "title": spec.title,
        }
        for name, spec in registry().datasets.specs.items()
    ]
    return declared + [
        {"name": name, "plugin": "prepared", "sizes": "", "title": title}
        for name, title in prepared_titles().items()
    ]


def _plugins() -> Rows:
    return [
        {
            "name": plugin.name,
            "distribution": f"{plugin.distribution} {plugin.version}",
            "state": f"broken: {plugin.error}" if plugin.error else "works",
            "offers": ", ".join(spec.name for specs in plugin.offers.values() for spec in specs),
        }
        for plugin in installed().all
    ]


_KINDS: dict[str, Callable[[], Rows]] = {
    "methods": _specs("methods", "summary"),
    "datasets": _datasets,
    "formats": _specs("formats", "title", "suffixes"),
    "splits": _specs("splits", "summary"),
    "protocols": _specs("protocols", "summary"),
    "metrics": _specs("metrics", "unit", "direction", "summary"),
    "engines": _specs("engines", "limits", "title"),
    "reports": _specs("reports", "argument", "summary"),
    "reporters": _specs("reporters", "title"),
    "plugins": _plugins,
}
