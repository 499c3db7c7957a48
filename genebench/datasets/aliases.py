"""Tables of aliases, made from a file of genes of NCBI or HGNC that the user has.

Both sources may be used freely. Neither is part of genebench, because their content changes daily.

Layouts: https://ftp.ncbi.nlm.nih.gov/gene/DATA/README (``gene_info``), and
https://www.genenames.org/help/statistics-and-files/ (``hgnc_complete_set``).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from genebench._util.files import sha256_of
from genebench.errors import UserError
from genebench.formats.files import open_lines
from genebench.formats.text import Dialect
from genebench.preprocessing.genes import strip_version

_HUMAN = "9606"
"""Number of the species in the taxonomy of NCBI."""

_COLUMNS: Mapping[str, Mapping[str, str]] = {
    "ncbi": {
        "#tax_id": "species",
        "GeneID": "entrez",
        "Symbol": "symbol",
        "Synonyms": "others",
        "dbXrefs": "ensembl",
        "Modification_date": "date",
    },
    "hgnc": {
        "symbol": "symbol",
        "status": "status",
        "alias_symbol": "synonyms",
        "prev_symbol": "others",
        "entrez_id": "entrez",
        "ensembl_gene_id": "ensembl",
        "date_modified": "date",
    },
    "hgnc custom": {
        "Approved symbol": "symbol",
        "Status": "status",
        "Alias symbols": "synonyms",
        "Previous symbols": "others",
        "NCBI Gene ID": "entrez",
        "Ensembl gene ID": "ensembl",
    },
}
"""Layout → name of a column in the file → its meaning here. The first three always tell it apart.

