"""``genebench config``: the defaults in force, and the file that each comes from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import typer

from genebench.cli import output
from genebench.cli.options import JsonOption

if TYPE_CHECKING:
    from genebench.runs.config import Preferences

BUILT_IN = "built in"
_BUILT_IN = {
    "results": "results",
    "dataset": "sim",
    "preset": "as the dataset suggests",
    "protocols": "geo, gtex",
    "seeds": "1",
    "device": "auto",
    "engine": "the first that keeps the limits",
}
"""Key → the default of a command if no file has it, in words."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "config",
        short_help="Print the defaults in force, and where each comes from.",
        epilog="Example: genebench config",
    )(config)


def config(json: JsonOption = False) -> None:
    """Print each default, and the file that it comes from.

    The command line goes before a suite, a suite before genebench.toml or [tool.genebench] of
    pyproject.toml in this folder or a parent, and these before your own file.
    """
    from genebench.runs.config import VALUES, preference, read_config, user_file

    files = read_config()
    rows: list[dict[str, Any]] = []
    for key in VALUES:
        found = preference(key)
        value = found.value if found else _BUILT_IN[key]
        source = found.source if found else BUILT_IN
        rows.append({"key": key, "value": value, "source": source})
    tables: dict[str, dict[str, Any]] = {}
    for source, content in reversed(files.items()):
        for key, value in _of_tables(content):
            tables[key] = {"key": key, "value": value, "source": source}
    rows += tables.values()
    own = user_file()
    if json:
        output.as_json({"values": rows, "files": list(files), "user_file": str(own)})
        return
    output.table(
        ("key", "value", "from"), [(row["key"], _text(row["value"]), row["source"]) for row in rows]
    )
    state = "" if str(own) in files else ", which does not exist"
    output.line(f"Your own file: {own}{state}.")


def _of_tables(content: Preferences) -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and the value of each option and resource."""
    for engine, options in content.engines.items():
        for name, value in options.items():
            yield f"engines.{engine}.{name}", value
    for name, amount in content.resources.amounts.items():
        yield f"resources.{name}", amount
    for method, table in content.resources.__pydantic_extra__.items():
        for name, amount in table.amounts.items():
            yield f"resources.{method}.{name}", amount


def _text(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
