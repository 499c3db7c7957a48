"""Opening and writing of expression files. Content or the end of the name states the format."""

from __future__ import annotations

import glob
import inspect
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from genebench._util.files import LOCK_FILE, full_disk, sweep, temporary_folder, user_errors
from genebench.errors import UserError, missing_library, some
from genebench.formats.base import Content, Orientation, Reader
from genebench.formats.delimited import write_profiles
from genebench.formats.files import (
    as_text,
    check_readable,
    packed_file,
    packing_of,
    without_packing,
)
from genebench.formats.guarded import GuardedReader
from genebench.formats.heads import head_of, refuse_unread
from genebench.formats.text import check_cells
from genebench.hookspecs import PROJECT
from genebench.plugins.discovery import load_code
from genebench.plugins.faults import blamed, plugin_fault
from genebench.plugins.registry import registry
from genebench.specs import FormatSpec

_OTHER_FOLDER = "Write to another folder."

_SPREADSHEETS = ".xlsx", ".xls", ".xlsm", ".ods"


def format_of(path: Path) -> FormatSpec:
    """Return the format that recognises the file's content, or else whose suffix ends its name.

    Of several suffixes the longest decides.

    Raises:
        UserError: no format has such a suffix, or the file is of a kind that is not read.
    """
    return _recognised(path) or _suffixes()[_suffix_of(path)]


def open_reader(
    path: Path,
    orientation: Orientation = "genes",
    *,
    keep_missing: bool = False,
    **options: object,
) -> Reader:
    """Open a matrix of expression.

    Args:
        path: the file, or a folder with ``matrix.mtx`` as 10x Genomics lays it out.
        orientation: the meaning of the rows of a table.
        keep_missing: True to have missing values as NaN, instead of refusing them.
        options: ``id_column``, ``skip_columns`` or ``layer``, for readers that take them.

    Raises:
        UserError: the file is missing, unreadable, empty, damaged or of no known format, a
            library is missing, or ``orientation`` or an option does not apply to the format.
    """
    path = matrix_of(path)
    _refuse_folder(path)
    check_readable(path)
    spec = format_of(path)
    plugin = registry().formats.plugins[spec.name]
    is_ours = plugin.distribution == PROJECT
    if is_ours:
        _check_unpacked(path, spec)
    with blamed(plugin, f"{path}: the reader"):
        read = _load(path, spec, spec.reader)
        _check_options(path, spec, read, options)
        reader: Reader = read(path, **options)
    if not is_ours:
        reader = GuardedReader(reader, plugin, str(path))
    reader = reader.transposed() if orientation == "profiles" else reader
    reader.check()
    if keep_missing:
        reader.keep_missing()
    return reader


def _check_options(path: Path, spec: FormatSpec, read: Any, options: Mapping[str, object]) -> None:
    """Refuse options that the reader of a format does not take."""
    taken = inspect.signature(read).parameters
    for option in options:
        if option not in taken:
            raise UserError(
                f"{path}: {option} does not apply to {spec.name} files. Remove it, or convert the "
                "file to a format that takes it."
            )


