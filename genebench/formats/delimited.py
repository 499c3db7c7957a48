"""Tab- and comma-separated text: matrices of genes × profiles, and tables about profiles."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import dropwhile, islice, repeat
from pathlib import Path
from typing import TextIO

import numpy as np
import pandas as pd

from genebench.errors import UserError, some, unknown
from genebench.formats.base import MISSING_REMEDY, Content, Reader
from genebench.formats.files import as_text, id_index, open_lines, unique_ids, without_packing
from genebench.formats.spreadsheet import misspelt_number
from genebench.formats.text import (
    Dialect,
    Header,
    TextReader,
    TransposedText,
    by_gene,
    check_cells,
    is_finite_number,
    is_missing,
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


INDEX_NAMES = frozenset({"", "index", "level_0", "unnamed: 0", "__index_level_0__"})
"""Names, in lower case, that pandas gives to the column of its index."""

_SAMPLE_LINES = 20
"""Lines after the header that show which columns hold text."""


class DelimitedReader(TextReader):
    """A TSV or CSV file: a header line, then one gene per line.

    Ids are in the first column, or in the first column of text if the first one numbers the rows.
    An index that pandas wrote first is no profile. Nor are whole numbers before the ids that all
    differ.
    The next columns are skipped as long as their names are in :data:`ANNOTATIONS` (in any case).
    The first other column and all after it are profiles.

    Args:
        path: the file.
        id_column: the name of the column of ids, if it is another one.
        skip_columns: the names of columns that are neither ids nor profiles.

    Raises:
        UserError: there is no such column, no profile column, or a line of another width.
    """

    transpose_remedy = 'Write orientation = "profiles".'

    def __init__(
        self, path: Path, *, id_column: str | None = None, skip_columns: Sequence[str] = ()
    ) -> None:
        self._named = id_column, tuple(skip_columns)
        super().__init__(path, _dialect(path))

    def _read_header(self, lines: Iterator[str]) -> Header:
        names = self._dialect.split(next(lines, ""))
        self._names = names
        id_name, skipped = self._named
        for name in [*skipped, *([] if id_name is None else [id_name])]:
            if name not in names:
                raise self.fault(f"{unknown('column', name, names)}")
        ids = (self._numbering() or 0) if id_name is None else names.index(id_name)
        # pandas writes its index first, if it is not told otherwise. It is no profile.
        first = 1 if ids and self._first_numbers_rows(ids) else 0
        others = (column for column in range(first, len(names)) if column != ids)
        columns = [
            column
            for column in dropwhile(
                lambda column: annotates_genes(names[column]) or names[column] in skipped,
                others,
            )
            if names[column] not in skipped
        ]
        check_skipped(self.source, names[ids], skipped, len(columns))
        if not columns:
            raise self.fault(
                f"no profile column. The header is {' | '.join(names)[:60]!r}, if its cells are "
                f"separated by {_spell(self._dialect)}. Save it with this separator, or end its "
                "name in .tsv for tabs or .csv for commas."
            )
        self.id_column = names[ids]
        self.skipped = tuple(
            name for column, name in enumerate(names) if column != ids and column not in columns
        )
        index = id_index(self.source, "profile", [names[column] for column in columns])
        return Header(
            lines=1,
            first=columns[0],
            profiles=pd.DataFrame(index=index),
            ids=ids,
            columns=tuple(columns),
            cells=len(names),
        )

    def _numbering(self) -> int | None:
        """Return the first column of text, if the first column only numbers the rows.

        pandas writes such a column unless it is told not to. That of a filtered table has gaps.
        """
        with open_lines(self._path) as lines:
            sample = [self._dialect.split(line) for line in islice(lines, 1, 1 + _SAMPLE_LINES)]
        texts = [column for column in range(len(self._names)) if _is_text(sample, column)]
        firsts = [row[0] for row in sample]
        if not texts or not (are_row_numbers(firsts) or self._is_index(firsts)):
            return None
        with open_lines(self._path) as lines:
            firsts = [self._dialect.measure(line)[0] for line in islice(lines, 1, None)]
        return texts[0] if are_row_numbers(firsts) or self._is_index(firsts) else None

    def _is_index(self, firsts: Sequence[str]) -> bool:
        """Return whether the first column has the name and the numbers of an index of pandas."""
        return self._names[0].lower() in INDEX_NAMES and number_rows(firsts)

    def _first_numbers_rows(self, ids: int) -> bool:
        """Return whether the first column, before that of the ids, is no profile."""
        with open_lines(self._path) as lines:
            firsts = [self._dialect.measure(line)[0] for line in islice(lines, 1, None)]
        alike = ids == 1 and number_rows(firsts)
        return alike or are_row_numbers(firsts) or self._is_index(firsts)

    def _remedy_of(self, cell: str) -> str:
        """Return the remedy for a cell that is no finite number."""
        if is_missing(cell):
            return MISSING_REMEDY
        return (
            "Correct it. If that column holds no values, leave it out of the file, or name it in "
            "skip_columns of a manifest."
        )

    def transposed(self) -> Reader:
        """Return a reader of the same file with one profile per line.

        Columns of text become columns of the profile table, wherever they are.
        """
        with open_lines(self._path) as lines:
            sample = [self._dialect.split(line) for line in islice(lines, 1, 1 + _SAMPLE_LINES)]
        positions = self._header.positions
        texts = [column for column in positions if _is_text(sample, column)]
        if not texts:
            return TransposedText(self)
        if len(texts) == len(positions):
            raise self.fault("no column of numbers follows the profiles. Check the separator.")
        with self.body() as lines:
            cells = [
                [cells[column] for column in texts] for cells in map(self._dialect.split, lines)
            ]
        names = unique_ids(self.source, "column", [self._names[column] for column in texts])
        table = pd.DataFrame(cells, index=self.gene_ids, columns=names, dtype="str")
        is_number = ~np.isin(positions, texts)
        self._header = replace(
            self._header,
            first=int(positions[is_number][0]),
            profiles=self._header.profiles[is_number],
            columns=tuple(positions[is_number].tolist()),
        )
        self.profiles = self._header.profiles
        return TransposedText(self, table)


def check_skipped(source: str, id_column: str, skip_columns: Sequence[str], n_values: int) -> None:
    """Refuse to skip the ids of a table, or all of its values.

    Args:
        source: the file, for messages.
        id_column: the name of the column of ids.
        skip_columns: the names of the columns to skip.
        n_values: the number of columns of values that are left.

    Raises:
        UserError: the column of ids is among those to skip, or no column of values is left.
    """
    if id_column in skip_columns:
        raise UserError(
            f"{source}: skip_columns names {id_column!r}, the column of the ids. Remove it there, "
            "or name the column of the ids in id_column."
        )
    if skip_columns and not n_values:
        raise UserError(
            f"{source}: skip_columns ({some(map(repr, skip_columns))}) leaves no column of values. "
            "Name only columns there that are neither ids nor values."
        )


def are_row_numbers(ids: Iterable[object]) -> bool:
    """Return whether ids are the numbers of the rows, from 0 or from 1."""
    first = None
    for number, id_ in enumerate(ids):
        first = str(id_) if number == 0 else first
        if first not in {"0", "1"} or str(id_) != str(int(first) + number):
            return False
    return first is not None


def number_rows(values: Iterable[object]) -> bool:
    """Return whether a column holds whole numbers that all differ, and so no profile.

    It is the index of a table that was filtered or sorted, or ids. Counts of reads repeat.
    """
    texts = [str(value) for value in values]
    whole = all(text.isascii() and text.isdigit() for text in texts)
    return whole and len(set(texts)) == len(texts) > 0


def _is_text(sample: list[list[str]], column: int) -> bool:
    """Return whether the cells of a column are text, as far as they are there."""
    cells = [row[column] for row in sample if column < len(row) and not is_missing(row[column])]
    return bool(cells) and not any(is_finite_number(x) or misspelt_number(x) for x in cells)


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


def by_profile_id(path: Path, table: pd.DataFrame, ids: pd.Index) -> pd.DataFrame:
    """Return a table about profiles indexed by their ids, if its first column numbers the rows.

    pandas writes such a column. The ids are then in the first column that has one of ``ids``.

    Args:
        path: the file of the table, for messages.
        table: the table, as :func:`read_profiles` returns it.
        ids: ids of the profiles of a matrix.

    Raises:
        UserError: an id occurs more than once.
    """
    if table.index.isin(ids).any() or not number_rows(table.index):
        return table
    name = next((name for name in table if table[name].isin(ids).any()), None)
    if name is None:
        return table
    index = unique_ids(str(path), "profile", table[name])
    return table.drop(columns=name).set_axis(index)


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
