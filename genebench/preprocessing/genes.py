"""Gene maps, and the matching of their genes to the rows of a matrix."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError, counted, some
from genebench.formats.base import Reader
from genebench.formats.files import open_lines, repeated_ids, unique_ids
from genebench.formats.spreadsheet import dates_among
from genebench.preprocessing.compendium import IdKind

_GENE_COLUMNS = ("symbol", "Ensembl id", "probe ids")
_ALIAS_COLUMNS = ("alias", "Ensembl id or symbol")

_MIXED = 0.01
"""Share of all genes. If more than this match by another kind of id, that is an error."""


def read_gene_map(path: Path) -> pd.DataFrame:
    """Read a gene map: ``symbol, Ensembl id, comma-separated probe ids``, tab-separated, no header.

    Returns:
        Genes × (``symbol``, ``probes``), both text, indexed by Ensembl id in file order.

    Raises:
        UserError: it is unreadable, empty, has not three columns, or an Ensembl id repeats.
    """
    rows = _read_rows(path, "gene", _GENE_COLUMNS)
    index = unique_ids(str(path), "gene", [ensembl for _, ensembl, _ in rows])
    columns = {"symbol": [row[0] for row in rows], "probes": [row[2] for row in rows]}
    return pd.DataFrame(columns, index=index, dtype="str")


def read_aliases(path: Path, genes: pd.DataFrame) -> pd.Series[str]:
    """Read other ids of genes: ``alias, Ensembl id or symbol``, tab-separated.

    Lines that begin with ``#`` are notes about the table.

    A table of genes of the Connectivity Map is read, too: its header names ``pr_gene_id`` (Entrez)
    and ``pr_gene_symbol``.

    The table may cover the whole genome. Genes that are in no map are left out. So are aliases that
    are the Ensembl id or symbol of another gene, and lines with an empty cell.

    Args:
        path: the table.
        genes: all genes of the maps.

    Returns:
        Ensembl ids as ``genes`` has them, indexed by alias.

    Raises:
        UserError: it is unreadable, has not two columns, names no gene of the maps, or gives one
            alias to genes of different symbols.
    """
    rows = pd.DataFrame(_read_alias_rows(path), columns=["alias", "name"])
    names = _names_of(genes)
    # Tables of whole genomes have empty cells for genes without another id.
    filled = rows[(rows["alias"].str.strip() != "") & (rows["name"].str.strip() != "")]
    table = filled.assign(name=strip_version(pd.Index(filled["name"]))).merge(names, on="name")
    if table.empty:
        raise UserError(
            f"{path}: none of its genes is in the maps. Its second column begins with "
            f"{some(rows['name'])}. Write Ensembl ids or symbols there."
        )
    # An alias that is itself the name of another gene would take that gene's row.
    owner = names.drop_duplicates("name").set_index("name")["symbol"]
    table = table[table["alias"].map(owner).fillna(table["symbol"]) == table["symbol"]]
    doubtful = table.groupby("alias")["symbol"].nunique()
    doubtful = doubtful[doubtful > 1]
    if len(doubtful):
        raise UserError(
            f"{path}: {counted(len(doubtful), 'alias', 'aliases')} of more than one gene: "
            f"{some(doubtful.index)}. Keep one line of each."
        )
    return table.drop_duplicates(["alias", "gene"]).set_index("alias")["gene"]


def _read_alias_rows(path: Path) -> list[list[str]]:
    """Return rows of alias, and Ensembl id or symbol."""
    with open_lines(path) as lines:
        header = next(lines, "").split("\t")
        if not {"pr_gene_id", "pr_gene_symbol"} <= set(header):
            return _read_rows(path, "alias", _ALIAS_COLUMNS)
        places = header.index("pr_gene_id"), header.index("pr_gene_symbol")
        rows = [line.split("\t") for line in lines]
    short = [number for number, row in enumerate(rows, start=1) if len(row) <= max(places)]
    if short:
        raise UserError(
            f"{path}: gene {short[0]} has fewer columns than the header. Fetch the file again."
        )
    return [[row[place] for place in places] for row in rows]


def _read_rows(path: Path, kind: str, columns: tuple[str, ...]) -> list[list[str]]:
    with open_lines(path) as lines:
        rows = [line.split("\t") for line in lines if not line.startswith("#")]
    for number, row in enumerate(rows, start=1):
        if len(row) != len(columns):
            raise UserError(
                f"{path}: {kind} {number} has {len(row)} tab-separated columns, "
                f"not {len(columns)}. Write {', '.join(columns)}."
            )
    return rows


def _names_of(genes: pd.DataFrame) -> pd.DataFrame:
    """Return the columns ``name``, ``gene`` and ``symbol``, two rows per gene.

    The name is its Ensembl id in one row, and its symbol in the other.
    """
    names = [
        pd.DataFrame({"name": name, "gene": genes.index, "symbol": genes["symbol"].to_numpy()})
        for name in (strip_version(genes.index), genes["symbol"].to_numpy())
    ]
    return pd.concat(names).drop_duplicates()


def strip_version(ids: pd.Index) -> pd.Index:
    """Return Ensembl ids without version (``ENSG00000127720.3``), and other ids unchanged."""
    return ids.str.replace(r"^(ENS[A-Z]*\d+)\.\d+$", r"\1", regex=True)


@dataclass(frozen=True)
class Matched:
    """The rows of a matrix that belong to each gene of a map, gene after gene.

    Attributes:
        positions: positions in the reader's ``gene_ids``: those of gene 0, then of gene 1, …
        counts: the number of positions of each gene. 0 for an absent gene, more than 1 only for
            probes.
        n_ids: the number of ids that the map gives for each gene.
    """

    positions: NDArray[np.intp]
    counts: NDArray[np.intp]
    n_ids: NDArray[np.intp]

    def __add__(self, other: Matched) -> Matched:
        """Return the rows of the genes of this map, followed by those of another."""
        return Matched(
            np.concatenate([self.positions, other.positions]),
            np.concatenate([self.counts, other.counts]),
            np.concatenate([self.n_ids, other.n_ids]),
        )

    @property
    def found(self) -> NDArray[np.bool_]:
        """True for each gene that has at least one row."""
        return self.counts > 0

    def take(self, genes: NDArray[np.bool_]) -> Matched:
        """Return the rows of some genes, given by a mask over the map."""
        kept = np.repeat(genes, self.counts)
        return Matched(self.positions[kept], self.counts[genes], self.n_ids[genes])


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
    without a row of its Ensembl id, symbol or probes is matched by its aliases. An id of rows that
    is empty names no gene. It may repeat if it is of no gene of the map.

    Args:
        genes: the map.
        gene_ids: ids of the rows of the matrix.
        kind: the kind of these ids.
        source: the file, for messages.
        aliases: other ids of genes, as :func:`read_aliases` returns them.

    Raises:
        UserError: several rows have the same id of a gene, Ensembl ids of a gene differ only in
            their version, or several aliases of a gene are present (except for probes, of which the
            mean is taken).
    """
    row_ids = strip_version(gene_ids) if kind == "ensembl" else gene_ids
    ids = _ids_of(genes, kind)
    by_id = ids[_among(ids, row_ids)]
    by_alias = _aliases_among(row_ids, genes, kind, aliases, by_id)
    repeated = by_alias.index.duplicated(keep=False)
    if repeated.any() and kind != "probe":
        raise UserError(
            f"{source}: genes have more than one row, by their aliases: "
            f"{some(by_alias[repeated])}. Keep one row of each, or remove the other aliases."
        )
    # Stable: the probes of a gene keep the order of the map, and so does the order of their sum.
    matched = pd.concat([by_id, by_alias]).sort_index(kind="stable")
    again = row_ids.duplicated()
    _check_rows(row_ids, again, gene_ids, pd.Index(matched), source)
    firsts = np.flatnonzero(~again)
    return Matched(
        positions=firsts[row_ids[firsts].get_indexer(pd.Index(matched))],
        counts=np.bincount(matched.index, minlength=len(genes)),
        n_ids=np.bincount(ids.index, minlength=len(genes)),
    )


