"""Tables of counts under lines that begin with ``#``: recount3, featureCounts, and others.

Layouts: https://rna.recount.bio/docs/raw-files.html (``##annotation=``, ``##date.generated=``) and
the users' guide of Subread (``# Program:featureCounts …``, then the columns Geneid, Chr, Start,
End, Strand and Length before the first sample).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from genebench.errors import some
from genebench.formats.heads import HEAD_BYTES, first_lines
from genebench.formats.layout import LayoutReader
from genebench.formats.text import Header, is_finite_number, is_missing

_MARKS = "##", "# "
"""Beginnings of remarks. GCT begins with #1.2, and some headers are written as #gene."""


def recognise(head: bytes) -> bool:
    """Return whether a file begins with remarks, as tables of counts do."""
    first, second, *others = [*first_lines(head), "", ""]
    if len(head) == HEAD_BYTES and others[:1] == [""]:
        # The second line is cut. A first line of such a width with tabs is a header.
        return first.startswith(_MARKS) and "\t" not in first
    return _is_remark(first, second)


class PreambleReader(LayoutReader):
    """A tab-separated table of genes × samples, below lines that begin with ``##`` or ``# ``."""

    layout = "a table below remarks (#)"

    @contextmanager
    def lines(self) -> Iterator[Iterator[str]]:
        """Open the file and give its lines from the header of the table on."""
        with super().lines() as lines:
            yield _below_remarks(lines)

    def _read_header(self, lines: Iterator[str]) -> Header:
        header = super()._read_header(lines)
        ids = list(header.profiles.index)
        if all(map(is_finite_number, ids)):
            raise self.fault(
                f"the names of its profiles are numbers: {some(ids)}. The header may be among the "
                "lines that begin with #: remove that sign there."
            )
        return header


def _below_remarks(lines: Iterator[str]) -> Iterator[str]:
    """Yield the lines after the remarks."""
    line = next(lines, "")
    following = next(lines, "")
    while _is_remark(line, following):
        line, following = following, next(lines, "")
    yield from filter(None, (line, following))
    yield from lines


def _is_remark(line: str, following: str) -> bool:
    """Return whether a line is a remark, not a header such as ``# gene<TAB>S1`` above values."""
    tabs, value = line.count("\t"), following.rpartition("\t")[2].strip('"')
    above_values = 0 < tabs == following.count("\t") and (
        is_finite_number(value) or is_missing(value)
    )
    return line.startswith(_MARKS) and not above_values