gene_info keeps previous symbols among its synonyms, so these cannot be told apart there.
"""

_LICENCES = {
    "ncbi": "NCBI Gene: public domain, https://www.ncbi.nlm.nih.gov/home/about/policies/",
    "hgnc": "HGNC: CC0 1.0, https://www.genenames.org/about/license/",
}


class _Gene(NamedTuple):
    """One gene of a source: ids and symbols, present and past."""

    entrez: str
    symbol: str
    ensembl: tuple[str, ...]
    others: tuple[str, ...]


@dataclass(frozen=True)
class AliasTable:
    """Aliases of the genes of two maps.

    Attributes:
        lines: pairs of alias and Ensembl id of the map, sorted.
        header: lines about source, licence and date.
        by_ensembl: number of genes of the maps that were found by Ensembl id.
        by_symbol: number of others that were found by symbol.
        missing: Ensembl ids of the others.
        ambiguous: names of more than one gene, which are left out.
    """

    lines: Sequence[tuple[str, str]]
    header: Sequence[str]
    by_ensembl: int
    by_symbol: int
    missing: Sequence[str]
    ambiguous: Sequence[str]

    def text(self) -> str:
        """Return the content of the file."""
        header = (f"# {line}\n" for line in self.header)
        return "".join([*header, *(f"{alias}\t{gene}\n" for alias, gene in self.lines)])


def build_aliases(source: Path, genes: pd.DataFrame, *, synonyms: bool = False) -> AliasTable:
    """Return the aliases of the genes of the maps: Entrez and Ensembl ids, other symbols.

    A gene of a map is found in the source by its Ensembl id, or else by its symbol, as a present
    symbol first and as a previous one then. A name that belongs to more than one gene of the source
    is left out, unless it is the present symbol of one of them.

    Args:
        source: ``gene_info`` of NCBI, or ``hgnc_complete_set`` or a custom download of HGNC.
        genes: all genes of the maps, indexed by Ensembl id, with a column ``symbol``.
        synonyms: True to take the synonyms of HGNC, too. Those of NCBI include previous symbols and
            are always taken.

    Raises:
        UserError: the file is unreadable, has another layout, or has none of the genes.
    """
    layout, records, newest = _read(source, synonyms=synonyms)
    claims = _claims(records)
    genes = genes[~genes.index.duplicated()]
    owners: dict[str, list[int]] = {}
    found_by_id = 0
    ids = strip_version(genes.index)
    for gene, id_, symbol in zip(genes.index, ids, genes["symbol"], strict=True):
        found_by_id += len(claims.get(id_, ())) == 1
        owner = next((x for x in (claims.get(id_, []), claims.get(symbol, [])) if len(x) == 1), [])
        if owner:
            owners[gene] = owner
    if not owners:
        raise UserError(
            f"{source}: none of the {len(genes):,} genes of the maps is in it. Give the file of "
            "the same species."
        )
    own = {*ids, *genes["symbol"]}
    lines, ambiguous = set(), set()
    for gene, owner in owners.items():
        record = records[owner[0]]
        for name in {record.entrez, record.symbol, *record.ensembl, *record.others} - own - {""}:
            # Entrez ids are not looked up: no gene shares one.
            if name == record.entrez or claims[name] == owner:
                lines.add((name, gene))
            else:
                ambiguous.add(name)
    # One record may be that of several genes of the maps, by Ensembl id and by symbol.
    symbols = defaultdict(set)
    for name, gene in lines:
        symbols[name].add(genes.loc[gene, "symbol"])
    shared = {name for name, owned in symbols.items() if len(owned) > 1}
    ambiguous |= shared
    return AliasTable(
        lines=sorted(line for line in lines if line[0] not in shared),
        header=(
            f"aliases of {len(owners):,} genes, made by genebench data aliases",
            f"source: {source.name}, sha256 {sha256_of(source)}",
            f"newest entry: {newest or 'not stated'}",
            f"licence: {_LICENCES[layout]}",
        ),
        by_ensembl=found_by_id,
        by_symbol=len(owners) - found_by_id,
        missing=[gene for gene in genes.index if gene not in owners],
        ambiguous=sorted(ambiguous),
    )


def _claims(records: Sequence[_Gene]) -> dict[str, list[int]]:
    """Return for each symbol and Ensembl id the positions of the records that it may stand for.

    A record whose present symbol it is takes precedence over all that had it once.
    """
    present, past = defaultdict(list), defaultdict(list)
    for number, record in enumerate(records):
        for name in {record.symbol, *record.ensembl}:
            present[name].append(number)
        for name in set(record.others):
            past[name].append(number)
    return {**past, **present}


def _read(source: Path, *, synonyms: bool) -> tuple[str, list[_Gene], str]:
    """Return the kind of a source, its genes, and the date of its newest entry."""
    with open_lines(source) as lines:
        names = next(lines, "").split("\t")
        layout = next((key for key, columns in _COLUMNS.items() if _fits(columns, names)), None)
        if layout is None:
            raise UserError(
                f"{source}: neither gene_info of NCBI nor hgnc_complete_set of HGNC. Its header is "
                f"{' | '.join(names)[:60]!r}. Give one of these files, as it was published."
            )
        meanings = [_COLUMNS[layout].get(name, "") for name in names]
        dialect = Dialect(separator="\t", quotes=layout != "ncbi")
        rows = (_row(source, dialect.split(line), meanings) for line in lines)
        records, newest = [], ""
        for row in rows:
            if row.get("species", _HUMAN) != _HUMAN or row.get("status", "Approved") != "Approved":
                continue
            others = _names(row["others"]) + (_names(row.get("synonyms", "")) if synonyms else ())
            ensembl = tuple(re.findall(r"ENS[A-Z]*G\d+", row["ensembl"]))
            records.append(_Gene(row["entrez"].strip("-"), row["symbol"], ensembl, others))
            newest = max(newest, row.get("date", ""))
    return layout.split()[0], records, newest


def _fits(columns: Iterable[str], names: Sequence[str]) -> bool:
    return all(name in names for name in columns if name not in {"status", "Status"})


def _row(source: Path, cells: Sequence[str], meanings: Sequence[str]) -> dict[str, str]:
    if len(cells) != len(meanings):
        raise UserError(
            f"{source}: the line of {' '.join(cells[:3])[:40]!r} has {len(cells)} cells, the "
            f"header has {len(meanings)}. Download the file again."
        )
    return {meaning: cell for meaning, cell in zip(meanings, cells, strict=True) if meaning}


def _names(cell: str) -> tuple[str, ...]:
    """Return the symbols in a cell: separated by bars, or by commas in custom downloads."""
    return tuple(name.strip() for name in re.split(r"\||, ", cell) if name.strip(" -"))


def lines_of(table: AliasTable) -> Iterator[str]:
    """Yield what a table has, for people."""
    found = table.by_ensembl + table.by_symbol
    yield (
        f"{found:,} of {found + len(table.missing):,} genes of the maps found: "
        f"{table.by_ensembl:,} by Ensembl id, {table.by_symbol:,} by symbol"
    )
    yield f"{len(table.lines):,} aliases. {len(table.ambiguous):,} of more than one gene left out"
