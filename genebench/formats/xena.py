"""Matrices of UCSC Xena and its toil recompute: tab-separated, often in files without an ending.

Layout: https://xenabrowser.net. The first cell of the header is ``sample`` (or ``Ensembl_ID``), and
the values are logarithms such as log2(TPM + 0.001). They are read like any tab-separated text. File
names such as ``TcgaTargetGtex_rsem_gene_tpm.gz`` do not tell that.
"""

from __future__ import annotations

import re

from genebench.formats.heads import first_lines

_FIRST_CELL = re.compile(r"(sample|sampleID|xena_sample|Ensembl_ID)\t[^\t]", re.IGNORECASE)


def recognise(head: bytes) -> bool:
    """Return whether a file begins with the header of a Xena matrix."""
    lines = first_lines(head)
    return bool(lines) and _FIRST_CELL.match(lines[0]) is not None
