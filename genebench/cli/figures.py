"""``genebench figures``: draw the figures that a results folder allows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from genebench.cli import output
from genebench.cli.options import (
    DEFAULT_RESULTS,
    JsonOption,
    OnlyDatasetOption,
    OnlyMethodsOption,
    OnlyProtocolsOption,
    PluginOption,
)


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "figures",
        short_help="Draw the figures of a results folder for a paper.",
        cls=_FiguresCommand,
        epilog="Example: genebench figures results --out figures --only forest,scatter --width 85",
    )(figures)


class _FiguresCommand(TyperCommand):
    """The command, whose help lists the kinds of figures."""

    def format_epilog(self, ctx: Any, formatter: Any) -> None:
        """Write the kinds before the example. They need pandas, so they are looked up only now."""
        from genebench.reports.paper import KINDS

        with formatter.section("Kinds of figures"):
            formatter.write_dl([(name, kind.summary) for name, kind in KINDS.items()])
        super().format_epilog(ctx, formatter)


def figures(  # noqa: PLR0917  typer's options are the arguments
    results: Annotated[
        Path, typer.Argument(metavar="[RESULTS]", help="Folder of the results.")
    ] = DEFAULT_RESULTS,
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder of the figures.")] = Path(
        "figures"
    ),
    only: Annotated[str, typer.Option(metavar="KIND,…", help="Only these kinds.")] = "",
    width: Annotated[
        int, typer.Option(help="Width in millimetres: 85 (one column) or 180 (two).")
    ] = 180,
    format_: Annotated[
        str, typer.Option("--format", metavar="FORMAT,…", help="Formats of the files.")
    ] = "pdf,svg,png",
    metrics: Annotated[
        str, typer.Option(metavar="METRIC,…", help="A figure is drawn for each metric.")
    ] = "mae",
    dataset: OnlyDatasetOption = None,
    protocol: OnlyProtocolsOption = None,
    methods: OnlyMethodsOption = None,
    json: JsonOption = False,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
) -> None:
    """Draw every figure that a results folder allows, in one style, as PDF, SVG and PNG.

    The numbers of a figure are in a CSV file of its name. Figures that cannot be drawn are named
    with the reason.
    """
    from genebench.reports.figures.drawing import check_drawing
    from genebench.reports.paper import figure_set

    check_drawing("")
    chosen = figure_set(
        results, only=only, width=width, formats=format_, metrics=metrics, dataset=dataset,
        protocols=protocol, methods=methods,
    )  # fmt: skip
    files: list[Path] = []
    for stem in chosen.write(out):
        files.append(stem)
        if not json and stem.suffix == ".csv":
            output.line(f"drawn: {stem.with_suffix('')}.{{{format_.replace(' ', '')},csv}}")
    for line in chosen.left_out:
        output.message(line)
    if json:
        content: dict[str, Any] = {
            "files": [str(path) for path in files], "left_out": chosen.left_out,
        }  # fmt: skip
        output.as_json(content)
