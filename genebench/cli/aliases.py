"""``genebench data aliases``: a table of other ids of genes, for the key ``aliases``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from genebench.cli import output
from genebench.cli.options import LandmarkMapOption, SilentOption, TargetMapOption


def register(group: typer.Typer) -> None:
    """Add the command to those of ``genebench data``."""
    epilog = "Example: genebench data aliases Homo_sapiens.gene_info.gz aliases.tsv"
    group.command("aliases", epilog=epilog)(aliases)


def aliases(  # noqa: PLR0917  the command line names them
    source: Annotated[
        Path,
        typer.Argument(
            help="gene_info of NCBI, or hgnc_complete_set.txt (or a custom download) of HGNC.",
            metavar="SOURCE",
        ),
    ],
    file: Annotated[Path, typer.Argument(help="Table to write.", metavar="OUT")],
    landmarks: LandmarkMapOption = None,
    targets: TargetMapOption = None,
    synonyms: Annotated[
        bool,
        typer.Option("--synonyms", help="Take synonyms of HGNC, too, not only previous symbols."),
    ] = False,
    quiet: SilentOption = False,
) -> None:
    """Make a table of Entrez ids, Ensembl ids and other symbols of the genes of two maps.

    Names of more than one gene are left out. The head of the table states source, licence and date.
    """
    import pandas as pd

    from genebench._util.files import atomic_write, user_errors
    from genebench.datasets.aliases import build_aliases, lines_of
    from genebench.datasets.gene_maps import find_map
    from genebench.formats.opening import check_absent
    from genebench.preprocessing.genes import read_gene_map

    check_absent(file)
    maps = [find_map("landmarks", landmarks), find_map("targets", targets)]
    table = build_aliases(source, pd.concat(map(read_gene_map, maps)), synonyms=synonyms)
    with user_errors(file.parent, "Choose another folder."), atomic_write(file, new=True) as stream:
        stream.write(table.text().encode())
    if quiet:
        return
    for line in lines_of(table):
        output.line(line)
    output.line(f"wrote {file}. Name it in the manifest, under [genes]: aliases = {str(file)!r}")
