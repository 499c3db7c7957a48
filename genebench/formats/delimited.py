"""Tab- and comma-separated text: matrices of genes × profiles, and tables about profiles."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import repeat, takewhile
from pathlib import Path
from typing import TextIO

import pandas as pd

from genebench.errors import UserError
from genebench.formats.base import Content, Reader
from genebench.formats.files import as_text, id_index, open_lines, unique_ids, without_packing
from genebench.formats.text import (
    Dialect,
    Header,
    TextReader,
    TransposedText,
    by_gene,
    check_cells,
    open_for_text,
)

ANNOTATIONS = frozenset(
    {"biotype", "chr", "chrom", "chromosome", "coord", "description", "end", "ensembl"}
    | {"ensembl_gene_id", "ensembl_id", "entrez", "entrez_gene_id", "entrez_id", "entrezid"}
    | {"gene", "gene_biotype", "gene_id", "gene_length", "gene_name", "gene_symbol", "gene_type"}
    | {"geneid", "genesymbol", "hgnc_id", "hgnc_symbol", "length", "probe", "probe_id", "start"}
    | {"strand", "symbol", "targetid"}
)
"""Names, in lower case, of columns that annotate genes if they follow the id column.

Such a column must not be taken for a profile. The file of GEUVADIS, for instance, has four of them:
TargetID, Gene_Symbol, Chr and Coord.
"""


class DelimitedReader(TextReader):
    """A TSV or CSV file: a header line, then one gene per line, with its id in the first column.

    The next columns are skipped as long as their names are in :data:`ANNOTATIONS` (in any case).
    The first other column and all after it are profiles.
    """

    transpose_remedy = 'Write orientation = "profiles".'

    def __init__(self, path: Path) -> None:
        super().__init__(path, _dialect(path))

    def _read_header(self, lines: Iterator[str]) -> Header:
        names = self._dialect.split(next(lines, ""))
        first = 1 + sum(1 for _ in takewhile(annotates_genes, names[1:]))
        if first >= len(names):
            raise self.fault(
                f"no profile column. The header is {' | '.join(names)[:60]!r}, if its cells are "
                f"separated by {_spell(self._dialect)}. Save it with this separator, or end its "
                "name in .tsv for tabs or .csv for commas."
            )
        ids = id_index(self.source, "profile", names[first:])
        return Header(lines=1, first=first, profiles=pd.DataFrame(index=ids))

    def transposed(self) -> Reader:
        """Return a reader of the same file with one profile per line, its id in column one."""
        return TransposedText(self)


def read_profiles(path: Path) -> pd.DataFrame:
    """Read a table about profiles (TSV or CSV, also packed). Cells stay text, as they are.

    Returns:
        Profiles × columns, indexed by the first column.

    Raises:
        UserError: unreadable, a ragged row, or a profile or column that occurs more than once.
    """
    dialect = _dialect(path)
    with open_lines(path) as lines:
        names, *rows = [dialect.split(line) for line in lines] or [[""]]
    for row in rows:
        if len(row) != len(names):
            raise UserError(
                f"{path}: row {row[0]!r} has {len(row)} cells, the header has {len(names)}. Give "
                f"each row as many, separated by {_spell(dialect)}."
            )
    index = unique_ids(str(path), "profile", [row[0] for row in rows])
    columns = unique_ids(str(path), "column", names[1:])
    return pd.DataFrame([row[1:] for row in rows], index=index, columns=columns, dtype="str")


def write_delimited(path: Path, content: Content) -> None:
    """Write genes × profiles. Gene annotations follow the column ``id``."""
    names = [str(name) for name in content.genes if annotates_genes(str(name))]
    annotations = [as_text(content.genes[name]) for name in names]
    with open_for_text(path) as stream, by_gene(content, path.parent) as (_, rows):
        write = _row_writer(path, stream)
        write(["id", *names, *content.profiles.index])
        for gene, texts, values in zip(
            content.genes.index, _across(annotations), rows, strict=False
        ):
            write([gene, *texts], values.tolist())


def write_profiles(path: Path, table: pd.DataFrame) -> None:
    """Write a table about profiles that :func:`read_profiles` reads."""
    with open_for_text(path) as stream:
        write = _row_writer(path, stream)
        write(["profile", *map(str, table.columns)])
        columns = [as_text(table[name]) for name in table]
        for profile, texts in zip(table.index, _across(columns), strict=False):
            write([profile, *texts])


def _row_writer(path: Path, stream: TextIO) -> Callable[..., None]:
    writer = csv.writer(stream, delimiter=_dialect(path).separator, lineterminator="\n")

    def write(texts: list[str], values: Sequence[float] = ()) -> None:
        # csv quotes separators and quotes. A line end in a cell could not be read back, because
        # readers take the file line by line.
        check_cells(path, texts, "\r\n")
        writer.writerow([*texts, *values])

    return write


def _across(columns: list[list[str]]) -> Iterator[tuple[str, ...]]:
    """Return the rows of some columns, or empty rows without end if there is no column."""
    return zip(*columns, strict=True) if columns else repeat(())


def _dialect(path: Path) -> Dialect:
    is_csv = without_packing(path.name).endswith(".csv")
    return Dialect(separator="," if is_csv else "\t", quotes=True)


def _spell(dialect: Dialect) -> str:
    return {",": "commas", "\t": "tabs"}[dialect.separator]


def annotates_genes(name: str) -> bool:
    """Return whether a column of that name annotates genes."""
    return re.sub(r"[ .]", "_", name.lower()) in ANNOTATIONS
