"""Checks that all formats share: the file is readable, its lines are text, its ids are unique."""

from __future__ import annotations

import bz2
import csv
import difflib
import gzip
import importlib
import io
import lzma
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from genebench.errors import UserError, counted, some
from genebench.formats.spreadsheet import dates_among


def check_readable(path: Path) -> None:
    """Check that ``path`` is a readable file with content.

    Raises:
        UserError: no such file (with near misses), a directory, a pipe, not permitted, or empty.
    """
    try:
        # Opening a named pipe would wait for a writer for ever, so its kind is checked first.
        if path.exists() and not (path.is_file() or path.is_dir()):
            raise UserError(
                f"{path}: cannot be read: it is a pipe or a device. Write its content to a file "
                "first."
            )
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file. {_near_miss(path)}") from None
    except OSError as error:
        raise UserError(
            f"{path}: cannot be read: {error.strerror}. Name a file that you may read."
        ) from None
    except ValueError as error:  # a NUL in its name
        raise UserError(f"{path}: cannot be read: {error}. Correct its name.") from None
    if empty:
        raise UserError(f"{path}: the file is empty. Download or export it again.")


def _near_miss(path: Path) -> str:
    """Return the remedy for a file that does not exist."""
    try:
        names = [file.name for file in path.parent.iterdir()]
    except FileNotFoundError:
        return f"There is no folder {path.parent} either. Correct the path."
    except OSError:
        names = []  # a folder may let files be opened, and not be listed
    close = difflib.get_close_matches(path.name, names)
    return f"Did you mean {' or '.join(close)}?" if close else "Correct the path."


PACKINGS = {
    "gzip": (b"\x1f\x8b", ".gz", "gunzip -k {}"),
    "bzip2": (b"BZh", ".bz2", "bunzip2 -k {}"),
    "xz": (b"\xfd7zXZ\0", ".xz", "unxz -k {}"),
    "zstd": (b"\x28\xb5\x2f\xfd", ".zst", "zstd -d {}"),
    "zip": (b"PK\x03\x04", ".zip", "unzip {}"),
}
"""Packing → the bytes that it begins with, the end of file names, and the command that unpacks."""

_ZSTD_MODULES = "compression.zstd", "zstandard"
"""Modules with an ``open``: of Python from 3.14 on, and of the usual package."""


def packing_of(path: Path) -> str:
    """Return the packing of a file by its first bytes, or "" if it is not packed."""
    with path.open("rb") as file:
        start = file.read(8)
    return next((name for name, (magic, *_) in PACKINGS.items() if start.startswith(magic)), "")


def without_packing(name: str) -> str:
    """Return a file name in lower case, without an ending such as ``.gz``."""
    name = name.lower()
    endings = (ending for _, ending, _ in PACKINGS.values() if name.endswith(ending))
    return name.removesuffix(next(endings, ""))


def packed_file(path: Path, packing: str, problem: str) -> UserError:
    """Return the error for a packed file that cannot be read, with the command that unpacks it.

    Args:
        path: the file.
        packing: a key of :data:`PACKINGS`.
        problem: the rest of a sentence that begins with the packing.
    """
    _, ending, command = PACKINGS[packing]
    name = path.name if path.name.lower().endswith(ending) else f"{path.name}{ending}"
    renamed = "" if name == path.name else f"rename it to {name}, and "
    return UserError(
        f"{path}: a file packed with {packing} {problem}. Unpack it: {renamed}run "
        f"{command.format(name)}"
    )


@contextmanager
def open_lines(
    path: Path, errors: str = "strict", *, blanks: bool = False
) -> Iterator[Iterator[str]]:
    """Open a text file, packed or not, and give its lines, without blank ones.

    The first bytes decide whether a file is packed. gzip, bzip2 and xz are unpacked, and zstd where
    a library for it is installed. Lines may end in LF, CR LF or CR. The line end and a byte order
    mark are removed.

    Args:
        path: the file.
        errors: ``surrogateescape`` to keep bytes that are no UTF-8, for :func:`from_latin_1` and
            :func:`strict_utf_8`.
        blanks: give blank lines, too, as empty text.

    Raises:
        UserError: unreadable, not UTF-8 text, packed in another way, or damaged. Faults beyond the
            first line are raised while reading.
    """
    check_readable(path)
    packing = packing_of(path)
    try:
        with _open_text(path, packing, errors) as file:
            yield _lines(path, file, blanks=blanks)
    except EOFError:
        raise UserError(
            f"{path}: the {packing} file is cut short. Fetch or write it again."
        ) from None
    except (gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise UserError(
            f"{path}: the {packing} file is damaged ({error}). Fetch it again."
        ) from None
    except csv.Error as error:
        raise UserError(f"{path}: bad quotes: {error}. Quote whole cells, or none.") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text ({error.reason}). Save it as UTF-8, or give its name the "
            "ending of its format."
        ) from None
    except OSError as error:
        # bz2 has no exception of its own for damaged data.
        if packing != "bzip2" or error.errno is not None:
            raise
        raise UserError(f"{path}: the bzip2 file is damaged ({error}). Fetch it again.") from None


