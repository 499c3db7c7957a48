"""``genebench list``: what is on offer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import typer

from genebench._util.text import printable
from genebench.cli import output
from genebench.cli.options import PluginOption
from genebench.errors import UserError, unknown
from genebench.plugins.discovery import installed
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
            help="methods, datasets, formats, splits, protocols, metrics, engines, reports, reporters or "
            "plugins.",
        ),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="With plugins: why broken ones are broken.")
    ] = False,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """List what this installation offers, and which plugin it comes from."""
    if not kind:
        raise UserError(f"no kind to list; name one of {', '.join(_KINDS)}")
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
                typer.echo(f"{line[: len(line) - len(line.lstrip())]}{printable(line)}")


def _registry_of(kind: str, *details: str) -> Callable[[], Rows]:
    def rows() -> Rows:
        specs = getattr(registry(), kind)
        return [
            {"name": name, "plugin": _origin(specs.plugins[name])}
            | {detail: _cell(getattr(spec, detail)) for detail in details}
            for name, spec in specs.specs.items()
        ]

    return rows


def _cell(value: object) -> str:
    return " ".join(value) if isinstance(value, tuple) else str(value)


def _origin(plugin: object) -> str:
    return f"{getattr(plugin, 'distribution', '?')} {getattr(plugin, 'version', '?')}"


def _datasets() -> Rows:
    from genebench.data.home import prepared_titles

    offered = [
        {
            "name": name,
            "plugin": _origin(registry().datasets.plugins[name]),
            "sizes": ", ".join(spec.presets),
            "title": spec.title,
        }
        for name, spec in registry().datasets.specs.items()
    ]
    return offered + [
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
    "methods": _registry_of("methods", "summary"),
    "datasets": _datasets,
    "formats": _registry_of("formats", "title", "suffixes"),
    "splits": _registry_of("splits", "summary"),
    "protocols": _registry_of("protocols", "summary"),
    "metrics": _registry_of("metrics", "unit", "direction", "summary"),
    "engines": _registry_of("engines", "title"),
    "reports": _registry_of("reports", "argument", "summary"),
    "reporters": _registry_of("reporters", "title"),
    "plugins": _plugins,
}
