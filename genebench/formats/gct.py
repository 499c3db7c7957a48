"""GCT 1.2 and 1.3: tab-separated text of genes × profiles, with its shape in the header.

Layout: https://software.broadinstitute.org/cancer/software/genepattern/file-formats-guide and
https://clue.io/connectopedia/gct_format.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

import pandas as pd

from genebench.formats.base import Content
from genebench.formats.files import as_text, id_index
from genebench.formats.text import (
    Dialect,
    Header,
    TextReader,
    by_gene,
    check_cells,
    open_for_text,
)

_COUNTS = {"#1.2": 2, "#1.3": 4}
"""Version line → number of counts in the second line.

GCT 1.3 adds the numbers of metadata columns and of metadata rows to those of genes and profiles.
"""


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
            raise self.fault(
                f"not a GCT file. It begins with {version[:20]!r}, not with #1.2 or #1.3. Save it "
                "as GCT, or give its name the ending of its format."
            )
        genes, profiles, *metadata = self._read_counts(next(lines, ""), _COUNTS[version])
        # GCT 1.2 has one metadata column, the descriptions of the genes, and no metadata rows.
        of_genes, of_profiles = metadata or (1, 0)
        names = next(lines, "").split("\t")
        first = 1 + of_genes
        ids = id_index(self.source, "profile", names[first:])
        if profiles != len(ids):
            raise self.fault(
                f"the header states {profiles} profiles (columns), but names {len(ids)}. Correct "
                "the second line, or save the file again."
            )
        table = pd.DataFrame(dict(self._read_metadata(lines, of_profiles, names, first)), index=ids)
        return Header(lines=3 + of_profiles, first=first, profiles=table, genes=genes)

    def _read_counts(self, line: str, number: int) -> list[int]:
        cells = line.split()
        # isdigit() accepts digits of other scripts, and int() refuses more than 4,300 of them.
        if len(cells) != number or not all(re.fullmatch("[0-9]{1,99}", cell) for cell in cells):
            raise self.fault(
                f"the second line is {line[:40]!r}, not {number} counts. Save the file again as "
                "GCT."
            )
        return [int(cell) for cell in cells]

    def _read_metadata(
        self, lines: Iterator[str], number: int, names: list[str], first: int
    ) -> Iterator[tuple[str, list[str]]]:
        for line in islice(lines, number):
            cells = line.split("\t")
            if len(cells) != len(names):
                raise self.fault(
                    f"profile metadata {cells[0]!r} has {len(cells)} cells, the header has "
                    f"{len(names)}. Give both the same number."
                )
            yield cells[0], cells[first:]


def write_gct(path: Path, content: Content) -> None:
    """Write GCT 1.3, or GCT 1.2 if genes and profiles have no annotations beside their ids."""
    plain = content.genes.columns.empty and content.profiles.columns.empty
    genes = {"Description": ["na"] * len(content.genes)} if plain else _texts(content.genes)
    profiles = _texts(content.profiles)
    with open_for_text(path) as stream, by_gene(content, path.parent) as (_, rows):

        def write(texts: list[str], values: Iterable[float] = ()) -> None:
            check_cells(path, texts, "\t\r\n")
            stream.write("\t".join([*texts, *map(repr, values)]) + "\n")

        counts = [len(content.genes), len(content.profiles)]
        counts += [] if plain else [len(genes), len(profiles)]
        write(["#1.2" if plain else "#1.3"])
        write([str(count) for count in counts])
        write(["Name" if plain else "id", *genes, *content.profiles.index])
        for name, column in profiles.items():
            write([name, *["na"] * len(genes), *column])
        for number, (gene, values) in enumerate(zip(content.genes.index, rows, strict=True)):
            write([gene, *(column[number] for column in genes.values())], values.tolist())


def _texts(table: pd.DataFrame) -> dict[str, list[str]]:
    return {str(name): as_text(table[name]) for name in table}