def _open_text(path: Path, packing: str, errors: str) -> TextIO:
    """Open a file as text, unpacked.

    Raises:
        UserError: it is packed in a way that cannot be read here.
    """
    if packing == "zip":
        raise packed_file(path, packing, "is not read as it is: it may hold several files")
    if not packing:
        return path.open(encoding="utf-8-sig", errors=errors)
    openers: dict[str, Any] = {"gzip": gzip, "bzip2": bz2, "xz": lzma}
    opener = openers.get(packing) or _zstd()
    if opener is None:
        raise packed_file(path, packing, "needs the package zstandard to be read")
    return io.TextIOWrapper(opener.open(path, "rb"), encoding="utf-8-sig", errors=errors)


def from_latin_1(line: str) -> str:
    """Return a line read with ``surrogateescape``, as Latin-1 if it is not UTF-8.

    A comment with one letter of another encoding is no reason to refuse a file.
    """
    stored = line.encode("utf-8", "surrogateescape")
    try:
        return stored.decode("utf-8")
    except UnicodeDecodeError:
        return stored.decode("latin-1")


def strict_utf_8(line: str) -> str:
    """Return a line read with ``surrogateescape`` unchanged, if it is UTF-8.

    Raises:
        UnicodeDecodeError: it is not.
    """
    if not line.isascii():
        line.encode("utf-8", "surrogateescape").decode("utf-8")
    return line


def _zstd() -> Any:
    """Return a module that opens files packed with zstd, or None."""
    for name in _ZSTD_MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


def _lines(path: Path, file: TextIO, *, blanks: bool) -> Iterator[str]:
    # The bound on a line keeps a binary file, or a gzip bomb, from filling the memory.
    stored, read = path.stat().st_size, 0
    for line in iter(partial(file.readline, _LINE_CHARACTERS), ""):
        read += len(line)
        check_size(str(path), read, stored)
        if len(line) == _LINE_CHARACTERS:
            raise UserError(
                f"{path}: a line has more than {_LINE_CHARACTERS:,} characters. Check whether "
                "this is a table with one gene or profile per line."
            )
        if "\0" in line:
            raise UserError(
                f"{path}: binary data, not text. Give its name the ending of its format."
            )
        if not line.isspace():
            yield line.removesuffix("\n")
        elif blanks:
            yield ""


def id_index(source: str, kind: str, ids: Iterable[str]) -> pd.Index:
    """Return ids as an index of text, unchanged (``NA`` and ``001`` are ids like any other).

    Raises:
        UserError: there is no id.
    """
    index = pd.Index(list(ids), dtype="str")
    if index.empty:
        raise UserError(f"{source}: there is no {kind} in it. Check that the file is complete.")
    return index


def unique_ids(source: str, kind: str, ids: Iterable[str]) -> pd.Index:
    """Return ids as an index of text, unchanged, each of which must be one of its own.

    Raises:
        UserError: there is no id, one is empty, or some repeat (the first few are named).
    """
    index = id_index(source, kind, ids)
    if "" in index:
        raise UserError(
            f"{source}: {kind} number {list(index).index('') + 1} has an empty id. Fill it in."
        )
    repeated = index[index.duplicated()].unique()
    if len(repeated):
        raise repeated_ids(source, kind, repeated)
    return index


def repeated_ids(source: str, kind: str, ids: pd.Index) -> UserError:
    """Return the error for ids that occur more than once."""
    remedy = "Keep one of each."
    if len(dates_among(ids)):
        remedy = "A spreadsheet such as Excel made dates of symbols. Restore the symbols."
    return UserError(f"{source}: {counted(len(ids), f'repeated {kind} id')}: {some(ids)}. {remedy}")


def as_text(column: pd.Series[Any]) -> list[str]:
    """Return a column of a table as text. A missing value becomes the empty text."""
    return [str(value) for value in column.astype(object).where(column.notna(), "")]


_LINE_CHARACTERS = 64 << 20
"""Most characters of a line: the published 129,158 profiles need about 2 million."""

_HARMLESS_BYTES = 64 << 20
"""A file may claim this much, however small it is."""

_LARGEST_EXPRESSION_RATIO = 200
"""Expression shrinks some 10-fold when compressed. No measured matrix shrinks 200-fold."""


def check_size(source: str, claimed: int, stored: int) -> None:
    """Refuse a file that claims absurdly large values, before memory is allocated for them.

    Args:
        source: name of the file or of the array in it, for the message.
        claimed: bytes of the values after unpacking, as the file states them.
        stored: bytes that the file holds.

    Raises:
        UserError: the claim is more than 64 MB and more than 200 times the stored bytes.
    """
    if claimed > max(_HARMLESS_BYTES, _LARGEST_EXPRESSION_RATIO * stored):
        raise UserError(
            f"{source}: claims {claimed:,} bytes of values but holds only {stored:,} bytes. The "
            "file is damaged, or was made to fill the memory. Fetch it again from its source."
        )
