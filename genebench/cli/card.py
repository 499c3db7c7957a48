"""``genebench data card``: what a prepared dataset is, as text, figures or metadata."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genebench.cli import output
from genebench.errors import UserError


def register(group: typer.Typer) -> None:
    """Add the command to those of ``genebench data``."""
    group.command("card", epilog="Example: genebench data card u133 --out card")(card)


def card(  # noqa: PLR0917  the command line names them
    dataset: Annotated[str, typer.Argument(help="A dataset.", metavar="DATASET")],
    out: Annotated[
        Path | None,
        typer.Option(
            help="Folder for the card as Markdown, with figures of levels and components.",
            metavar="DIR",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the card as JSON.")] = False,
    croissant: Annotated[
        bool,
        typer.Option("--croissant", help="Print metadata in Croissant 1.0 (JSON-LD)."),
    ] = False,
    url: Annotated[str, typer.Option(help="Address of the dataset, for --croissant.")] = "",
    creator: Annotated[str, typer.Option(help="Who prepared it, for --croissant.")] = "",
) -> None:
    """Print the card of a dataset: sources, licences, digests, coverage, groups and levels.

    With --out, its figures are drawn, too: a histogram of the levels, and the profiles on their
    first two components, coloured by platform and by series.
    """
    from genebench._util.files import atomic_write, user_errors
    from genebench.datasets.card import card_text, make_card
    from genebench.datasets.library import open_dataset
    from genebench.plugins.registry import registry

    if json and croissant:
        raise UserError("--json and --croissant: both print to standard output. Choose one.")
    opened = open_dataset(dataset, registry().datasets)
    made = make_card(opened)
    text = card_text(made)
    if json:
        output.as_json(made.facts)
    elif croissant:
        from genebench.datasets.croissant import croissant as metadata_of

        output.as_json(metadata_of(opened, made, url=url, creator=creator))
    elif out is None:
        output.block(text)
    if out is None:
        return
    from genebench.reports.figures.card import draw

    figures = draw(made, out)
    path = out / f"{opened.name}.md"
    shown = [f"![{file.stem}]({file.name})" for file in figures if file.suffix == ".svg"]
    with user_errors(out, "Choose another folder with --out."), atomic_write(path) as stream:
        stream.write("\n".join([text, *shown, ""]).encode())
    for file in (path, *figures):
        (output.message if json or croissant else output.line)(f"wrote {file}")
