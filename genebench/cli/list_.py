"""``genebench list``: everything that this installation offers, by kind."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any

import typer

from genebench._util.text import printable_line
from genebench.cli import output
from genebench.cli.completion import words
from genebench.cli.options import PluginOption
from genebench.errors import some, unknown
from genebench.plugins.discovery import installed
from genebench.plugins.plugin import KINDS, Plugin
from genebench.plugins.registry import registry

Rows = list[dict[str, str]]

_KINDS = (*KINDS, "suites", "plugins")
_FIELDS = {
    "engines": ("limits", "title"),
    "formats": ("title", "suffixes"),
    "metrics": ("unit", "direction", "summary"),
    "reporters": ("title",),
    "reports": ("argument", "summary"),
}
"""Fields to list of the specs of a kind, if it is not the summary alone."""


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
            metavar="[KIND]",
            help=f"{', '.join(_KINDS[:-1])} or {_KINDS[-1]}. Without one: these kinds.",
            autocompletion=words(*_KINDS),
        ),
    ] = "",
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    traceback: Annotated[
        bool, typer.Option("--traceback", help="Show the traceback of each broken plugin.")
    ] = False,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """List what this installation offers, with the plugin of each entry."""
    if kind and kind not in _KINDS:
        raise unknown("kind", kind, _KINDS)
    if json:
        output.as_json(_rows(kind) if kind else _kinds())
    else:
        rows = _rows(kind) if kind else _summary()
        columns = tuple(rows[0]) if rows else ("name",)
        output.common(
            columns, [tuple(row.values()) for row in rows], kept=("name", "kind", "state")
        )
    if traceback:
        for broken in installed().broken:
            output.line()
            output.line(f"{broken.name} ({broken.distribution} {broken.version})")
            for line in broken.traceback.splitlines():
                output.line(printable_line(line))


def _kinds() -> list[dict[str, Any]]:
    """Return a row for each kind, with the names of its entries."""
    names = {kind: [row["name"] for row in _rows(kind)] for kind in _KINDS}
    return [{"kind": kind, "number": len(names[kind]), "names": names[kind]} for kind in _KINDS]


def _summary() -> Rows:
    """Return a row for each kind, with the names of its first entries."""
    return [
        {"kind": row["kind"], "number": str(row["number"]), "such as": some(row["names"])}
        for row in _kinds()
    ]


def _rows(kind: str) -> Rows:
    """Return a row for each entry of a kind."""
    others = {"datasets": _datasets, "suites": _suites, "plugins": _plugins}
    return others.get(kind, partial(_specs, kind))()


def _specs(kind: str) -> Rows:
    """Return a row for each spec of a kind, with some of its fields."""

    def cell(value: object) -> str:
        return " ".join(value) if isinstance(value, tuple) else str(value)

    specs = getattr(registry(), kind)
    return [
        {"name": name, "plugin": _origin(specs.plugins[name])}
        | {field: cell(getattr(spec, field)) for field in _FIELDS.get(kind, ("summary",))}
        for name, spec in specs.specs.items()
    ]


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


def _suites() -> Rows:
    """Return a row for each suite that genebench run takes by name."""
    from genebench.runs.suite import read_suite, shipped_suites

    suites = {name: read_suite(name) for name in shipped_suites()}
    return [
        {"name": name, "protocols": ", ".join(suite.protocols), "title": suite.title}
        for name, suite in suites.items()
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
