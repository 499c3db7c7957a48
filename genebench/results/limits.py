"""Limits of records and of their files. A stranger may have written them.

Each limit is several times the need of the published data: 9,520 target genes, 11,101 test profiles
and learning curves of 10,000 epochs. Sizes are checked before content is read.
"""

from __future__ import annotations

from genebench.specs import MOST_ENTRIES, MOST_LETTERS

RECORD_BYTES = 16 << 20
"""Bytes of a record's file. One with three curves of 10,000 points has 2 MB."""

ANNOTATIONS_BYTES = 64 << 10
"""Bytes of a record's annotations, and of the file that marks a results folder."""

VECTORS_BYTES = 256 << 20
"""Bytes of a record's vectors, packed and unpacked: ten times those of the published size.

A small file can unpack to any size. Without a limit, a stranger's file could fill the memory."""

MODEL_BYTES = 64 << 30
"""Bytes of a saved model. One that holds all published training profiles has 4 GB."""

ENTRIES_BYTES = 16 << 20
"""Bytes of the table of contents of a zip file: room for 100,000 files."""

NOTES = 500
"""Notes of a record."""

METHOD_NOTES = 100
"""Notes of a method that are kept. The others in a record are remarks of genebench."""

LINE_LETTERS = MOST_LETTERS
"""Letters of a text that is shown on one line: a note, a message, the value of a parameter."""

NAME_LETTERS = 200
"""Letters of a name in a record."""

ID_LETTERS = 1_000
"""Letters of the id of a gene, of a profile or of a group."""

TEXT_LETTERS = 100_000
"""Letters of a text of many lines, such as a traceback, and of a command."""

ENTRIES = MOST_ENTRIES
"""Entries of a table in a record: parameters, choices, metrics."""

VERSIONS = 10_000
"""Distributions of an installation."""

CURVES = 50
"""Curves of a record, and columns of a curve."""

POINTS = 20_000
"""Points of a curve."""

CURVE_NUMBERS = 400_000
"""Numbers in all curves of a record. As JSON they have 8 MB."""

COUNT_OF_GENES = 10_000_000
"""Genes, or probes, of one role."""

COUNT_OF_PROFILES = 1_000_000_000
"""Profiles of one part."""


def cut(text: str, most: int) -> str:
    """Return a text of at most this many letters. An ellipsis shows that the end is missing."""
    text = _writable(text)
    return text if len(text) <= most else f"{text[: most - 1]}…"


def cut_middle(text: str, most: int) -> str:
    """Return a text of at most this many letters. A line shows that the middle is missing.

    A traceback begins with the place of the call, and ends with the error.
    """
    text = _writable(text)
    if len(text) <= most:
        return text
    remark = f"\n… {len(text) - most:,} letters are left out here …\n"
    kept = most - len(remark)
    return f"{text[: kept // 2]}{remark}{text[len(text) - (kept - kept // 2) :]}"


def _writable(text: str) -> str:
    """Return a text that can be written to a file. Half of a pair of surrogates cannot."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()