def match_maps(
    landmarks: pd.DataFrame,
    targets: pd.DataFrame,
    gene_ids: pd.Index,
    kind: IdKind,
    *,
    source: str,
    columns: pd.Index | None = None,
    transpose_remedy: str = Reader.transpose_remedy,
    aliases: pd.Series[str] | None = None,
) -> tuple[Matched, Matched]:
    """Match both maps of a dataset, as :func:`match` does.

    Args:
        landmarks: map of the landmark genes.
        targets: map of the target genes.
        gene_ids: ids of the rows of the matrix.
        kind: the kind of these ids.
        source: the file, for messages.
        columns: the profile ids. If the genes are among these, the matrix must be transposed.
        transpose_remedy: the reader's sentence that tells how to do that.
        aliases: other ids of genes.

    Raises:
        UserError: as for :func:`match`, or no gene of either map is present. The message names the
            kind of ids or the orientation that would fit. Also if genes are missing while ids of
            another kind, or dates in place of symbols, are present.
    """
    matched = (
        match(landmarks, gene_ids, kind, source=source, aliases=aliases),
        match(targets, gene_ids, kind, source=source, aliases=aliases),
    )
    genes = pd.concat([landmarks, targets])
    found = np.concatenate([role.found for role in matched])
    # A twin is in both maps: count it once.
    first = ~genes.index.duplicated()
    genes, found = genes[first], found[first]
    if not found.any():
        raise _no_match(
            genes, gene_ids, kind,
            source=source, columns=columns, transpose_remedy=transpose_remedy,
        )  # fmt: skip
    _check_kinds(genes, found, gene_ids, kind, source)
    if kind == "symbol" and not found.all():
        _check_dates(gene_ids, source, aliases)
    return matched


