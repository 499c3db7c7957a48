"""``genebench predict``: infer the targets of new profiles with a saved model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from genebench.cli import output
from genebench.cli.options import (
    DEFAULT_RESULTS,
    DeviceOption,
    PluginOption,
    ResultsOption,
    SilentOption,
)
from genebench.cli.progress import bar


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command(
        "predict",
        short_help="Infer target genes of new profiles with a saved model.",
        epilog="Example: genebench predict lsr-l2@geo arrays.gctx targets.gctx --normalise",
    )(predict)


def predict(  # noqa: PLR0917  the command line names them
    model: Annotated[
        str,
        typer.Argument(
            help="A model that genebench run --keep-models kept: its file, its key, or "
            "METHOD@PROTOCOL."
        ),
    ],
    matrix: Annotated[Path, typer.Argument(help="Profiles with all landmarks, in any format.")],
    file: Annotated[Path, typer.Argument(help="File to write. Its suffix gives the format.")],
    ids: Annotated[
        Literal["probe", "ensembl", "symbol", "entrez"],
        typer.Option(help="Kind of the gene ids of MATRIX. entrez needs --aliases."),
    ] = "ensembl",
    aliases: Annotated[
        Path | None,
        typer.Option(help="Table of other ids of genes, as genebench data aliases writes it."),
    ] = None,
    values: Annotated[
        Literal["expression", "standardised"],
        typer.Option(help="Normalised log2 expression, or standard deviations of the gene."),
    ] = "expression",
    orientation: Annotated[
        Literal["genes", "profiles"], typer.Option(help="Meaning of the rows of a table.")
    ] = "genes",
    normalise: Annotated[
        bool,
        typer.Option(
            "--normalise",
            "--normalize",
            help="Give each profile the quantiles of the training profiles, by rank.",
        ),
    ] = False,
    missing: Annotated[
        Literal["error", "mean"],
        typer.Option(
            help="Landmarks that MATRIX lacks: stop, or take their training means, of half at most."
        ),
    ] = "error",
    device: DeviceOption = "auto",
    results: ResultsOption = DEFAULT_RESULTS,
    plugin: PluginOption = None,  # noqa: ARG001  loaded when it is read
    quiet: SilentOption = False,
) -> None:
    """Infer the target genes of new profiles, in the units of the landmarks.

    Expression must be normalised to the quantiles of the arrays that the model was fitted on, as
    genebench data export writes it. --normalise does so, from any monotone scale. A warning names
    expression on another level. Then the statistics of the training set standardise it. Protocols
    standardise RNA-seq by its own statistics: do so, and give --values standardised.
    """
    from genebench.api import device_choice
    from genebench.formats.opening import check_absent, open_reader
    from genebench.models.predict import predict as write
    from genebench.models.saved import open_model
    from genebench.results.naming import model_file

    # Checked first, because opening a model takes seconds.
    check_absent(file)
    saved = open_model(model_file(model, results), device_choice(device))

    def remark(text: str) -> None:
        if not quiet:
            output.message(f"note: {text}")

    def warn(text: str) -> None:
        output.message(f"warning: {text}")

    for note in () if quiet else saved.notes:
        output.message(f"note: {note}")
    with bar(quiet=quiet) as progress:
        *others, written = write(
            saved, open_reader(matrix, orientation).with_ids(ids), file,
            ids=ids, aliases=aliases, values=values, normalise=normalise, missing=missing,
            remark=remark, warn=warn, progress=progress,
        )  # fmt: skip
    for path in () if quiet else (written, *others):
        output.line(f"wrote {path}")
