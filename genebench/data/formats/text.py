"""What GCT and delimited files share: genes in rows, profiles in columns, one line per gene."""

from __future__ import annotations

import csv
import math
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import compress, islice
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.data.formats.base import BLOCK, Reader
from genebench.data.formats.files import open_lines, unique_ids
from genebench.errors import UserError


@dataclass(frozen=True)
class Dialect:
    """How a line falls into cells. A quoted cell ends on its own line."""

    separator: str
    quotes: bool

    def split(self, line: str) -> list[str]:
        """The cells of a line; bad quotes raise ``csv.Error``."""
        if not self._quoted(line):
            return line.split(self.separator)
        try:
            return next(csv.reader([line], delimiter=self.separator, strict=True))
        except csv.Error as error:
            raise csv.Error(f"{error} in the line that begins {line[:40]!r}") from None

    def measure(self, line: str) -> tuple[str, int]:
        """The first cell of a line and the number of its cells, without splitting it all."""
        if self._quoted(line):
            cells = self.split(line)
            return cells[0], len(cells)
        return line.partition(self.separator)[0], line.count(self.separator) + 1

    def _quoted(self, line: str) -> bool:
        return self.quotes and '"' in line


@dataclass(frozen=True)
class Header:
    """What the lines before the first gene say."""

    lines: int
    """How many lines that is."""
    first: int
    """The column of the first profile; those before it name and annotate genes."""
    profiles: pd.DataFrame
    genes: int | None = None
    """How many genes the header promises, if it does."""

    @property
    def width(self) -> int:
        """Cells per line."""
        return self.first + len(self.profiles)


class TextReader(Reader):
    """A text matrix, genes × profiles. Opening checks its shape, reading checks its values.

    Values are parsed as correctly rounded float64. ``blocks`` holds the requested genes of all
    profiles in memory: the file has them the other way round.
    """

    def __init__(self, path: Path, dialect: Dialect) -> None:
        self.source = str(path)
        self._path = path
        self._dialect = dialect
        with open_lines(path) as lines:
            self._header = self._read_header(lines)
            ids = list(self._read_ids(lines))
        self._check_count(len(ids))
        self.gene_ids = unique_ids(self.source, "gene", ids)
        self.profiles = self._header.profiles

    @abstractmethod
    def _read_header(self, lines: Iterator[str]) -> Header:
        """Consume the lines before the first gene."""

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float64."""
        rows, columns = np.unique(genes, return_inverse=True)
        matrix = self._read_rows(rows)
        for start in range(0, len(self.profiles), size):
            yield np.ascontiguousarray(matrix[columns, start : start + size].T)

    def _read_ids(self, lines: Iterator[str]) -> Iterator[str]:
        for line in lines:
            gene, width = self._dialect.measure(line)
            if width != self._header.width:
                raise self._fault(
                    f"row {gene!r} has {width} cells, the header has {self._header.width}; is the "
                    "file cut short, or does the header lack a name for the id column?"
                )
            yield gene

    def _check_count(self, found: int) -> None:
        promised = self._header.genes
        if promised is not None and promised != found:
            raise self._fault(f"the header says {promised} genes (rows), the body has {found}")

    def _read_rows(self, rows: NDArray[np.intp]) -> NDArray[np.float64]:
        """The values of some genes (ascending positions) × all profiles."""
        if not rows.size:
            return np.empty((0, len(self.profiles)))
        try:
            matrix = np.loadtxt(
                self._lines(rows),
                delimiter=self._dialect.separator,
                quotechar='"' if self._dialect.quotes else None,
                comments=None,
                usecols=range(self._header.first, self._header.width),
                max_rows=len(rows),
                ndmin=2,
            )
        except ValueError as error:
            raise self._bad_cell(rows, str(error)) from None
        if not np.isfinite(matrix).all():
            raise self._bad_cell(rows, "a value is NaN or infinite")
        return matrix

    def _lines(self, rows: NDArray[np.intp]) -> Iterator[str]:
        wanted = np.zeros(len(self.gene_ids), dtype=bool)
        wanted[rows] = True
        with open_lines(self._path) as lines:
            yield from compress(islice(lines, self._header.lines, None), wanted)

    def _bad_cell(self, rows: NDArray[np.intp], otherwise: str) -> UserError:
        """The error that names the first cell which is no finite number."""
        for gene, line in zip(self.gene_ids[rows], self._lines(rows), strict=True):
            cells = self._dialect.split(line)[self._header.first :]
            for profile, cell in zip(self.profiles.index, cells, strict=True):
                if not _is_finite_number(cell):
                    return self._fault(
                        f"row {gene!r}, column {profile!r} holds {cell[:40]!r}, not a finite "
                        "number; fill it in, or leave that gene or column out"
                    )
        return self._fault(otherwise)

    def _fault(self, message: str) -> UserError:
        return UserError(f"{self.source}: {message}")


def _is_finite_number(cell: str) -> bool:
    # float() alone would take 1_000 and digits of other scripts, which the fast parser refuses.
    try:
        return cell.isascii() and "_" not in cell and math.isfinite(float(cell))
    except ValueError:
        return False
