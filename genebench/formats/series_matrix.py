"""Series matrices of GEO: ``!`` lines about a series and its samples around a table of values.

Layout: https://www.ncbi.nlm.nih.gov/geo/info/soft.html and files such as
``GSE2109_series_matrix.txt.gz``. A quoted text may contain line ends, and a missing value is blank
or ``null``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pandas as pd

from genebench.errors import some
from genebench.formats.files import from_latin_1, open_lines, strict_utf_8
from genebench.formats.heads import first_lines
from genebench.formats.layout import LayoutReader
from genebench.formats.text import Header

_BEGIN, _END = "!series_matrix_table_begin", "!series_matrix_table_end"
_SAMPLE = "!Sample_"
GROUP = "series"
"""The column of the profile table that holds the series of each sample."""


def recognise(head: bytes) -> bool:
    """Return whether a file begins as a series matrix does."""
    lines = first_lines(head)
    return bool(lines) and lines[0].startswith(("!Series_", _SAMPLE, _BEGIN))


class SeriesMatrixReader(LayoutReader):
    """A series matrix, probes × samples.

    Lines ``!Sample_…`` become columns of the profile table, without that prefix. Characteristics
    such as ``tissue: lung`` become columns of their own names. The column ``series`` holds the
    series of a sample: that of its own samples, if the file is of a super-series. A super-series
    without lines ``!Sample_series_id`` has no such column. Lines about samples may be in another
    encoding than UTF-8, but not the table.

    Raises:
        UserError: the table is missing, empty or without its end, a line of samples has another
            number of cells than the table, or its accessions are not those of the table.
    """

    layout = "a series matrix of GEO"

    @contextmanager
    def lines(self) -> Iterator[Iterator[str]]:
        """Open the file and give the lines of its table. The lines before it are kept."""
        with open_lines(self._path, errors="surrogateescape") as lines:
            about = _about(map(from_latin_1, lines))
            yield self._table(map(strict_utf_8, lines), about)

    def _table(self, lines: Iterator[str], about: list[list[str]] | None) -> Iterator[str]:
        if about is None:
            raise self.fault(f"there is no line {_BEGIN}. The file is cut short: fetch it again.")
        self._lines_about = about
        for line in lines:
            if line.lower().startswith(_END):
                return
            yield line
        raise self.fault(f"there is no line {_END}. The file is cut short: fetch it again.")

    def _read_header(self, lines: Iterator[str]) -> Header:
        header = super()._read_header(lines)
        ids = header.profiles.index
        return Header(lines=1, first=header.first, profiles=self._profile_table(ids))

    def _read_ids(self, lines: Iterator[str]) -> Iterator[str]:
        empty = True
        for id_ in super()._read_ids(lines):
            empty = False
            yield id_
        if empty:
            files = [
                cell
                for name, *cells in self._lines_about
                if name.startswith(("!Series_supplementary_file", "!Sample_supplementary_file"))
                for cell in cells
                if cell not in ("", "NONE")
            ]
            where = f" Its values are in other files: {some(files, 2)}." if files else ""
            raise self.fault(
                f"the table has no row, as that of any RNA-seq series.{where} Download the counts "
                "of the series from GEO, and name that file instead."
            )

    def _profile_table(self, ids: pd.Index) -> pd.DataFrame:
        columns: dict[str, list[str]] = {GROUP: list(ids)}
        series: list[list[str]] = []
        accessions = list(ids)
        for name, *cells in self._lines_about:
            if not name.startswith(_SAMPLE):
                continue
            if len(cells) != len(ids):
                raise self.fault(
                    f"line {name} has {len(cells)} cells, the table has {len(ids)} samples. The "
                    "file is damaged: fetch it again."
                )
            column = name.removeprefix(_SAMPLE)
            if column == "series_id":
                series.append(cells)
            elif column == "geo_accession":
                accessions = cells
                columns[column] = cells
            elif column.startswith("characteristics"):
                _add_characteristics(columns, column, cells)
            else:
                columns[_unused(column, columns)] = cells
        if sorted(accessions) != sorted(ids):
            raise self.fault(
                "the accessions of its samples are not those of the table: "
                f"{some(set(accessions) - set(ids) or accessions)} and "
                f"{some(set(ids) - set(accessions) or ids)}. The file is damaged: fetch it again."
            )
        parts = self._parts()
        if parts and not series:
            del columns[GROUP]
            note = (
                f"no column {GROUP}, as this super-series ({some(parts, 4)}) does not state the "
                "series of a sample. The series matrix of each part has it"
            )
            self.notes = (note,)
        else:
            columns[GROUP] = self._series(ids, series)
        return pd.DataFrame(columns, index=accessions, dtype="str").loc[ids]

    def _parts(self) -> list[str]:
        """Return the series that a super-series is made of."""
        return [
            cell.partition(":")[2].strip()
            for name, *cells in self._lines_about
            for cell in cells
            if name == "!Series_relation" and cell.lower().startswith("superseries of:")
        ]

    def _series(self, ids: pd.Index, series: list[list[str]]) -> list[str]:
        """Return the series of each sample: of several, the one with the fewest samples."""
        sizes = Counter(id_ for cells in series for id_ in cells if id_)
        own = {name: cells[0] for name, *cells in self._lines_about if cells}
        of_file = own.get("!Series_geo_accession", self._path.name.partition("_")[0])
        return [
            min((cells[place] for cells in series if cells[place]), key=sizes.__getitem__)
            if any(cells[place] for cells in series)
            else of_file
            for place in range(len(ids))
        ]


def _about(lines: Iterator[str]) -> list[list[str]] | None:
    """Read the lines before the table as cells, or return None if no table begins.

    A line that does not begin with ``!`` continues the text of the line before it.
    """
    joined: list[str] = []
    for line in lines:
        if line.lower().startswith(_BEGIN):
            return [[cell.strip('"') for cell in text.split("\t")] for text in joined]
        if line.startswith("!") or not joined:
            joined.append(line)
        else:
            joined[-1] += f" {line}"
    return None


def _add_characteristics(columns: dict[str, list[str]], line: str, cells: list[str]) -> None:
    """Add ``key: value`` cells of one line as columns named by their keys.

    Samples of one line may have different keys. Cells without a key stay under the line's name. The
    key ``series`` becomes ``series.2``, as the group has that name.
    """
    found: dict[str, list[str]] = {}
    for place, cell in enumerate(cells):
        key, colon, value = cell.partition(": ")
        key, value = (key.strip(), value) if colon else (line, cell)
        if key == GROUP:
            key = f"{GROUP}.2"
        if value:
            found.setdefault(key, [""] * len(cells))[place] = value
    for key, values in found.items():
        held = columns.get(key)
        if held and not any(old and new for old, new in zip(held, values, strict=True)):
            # The same key in another line, of other samples.
            columns[key] = [old or new for old, new in zip(held, values, strict=True)]
        else:
            columns[_unused(key, columns)] = values


def _unused(name: str, columns: dict[str, list[str]]) -> str:
    """Return a column's name, with a number if that name is taken."""
    number, free = 1, name
    while free in columns:
        number += 1
        free = f"{name}.{number}"
    return free
