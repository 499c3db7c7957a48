"""GCT 1.2 and 1.3: tab-separated text, genes × profiles, that states its own shape.

Layout: https://software.broadinstitute.org/cancer/software/genepattern/file-formats-guide and
https://clue.io/connectopedia/gct_format.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pandas as pd

from genebench.data.formats.files import unique_ids
from genebench.data.formats.text import Dialect, Header, TextReader

_COUNTS = {"#1.2": 2, "#1.3": 4}
"""Version line → how many counts its second line has."""


class GctReader(TextReader):
    """A GCT file. Metadata of profiles (GCT 1.3) become columns of the profile table, as text.

    Raises:
        UserError: not a GCT file, or its counts disagree with its body.
    """

    def __init__(self, path: Path) -> None:
        super().__init__(path, Dialect(separator="\t", quotes=False))

    def _read_header(self, lines: Iterator[str]) -> Header:
        version = next(lines, "").strip()
        if version not in _COUNTS:
            raise self._fault(f"not a GCT file: begins with {version[:20]!r}, not #1.2 or #1.3")
        genes, profiles, *metadata = self._read_counts(next(lines, ""), _COUNTS[version])
        # In 1.2 the only metadata are the descriptions of the genes.
        of_genes, of_profiles = metadata or (1, 0)
        names = next(lines, "").split("\t")
        first = 1 + of_genes
        ids = unique_ids(self.source, "profile", names[first:])
        if profiles != len(ids):
            raise self._fault(f"the header says {profiles} profiles (columns), it names {len(ids)}")
        table = pd.DataFrame(dict(self._read_metadata(lines, of_profiles, names, first)), index=ids)
        return Header(lines=3 + of_profiles, first=first, profiles=table, genes=genes)

    def _read_counts(self, line: str, number: int) -> list[int]:
        cells = line.split()
        if len(cells) != number or not all(cell.isascii() and cell.isdigit() for cell in cells):
            raise self._fault(f"its second line is {line[:40]!r}, not {number} counts")
        return [int(cell) for cell in cells]

    def _read_metadata(
        self, lines: Iterator[str], number: int, names: list[str], first: int
    ) -> Iterator[tuple[str, list[str]]]:
        for line in islice(lines, number):
            cells = line.split("\t")
            if len(cells) != len(names):
                raise self._fault(
                    f"profile metadata {cells[0]!r} has {len(cells)} cells, "
                    f"the header has {len(names)}"
                )
            yield cells[0], cells[first:]
