"""Gene maps, and which rows of a matrix belong to which gene of a map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.data.compendium import IdKind
from genebench.data.formats.files import open_lines, unique_ids
from genebench.errors import UserError, some

_COLUMNS = ("symbol", "Ensembl id", "probe ids")


def read_gene_map(path: Path) -> pd.DataFrame:
    """Read a gene map: ``symbol, Ensembl id, comma-separated probe ids``, tab-separated, no header.

    Returns:
        Genes × (``symbol``, ``probes``), both text, indexed by Ensembl id in file order.

    Raises:
        UserError: unreadable, empty, not three columns, or an Ensembl id that occurs twice.
    """
    with open_lines(path) as lines:
        rows = [line.split("\t") for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(_COLUMNS):
            raise UserError(
                f"{path}: gene {number} has {len(row)} tab-separated columns, "
                f"not {len(_COLUMNS)} ({', '.join(_COLUMNS)})"
            )
    index = unique_ids(str(path), "gene", [ensembl for _, ensembl, _ in rows])
    columns = {"symbol": [row[0] for row in rows], "probes": [row[2] for row in rows]}
    return pd.DataFrame(columns, index=index, dtype="str")


def strip_version(ids: pd.Index) -> pd.Index:
    """Ensembl ids without their version (``ENSG00000127720.3``); other ids as they are."""
    return ids.str.replace(r"^(ENS[A-Z]*\d+)\.\d+$", r"\1", regex=True)


@dataclass(frozen=True)
class Matched:
    """The rows of a matrix that belong to each gene of a map, gene after gene.

    Attributes:
        positions: in the reader's ``gene_ids``: first those of gene 0, then those of gene 1, …
        counts: how many of ``positions`` each gene has; 0 for an absent gene, more than 1 only
            for probes.
        sought: how many ids the map gives for each gene.
    """

    positions: NDArray[np.intp]
    counts: NDArray[np.intp]
    sought: NDArray[np.intp]

    @property
    def found(self) -> NDArray[np.bool_]:
        """Which genes have at least one row."""
        return self.counts > 0

    def take(self, genes: NDArray[np.bool_]) -> Matched:
        """The same for some genes, given by a mask over the map."""
        kept = np.repeat(genes, self.counts)
        return Matched(self.positions[kept], self.counts[genes], self.sought[genes])

    def average(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Profiles × ``positions`` → profiles × genes, the mean of each gene's rows, in float64.

        Every gene must be found (:meth:`take` those that are).
        """
        starts = np.cumsum(self.counts) - self.counts
        return np.add.reduceat(values, starts, axis=1, dtype=np.float64) / self.counts


def match(genes: pd.DataFrame, gene_ids: pd.Index, kind: IdKind, *, source: str) -> Matched:
    """Find the rows of each gene of a map among a reader's ``gene_ids``, in any order.

    Ensembl ids are matched without their versions. Genes that share a symbol share its row.

    Raises:
        UserError: Ensembl ids of ``source`` differ in nothing but their version.
    """
    sought = _sought(genes, kind)
    rows = _known(gene_ids, kind, source).get_indexer(pd.Index(sought))
    owners = sought.index.to_numpy()[rows >= 0]
    return Matched(
        positions=rows[rows >= 0],
        counts=np.bincount(owners, minlength=len(genes)),
        sought=np.bincount(sought.index, minlength=len(genes)),
    )


def match_maps(
    landmarks: pd.DataFrame,
    targets: pd.DataFrame,
    gene_ids: pd.Index,
    kind: IdKind,
    *,
    source: str,
    columns: pd.Index | None = None,
) -> tuple[Matched, Matched]:
    """:func:`match` for both maps of a dataset.

    Raises:
        UserError: as :func:`match`, and when no gene of either map is there; it says which kind
            of ids would have fitted, or that the genes are among the ``columns`` (profile ids).
    """
    matched = (
        match(landmarks, gene_ids, kind, source=source),
        match(targets, gene_ids, kind, source=source),
    )
    if not any(part.found.any() for part in matched):
        raise _no_match(pd.concat([landmarks, targets]), gene_ids, kind, source, columns)
    return matched


def coverage(genes: pd.DataFrame, matched: Matched) -> dict[str, Any]:
    """How much of a map a platform has, ready for JSON.

    Returns:
        ``in_map`` and ``found``, numbers of genes; ``missing`` and ``partial``, Ensembl ids of
        the genes with no row and with rows for only some of their probes.
    """
    partial = matched.found & (matched.counts < matched.sought)
    return {
        "in_map": len(genes),
        "found": int(matched.found.sum()),
        "missing": genes.index[~matched.found].tolist(),
        "partial": genes.index[partial].tolist(),
    }


def _sought(genes: pd.DataFrame, kind: IdKind) -> pd.Series[str]:
    """The ids to look for, indexed by the position of their gene in the map."""
    match kind:
        case "ensembl":
            ids = pd.Series(strip_version(genes.index))
        case "symbol":
            ids = genes["symbol"].reset_index(drop=True)
        case "probe":
            ids = genes["probes"].reset_index(drop=True).str.split(",").explode().str.strip()
    return ids


def _known(gene_ids: pd.Index, kind: IdKind, source: str) -> pd.Index:
    if kind != "ensembl":
        return gene_ids
    known = strip_version(gene_ids)
    repeated = known.duplicated(keep=False)
    if repeated.any():
        raise UserError(
            f"{source}: {repeated.sum()} Ensembl ids differ only in their version: "
            f"{some(gene_ids[repeated])}; keep one of each"
        )
    return known


def _no_match(
    genes: pd.DataFrame, gene_ids: pd.Index, kind: IdKind, source: str, columns: pd.Index | None
) -> UserError:
    best, number = _best_kind(genes, gene_ids)
    across, found = _best_kind(genes, pd.Index([]) if columns is None else columns)
    if number:
        remedy = f'as {best} ids {number:,} would match: write ids = "{best}"'
    elif found:
        ids = "" if across == kind else f' and ids = "{across}"'
        remedy = (
            f'its columns are genes ({found:,} would match): write orientation = "profiles"{ids}'
        )
    else:
        remedy = f"nor as any other kind; its ids look like {some(gene_ids)}"
    return UserError(f"no gene of the maps is in {source} as {kind} ids; {remedy}")


def _best_kind(genes: pd.DataFrame, ids: pd.Index) -> tuple[IdKind, int]:
    """The kind as which most genes of a map are among ``ids``, and how many those are."""
    counts = {kind: _count(genes, ids.astype("str"), kind) for kind in get_args(IdKind)}
    best = max(counts, key=lambda kind: counts[kind])
    return best, counts[best]


def _count(genes: pd.DataFrame, gene_ids: pd.Index, kind: IdKind) -> int:
    sought = _sought(genes, kind)
    return int(sought[sought.isin(strip_version(gene_ids))].index.nunique())
