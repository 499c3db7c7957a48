"""``genebench data export`` and ``genebench data convert``: matrices out, in any format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast, get_args

import typer

from genebench.cli.progress import bar
from genebench.errors import UserError, unknown
from genebench.plugins.registry import registry
from genebench.specs import Part, Split

if TYPE_CHECKING:
    from collections.abc import Iterable

Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing.")]


def register(group: typer.Typer) -> None:
    """Add the commands to those of ``genebench data``."""
    group.command("export", epilog="Example: genebench data export u133 geo/test test.gctx")(export)
    group.command("convert", epilog="Example: genebench data convert big.gctx big.h5ad")(convert)


def export(  # noqa: PLR0917  the command line names them
    dataset: Annotated[str, typer.Argument(help="A prepared dataset.")],
    part: Annotated[
        str,
        typer.Argument(
            help="A platform, or a part of its split; with --protocol: train, validation or test.",
            metavar="PLATFORM[/SPLIT]|PART",
        ),
    ],
    file: Annotated[Path, typer.Argument(help="File to write; its name says the format.")],
    genes: Annotated[
        Literal["landmarks", "targets", "all"],
        typer.Option(help="Rows to write; of all, ids are landmark:ENSG… and target:ENSG…."),
    ] = "all",
    values: Annotated[
        Literal["expression", "standardised"],
        typer.Option(help="Normalised log2 expression, or that in standard deviations."),
    ] = "expression",
    protocol: Annotated[
        str | None,
        typer.Option(help="Write a part of this protocol, in its split and its units."),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Write a platform of a prepared dataset, or a part of a protocol, to a file of any format."""
    from genebench.datasets.export import export as write
    from genebench.datasets.library import open_dataset

    wanted = _part_of_protocol(part, protocol) if protocol else _part(part)
    opened = open_dataset(dataset, registry().datasets)
    with bar(quiet=quiet) as progress:
        written = write(opened, wanted, file, genes=genes, values=values, progress=progress)
    _tell(written, quiet=quiet)


def convert(
    source: Annotated[Path, typer.Argument(help="File to read.", metavar="IN")],
    file: Annotated[
        Path, typer.Argument(help="File to write; its name says the format.", metavar="OUT")
    ],
    orientation: Annotated[
        Literal["genes", "profiles"], typer.Option(help="What the rows of a table in IN are.")
    ] = "genes",
    quiet: Quiet = False,
) -> None:
    """Write a matrix in another format: every gene, every profile, values as they are."""
    from genebench.datasets.export import convert as write
    from genebench.formats.opening import open_reader

    with bar(quiet=quiet) as progress:
        written = write(open_reader(source, orientation), file, progress=progress)
    _tell(written, quiet=quiet)


def _part(text: str) -> Part:
    platform, slash, split = text.partition("/")
    if slash and split not in get_args(Split):
        raise unknown("split", split, get_args(Split))
    try:
        return Part(platform=platform, split=cast(Split, split) if slash else None)
    except ValueError as error:
        raise UserError(str(error)) from None


def _part_of_protocol(name: str, protocol: str) -> Part:
    spec = registry().protocols.get(protocol)
    parts = {"train": spec.train, "validation": spec.validation, "test": spec.test}
    if name not in parts:
        raise unknown(f"part of protocol {protocol}", name, parts)
    return parts[name]


def _tell(written: Iterable[Path], *, quiet: bool) -> None:
    *others, matrix = written
    if quiet:
        return
    typer.echo(f"wrote {matrix}")
    for other in others:
        typer.echo(f"  and {other}")
