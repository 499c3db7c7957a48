"""Text formats with genes in rows and profiles in columns: the base of GCT and delimited files.

Numbers are written with the fewest digits that read back as the same float64. A float32 therefore
reads back as the same float32, too.
"""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import lzma
import math
import tempfile
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import compress, islice
from pathlib import Path
from typing import Any, TextIO

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import UserError
from genebench.formats.base import BLOCK, MISSING, MISSING_REMEDY, Content, GeneReader, Reader
from genebench.formats.files import id_index, open_lines
from genebench.formats.spreadsheet import misspelt_number

MISSING_CELLS = frozenset({"", "na", "nan", "n/a", "#n/a", "null", "none"})
"""Contents of cells, in lower case, that stand for a missing value."""

_CODE = "the code for a missing value"

_VALUES_AT_ONCE = 1 << 20
"""Numbers that are parsed in one call: 8 MB as float64 for any number of profiles."""


@dataclass(frozen=True)
class Dialect:
    """The rule that splits a line into cells. A quoted cell ends on the line where it begins.

    Attributes:
        separator: one character.
        quotes: True if a cell may be enclosed in double quotes.
    """

    separator: str
    quotes: bool

    def split(self, line: str) -> list[str]:
        """Return the cells of a line.

        Raises:
            csv.Error: the quotes do not pair up.
        """
        if not self._quoted(line):
            return line.split(self.separator)
        try:
            return next(csv.reader([line], delimiter=self.separator, strict=True))
        except csv.Error as error:
            raise csv.Error(f"{error} in the line that begins {line[:40]!r}") from None

    def measure(self, line: str) -> tuple[str, int]:
        """Return the first cell of a line and the number of its cells, without splitting it all.

        Opening a file measures every line. Making a text of every cell would take far longer.
        """
        if self._quoted(line):
            cells = self.split(line)
            return cells[0], len(cells)
        return line.partition(self.separator)[0], line.count(self.separator) + 1

    def _quoted(self, line: str) -> bool:
        return self.quotes and '"' in line


@dataclass(frozen=True)
class Header:
    """The content of the lines before the first gene.

    Attributes:
        lines: the number of these lines.
        first: the column of the first profile. The columns before it name and annotate genes.
        profiles: the table of profiles.
        genes: the number of genes that the header states, or None if it states none.
        ids: the column of the gene ids.
        columns: the column of each profile, or None if they are consecutive, up to the last.
        cells: the number of cells in each line, or None if the last profile ends it.
    """

    lines: int
    first: int
    profiles: pd.DataFrame
    genes: int | None = None
    ids: int = 0
    columns: tuple[int, ...] | None = None
    cells: int | None = None

    @property
    def width(self) -> int:
        """The number of cells in each line."""
        return self.first + len(self.profiles) if self.cells is None else self.cells

    @property
    def positions(self) -> NDArray[np.intp]:
        """The column of each profile."""
        if self.columns is None:
            return self.first + np.arange(len(self.profiles))
        return np.array(self.columns, np.intp)


