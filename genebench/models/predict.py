"""Predictions of a saved model: the target genes of new profiles."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genebench._util.progress import Progress, silent
from genebench.data.standardisation import ValueKind
from genebench.errors import UserError, some
from genebench.formats.base import Content, Reader, Rows
from genebench.formats.opening import write_matrix
from genebench.methods.predictions import BadPredictionError
from genebench.methods.predictions import predict as checked_predict
from genebench.models.saved import SavedModel
from genebench.preprocessing.compendium import REFERENCE_PLATFORM, IdKind
from genebench.preprocessing.genes import match
from genebench.preprocessing.probe_means import ProbeMeans
from genebench.preprocessing.scale_checks import Names, find_scale_fault, impossible_cell


def predict(
    saved: SavedModel,
    reader: Reader,
    path: Path,
    *,
    ids: IdKind,
    values: ValueKind = "expression",
    progress: Progress = silent,
) -> list[Path]:
    """Write the targets of every profile of a matrix, in the units that its landmarks have.

    Args:
        saved: the model.
        reader: profiles with all landmarks of the model, in any order, among other genes.
        path: file to write, profiles × targets by Ensembl id. Its suffix gives the format.
        ids: kind of ids of ``reader``.
        values: ``expression`` for log2 expression normalised to the quantiles of the arrays that
            the model was fitted on, as ``genebench data export`` writes it. ``standardised`` for
            standard deviations of the gene. The statistics of the model are those of its training
            platform. Standardise profiles of another platform (RNA-seq) by the statistics of that
            platform, as the protocols do.
        progress: called after each block.

    Returns:
        The files written, the matrix last.

    Raises:
        UserError: a landmark is missing, a value cannot be read or is not on the named scale, the
            model predicts a wrong shape or values that are not finite, or the file cannot be
            written.
    """
    if values == "expression" and saved.standardiser.std is None:
        raise UserError(
            "the model was fitted on arrays that came standardised, so it cannot read expression. "
            "Give standardised landmarks, and --values standardised."
        )
    landmarks = saved.landmark_genes
    matched = match(landmarks, reader.gene_ids, ids, source=reader.source)
    if not matched.found.all():
        missing = landmarks.index[~matched.found]
        raise UserError(
            f"{reader.source}: {len(missing)} of the {len(landmarks)} landmarks of the model are "
            f"missing as {ids} ids: {some(missing)}. Add them, or name the kind of ids by --ids."
        )

    rows = ProbeMeans(matched)

    def blocks() -> Iterator[NDArray[np.floating]]:
        done = 0
        for block in reader.read(rows.positions):
            means = rows.average(Rows.of(block))
            if values == "expression":
                names = Names(reader.profiles.index[done:], landmarks.index)
                _check_cells(means, names, reader.source)
                # The first block is sample enough: a file has one scale.
                if not done:
                    _check_scale(means, reader.source)
            yield _predicted(saved, means, values, reader.source)
            done += len(block)
            progress(done, len(reader.profiles), "predicting")

    genes = saved.target_genes[["symbol"]]
    return write_matrix(path, Content(genes=genes, profiles=reader.profiles, blocks=blocks))


def _check_scale(expression: NDArray[np.float64], source: str) -> None:
    fault = find_scale_fault(expression, platform=REFERENCE_PLATFORM, scale="log2")
    if fault:
        raise UserError(
            f"{source}: {fault.problem} Give normalised log2 expression, or use --values "
            "standardised."
        )


def _check_cells(expression: NDArray[np.float64], names: Names, source: str) -> None:
    cell = impossible_cell(expression, names=names, platform=REFERENCE_PLATFORM, scale="log2")
    if cell:
        raise UserError(f"{source}: {cell} Correct it, or leave that profile out.")


def _predicted(
    saved: SavedModel, expression: NDArray[np.floating], values: ValueKind, source: str
) -> NDArray[np.float32]:
    """Return the targets of profiles × landmarks, on the scale of the landmarks.

    Raises:
        UserError: the model predicts another shape, or a value is not finite.
    """
    landmarks, targets = slice(len(saved.landmark_genes)), slice(len(saved.landmark_genes), None)
    scale, mean = saved.standardiser.factors, saved.standardiser.mean
    if values == "expression":
        expression = (expression - mean[landmarks]) * scale[landmarks]
    try:
        given = _finite(expression, "is given")
        predicted = checked_predict(saved.model, given, len(saved.target_genes))
        if values == "expression":
            predicted = _finite(predicted / scale[targets] + mean[targets], "predicted")
    except BadPredictionError as error:
        raise UserError(
            f"{source}: the model of {saved.identity.method} {error}. Check the values of the file."
        ) from error
    return predicted


def _finite(values: NDArray[np.floating], what: str) -> NDArray[np.float32]:
    """Return values as float32.

    Raises:
        BadPredictionError: a value is not finite, or beyond the range of float32.
    """
    with np.errstate(over="ignore"):
        stored = values.astype(np.float32)
    if not np.isfinite(stored).all():
        raise BadPredictionError(f"{what} NaN or infinite values")
    return stored
