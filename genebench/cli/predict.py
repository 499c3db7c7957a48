"""``genebench predict``: infer the targets of new profiles with a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from genebench.cli import output
from genebench.cli.options import PluginOption, SilentOption
from genebench.cli.progress import bar


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "predict",
        short_help="Infer target genes of new profiles with a saved model.",
        epilog="Example: genebench predict KEY.DIGEST.model.safetensors arrays.gctx targets.gctx",
    )(predict)


def predict(  # noqa: PLR0917  the command line names them
    model: Annotated[Path, typer.Argument(help="A model that genebench run --keep-models kept.")],
    matrix: Annotated[Path, typer.Argument(help="Profiles with all landmarks, in any format.")],
    file: Annotated[Path, typer.Argument(help="File to write. Its suffix gives the format.")],
    ids: Annotated[
        Literal["probe", "ensembl", "symbol"], typer.Option(help="Kind of the gene ids of MATRIX.")
    ] = "ensembl",
    values: Annotated[
        Literal["expression", "standardised"],
        typer.Option(help="Normalised log2 expression, or standard deviations of the gene."),
    ] = "expression",
    orientation: Annotated[
        Literal["genes", "profiles"], typer.Option(help="Meaning of the rows of a table.")
    ] = "genes",
    device: Annotated[
        Literal["auto", "cpu", "cuda"], typer.Option(help="Device to run the model on.")
    ] = "auto",
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
    quiet: SilentOption = False,
) -> None:
    """Infer the target genes of new profiles, in the units of the landmarks.

    Expression must be normalised to the quantiles of the arrays that the model was fitted on, as
    genebench data export writes it. Standardise RNA-seq by its own statistics, as protocols do, and
    give --values standardised.
    """
    from genebench.formats.opening import check_absent, open_reader
    from genebench.models.predict import predict as write
    from genebench.models.saved import open_model

    # Checked first, because opening a model takes seconds.
    check_absent(file)
    saved = open_model(model, device)
    for note in () if quiet else saved.notes:
        output.message(f"note: {note}")
    with bar(quiet=quiet) as progress:
        *others, written = write(
            saved, open_reader(matrix, orientation).with_ids(ids), file,
            ids=ids, values=values, progress=progress,
        )  # fmt: skip
    for path in () if quiet else (written, *others):
        output.line(f"wrote {path}")
