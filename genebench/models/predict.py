"""Predictions of a saved model: the target genes of new profiles."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.progress import Progress, silent
from genebench.data.standardisation import ValueKind
from genebench.errors import UserError, counted, some
from genebench.formats.base import Content, Reader, Rows
from genebench.formats.opening import write_matrix
from genebench.methods.predictions import BadPredictionError
from genebench.methods.predictions import predict as checked_predict
from genebench.models.saved import SavedModel
from genebench.preprocessing.compendium import REFERENCE_PLATFORM, ExpressionScale, IdKind
from genebench.preprocessing.genes import match, read_aliases
from genebench.preprocessing.probe_means import ProbeMeans
from genebench.preprocessing.scale_checks import Names, find_scale_fault, impossible_cell

log = logging.getLogger("genebench")

Missing = Literal["error", "mean"]
"""Treatment of landmarks that a file lacks."""

LEAST_COVERAGE = 0.5
"""Least share of the landmarks that a file must have. With fewer, training means would decide."""


def predict(
    saved: SavedModel,
    reader: Reader,
    path: Path,
    *,
    ids: IdKind,
    aliases: Path | None = None,
    values: ValueKind = "expression",
    normalise: bool = False,
    missing: Missing = "error",
    remark: Callable[[str], None] = log.info,
    warn: Callable[[str], None] = log.warning,
    progress: Progress = silent,
) -> list[Path]:
    """Write the targets of every profile of a matrix, in the units that its landmarks have.

    Args:
        saved: the model.
        reader: profiles with all landmarks of the model, in any order, among other genes.
        path: file to write, profiles × targets by Ensembl id. Its suffix gives the format.
        ids: kind of ids of ``reader``.
        aliases: table of other ids of the genes, or None. Entrez ids need one, because gene maps
            do not have them.
        values: ``expression`` for log2 expression normalised to the quantiles of the arrays that
            the model was fitted on, as ``genebench data export`` writes it. ``standardised`` for
            standard deviations of the gene. The statistics of the model are those of its training
            platform. Standardise profiles of another platform (RNA-seq) by the statistics of that
            platform, as the protocols do.
        normalise: give each profile the quantiles of the training profiles first, by rank. All
            genes of the model count if the matrix has them all, else its landmarks.
        missing: ``mean`` to take the training mean for landmarks that the matrix lacks, at most
            half of them, or ``error``.
        remark: called with a sentence on the landmarks that were found.
        warn: called with a sentence for each warning: landmarks that are missing, and a level of
            expression that is not that of the training profiles.
        progress: called after each block.

    Returns:
        The files written, the matrix last.

    Raises:
        UserError: a landmark is missing, or more than half of them. A profile to normalise has one
            value in all genes, a value cannot be read or is not on the named scale, the
            model predicts a wrong shape or values that are not finite, or the file cannot be
            written.
    """
    is_expression = values == "expression"
    if is_expression and saved.standardiser.std is None:
        raise UserError(
            "the model was fitted on arrays that came standardised, so it cannot read expression. "
            "Give standardised landmarks, and --values standardised."
        )
    if normalise and not (is_expression and saved.quantiles):
        reason = (
            "the model has no quantiles, because an earlier version saved it. Run its method again "
            "with --keep-models."
            if is_expression
            else "standardised values have no quantiles. Leave out --normalise, or give expression."
        )
        raise UserError(f"--normalise: {reason}")
    landmarks, others = saved.landmark_genes, _other_ids(saved, ids, aliases)
    matched = match(landmarks, reader.gene_ids, ids, source=reader.source, aliases=others)
    found = matched.found
    _check_found(landmarks.index, found, missing, ids, reader.source)
    targets = match(saved.target_genes, reader.gene_ids, ids, source=reader.source, aliases=others)
    has_all = bool(normalise and found.all() and targets.found.all())
    rows = ProbeMeans(matched + targets if has_all else matched.take(found))
    means_of_genes = saved.standardiser.mean[: len(landmarks)]

    def blocks() -> Iterator[NDArray[np.floating]]:
        done = 0
        for block in reader.read(rows.positions):
            means = rows.average(Rows.of(block))
            profiles = reader.profiles.index[done:]
            if normalise and saved.quantiles:
                _check_cells(means, Names(profiles, _ids(saved, found, has_all)), reader, "any")
                _check_ranks(means, profiles, reader.source)
                means = saved.quantiles.normalise(means, all_genes=has_all)[:, : found.sum()]
            elif is_expression:
                _check_cells(means, Names(profiles, landmarks.index[found]), reader, "log2")
                # The first block is sample enough: a file has one scale.
                if not done:
                    _check_scale(means, reader.source)
                    if saved.quantiles and (text := saved.quantiles.remark(means)):
                        warn(f"{reader.source}: {text}")
            given = np.empty((len(means), len(landmarks)))
            given[:, found] = means
            given[:, ~found] = means_of_genes[~found] if is_expression else 0.0
            yield _predicted(saved, given, values, reader.source)
            done += len(block)
            progress(done, len(reader.profiles), "predicting")

    genes = saved.target_genes[["symbol"]]
    written = write_matrix(path, Content(genes=genes, profiles=reader.profiles, blocks=blocks))
    tell = remark if found.all() else warn
    tell(_coverage(saved, reader, found, normalise=normalise, has_all=has_all))
    return written


def _check_found(
    landmarks: pd.Index, found: NDArray[np.bool_], missing: Missing, ids: IdKind, source: str
) -> None:
    """Refuse a matrix that lacks landmarks, or too many of them for training means."""
    if not found.any() or (missing == "error" and not found.all()):
        absent = landmarks[~found]
        raise UserError(
            f"{source}: {len(absent)} of the {len(landmarks)} landmarks of the model are "
            f"missing as {ids} ids: {some(absent)}. Add them, name the kind of ids by --ids, or "
            "take their training means by --missing mean."
        )
    if found.mean() < LEAST_COVERAGE:
        raise UserError(
            f"{source}: has {found.sum()} of the {len(landmarks)} landmarks of the model as "
            f"{ids} ids, and --missing mean needs {LEAST_COVERAGE:.0%} of them. Add landmarks, or "
            "name the kind of ids by --ids."
        )


def _coverage(
    saved: SavedModel, reader: Reader, found: NDArray[np.bool_], *, normalise: bool, has_all: bool
) -> str:
    """Return how many landmarks were found, and over which genes profiles are normalised."""
    number, absent = int(found.sum()), saved.landmark_genes.index[~found]
    text = (
        f"{reader.source}: {number:,} of {len(found):,} landmarks found among "
        f"{counted(len(reader.gene_ids), 'gene')}"
    )
    if len(absent):
        text += f". {some(absent)} have their training means"
    if normalise:
        genes = "all genes of the model" if has_all else "these landmarks"
        text += f". Profiles are normalised over {genes}"
    return text


def _other_ids(saved: SavedModel, ids: IdKind, aliases: Path | None) -> pd.Series[str] | None:
    """Read other ids of the genes of a model.

    Raises:
        UserError: ids are those of Entrez, and there is no table of them, or it cannot be read.
    """
    if aliases is not None:
        return read_aliases(aliases, pd.concat([saved.landmark_genes, saved.target_genes]))
    if ids == "entrez":
        raise UserError(
            "--ids entrez: the gene maps have no Entrez ids. Give a table of them by --aliases. "
            "genebench data aliases makes one."
        )
    return None


def _ids(saved: SavedModel, found: NDArray[np.bool_], has_all: bool) -> pd.Index:
    """Return the ids of the genes that are read."""
    landmarks = saved.landmark_genes.index
    return landmarks.append(saved.target_genes.index) if has_all else landmarks[found]


def _check_scale(expression: NDArray[np.float64], source: str) -> None:
    fault = find_scale_fault(expression, platform=REFERENCE_PLATFORM, scale="log2")
    if fault:
        raise UserError(
            f"{source}: {fault.problem} Give normalised log2 expression, or use --values "
            "standardised."
        )


def _check_ranks(expression: NDArray[np.float64], profiles: pd.Index, source: str) -> None:
    """Refuse profiles without ranks: a profile of one value has no order of genes."""
    constant = profiles[: len(expression)][np.ptp(expression, axis=1) == 0]
    if len(constant):
        raise UserError(
            f"{source}: {counted(len(constant), 'profile')} with one value in all genes cannot be "
            f"normalised: {some(constant)}. Leave them out."
        )


def _check_cells(
    expression: NDArray[np.float64], names: Names, reader: Reader, scale: ExpressionScale
) -> None:
    cell = impossible_cell(expression, names=names, platform=REFERENCE_PLATFORM, scale=scale)
    if cell:
        raise UserError(f"{reader.source}: {cell} Correct it, or leave that profile out.")


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
