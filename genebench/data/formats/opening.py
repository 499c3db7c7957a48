"""Open a file in the format that the end of its name says."""

from __future__ import annotations

from pathlib import Path

from genebench.catalog import catalog
from genebench.data.formats.base import Reader
from genebench.data.formats.files import check_readable
from genebench.errors import UserError
from genebench.plugins import load_code
from genebench.specs import FormatSpec


def format_of(path: Path) -> FormatSpec:
    """The format whose suffix ends the file's name; the longest suffix decides.

    Raises:
        UserError: no format has such a suffix.
    """
    formats = catalog().formats.specs.values()
    suffixes = {suffix: spec for spec in formats for suffix in spec.suffixes}
    fitting = [suffix for suffix in suffixes if path.name.lower().endswith(suffix)]
    if not fitting:
        raise UserError(f"{path}: unknown format; name it one of {' '.join(suffixes)}")
    return suffixes[max(fitting, key=len)]


def open_reader(path: Path) -> Reader:
    """Open a matrix of expression.

    Raises:
        UserError: no such file, unreadable, empty, of no known format, or not what it claims.
    """
    check_readable(path)
    reader: Reader = load_code(format_of(path).reader)(path)
    return reader
