"""Base of published text layouts: a table of genes × profiles, with other lines around it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path

import pandas as pd

from genebench.formats.delimited import annotates_genes
from genebench.formats.files import unique_ids
from genebench.formats.text import Dialect, Header, TextReader

TABS = Dialect(separator="\t", quotes=True)


class LayoutReader(TextReader):
    """A text matrix whose :meth:`lines` are a header line, then one gene per line.

    Ids are in the first column. The next columns are skipped as long as they annotate genes.
    """

    layout: str
    """The name of the layout in messages."""

    def __init__(self, path: Path, dialect: Dialect = TABS) -> None:
        super().__init__(path, dialect)

    def _read_header(self, lines: Iterator[str]) -> Header:
        names = self._dialect.split(next(lines, ""))
        first = 1 + sum(1 for _ in takewhile(annotates_genes, names[1:]))
        if first >= len(names):
            raise self.fault(
                f"{self.layout} without a profile: its header is {' | '.join(names)[:60]!r}. "
                "Check that the file is complete."
            )
        ids = unique_ids(self.source, "profile", names[first:])
        return Header(lines=1, first=first, profiles=pd.DataFrame(index=ids))


def distinct(names: Iterable[str], others: Iterable[str]) -> list[str]:
    """Return names of genes. One that is blank or repeats is replaced by the gene's other id.

    Symbols repeat in many annotations, and a reader's ids must be unique. A gene whose symbol
    repeats is then missing by symbol, which coverage shows. If the other id repeats, too, the
    number of the gene is added to it.
    """
    listed = list(names)
    counts = Counter(listed)
    chosen = [
        name if name and counts[name] == 1 else other
        for name, other in zip(listed, others, strict=True)
    ]
    counts = Counter(chosen)
    return [
        name if name and counts[name] == 1 else f"{name}#{number}"
        for number, name in enumerate(chosen)
    ]