def write_matrix(path: Path, content: Content) -> list[Path]:
    """Write a matrix of expression in the format that the end of the file's name states.

    The file is written under a temporary name, opened once as a check, and then renamed. So no
    half-written or unreadable file ever has the final name. Columns of the profile table that the
    format cannot hold go to ``X.profiles.tsv`` beside ``X``, for the key ``profiles`` of a
    manifest.

    Returns:
        The files written, the matrix last.

    Raises:
        UserError: the format is unknown, cannot be written or cannot hold these ids, the file
            exists already, a library is missing, or the disk is full.
    """
    spec = format_of(path)
    if not spec.writer:
        raise UserError(
            f"{path}: {spec.name} files can be read, not written. Choose another format."
        )
    if not path.name.lower().endswith(tuple(_suffixes())):
        raise UserError(
            f"{path}: {spec.name} files cannot be written packed in this way. End the name in one "
            f"of {' '.join(spec.suffixes)}, and pack the file afterwards."
        )
    plugin = registry().formats.plugins[spec.name]
    with blamed(plugin, f"{path}: the writer"):
        write = _load(path, spec, spec.writer)
    check_absent(path)
    # Zero bytes end a text in HDF5, and the readers of text formats refuse them.
    for table in (content.genes, content.profiles):
        for column in (table.index.to_series(), *(table[name] for name in table)):
            check_cells(path, as_text(column), "\0")
    with user_errors(path.parent, _OTHER_FOLDER), _staging(path) as folder:
        staged = folder / path.name
        with _final_names(path, staged):
            # Within, so that a full disk is no fault of a plugin.
            with blamed(plugin, f"{path}: the writer"), full_disk(path.parent, _OTHER_FOLDER):
                write(staged, content.checked())
            if not staged.is_file():
                raise plugin_fault(plugin, f"{path}: the writer", "wrote no such file")
            reader = open_reader(staged)
        _check_ids(path, reader, content)
        _write_remaining_columns(staged, reader, content)
        written = [file for file in sorted(folder.iterdir()) if file.name != LOCK_FILE]
        written.sort(key=lambda file: file == staged)
        final = [path.with_name(file.name) for file in written]
        # Writing took a while: another process may have made a file of that name meanwhile.
        for file in final:
            check_absent(file)
        for file, name in zip(written, final, strict=True):
            file.rename(name)
    return final


def _staging(path: Path) -> AbstractContextManager[Path]:
    """Return a temporary folder beside a file, and remove those that killed processes left.

    The folder is on the same disk as the file, so that renaming is atomic.
    """
    sweep(path.parent, f".{glob.escape(path.name)}.*.tmp")
    return temporary_folder(path.parent, f".{path.name}.")


@contextmanager
def _final_names(path: Path, staged: Path) -> Iterator[None]:
    """Replace the temporary folder by the final one in the messages of errors."""
    try:
        yield
    except UserError as error:
        message = str(error).replace(str(staged.parent), str(path.parent))
        raise UserError(message) from None


def _check_ids(path: Path, reader: Reader, content: Content) -> None:
    for kind, read, written in (
        ("gene", reader.gene_ids, content.genes.index),
        ("profile", reader.profiles.index, content.profiles.index),
    ):
        if list(read) != list(written):
            lost = [id_ for id_ in written if id_ not in read]
            raise UserError(
                f"{path}: {kind} ids would not read back as they are ({some(lost or written)}). "
                "Rename them, or choose another format."
            )


def _write_remaining_columns(staged: Path, reader: Reader, content: Content) -> None:
    """Write the columns of the profile table that the file itself does not hold."""
    remaining = content.profiles.drop(columns=reader.profiles.columns, errors="ignore")
    if not remaining.columns.empty:
        stem = staged.name[: -len(_suffix_of(staged))]
        write_profiles(staged.with_name(f"{stem}.profiles.tsv"), remaining)


def check_absent(path: Path) -> None:
    """Refuse to write a file that exists, or into a folder that does not.

    Raises:
        UserError: the file exists, or its folder does not.
    """
    try:
        path.lstat()  # of a link itself, which may lead nowhere
    except (FileNotFoundError, NotADirectoryError):
        pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path}: cannot be written: {reason}. Choose another name.") from None
    else:
        raise UserError(f"{path}: the file exists already. Remove it, or choose another name.")
    if not path.parent.is_dir():
        raise UserError(f"{path}: there is no folder {path.parent}. Create it, or choose another.")


def _check_unpacked(path: Path, spec: FormatSpec) -> None:
    """Refuse a packed file of a format that needs to be read in another order than its own."""
    packing = packing_of(path)
    if not packing or _is_stream(spec) or (spec.name == "npz" and packing == "zip"):
        return
    raise packed_file(path, packing, f"cannot be read as {spec.name}, which is not read in order")


