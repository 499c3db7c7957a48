"""The command ``genebench leaderboard``: build a static site of results."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genebench._util.text import encodable
from genebench.cli import output
from genebench.cli.options import DEFAULT_RESULTS, PluginOption
from genebench.errors import missing_library

_MOST_PROBLEMS = 20
"""Problems that are printed on standard error. A page of the site lists all of them."""


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command(
        "leaderboard",
        short_help="Build a site of results: ranks, runs, methods.",
        epilog="Example: genebench leaderboard results --out site",
    )(leaderboard)


def leaderboard(
    results: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RESULTS...", help="Results folders.", show_default="results"),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the site.")] = Path("site"),
    metrics: Annotated[
        str, typer.Option(help="Columns of scores, with commas. The first one ranks the methods.")
    ] = "mae,cc",
    title: Annotated[str, typer.Option(help="Title of the site.")] = "genebench leaderboard",
    plugin: PluginOption = None,  # noqa: ARG001  the option itself loads plugins
) -> None:
    """Build a static site of one or more results folders. It opens from disk, offline.

    Records that cannot be shown are named on standard error. All others are shown.
    """
    try:
        from genebench.leaderboard.assembly import build
    except ModuleNotFoundError as error:
        if error.name not in ("docutils", "jinja2", "markupsafe"):
            raise
        raise missing_library("A site", error.name, "report") from None
    built = build(
        results or [DEFAULT_RESULTS], out, metrics=metrics.split(","), title=encodable(title)
    )
    for problem in built.problems[:_MOST_PROBLEMS]:
        output.message(f"genebench: not shown: {problem}")
    if len(built.problems) > _MOST_PROBLEMS:
        more = len(built.problems) - _MOST_PROBLEMS
        output.message(f"genebench: {more:,} more. See {out / 'problems.html'}")
    output.line(f"{built.index}: {built.boards:,} boards of {built.runs:,} runs")
