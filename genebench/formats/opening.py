"""Open a file in the format that the end of its name says, or write one."""

from __future__ import annotations

import glob
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from genebench._util.files import sweep, user_errors
from genebench.errors import UserError, some
from genebench.formats.base import Content, Orientation, Reader
from genebench.formats.delimited import write_profiles
from genebench.formats.files import as_text, check_readable
from genebench.formats.text import check_cells
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.specs import FormatSpec


def format_of(path: Path) -> FormatSpec:
    """The format whose suffix ends the file's name; the longest suffix decides.

    Raises:
        UserError: no format has such a suffix.
    """
    return _suffixes()[_suffix_of(path)]


def open_reader(path: Path, orientation: Orientation = "genes") -> Reader:
    """Open a matrix of expression; ``orientation`` says what the rows of a table are.

    Raises:
        UserError: no such file, unreadable, empty, of no known format, or not what it claims; or
            a library is missing; or ``orientation`` does not apply to the format.
    """
    check_readable(path)
    spec = format_of(path)
    reader: Reader = _load(path, spec, spec.reader)(path)
    return reader.transposed() if orientation == "profiles" else reader


def write_matrix(path: Path, content: Content) -> list[Path]:
    """Write a matrix of expression in the format that the end of the file's name says.

    It is written under a temporary name and opened once before it gets its own, so that nothing
    half-written or unreadable is ever seen. Columns of the profile table that the format cannot
    hold go to ``X.profiles.tsv`` beside ``X``, for the key ``profiles`` of a manifest.

    Returns:
        The files written, the matrix last.

    Raises:
        UserError: of no known format, the format cannot be written or cannot hold these ids, a
            file is there already, a library is missing, or the disk is full.
    """
    spec = format_of(path)
    if not spec.writer:
        raise UserError(f"{path}: {spec.name} files can be read, not written; choose another")
    write = _load(path, spec, spec.writer)
    _check_absent(path)
    _check_text(path, content)
    with user_errors(path.parent, "write to another folder"), _staging(path) as folder:
        staged = Path(folder) / path.name
        with _blame(path, staged):
            write(staged, content)
            reader = open_reader(staged)
        _check_ids(path, reader, content)
        _write_left(staged, reader, content)
        written = sorted(Path(folder).iterdir(), key=lambda file: (file == staged, file.name))
        final = [path.with_name(file.name) for file in written]
        for file in final:
            _check_absent(file)
        for file, name in zip(written, final, strict=True):
            file.rename(name)
    return final


def _staging(path: Path) -> tempfile.TemporaryDirectory[str]:
    """A folder beside a file to write it in; what a killed process left of such is removed."""
    sweep(path.parent, f".{glob.escape(path.name)}.*.tmp")
    return tempfile.TemporaryDirectory(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)


@contextmanager
def _blame(path: Path, staged: Path) -> Iterator[None]:
    """Name a file in messages as it would have been called."""
    try:
        yield
    except UserError as error:
        message = str(error).replace(str(staged.parent), str(path.parent))
        raise UserError(message) from None


def _check_ids(path: Path, reader: Reader, content: Content) -> None:
    for kind, read, given in (
        ("gene", reader.gene_ids, content.genes.index),
        ("profile", reader.profiles.index, content.profiles.index),
    ):
        if list(read) != list(given):
            lost = [id_ for id_ in given if id_ not in read]
            raise UserError(
                f"{path}: {kind} ids would not read back as they are ({some(lost or given)}); "
                "rename them, or choose another format"
            )


def _write_left(staged: Path, reader: Reader, content: Content) -> None:
    """Write the columns of the profile table that the file itself does not hold."""
    left = content.profiles.drop(columns=reader.profiles.columns, errors="ignore")
    if not left.columns.empty:
        stem = staged.name[: -len(_suffix_of(staged))]
        write_profiles(staged.with_name(f"{stem}.profiles.tsv"), left)


def _check_text(path: Path, content: Content) -> None:
    """No format of text or HDF5 holds a zero byte."""
    for table in (content.genes, content.profiles):
        for column in (table.index.to_series(), *(table[name] for name in table)):
            check_cells(path, as_text(column), "\0")


def _check_absent(path: Path) -> None:
    if path.exists():
        raise UserError(f"{path}: there is such a file already; remove it, or name another")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}; make it, or name another")


def _suffixes() -> dict[str, FormatSpec]:
    formats = registry().formats.specs.values()
    return {suffix: spec for spec in formats for suffix in spec.suffixes}


def _suffix_of(path: Path) -> str:
    suffixes = _suffixes()
    fitting = [suffix for suffix in suffixes if path.name.lower().endswith(suffix)]
    if not fitting:
        raise UserError(f"{path}: unknown format; name it one of {' '.join(suffixes)}")
    return max(fitting, key=len)


def _load(path: Path, spec: FormatSpec, code: str) -> Any:
    try:
        return load_code(code)
    except ModuleNotFoundError as error:
        if not spec.extra:
            raise
        raise UserError(
            f"{path}: {spec.name} files need {error.name}, which is not installed: "
            f"pip install 'genebench[{spec.extra}]'"
        ) from None