def _is_stream(spec: FormatSpec) -> bool:
    """Return whether files of a format are read from begin to end, and so while unpacked."""
    # Formats without suffixes are text that is recognised by its content.
    return not spec.suffixes or any(suffix.endswith(".gz") for suffix in spec.suffixes)


def matrix_of(path: Path) -> Path:
    """Return the matrix in a folder of 10x Genomics, and any other path unchanged."""
    with suppress(OSError, ValueError):  # a path that no file can have: opening it reports that
        for name in ("matrix.mtx.gz", "matrix.mtx"):
            if path.is_dir() and (path / name).is_file():
                return path / name
    return path


def _recognised(path: Path) -> FormatSpec | None:
    """Return the format that recognises a file's content, or None.

    A format is asked if one of its suffixes ends the file's name, or if no known suffix does.
    """
    try:
        head = head_of(path) if path.is_file() else None
    except (OSError, ValueError):  # opening the file reports it
        head = None
    if head is None:
        return None
    name = path.name.lower()
    formats = registry().formats
    claims = [
        suffix for spec in formats.specs.values() for suffix in spec.suffixes
        if name.endswith(suffix)
    ]  # fmt: skip
    refuse_unread(path, head, max(claims, key=len, default=""))
    known = name.endswith(tuple(_suffixes()))
    found = []
    for spec in formats.specs.values():
        if spec.recognise and (name.endswith(spec.suffixes) or not known):
            with blamed(formats.plugins[spec.name], f"{path}: the recogniser"):
                if _load(path, spec, spec.recognise)(head):
                    found.append(spec)
    if len(found) > 1:
        names = " and ".join(
            f"{spec.name} (plugin {formats.plugins[spec.name].name})" for spec in found
        )
        raise UserError(
            f"{path}: several formats recognise its content: {names}. Uninstall one of the "
            "plugins, or convert the file."
        )
    if not (found or known):
        refuse_unread(path, head)
    return found[0] if found else None


def _refuse_folder(path: Path) -> None:
    """Refuse a folder that is of a known kind, or holds a matrix, with the way to its values."""
    try:
        if not path.is_dir():
            return
        names = sorted(file.name for file in path.iterdir())
    except (OSError, ValueError):  # opening the path reports it
        return
    refuse_unread(path, b"")
    matrices = [name for name in names if name.lower().endswith(("matrix.mtx", "matrix.mtx.gz"))]
    if matrices:
        raise UserError(
            f"{path}: a folder with {some(matrices)}. Name a file in it, such as "
            f"{path / matrices[0]}"
        )


def _suffixes() -> dict[str, FormatSpec]:
    """Return suffix → the format that it alone decides on."""
    formats = registry().formats.specs.values()
    return {suffix: spec for spec in formats if not spec.recognise for suffix in spec.suffixes}


def _suffix_of(path: Path) -> str:
    suffixes = _suffixes()
    name = path.name.lower()
    # zstd and zip are no part of any suffix: the end before them states the format.
    fitting = [suffix for suffix in suffixes if name.endswith(suffix)] or [
        suffix for suffix in suffixes if without_packing(name).endswith(suffix)
    ]
    if fitting:
        return max(fitting, key=len)
    if name.endswith(_SPREADSHEETS):
        raise UserError(
            f"{path}: unknown format: a workbook of a spreadsheet. Save its sheet as CSV or as "
            "tab-separated text."
        )
    raise UserError(f"{path}: unknown format. End its name in one of {' '.join(suffixes)}.")


def _load(path: Path, spec: FormatSpec, code: str) -> Any:
    try:
        return load_code(code)
    except ModuleNotFoundError as error:
        if not spec.extra:
            raise
        library = str(error.name)
        raise missing_library(f"{path}: format {spec.name}", library, spec.extra) from None
