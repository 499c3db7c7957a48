"""Export of matrices: a prepared dataset, or any file that can be read, in any format."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.progress import Progress, silent
from genebench.data.standardisation import ValueKind
from genebench.data.store import Dataset
from genebench.formats.base import BLOCK, Content, Reader
from genebench.formats.opening import write_matrix
from genebench.specs import Part

Genes = Literal["landmarks", "targets", "all"]


def convert(reader: Reader, path: Path, *, progress: Progress = silent) -> list[Path]:
    """Write all genes and profiles of a reader to another file, values unchanged.

    Values keep their precision, so that a dataset prepared from the copy has the same digest.

    Args:
        reader: matrix to read.
        path: file to write. Its suffix gives the format.
        progress: called after each block.

    Returns:
        The files written, the matrix last (see :func:`write_matrix`).

    Raises:
        UserError: a value cannot be read, or the file cannot be written.
    """

    def blocks() -> Iterator[NDArray[np.floating]]:
        done = 0
        for block in reader.read(np.arange(len(reader.gene_ids))):
            yield block
            done += len(block)
            progress(done, len(reader.profiles), f"writing {path.name}")

    genes = pd.DataFrame(index=reader.gene_ids)
    return write_matrix(path, Content(genes=genes, profiles=reader.profiles, blocks=blocks))


def export(
    dataset: Dataset,
    part: Part,
    path: Path,
    *,
    genes: Genes = "all",
    values: ValueKind = "expression",
    progress: Progress = silent,
) -> list[Path]:
    """Write a platform of a prepared dataset, or one part of a split.

    Landmarks alone, and targets alone, have their Ensembl ids. With ``all``, ids have a prefix
    (``landmark:ENSG…``, ``target:ENSG…``), because a twin is both, with other probes on a
    microarray.

    Args:
        dataset: the dataset.
        part: profiles to write.
        path: file to write. Its suffix gives the format.
        genes: genes to write.
        values: ``expression`` for normalised log2 expression, in the quantiles of the training
            profiles if the part has their statistics. ``standardised`` for standard deviations of
            the gene, as methods get them.
        progress: called after each block.

    Returns:
        The files written, the matrix last.

    Raises:
        UserError: there is no such platform or part, the dataset has no expression because its
            arrays came standardised, or the file cannot be written.
    """
    if values == "expression":
        dataset.check_expression("Write it with --values standardised.")
    profiles = dataset.profiles(part)
    table = _genes(dataset, genes)
    columns = {
        "landmarks": slice(0, len(dataset.landmark_genes)),
        "targets": slice(len(dataset.landmark_genes), None),
        "all": slice(None),
    }[genes]
    expression, standardiser = dataset.expression(part.platform), profiles.standardiser
    rows = dataset.profile_table(part.platform).index.get_indexer(profiles.profiles.index)

    # Not through Profiles: it reads both roles, and an export may want one of them alone.
    def blocks() -> Iterator[NDArray[np.floating]]:
        for start in range(0, len(rows), BLOCK):
            block = np.asarray(expression[rows[start : start + BLOCK], columns])
            if values == "expression":
                yield standardiser.requantiled(block).astype(np.float32, copy=False)
            else:
                yield standardiser.standardise(block, columns)
            progress(min(start + BLOCK, len(rows)), len(rows), f"writing {path.name}")

    return write_matrix(path, Content(genes=table, profiles=profiles.profiles, blocks=blocks))


def _genes(dataset: Dataset, genes: Genes) -> pd.DataFrame:
    """Return the table of the genes to write: their ids, and their symbols."""
    roles = {"landmark": dataset.landmark_genes, "target": dataset.target_genes}
    if genes != "all":
        return roles[genes.removesuffix("s")][["symbol"]]
    return pd.concat(
        [table[["symbol"]].set_axis(f"{role}:" + table.index) for role, table in roles.items()]
    )
