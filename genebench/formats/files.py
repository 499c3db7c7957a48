"""What every format needs from a file: that it is there, its lines, and ids that are unique."""

from __future__ import annotations

import csv
import difflib
import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

import pandas as pd

from genebench.errors import UserError, some
from genebench.formats.spreadsheet import dates_among


def check_readable(path: Path) -> None:
    """See to it that ``path`` is a file that can be read and holds something.

    Raises:
        UserError: no such file (with near misses), a directory, a pipe, not permitted, or empty.
    """
    try:
        _check_kind(path)
        with path.open("rb") as file:
            empty = not file.read(1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file{_near_miss(path)}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except ValueError as error:  # a NUL in its name
        raise UserError(f"{path}: cannot be read: {error}") from None
    if empty:
        raise UserError(f"{path}: the file is empty; was its download or export interrupted?")


def _check_kind(path: Path) -> None:
    """Refuse what is no file before it is opened: opening a pipe waits for a writer, for ever."""
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UserError(f"{path}: cannot be read: a pipe or a device; write it to a file first")


def _near_miss(path: Path) -> str:
    if not path.parent.is_dir():
        return f"; there is no folder {path.parent} either"
    close = difflib.get_close_matches(path.name, [file.name for file in path.parent.iterdir()])
    return f"; did you mean {' or '.join(close)}?" if close else ""


@contextmanager
def open_lines(path: Path) -> Iterator[Iterator[str]]:
    """The lines of a text file, gzipped when its name ends in ``.gz``; blank lines are left out.

    Lines end in LF, CR LF or CR, which is cut off; a byte order mark is dropped.

    Raises:
        UserError: unreadable, not UTF-8 text, not gzip, or a gzip file cut short. Faults beyond
            the first line show up while reading.
    """
    check_readable(path)
    try:
        with _open_text(path) as file:
            yield _lines(path, file)
    except EOFError:
        raise UserError(f"{path}: the gzip file is cut short; fetch or make it again") from None
    except gzip.BadGzipFile as error:
        raise UserError(f"{path}: not a sound gzip file ({error}); is .gz right?") from None
    except zlib.error as error:
        raise UserError(f"{path}: the gzip file is damaged ({error}); fetch it again") from None
    except csv.Error as error:
        raise UserError(f"{path}: bad quotes: {error}") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path}: not UTF-8 text ({error.reason}); save it as UTF-8, or name the right format"
        ) from None


def _open_text(path: Path) -> TextIO:
    if path.name.lower().endswith(".gz"):
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _lines(path: Path, file: TextIO) -> Iterator[str]:
    stored, read = path.stat().st_size, 0
    for line in iter(partial(file.readline, _MUCH), ""):
        read += len(line)
        check_promise(str(path), read, stored)
        if len(line) == _MUCH:
            raise UserError(f"{path}: a line of more than {_MUCH:,} characters; is this a table?")
        if "\0" in line:
            raise UserError(f"{path}: binary data, not text; does its name end in the right way?")
        if not line.isspace():
            yield line.removesuffix("\n")


def unique_ids(source: str, kind: str, ids: Iterable[str]) -> pd.Index:
    """Ids as an index of text, kept as they are (``NA`` and ``001`` are ids like any other).

    Raises:
        UserError: no id at all, an empty one, or some that repeat (the first few are named).
    """
    index = pd.Index(list(ids), dtype="str")
    if index.empty:
        raise UserError(f"{source}: there is no {kind} in it")
    if "" in index:
        raise UserError(
            f"{source}: {kind} number {list(index).index('') + 1} has no id: it is empty"
        )
    repeated = index[index.duplicated()].unique()
    if len(repeated):
        remedy = "keep one of each"
        if len(dates_among(repeated)):
            remedy = "a spreadsheet such as Excel made dates of symbols; put these back"
        raise UserError(
            f"{source}: {len(repeated)} {kind} id(s) occur more than once: {some(repeated)}; "
            f"{remedy}"
        )
    return index


def as_text(column: pd.Series[Any]) -> list[str]:
    """A column of a table as text; what is missing becomes the empty text."""
    return [str(value) for value in column.astype(object).where(column.notna(), "")]


_MUCH = 64 << 20
_LARGEST_RATIO = 200


def check_promise(source: str, promised: int, stored: int) -> None:
    """Refuse, before anything is allocated, a file that promises absurdly much.

    Expression shrinks some 10-fold when compressed; nothing measured shrinks 200-fold.

    Raises:
        UserError: ``promised`` bytes are many, and hundreds of times those that are ``stored``.
    """
    if promised > max(_MUCH, _LARGEST_RATIO * stored):
        raise UserError(
            f"{source}: claims {promised:,} bytes of values but holds only {stored:,} bytes; "
            "is it damaged, or made to fill the memory?"
        )
