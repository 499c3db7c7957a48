"""``genebench data new-manifest``: look at files, and write a commented manifest."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from genebench.cli import output
from genebench.cli.options import LandmarkMapOption, SilentOption, TargetMapOption
from genebench.errors import UserError


def register(group: typer.Typer) -> None:
    """Add the command to those of ``genebench data``."""
    epilog = "Example: genebench data new-manifest arrays.tsv rnaseq.gct samples.tsv"
    group.command("new-manifest", epilog=epilog)(new_manifest)


def new_manifest(  # noqa: PLR0917  the command line names them
    files: Annotated[
        list[str],
        typer.Argument(
            help="Matrices and tables of profiles. geo=FILE, 1000g=FILE or gtex=FILE state the "
            "role of a matrix.",
            metavar="[ROLE=]FILE…",
        ),
    ],
    out: Annotated[Path, typer.Option(help="Manifest to write.")] = Path("manifest.toml"),
    name: Annotated[str, typer.Option(help="Name of the dataset.")] = "mine",
    landmarks: LandmarkMapOption = None,
    targets: TargetMapOption = None,
    quiet: SilentOption = False,
) -> None:
    """Look at files, and write a commented manifest of what they seem to be.

    Roles, orientation, kinds of ids and units are guessed, and genes of the maps counted. All of it
    is for you to check.
    """
    import pandas as pd

    from genebench._util.files import atomic_write, user_errors
    from genebench.datasets import new_manifest as guessing
    from genebench.datasets.gene_maps import find_map
    from genebench.formats.opening import check_absent
    from genebench.preprocessing.genes import read_gene_map

    check_absent(out)
    _check_arguments(name, [_split(text)[1] for text in files])
    maps = {"landmarks": find_map("landmarks", landmarks), "targets": find_map("targets", targets)}
    genes = {role: read_gene_map(path) for role, path in maps.items()}
    guesses, tables = [], {}
    for text in files:
        role, path = _split(text)
        seen = guessing.guess(path, role, genes["landmarks"], genes["targets"])
        if isinstance(seen, pd.DataFrame):
            tables[path] = seen
        else:
            guesses.append(seen)
    if not guesses:
        raise UserError(
            f"{', '.join(map(str, tables))}: no gene of the maps is in it, as any kind of ids. "
            "Give a matrix of expression, or other maps."
        )
    guesses, unused = guessing.join_tables(guessing.with_roles(guesses), tables)
    sizes = {role: len(table) for role, table in genes.items()}
    text = guessing.manifest_text(name, out.parent, maps, sizes, guesses)
    with user_errors(out.parent, "Choose another folder."), atomic_write(out, new=True) as stream:
        stream.write(text.encode())
    if quiet:
        return
    output.table(
        ("file", "role", "profiles", "rows are", "ids", "units", "landmarks", "targets"),
        [
            (
                item.path.name, item.role, f"{item.profiles:,}",
                str(item.keys.get("orientation", "genes")), item.kind, item.units,
                *(
                    f"{item.shown(n)} of {size:,}"
                    for n, size in zip(item.found, sizes.values(), strict=True)
                ),
            )
            for item in guesses
        ],
    )  # fmt: skip
    for item in guesses:
        for remark in item.remarks:
            output.line(f"{item.path.name}: {remark}")
    for limit in guessing.limits(guesses):
        output.line(limit)
    for path in unused:
        output.line(f"{path}: a table that has not all profiles of any matrix. It is left out")
    output.line(f"wrote {out}. Look it over, then run: genebench data prepare {out}")


def _check_arguments(name: str, paths: Sequence[Path]) -> None:
    """Refuse a name that no dataset can have, and files that are given twice."""
    from genebench.specs import check_name

    try:
        check_name("dataset", name)
    except ValueError as error:
        raise UserError(f"--name: {error}") from None
    if repeated := sorted({str(path) for path in paths if paths.count(path) > 1}):
        raise UserError(f"{', '.join(repeated)}: given more than once. Give each file once.")


def _split(text: str) -> tuple[str, Path]:
    """Return the role, or "", and the file of an argument."""
    from genebench.datasets.new_manifest import ROLES

    role, sign, file = text.partition("=")
    return (role, Path(file)) if sign and role in ROLES else ("", Path(text))
