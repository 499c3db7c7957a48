"""GCT of one tissue, as GTEx v8 publishes it: row numbers precede the ids of genes.

Layout: https://gtexportal.org, files such as ``gene_tpm_2017-06-05_v8_lung.gct.gz``. Their columns
begin with ``id``, ``Name`` and ``Description``, though GCT 1.2 allows two columns before the
profiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, islice

from genebench.formats.gct import GctReader
from genebench.formats.heads import first_lines

_COUNTS = 2
"""Lines before the header: the version and the numbers of genes and profiles."""


def recognise(head: bytes) -> bool:
    """Return whether a file is a GCT 1.2 with a column of row numbers."""
    lines = first_lines(head)
    return (
        len(lines) > _COUNTS
        and lines[0].strip() == "#1.2"
        and lines[_COUNTS].startswith("id\tName\tDescription\t")
    )


class GtexTissueReader(GctReader):
    """A GCT file of one tissue of GTEx v8, without its column of row numbers."""

    @contextmanager
    def lines(self) -> Iterator[Iterator[str]]:
        """Open the file and give its lines as GCT 1.2 has them."""
        with super().lines() as lines:
            counts = list(islice(lines, _COUNTS))
            yield chain(counts, (line.partition("\t")[2] for line in lines))