class TextReader(GeneReader):
    """A text matrix, genes × profiles. Opening it checks the shape, reading it checks the values.

    Values are parsed as correctly rounded float64.
    """

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.source = str(path)
        self._path = path
        self._dialect = dialect
        with self.lines() as lines:
            self._header = self._read_header(lines)
            ids = list(self._read_ids(lines))
        stated = self._header.genes
        if stated is not None and stated != len(ids):
            raise self.fault(
                f"the header states {stated} genes (rows), the body has {len(ids)}. Check whether "
                "the file is cut short."
            )
        self.gene_ids = id_index(self.source, "gene", ids)
        self.profiles = self._header.profiles

    @abstractmethod
    def _read_header(self, lines: Iterator[str]) -> Header:
        """Read the lines before the first gene, and no more."""

    def _read_ids(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            gene, width = self._dialect.measure(line)
            if self._header.ids and width == self._header.width:
                gene = self._dialect.split(line)[self._header.ids]
            if width != self._header.width:
                causes = "the file is cut short, or the header lacks a name for the id column"
                if self._dialect.separator == "," and width > self._header.width:
                    causes += ", or its numbers have decimal commas or thousands separators"
                raise self.fault(
                    f"row {gene!r} has {width} cells, the header has {self._header.width}. "
                    f"Check whether {causes}."
                )
            yield gene

    def gene_blocks(self, genes: NDArray[np.intp]) -> Iterator[NDArray[np.float64]]:
        """Yield the values of some genes (ascending positions) × all profiles, a few at a time."""
        all_profiles = np.arange(len(self.profiles))
        n_rows = max(1, _VALUES_AT_ONCE // len(self.profiles))
        wanted = np.zeros(len(self.gene_ids), dtype=bool)
        wanted[genes] = True
        with self.body() as lines:
            chosen = compress(lines, wanted)
            for start in range(0, len(genes), n_rows):
                yield self.parse(chosen, genes[start : start + n_rows], all_profiles)

    @contextmanager
    def lines(self) -> Iterator[Iterator[str]]:
        """Open the file and give its lines. A layout with other lines around its table drops them.

        Raises:
            UserError: as for :func:`genebench.formats.files.open_lines`.
        """
        with open_lines(self._path) as lines:
            yield lines

    @contextmanager
    def body(self) -> Iterator[Iterator[str]]:
        """Open the file and give the lines after the header."""
        with self.lines() as lines:
            yield islice(lines, self._header.lines, None)

    def parse(
        self, lines: Iterator[str], rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return the numbers in some columns of ``lines``, which are the lines of ``rows``.

        Returns:
            ``len(rows)`` × ``len(columns)``, float64.

        Raises:
            UserError: a cell there is no finite number, or is the code for a missing value (row and
                column named).
        """
        # np.loadtxt takes an empty list of columns for all of them.
        if not columns.size:
            return np.empty((len(rows), 0))
        kept: list[str] = []
        if self.keeps_missing:
            # Text cannot be parsed twice if it is taken from an iterator.
            lines = iter(kept := list(islice(lines, len(rows))))
        positions = self._header.positions[columns]
        # numpy's parser rounds correctly. The default one of pandas can be off in the last digit.
        try:
            matrix = np.loadtxt(
                lines,
                delimiter=self._dialect.separator,
                quotechar='"' if self._dialect.quotes else None,
                comments=None,
                usecols=positions.tolist(),
                max_rows=len(rows),
                ndmin=2,
            )
        except ValueError as error:
            with_gaps = self._with_gaps(kept, positions) if self.keeps_missing else None
            if with_gaps is None:
                raise self._bad_cell(rows, columns, str(error)) from None
            matrix = with_gaps
        if self.keeps_missing:
            matrix[matrix == MISSING] = np.nan
            bad = np.isinf(matrix)
        elif self.is_sound(matrix):
            return matrix
        else:
            bad = ~np.isfinite(matrix) | (matrix == MISSING)
        if bad.any():
            raise self._bad_cell(rows, columns, "a value is missing, NaN or infinite")
        return matrix

    def _with_gaps(
        self, lines: list[str], positions: NDArray[np.intp]
    ) -> NDArray[np.float64] | None:
        """Return the numbers of lines with NaN for missing cells, or None if a cell is neither."""
        matrix = np.empty((len(lines), len(positions)))
        for row, line in enumerate(lines):
            cells = self._dialect.split(line)
            for column, position in enumerate(positions):
                cell = cells[position]
                if is_finite_number(cell):
                    matrix[row, column] = float(cell)
                elif is_missing(cell):
                    matrix[row, column] = np.nan
                else:
                    return None
        return matrix

    def _bad_cell(
        self, rows: NDArray[np.intp], columns: NDArray[np.intp], otherwise: str
    ) -> UserError:
        """Return the error that names the first cell which is no finite number.

        The fast parser names no cell, so the rows are parsed again, cell by cell.
        """
        wanted = np.zeros(len(self.gene_ids), dtype=bool)
        wanted[rows] = True
        with self.body() as lines:
            for row, line in zip(self.gene_ids[rows], compress(lines, wanted), strict=True):
                cells = self._dialect.split(line)
                for column in columns:
                    cell = cells[self._header.positions[column]]
                    fault = fault_of(cell)
                    if not fault or (self.keeps_missing and is_missing(cell)):
                        continue
                    remedy = misspelt_number(cell) or self._remedy_of(cell)
                    return self.fault(
                        f"row {row!r}, column {self._header.profiles.index[column]!r} holds "
                        f"{cell[:40]!r}, {fault}. {remedy}"
                    )
        return self.fault(otherwise)

    def _remedy_of(self, cell: str) -> str:
        """Return the remedy for a cell that is no finite number."""
        return MISSING_REMEDY if is_missing(cell) else "Correct it."


class TransposedText(Reader):
    """A text matrix whose rows are profiles, read a block of lines at a time."""

    transpose_remedy = 'Write orientation = "genes".'

    def __init__(self, table: TextReader, profiles: pd.DataFrame | None = None) -> None:
        self.source = table.source
        self.gene_ids = table.profiles.index
        self.profiles = pd.DataFrame(index=table.gene_ids) if profiles is None else profiles
        self.id_column, self.skipped = table.id_column, table.skipped
        self._table = table

    def keep_missing(self) -> None:
        """Yield missing values as NaN from now on."""
        super().keep_missing()
        self._table.keep_missing()

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float64."""
        with self._table.body() as lines:
            for start in range(0, len(self.profiles), size):
                rows = np.arange(start, min(start + size, len(self.profiles)))
                yield self._table.parse(lines, rows, genes)


@contextmanager
def by_gene(
    content: Content, folder: Path
) -> Iterator[tuple[np.dtype[np.floating], Iterator[NDArray[np.floating]]]]:
    """Give the values of a content gene after gene, through a temporary file in ``folder``.

    Yields:
        The type of the values, and an iterator of one array of all profiles per gene. Memory: one
        block of the content.
    """
    n_profiles, n_genes = content.shape
    dtype, blocks = content.read()
    with tempfile.TemporaryFile(dir=folder) as spool:
        start = 0
        for block in blocks:
            for gene, values in enumerate(np.ascontiguousarray(block.T)):
                spool.seek((gene * n_profiles + start) * dtype.itemsize)
                spool.write(values.data)
            start += len(block)
        spool.seek(0)
        yield dtype, (np.fromfile(spool, dtype, n_profiles) for _ in range(n_genes))


@contextmanager
def open_for_text(path: Path) -> Iterator[TextIO]:
    """Open a file for UTF-8 text with LF line ends, packed if its name ends in .gz, .bz2 or .xz."""
    with ExitStack() as stack:
        stream: Any = stack.enter_context(path.open("wb"))
        match path.suffix.lower():
            case ".gz":
                # No name and no time in the gzip header: the same content gives the same bytes.
                packed: Any = gzip.GzipFile("", "wb", compresslevel=3, fileobj=stream, mtime=0)
                stream = stack.enter_context(packed)
            case ".bz2":
                stream = stack.enter_context(bz2.BZ2File(stream, "wb"))
            case ".xz":
                stream = stack.enter_context(lzma.LZMAFile(stream, "wb", preset=1))
        yield stack.enter_context(io.TextIOWrapper(stream, encoding="utf-8", newline="\n"))


def check_cells(path: Path, cells: Iterable[object], forbidden: str) -> None:
    """Refuse text that would end a cell or a line early in the file to be written.

    Raises:
        UserError: a cell holds one of the ``forbidden`` characters.
    """
    for cell in cells:
        if any(character in str(cell) for character in forbidden):
            raise UserError(
                f"{path}: {str(cell)[:40]!r} holds a character that ends a cell, a line or the "
                "text in this format. Rename it, or write another format."
            )


def is_missing(cell: str) -> bool:
    """Return whether a cell stands for a missing value."""
    return cell.strip().lower() in MISSING_CELLS or fault_of(cell) == _CODE


def is_finite_number(cell: str) -> bool:
    """Return whether a cell is a value of expression."""
    return not fault_of(cell)


def fault_of(cell: str) -> str:
    """Return the reason why a cell is no value of expression, or "" if it is one."""
    # float() alone accepts 1_000 and digits of other scripts, which the fast parser refuses.
    try:
        value = float(cell) if cell.isascii() and "_" not in cell else math.nan
    except ValueError:
        value = math.nan
    if value == MISSING:
        return _CODE
    return "" if math.isfinite(value) else "not a finite number"
