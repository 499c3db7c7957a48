"""MAGE-TAB data matrices of ArrayExpress: two header rows, then one probe per row.

Layout: MAGE-TAB 1.1, section 2.4. The first row names the hybridisation (or scan, assay, …) of each
column, and the second one its quantity.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from pathlib import Path

import pandas as pd

from genebench.errors import UserError, some
from genebench.formats.files import from_latin_1, open_lines
from genebench.formats.heads import first_lines, head_of
from genebench.formats.layout import TABS, LayoutReader
from genebench.formats.text import Dialect

_FIRST_ROW = re.compile(
    r'"?(Hybridi[sz]ation|Scan|Assay|Normali[sz]ation|Sample|Source|Extract|Labeled ?Extract|'
    r'(Derived )?Array Data( Matrix)? File)( Name)? REF"?[\t,]',
    re.IGNORECASE,
)
_SECOND_ROW = re.compile(
    r"(Composite ?Element|Reporter|Term ?Source|Coordinates?)( Identifier)?( REF)?(:.*)?",
    re.IGNORECASE,
)


def recognise(head: bytes) -> bool:
    """Return whether a file begins with the first header row of a data matrix."""
    lines = first_lines(head)
    return bool(lines) and _FIRST_ROW.match(lines[0]) is not None


class MageTabReader(LayoutReader):
    """A data matrix with one quantity per hybridisation, probes × hybridisations."""

    layout = "a MAGE-TAB data matrix"

    def __init__(self, path: Path) -> None:
        # The matrix of E-MTAB-62 is separated by tabs, though its name ends in .csv.
        lines = first_lines(head_of(path))
        tabs = bool(lines) and "\t" in lines[0]
        super().__init__(path, TABS if tabs else Dialect(separator=",", quotes=True))

    @contextmanager
    def lines(self) -> Iterator[Iterator[str]]:
        """Open the file and give its lines without the second header row."""
        with super().lines() as lines:
            names, quantities = (self._dialect.split(next(lines, "")) for _ in range(2))
            self._check(names, quantities)
            separator = self._dialect.separator
            yield chain([separator.join(f'"{name}"' for name in names)], lines)

    def _check(self, names: list[str], quantities: list[str]) -> None:
        """Refuse a second row that is missing, or one with several quantities."""
        if not _SECOND_ROW.fullmatch(quantities[0]) or len(quantities) != len(names):
            raise self.fault(
                f"the second header row begins with {quantities[0][:40]!r} and has "
                f"{len(quantities)} cells, the first one has {len(names)}. A MAGE-TAB data matrix "
                "has CompositeElement REF or Reporter REF there. Check that the file is complete."
            )
        kinds = list(dict.fromkeys(kind.strip() for kind in quantities[1:]))
        if len(kinds) > 1:
            raise self.fault(
                f"its columns hold {len(kinds)} quantities: {some(kinds, 6)}. Keep the columns of "
                "the quantity that is expression, with both header rows."
            )


def read_sdrf(path: Path, profiles: pd.Index) -> pd.DataFrame:
    """Read the samples of a MAGE-TAB study (SDRF) as a profile table.

    Args:
        path: the file, tab-separated. Columns such as ``Protocol REF`` may repeat.
        profiles: ids of the matrix. The first column that holds each of them once names the rows.

    Returns:
        Rows × columns, without rows of other profiles. The second column of a name is ``NAME.2``,
        and so on.

    Raises:
        UserError: no column holds the ids, an id has several rows, or a row of them is ragged.
    """
    wanted = set(profiles)
    with open_lines(path, errors="surrogateescape") as lines:
        names, *rows = [TABS.split(from_latin_1(line)) for line in lines]
    # A study may have more samples than the matrix. Their rows are not judged.
    rows = [row for row in rows if not wanted.isdisjoint(row)]
    for row in rows:
        if len(row) != len(names):
            raise UserError(
                f"{path}: row {row[0]!r} has {len(row)} cells, the header has {len(names)}. Give "
                "the row as many, separated by tabs, or remove profiles from the manifest."
            )
    columns: dict[str, list[str]] = {}
    for place, name in enumerate(names):
        number = names[:place].count(name) + 1
        columns[f"{name}.{number}" if number > 1 else name] = [row[place] for row in rows]
    complete = [name for name, cells in columns.items() if wanted <= set(cells)]
    for name in complete:
        index = pd.Index(columns[name], dtype="str")
        table = pd.DataFrame(columns, index=index, dtype="str").drop(columns=name)
        table = table[index.isin(profiles)]
        if table.index.is_unique:
            return table
    if complete:
        ids = table.index
        raise UserError(
            f"{path}: profiles of the matrix have several rows: {some(ids[ids.duplicated()])}. "
            "Keep one row of each, or remove profiles from the manifest."
        )
    raise UserError(
        f"{path}: no column names the profiles of the matrix ({some(profiles)}). Its columns are "
        f"{some(columns, 8)}. Give the SDRF of the same study, or remove profiles from the "
        "manifest."
    )
