"""Expression of DepMap: CSV with one profile per line, and genes such as ``TP53 (7157)``.

Layout: https://depmap.org/portal, files such as ``OmicsExpressionProteinCodingGenesTPMLogp1.csv``.
Before the genes come an index without a name and, in later releases, columns about the profile
(SequencingID, ModelID, IsDefaultEntryForModel, …).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.errors import counted, some
from genebench.formats.base import BLOCK, Reader
from genebench.formats.delimited import annotates_genes
from genebench.formats.files import unique_ids
from genebench.formats.heads import first_lines
from genebench.formats.layout import LayoutReader, distinct
from genebench.formats.text import Dialect, Header, TransposedText

_GENE = re.compile(r"(\S+) \((\d+|ENSG\d+(?:\.\d+)?|Unknown|nan)\)")
_IDS = ("ModelID", "DepMap_ID", "ProfileID", "SequencingID", "ModelConditionID")
"""Names of columns of ids. A model can have several profiles, so the first unique one counts."""

_COMMAS = Dialect(separator=",", quotes=True)
_FEWEST = 3
"""Genes at the end of the metadata that show the layout."""


def recognise(head: bytes) -> bool:
    """Return whether a file begins with the header of a DepMap matrix."""
    # The header may be cut within quotes, which only the strict reader refuses.
    names = next(csv.reader(first_lines(head)[:1]), [])
    metadata = list(takewhile(lambda name: not _GENE.fullmatch(name), names))
    genes = [name for name in names if _GENE.fullmatch(name)][:_FEWEST]
    symbols = {gene.partition(" ")[0] for gene in genes}
    return (
        len(symbols) == _FEWEST
        and len({_GENE.sub(r"\2", gene) for gene in genes}) == _FEWEST
        and bool(metadata)
        # Genes × profiles such as "HeLa (1)" begin with a column about genes.
        and not any(annotates_genes(name) or name.lower() in _OF_GENES for name in metadata)
    )


_OF_GENES = "id", "name", "probe", "feature", "transcript"
"""Names of first columns that state genes, beside those that annotate them."""

_LIKE_A_GENE = re.compile(r"\S+ \(\S+\)")
"""Columns that are written as genes are, such as those of ERCC spike-ins."""


class DepMapReader(Reader):
    """A DepMap matrix. Columns before the genes become the profile table.

    Profiles are named by the first column of ids that is unique. By default the ids of genes are as
    in the header. :meth:`with_ids` takes the symbols or the Entrez ids out of them.

    Raises:
        UserError: no column of ids is unique, or a column after the first gene is no gene.
    """

    def __init__(self, path: Path) -> None:
        self._table = _GeneColumns(path)
        self.source = self._table.source
        self.gene_ids = self._table.profiles.index
        self.profiles = self._table.metadata
        self.notes = self._table.notes
        self._rows = TransposedText(self._table)

    def blocks(self, genes: NDArray[np.intp], size: int = BLOCK) -> Iterator[NDArray[np.floating]]:
        """Yield blocks of at most ``size`` profiles × ``len(genes)``, float64."""
        yield from self._rows.blocks(genes, size)

    def transposed(self) -> Reader:
        """Return this reader: the layout itself has profiles in rows."""
        return self

    def with_ids(self, kind: str) -> Reader:
        """Return this reader with symbols or Entrez ids in place of ``TP53 (7157)``.

        A symbol that occurs more than once stays as in the header.
        """
        group = {"symbol": 1, "entrez": 2, "ensembl": 2}.get(kind)
        if group is not None:
            names = self._table.profiles.index
            ids = (match[group] for match in map(_GENE.fullmatch, names) if match)
            self.gene_ids = unique_ids(self.source, "gene", distinct(ids, names))
        return self


class _GeneColumns(LayoutReader):
    """The table without its metadata: rows are profiles, which the base calls genes."""

    layout = "a DepMap matrix"

    def __init__(self, path: Path) -> None:
        self.metadata = pd.DataFrame()
        super().__init__(path, _COMMAS)

    def _read_header(self, lines: Iterator[str]) -> Header:
        names = self._dialect.split(next(lines, ""))
        self._names = list(takewhile(lambda name: not _GENE.fullmatch(name), names))
        self._n_metadata = len(self._names)
        genes = names[self._n_metadata :]
        others = [name for name in genes if not _GENE.fullmatch(name)]
        odd = [name for name in others if not _LIKE_A_GENE.fullmatch(name)]
        if odd:
            raise self.fault(
                f"columns after the first gene are no genes: {some(odd)}. Remove them, or put "
                "them before the genes."
            )
        if others:
            count = counted(len(others), "column")
            self.notes = (f"{count} left out, written like a gene but none: {some(others)}",)
        columns = [column for column, name in enumerate(names) if _GENE.fullmatch(name)]
        ids = unique_ids(self.source, "gene", [names[column] for column in columns])
        return Header(
            lines=1,
            first=self._n_metadata,
            profiles=pd.DataFrame(index=ids),
            columns=tuple(columns),
            cells=len(names),
        )

    def _read_ids(self, lines: Iterator[str]) -> Iterator[str]:
        """Yield the ids of profiles, after all metadata are read."""
        rows = []
        for line in lines:
            cells = self._dialect.split(line) if '"' in line else None
            width = len(cells) if cells else line.count(",") + 1
            metadata = (cells or line.split(",", self._n_metadata))[: self._n_metadata]
            if width != self._header.width:
                raise self.fault(
                    f"row {metadata[0]!r} has {width} cells, the header has {self._header.width}. "
                    "The file is cut short: fetch it again."
                )
            rows.append(metadata)
        self.metadata, ids = self._profile_table(rows)
        yield from ids

    def _profile_table(self, rows: list[list[str]]) -> tuple[pd.DataFrame, pd.Index]:
        columns = dict(zip(self._names, zip(*rows, strict=True), strict=True)) if rows else {}
        candidates = [name for name in _IDS if name in columns]
        for unnamed in ("", "Unnamed: 0"):
            # An index of row numbers tells nothing of the profile.
            if unnamed in columns and not all(cell.isdecimal() for cell in columns[unnamed]):
                candidates.insert(0, unnamed)
        candidates += [
            name
            for name, cells in columns.items()
            if name not in (*candidates, "", "Unnamed: 0")
            and not all(cell.isdecimal() for cell in cells)
        ]
        for name in candidates:
            if len(set(columns[name])) == len(rows):
                break
        else:
            raise self.fault(
                f"no column before the genes names each profile once ({some(self._names, 6)}). "
                "Keep one row of each, such as those with IsDefaultEntryForModel = Yes."
            )
        ids = unique_ids(self.source, "profile", columns[name])
        told = {
            other: list(cells)
            for other, cells in columns.items()
            if other not in (name, "", "Unnamed: 0")
        }
        return pd.DataFrame(told, index=ids, dtype="str"), ids
