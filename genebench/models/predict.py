"""Predict target genes of new profiles with a saved model."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from genebench._util.progress import Progress, silent
from genebench.data.standardisation import Scale
from genebench.errors import UserError, some
from genebench.formats.base import Content, Reader, Rows
from genebench.formats.opening import write_matrix
from genebench.models.saved import SavedModel
from genebench.preprocessing.compendium import REFERENCE_PLATFORM, IdKind
from genebench.preprocessing.genes import match
from genebench.preprocessing.probe_means import ProbeMeans
from genebench.preprocessing.scale_checks import find_scale_fault


def predict(
    saved: SavedModel,
    reader: Reader,
    path: Path,
    *,
    ids: IdKind,
    values: Scale = "expression",
    progress: Progress = silent,
) -> list[Path]:
    """Write the targets of every profile of a matrix, in the units that its landmarks have.

    Args:
        saved: the model.
        reader: profiles with all its landmarks, in any order, among whatever else.
        path: file to write, profiles × targets by Ensembl id; its name says the format.
        ids: the kind of ids that ``reader`` has.
        values: ``expression``, log2 and normalised to the quantiles of the arrays that the model
            was fitted on, as the store has it (``genebench data export``); or ``standardised`` per
            gene. The model's own statistics are those of its training platform: of profiles from
            another one (RNA-seq), standardise by that platform's, as the protocols do.
        progress: told after each block.

    Returns:
        The files written, the matrix last.

    Raises:
        UserError: a landmark is missing, a value cannot be read or is not on the scale named, or
            the file cannot be written.
    """
    if values == "expression" and saved.standardiser.std is None:
        raise UserError(
            "the model was fitted on arrays that came standardised, and knows no other units; give "
            "standardised landmarks, and --values standardised"
        )
    landmarks = saved.landmark_genes
    matched = match(landmarks, reader.gene_ids, ids, source=reader.source)
    if not matched.found.all():
        missing = landmarks.index[~matched.found]
        raise UserError(
            f"{reader.source}: {len(missing)} of the {len(landmarks)} landmarks of the model are "
            f"missing as {ids} ids: {some(missing)}"
        )

    rows = ProbeMeans(matched)

    def blocks() -> Iterator[NDArray[np.floating]]:
        done = 0
        for block in reader.read(rows.positions):
            given = rows.average(Rows.of(block))
            if values == "expression" and not done:
                _check_level(given, reader.source)
            yield _predicted(saved, given, values)
            done += len(block)
            progress(done, len(reader.profiles), "predicting")

    genes = saved.target_genes[["symbol"]]
    return write_matrix(path, Content(genes=genes, profiles=reader.profiles, blocks=blocks))


def _check_level(given: NDArray[np.float64], source: str) -> None:
    fault = find_scale_fault(given, platform=REFERENCE_PLATFORM, level="log2")
    if fault:
        raise UserError(
            f"{source}: {fault.problem} Give normalised log2 expression, or use --values "
            "standardised."
        )


def _predicted(
    saved: SavedModel, given: NDArray[np.floating], values: Scale
) -> NDArray[np.float32]:
    landmarks, targets = slice(len(saved.landmark_genes)), slice(len(saved.landmark_genes), None)
    if values == "standardised":
        return np.asarray(saved.model.predict(given.astype(np.float32)), dtype=np.float32)
    scale, mean = saved.standardiser.scale, saved.standardiser.mean
    standardised = ((given - mean[landmarks]) * scale[landmarks]).astype(np.float32)
    predicted = np.asarray(saved.model.predict(standardised))
    return (predicted / scale[targets] + mean[targets]).astype(np.float32)
