"""Tables of counts under lines that begin with ``#``: recount3, featureCounts, and others.

Layouts: https://rna.recount.bio/docs/raw-files.html (``##annotation=``, ``##date.generated=``) and
the users' guide of Subread (``# Program:featureCounts …``, then the columns Geneid, Chr, Start,
End, Strand and Length before the first sample).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import dropwhile

from genebench.formats.heads import first_lines
from genebench.formats.layout import LayoutReader


def recognise(head: bytes) -> bool:
    """Return whether a file begins with remarks, as tables of counts do."""
    lines = first_lines(head)
    return bool(lines) and _is_remark(lines[0])


class PreambleReader(LayoutReader):
    """A tab-separated table of genes × samples, below lines that begin with ``##`` or ``# ``."""

    layout = "a table below remarks (#)"

    @contextmanager
    def lines(self) -> Iterator[Iterator[str]]:
        """Open the file and give its lines from the header of the table on."""
        with super().lines() as lines:
            yield dropwhile(_is_remark, lines)


def _is_remark(line: str) -> bool:
    # GCT begins with #1.2, and some headers are written as #gene.
    return line.startswith(("##", "# "))