def coverage(genes: pd.DataFrame, matched: Matched) -> dict[str, Any]:
    """Return how much of a map a platform has, ready for JSON.

    Returns:
        ``in_map`` and ``found`` are numbers of genes. ``missing`` and ``partial`` are Ensembl ids
        of the genes without a row, and of those with rows for only some of their probes.
    """
    partial = matched.found & (matched.counts < matched.n_ids)
    return {
        "in_map": len(genes),
        "found": int(matched.found.sum()),
        "missing": genes.index[~matched.found].tolist(),
        "partial": genes.index[partial].tolist(),
    }


def ids_of_maps(landmarks: pd.DataFrame, targets: pd.DataFrame, kind: IdKind) -> pd.Index:
    """Return the ids of one kind of all genes of two maps."""
    return pd.Index(_ids_of(pd.concat([landmarks, targets]), kind)).unique()


def _ids_of(genes: pd.DataFrame, kind: IdKind) -> pd.Series[str]:
    """Return the ids of a map's genes, indexed by the position of their gene in the map."""
    match kind:
        case "ensembl":
            ids = pd.Series(strip_version(genes.index))
        case "symbol":
            ids = genes["symbol"].reset_index(drop=True)
        case "probe":
            ids = genes["probes"].reset_index(drop=True).str.split(",").explode().str.strip()
        case "entrez":
            # The maps have no Entrez ids: all genes are matched by aliases.
            ids = pd.Series(index=pd.Index([], dtype=np.intp), dtype="str")
    return ids


def _aliases_among(
    row_ids: pd.Index,
    genes: pd.DataFrame,
    kind: IdKind,
    aliases: pd.Series[str] | None,
    by_id: pd.Series[str],
) -> pd.Series[str]:
    """Return the aliases that are ids of a matrix, of genes that are not in ``by_id``.

    They are indexed like those of :func:`_ids_of`.
    """
    if aliases is None:
        return _ids_of(genes[:0], kind)
    names = strip_version(aliases.index) if kind == "ensembl" else aliases.index
    owners = genes.index.get_indexer(pd.Index(aliases))
    found = names.isin(row_ids) & (owners >= 0) & ~np.isin(owners, by_id.index)
    return pd.Series(names, index=owners)[found]


