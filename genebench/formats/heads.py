"""Beginnings of files, by which a format is recognised, and formats that are known but not read."""

from __future__ import annotations

import re
import zlib
from pathlib import Path

from genebench.errors import UserError

HEAD_BYTES = 1 << 16
"""Bytes of the beginning of a file that a format is recognised by."""

_GZIP = b"\x1f\x8b"

_UNREAD = {
    (".cel", ".cel.gz"): (
        "an Affymetrix CEL file, with intensities before normalisation",
        "Normalise all arrays together, by justRMA of the R package affy, and write a .tsv",
    ),
    (".soft", ".soft.gz"): (
        "a SOFT file of GEO",
        "Download the series matrix of the series instead (GSE…_series_matrix.txt.gz)",
    ),
    (".chp", ".idat", ".idat.gz"): (
        "a file of one array in the vendor's own format",
        "Export the expression of all arrays as one table (.tsv)",
    ),
    (".rds", ".rda", ".rdata"): (
        "an object of R",
        "In R, write the matrix with write.table(…, sep = '\\t') as .tsv",
    ),
    (".loom",): (
        "a loom file",
        "In Python, scanpy.read_loom(…).write_h5ad(…) makes an .h5ad of it",
    ),
    (".h5mu", ".zarr"): (
        "a file of several matrices",
        "Write one of them as .h5ad with anndata",
    ),
    (".sf", ".sf.gz", ".genes.results", ".isoforms.results"): (
        "the quantification of one sample",
        "Join all samples in one table, genes × samples, for instance with the R package tximport",
    ),
    (".bam", ".cram", ".fastq", ".fastq.gz", ".fq.gz"): (
        "a file of reads",
        "Count reads of genes first, for instance with featureCounts",
    ),
    (".mat",): (
        "a file of MATLAB",
        "Write the matrix and both lists of ids as .tsv, or as .npz from Python",
    ),
}
"""Ends of file names → what such a file is, and how to get expression from it."""

_SOFT = re.compile(r"\^(DATABASE|SERIES|PLATFORM|SAMPLE|DATASET)\b")


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file, unpacked if it is gzipped.

    Returns:
        At most :data:`HEAD_BYTES`. Empty if the gzip stream is damaged.
    """
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if not head.startswith(_GZIP):
        return head
    try:
        return zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, HEAD_BYTES)
    except zlib.error:
        return b""


def first_lines(head: bytes) -> list[str]:
    """Return the beginning of a file as lines of text, without blank ones.

    The last line may be incomplete. Bytes that are no UTF-8 are replaced.
    """
    text = head.decode("utf-8-sig", "replace")
    return [line for line in re.split(r"\r\n|\n|\r", text) if line.strip()]


def refuse_unread(path: Path, head: bytes, claimed: str = "") -> None:
    """Refuse a file of a kind that is known, but not read.

    Args:
        path: the file, or a folder.
        head: the beginning of the file.
        claimed: the longest end of its name that a format reads. A plugin may read such files.

    Raises:
        UserError: it is one. The message names the kind, and the way to a table.
    """
    name = path.name.lower()
    for endings, (kind, way) in _UNREAD.items():
        ending = max((end for end in endings if name.endswith(end)), key=len, default="")
        if len(ending) > len(claimed):
            raise UserError(f"{path}: {kind}, which genebench does not read. {way}.")
    lines = first_lines(head)
    if lines and _SOFT.match(lines[0]):
        kind, way = _UNREAD[".soft", ".soft.gz"]
        raise UserError(f"{path}: {kind}, which genebench does not read. {way}.")
