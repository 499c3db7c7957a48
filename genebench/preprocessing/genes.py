"""Gene maps, and which rows of a matrix belong to which gene of a map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError, some
from genebench.formats.base import Reader
from genebench.formats.files import open_lines, unique_ids
from genebench.formats.spreadsheet import dates_among
from genebench.preprocessing.compendium import IdKind

_COLUMNS = ("symbol", "Ensembl id", "probe ids")
_ALIAS_COLUMNS = ("alias", "Ensembl id or symbol")

_MIXED = 0.01
"""The share of all genes that may be there by ids of another kind: fewer are simply missing."""


def read_gene_map(path: Path) -> pd.DataFrame:
    """Read a gene map: ``symbol, Ensembl id, comma-separated probe ids``, tab-separated, no header.

    Returns:
        Genes × (``symbol``, ``probes``), both text, indexed by Ensembl id in file order.

    Raises:
        UserError: unreadable, empty, not three columns, or an Ensembl id that occurs twice.
    """
    rows = _read_rows(path, "gene", _COLUMNS)
    index = unique_ids(str(path), "gene", [ensembl for _, ensembl, _ in rows])
    columns = {"symbol": [row[0] for row in rows], "probes": [row[2] for row in rows]}
    return pd.DataFrame(columns, index=index, dtype="str")


def read_aliases(path: Path, genes: pd.DataFrame) -> pd.Series[str]:
    """Read other ids of genes: ``alias, Ensembl id or symbol``, tab-separated, no header.

    A table of the whole genome will do: genes that are in no map are left out, and so are aliases
    that are another gene's own Ensembl id or symbol.

    Args:
        path: the table.
        genes: all genes of the maps.

    Returns:
        Ensembl ids as ``genes`` has them, indexed by alias.

    Raises:
        UserError: unreadable, not two columns, no gene of the maps, or an alias that stands for
            genes of different symbols.
    """
    rows = pd.DataFrame(_read_rows(path, "alias", _ALIAS_COLUMNS), columns=["alias", "name"])
    own = _own_names(genes)
    table = rows.assign(name=strip_version(pd.Index(rows["name"]))).merge(own, on="name")
    if table.empty:
        raise UserError(
            f"{path}: none of its genes is in the maps; its second column must be Ensembl ids or "
            f"symbols, and begins with {some(rows['name'])}"
        )
    owner = own.drop_duplicates("name").set_index("name")["symbol"]
    table = table[table["alias"].map(owner).fillna(table["symbol"]) == table["symbol"]]
    doubtful = table.groupby("alias")["symbol"].nunique()
    doubtful = doubtful[doubtful > 1]
    if len(doubtful):
        raise UserError(
            f"{path}: {len(doubtful)} alias(es) stand for more than one gene: "
            f"{some(doubtful.index)}; keep one of each"
        )
    return table.drop_duplicates(["alias", "gene"]).set_index("alias")["gene"]


def _read_rows(path: Path, kind: str, columns: tuple[str, ...]) -> list[list[str]]:
    with open_lines(path) as lines:
        rows = [line.split("\t") for line in lines]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise UserError(
                f"{path}: {kind} {number} has {len(row)} tab-separated columns, "
                f"not {len(columns)} ({', '.join(columns)})"
            )
    return rows


def _own_names(genes: pd.DataFrame) -> pd.DataFrame:
    """``name``, ``gene``, ``symbol``: each gene by its Ensembl id and by its symbol."""
    names = [
        pd.DataFrame({"name": name, "gene": genes.index, "symbol": genes["symbol"].to_numpy()})
        for name in (strip_version(genes.index), genes["symbol"].to_numpy())
    ]
    return pd.concat(names).drop_duplicates()


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


def match(
    genes: pd.DataFrame,
    gene_ids: pd.Index,
    kind: IdKind,
    *,
    source: str,
    aliases: pd.Series[str] | None = None,
) -> Matched:
    """Find the rows of each gene of a map among a reader's ``gene_ids``, in any order.

    Ensembl ids are matched without their versions. Genes that share a symbol share its row. A gene
    that is not there by its own id is looked for by its aliases.

    Raises:
        UserError: Ensembl ids of ``source`` differ in nothing but their version, or several
            aliases of a gene are there (but for probes, of which the mean is taken).
    """
    known = _known(gene_ids, kind, source)
    sought = _sought(genes, kind)
    own = sought[_among(sought, known)]
    others = _aliases_among(known, genes, kind, aliases)
    others = others[~others.index.isin(own.index)]
    repeated = others.index.duplicated(keep=False)
    if repeated.any() and kind != "probe":
        raise UserError(
            f"{source}: genes have more than one row, by their aliases: {some(others[repeated])}; "
            "keep one of each"
        )
    found = pd.concat([own, others]).sort_index(kind="stable")
    return Matched(
        positions=known.get_indexer(pd.Index(found)),
        counts=np.bincount(found.index, minlength=len(genes)),
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
    turn: str = Reader.transpose_remedy,
    aliases: pd.Series[str] | None = None,
) -> tuple[Matched, Matched]:
    """:func:`match` for both maps of a dataset; ``turn`` is the reader's.

    Raises:
        UserError: as :func:`match`; when no gene of either map is there (it says which kind of ids
            would have fitted, or that the genes are among the ``columns``, the profile ids); and
            when genes are missing while there are ids of another kind, or dates for symbols.
    """
    matched = (
        match(landmarks, gene_ids, kind, source=source, aliases=aliases),
        match(targets, gene_ids, kind, source=source, aliases=aliases),
    )
    genes = pd.concat([landmarks, targets])
    found = np.concatenate([part.found for part in matched])
    once = ~genes.index.duplicated()
    genes, found = genes[once], found[once]
    if not found.any():
        raise _no_match(genes, gene_ids, kind, source=source, columns=columns, turn=turn)
    _check_kinds(genes, found, gene_ids, kind, source)
    if kind == "symbol" and not found.all():
        _check_dates(gene_ids, source, aliases)
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
        case "entrez":
            ids = pd.Series(index=pd.Index([], dtype=np.intp), dtype="str")  # all by aliases
    return ids


def _aliases_among(
    known: pd.Index, genes: pd.DataFrame, kind: IdKind, aliases: pd.Series[str] | None
) -> pd.Series[str]:
    """The aliases that are among the ids of a matrix, as :func:`_sought` has ids."""
    if aliases is None:
        return _sought(genes[:0], kind)
    names = strip_version(aliases.index) if kind == "ensembl" else aliases.index
    owners = genes.index.get_indexer(pd.Index(aliases))
    return pd.Series(names, index=owners)[names.isin(known) & (owners >= 0)]


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


def _check_kinds(
    genes: pd.DataFrame, found: NDArray[np.bool_], gene_ids: pd.Index, kind: IdKind, source: str
) -> None:
    missing = genes[~found]
    other, number = _best_kind(missing, gene_ids)
    if number > _MIXED * len(genes):
        ids = gene_ids[strip_version(gene_ids).isin(_sought(missing, other))]
        raise UserError(
            f"{source}: ids of more than one kind: {found.sum():,} genes are there by {kind} id, "
            f"{number:,} others by {other} id ({some(ids)}); use one kind, or list the others as "
            "aliases"
        )


def _check_dates(gene_ids: pd.Index, source: str, aliases: pd.Series[str] | None) -> None:
    dates = dates_among(gene_ids)
    if aliases is not None:
        dates = dates.difference(aliases.index, sort=False)
    if len(dates):
        raise UserError(
            f"{source}: {len(dates)} ids are dates, which a spreadsheet such as Excel made of "
            f"symbols ({some(dates)}; 1-Mar was MARCH1 or MARC1), and genes are missing; put the "
            "symbols back, or list the dates as aliases"
        )


def _no_match(
    genes: pd.DataFrame,
    gene_ids: pd.Index,
    kind: IdKind,
    *,
    source: str,
    columns: pd.Index | None,
    turn: str,
) -> UserError:
    best, number = _best_kind(genes, gene_ids)
    across, found = _best_kind(genes, pd.Index([]) if columns is None else columns)
    if number:
        remedy = f'as {best} ids {number:,} would match: write ids = "{best}"'
    elif found:
        ids = "" if across == kind else f' and ids = "{across}"'
        remedy = f"its columns are genes ({found:,} would match): {turn}{ids}"
    elif kind != "entrez" and gene_ids.str.fullmatch(r"\d+").mean() > 1 / 2:
        remedy = (
            f"they look like Entrez ids ({some(gene_ids)}): "
            'write ids = "entrez" and give a table of aliases'
        )
    else:
        remedy = f"nor as any other kind; its ids look like {some(gene_ids)}"
    return UserError(f"no gene of the maps is in {source} as {kind} ids; {remedy}")


def _best_kind(genes: pd.DataFrame, ids: pd.Index) -> tuple[IdKind, int]:
    """The kind as which most genes of a map are among ``ids``, and how many those are."""
    counts = {kind: _count(genes, ids.astype("str"), kind) for kind in get_args(IdKind)}
    best = max(counts, key=lambda kind: counts[kind])
    return best, counts[best]


def _among(ids: pd.Series[str], known: pd.Index) -> NDArray[np.bool_]:
    """Which ids are known; as objects, for pandas looks up Arrow's strings one by one."""
    return np.asarray(ids.astype(object).isin(known.astype(object)))


def _count(genes: pd.DataFrame, gene_ids: pd.Index, kind: IdKind) -> int:
    sought = _sought(genes, kind)
    return int(sought[_among(sought, strip_version(gene_ids))].index.nunique())