def several_aliases(
    landmarks: pd.DataFrame,
    targets: pd.DataFrame,
    row_ids: pd.Index,
    kind: IdKind,
    aliases: pd.Series[str] | None,
) -> dict[str, str]:
    """Return the ids of rows that belong to one gene by different aliases.

    Args:
        landmarks: map of the landmark genes.
        targets: map of the target genes.
        row_ids: ids of the rows, Ensembl ids without versions.
        kind: the kind of these ids. Probes have no part in this, because their mean is taken.
        aliases: other ids of genes.

    Returns:
        Alias → the first alias of the same gene.
    """
    if aliases is None or kind == "probe":
        return {}
    genes = pd.concat([landmarks, targets])
    genes = genes[~genes.index.duplicated()]
    ids = _ids_of(genes, kind)
    found = _aliases_among(row_ids, genes, kind, aliases, ids[_among(ids, row_ids)])
    several = found[found.index.duplicated(keep=False)]
    firsts = several[~several.index.duplicated()]
    return dict(zip(several, firsts.loc[several.index], strict=True))


def _check_rows(
    row_ids: pd.Index,
    again: NDArray[np.bool_],
    gene_ids: pd.Index,
    used: pd.Index,
    source: str,
) -> None:
    """Refuse ids that are used and that more than one row has.

    Args:
        row_ids: the ids of the rows as they are matched: Ensembl ids without versions.
        again: True for each row whose id an earlier row has.
        gene_ids: the ids of the rows as the file has them.
        used: the ids of the genes of a map.
        source: the file, for messages.
    """
    repeated = row_ids[again].intersection(used, sort=False)
    if repeated.empty:
        return
    as_stored = gene_ids[row_ids.isin(repeated)]
    if as_stored.is_unique:
        raise UserError(
            f"{source}: {len(as_stored)} Ensembl ids differ only in their version: "
            f"{some(as_stored)}. Keep one of each."
        )
    raise repeated_ids(source, "gene", repeated.unique())


def unused_rows(gene_ids: pd.Index, kind: IdKind) -> list[str]:
    """Return sentences about rows that cannot be told apart, after :func:`match` has used none."""
    row_ids = strip_version(gene_ids) if kind == "ensembl" else gene_ids
    blank = row_ids.str.strip() == ""
    repeated = row_ids[row_ids.duplicated(keep=False) & ~blank]
    notes = []
    if len(repeated):
        notes.append(
            f"{counted(len(repeated), 'row')} left out whose id repeats and is in no map: "
            f"{some(repeated.unique())}"
        )
    if blank.any():
        notes.append(f"{counted(int(blank.sum()), 'row')} left out without an id")
    return notes


def check_described(
    genes: pd.DataFrame,
    found: NDArray[np.bool_],
    profiles: pd.DataFrame,
    kind: IdKind,
    *,
    source: str,
    aliases: pd.Series[str] | None = None,
) -> None:
    """Refuse genes whose values a file stores as text, which reads as the table of profiles.

    Args:
        genes: a map.
        found: True for each gene of the map that has a row.
        profiles: the columns that the file itself has about profiles.
        kind: the kind of the ids of genes.
        source: the file, for messages.
        aliases: other ids of genes.

    Raises:
        UserError: a gene without a row is one of these columns, and no numbers.
    """
    texts = profiles.loc[:, [not pd.api.types.is_numeric_dtype(kind) for kind in profiles.dtypes]]
    names = pd.Index(texts.columns.map(str), dtype="str")
    missing = genes[~found]
    if missing.empty or names.empty:
        return
    positions = match(missing, names, kind, source=source, aliases=aliases).positions
    if len(positions):
        raise UserError(
            f"{source}: column {names[positions[0]]!r} is a gene of the maps, but holds no "
            f"numbers. This is so of {counted(len(positions), 'gene')} in all. "
            "Store them as numbers."
        )


