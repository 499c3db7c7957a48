"""``genebench leaderboard``: results as a site."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genebench._util.text import printable
from genebench.cli.options import DEFAULT_RESULTS, PluginOption
from genebench.errors import UserError

_MOST = 20
"""Problems that are named on standard error; the site's own page has them all."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "leaderboard",
        short_help="Make a site of results: ranks, runs, methods.",
        epilog="Example: genebench leaderboard results --out site",
    )(leaderboard)


def leaderboard(
    results: Annotated[
        list[Path] | None,
        typer.Argument(metavar="RESULTS...", help="Results folders.", show_default="results"),
    ] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the site.")] = Path("site"),
    metrics: Annotated[
        str, typer.Option(help="Columns of scores; methods are ranked by the first.")
    ] = "mae,cc",
    title: Annotated[str, typer.Option(help="What the site is called.")] = "genebench leaderboard",
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Make a static site of one or more results folders; it opens from disk, offline.

    A record that cannot be shown is named, and the rest is built.
    """
    try:
        from genebench.leaderboard import build
    except ModuleNotFoundError as error:
        if error.name not in ("jinja2", "markupsafe"):
            raise
        raise UserError("a site needs jinja2; pip install 'genebench[report]'") from None
    made = build(results or [DEFAULT_RESULTS], out, metrics=metrics.split(","), title=title)
    for problem in made.problems[:_MOST]:
        typer.echo(f"genebench: not shown: {printable(problem)}", err=True)
    if len(made.problems) > _MOST:
        more = len(made.problems) - _MOST
        typer.echo(f"genebench: {more:,} more; see {out / 'problems.html'}", err=True)
    typer.echo(f"{made.index}: {made.boards:,} boards of {made.runs:,} runs")
