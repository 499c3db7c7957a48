"""``genebench data export`` and ``genebench data convert``: write matrices in any format."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast, get_args

import typer

from genebench._util.text import printable
from genebench.cli import output
from genebench.cli.options import SilentOption
from genebench.cli.progress import bar
from genebench.errors import UserError, unknown
from genebench.plugins.registry import registry
from genebench.specs import Part, Split

if TYPE_CHECKING:
    from collections.abc import Iterable


def register(group: typer.Typer) -> None:
    """Add the commands to those of ``genebench data``."""
    group.command("export", epilog="Example: genebench data export u133 geo/test test.gctx")(export)
    group.command("convert", epilog="Example: genebench data convert big.gctx big.h5ad")(convert)


def export(  # noqa: PLR0917  the command line names them
    dataset: Annotated[str, typer.Argument(help="A prepared dataset.")],
    part: Annotated[
        str,
        typer.Argument(
            help="A platform, or a part of its random split. With --protocol: train, validation "
            "or test.",
            metavar="PLATFORM[/SPLIT]|PART",
        ),
    ],
    file: Annotated[Path, typer.Argument(help="File to write. Its suffix gives the format.")],
    genes: Annotated[
        Literal["landmarks", "targets", "all"],
        typer.Option(help="Genes to write. With all, ids are landmark:ENSG… and target:ENSG…."),
    ] = "all",
    values: Annotated[
        Literal["expression", "standardised"],
        typer.Option(help="Normalised log2 expression, or standard deviations of the gene."),
    ] = "expression",
    protocol: Annotated[
        str | None,
        typer.Option(help="Write a part of this protocol, with its split and its statistics."),
    ] = None,
    quiet: SilentOption = False,
) -> None:
    """Write a platform of a prepared dataset, or a part of a protocol, to a file of any format."""
    from genebench.datasets.export import export as write
    from genebench.datasets.library import open_dataset

    wanted = _part_of_protocol(part, protocol) if protocol else _part(part)
    opened = open_dataset(dataset, registry().datasets)
    with bar(quiet=quiet) as progress:
        written = write(opened, wanted, file, genes=genes, values=values, progress=progress)
    _print_written(written, quiet=quiet)


def convert(
    source: Annotated[Path, typer.Argument(help="File to read.", metavar="IN")],
    file: Annotated[
        Path, typer.Argument(help="File to write. Its suffix gives the format.", metavar="OUT")
    ],
    orientation: Annotated[
        Literal["genes", "profiles"], typer.Option(help="Meaning of the rows of a table in IN.")
    ] = "genes",
    layer: Annotated[
        str | None,
        typer.Option(help="Matrix to read of an AnnData file: a layer, or raw.", metavar="NAME"),
    ] = None,
    quiet: SilentOption = False,
) -> None:
    """Write a matrix in another format: every gene, every profile, values as they are."""
    from genebench.datasets.export import convert as write
    from genebench.formats.opening import open_reader

    options: dict[str, Any] = {} if layer is None else {"layer": layer}
    reader = open_reader(source, orientation, **options)
    with bar(quiet=quiet) as progress:
        written = write(reader, file, progress=progress)
    _print_written(written, quiet=quiet)
    for note in () if quiet else reader.notes:
        output.line(printable(f"{source}: {note}"))


def _part(text: str) -> Part:
    """Return the part of a command line: ``PLATFORM`` or ``PLATFORM/SPLIT``."""
    platform, slash, split = text.partition("/")
    if slash and split not in get_args(Split):
        raise unknown("split", split, get_args(Split))
    try:
        return Part(platform=platform, split=cast(Split, split) if slash else None)
    except ValueError as error:
        raise UserError(str(error)) from None


def _part_of_protocol(name: str, protocol: str) -> Part:
    """Return the training, validation or test set of a protocol."""
    spec = registry().protocols.single(protocol)
    parts = {"train": spec.train, "validation": spec.validation, "test": spec.test}
    if name not in parts:
        raise unknown(f"part of protocol {protocol}", name, parts)
    return parts[name]


def _print_written(written: Iterable[Path], *, quiet: bool) -> None:
    """Print the files that were written, the matrix first."""
    *others, matrix = written
    if quiet:
        return
    output.line(f"wrote {matrix}")
    for other in others:
        output.line(f"  and {other}")