def _check_kinds(
    genes: pd.DataFrame, found: NDArray[np.bool_], gene_ids: pd.Index, kind: IdKind, source: str
) -> None:
    missing = genes[~found]
    other, number = best_kind(missing, gene_ids)
    if number > _MIXED * len(genes):
        ids = gene_ids[strip_version(gene_ids).isin(_ids_of(missing, other))]
        raise UserError(
            f"{source}: ids of more than one kind: {found.sum():,} genes are there by {kind} id, "
            f"{number:,} others by {other} id ({some(ids)}). Use one kind, or list the others as "
            "aliases."
        )


def _check_dates(gene_ids: pd.Index, source: str, aliases: pd.Series[str] | None) -> None:
    dates = dates_among(gene_ids).unique()
    if aliases is not None:
        dates = dates.difference(aliases.index, sort=False)
    if len(dates):
        raise UserError(
            f"{source}: {len(dates)} ids are dates, which a spreadsheet such as Excel made of "
            f"symbols ({some(dates)}), and genes are missing. Restore the symbols (1-Mar was "
            "MARCH1 or MARC1), or list the dates as aliases."
        )


def _no_match(
    genes: pd.DataFrame,
    gene_ids: pd.Index,
    kind: IdKind,
    *,
    source: str,
    columns: pd.Index | None,
    transpose_remedy: str,
) -> UserError:
    best, number = best_kind(genes, gene_ids)
    column_kind, n_columns = best_kind(genes, pd.Index([]) if columns is None else columns)
    if number:
        remedy = f'As {best} ids {number:,} would match. Write ids = "{best}".'
    elif n_columns:
        ids = "" if column_kind == kind else f' Also write ids = "{column_kind}".'
        remedy = f"Its columns are genes ({n_columns:,} would match). {transpose_remedy}{ids}"
    elif _are_row_numbers(gene_ids):
        remedy = (
            f"They number the rows ({some(gene_ids)}), as pandas does where a table has no index. "
            "Write the table again with the ids of genes first, and without such a column."
        )
    elif kind != "entrez" and gene_ids.str.fullmatch(r"\d+").mean() > 1 / 2:
        remedy = (
            f"They look like Entrez ids ({some(gene_ids)}). "
            'Write ids = "entrez" and give a table of aliases, or name the column of other ids in '
            "id_column."
        )
    else:
        remedy = (
            f"No other kind fits. Its ids begin with {some(map(repr, gene_ids))}. Check the file "
            "and the gene maps, or give a table of aliases."
        )
    return UserError(f"no gene of the maps is in {source} as {kind} ids. {remedy}")


def _are_row_numbers(ids: pd.Index) -> bool:
    """Return whether ids count the rows, from 0 or from 1."""
    return any(
        len(ids) > 1 and list(ids) == [str(number) for number in range(first, first + len(ids))]
        for first in (0, 1)
    )


def best_kind(genes: pd.DataFrame, ids: pd.Index) -> tuple[IdKind, int]:
    """Return the kind of ids that matches most genes of a map, and the number of those genes."""
    counts = {kind: _count(genes, ids.astype("str"), kind) for kind in get_args(IdKind)}
    best = max(counts, key=lambda kind: counts[kind])
    return best, counts[best]


def _among(ids: pd.Series[str], row_ids: pd.Index) -> NDArray[np.bool_]:
    """Return which ids are among the row ids. An empty id never is."""
    # pandas looks up strings of Arrow one by one, but Python objects in one hash table.
    return np.asarray(ids.astype(object).isin(row_ids.astype(object)) & (ids != ""))


def _count(genes: pd.DataFrame, gene_ids: pd.Index, kind: IdKind) -> int:
    ids = _ids_of(genes, kind)
    return int(ids[_among(ids, strip_version(gene_ids))].index.nunique())
