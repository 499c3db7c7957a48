"""Files of expression, each behind the one interface :class:`.base.Reader`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from genebench.data.formats.base import Reader
from genebench.data.formats.delimited import DelimitedReader
from genebench.data.formats.files import check_readable
from genebench.data.formats.gct import GctReader
from genebench.data.formats.gctx import GctxReader
from genebench.errors import UserError

_FORMATS: dict[str, Callable[[Path], Reader]] = {
    ".gctx": GctxReader,
    ".gct": GctReader,
    ".gct.gz": GctReader,
    ".tsv": DelimitedReader,
    ".tsv.gz": DelimitedReader,
    ".txt": DelimitedReader,
    ".txt.gz": DelimitedReader,
    ".csv": DelimitedReader,
    ".csv.gz": DelimitedReader,
}


def open_reader(path: Path) -> Reader:
    """Open a matrix of expression, in the format that the end of its name says.

    Raises:
        UserError: no such file, unreadable, empty, of no known format, or not what it claims.
    """
    check_readable(path)
    for suffix, reader in _FORMATS.items():
        if path.name.lower().endswith(suffix):
            return reader(path)
    raise UserError(f"{path}: unknown format; name it one of {' '.join(_FORMATS)}")
