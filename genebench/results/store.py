"""The results folder: records are written and read here.

File names are those of :mod:`genebench.results.paths`. The record is written last, by rename, so a
key with a record is finished. Merging two folders is a copy of files.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from genebench._util.files import (
    atomic_write,
    full_disk,
    make_readable,
    sha256_of,
    sweep,
    user_errors,
)
from genebench._util.schema import first_fault
from genebench.errors import UserError
from genebench.results.annotations import AnnotationFiles
from genebench.results.checks import (
    missing_faults,
    name_faults,
    shape_faults,
    stored_digest,
    verify,
)
from genebench.results.limits import ANNOTATIONS_BYTES, RECORD_BYTES, cut
from genebench.results.paths import (
    CHECKPOINT_FOLDERS,
    OTHER_FOLDER,
    TEMPORARY_FILES,
    ResultPaths,
)
from genebench.results.record import Kept, Record
from genebench.results.untrusted import (
    as_user_error,
    digest_of,
    map_matrix,
    read_document,
    read_file,
)
from genebench.results.vectors import RUN_AGAIN, Vectors, read_vectors, write_npz

LAYOUT = 1
"""Version of the layout of a results folder."""

_CHECKPOINT_DAYS = 30
"""Days that checkpoints are kept for their job to be run again."""

_SHOWN_LETTERS = 40
"""Letters of a value in a stranger's file that a message repeats."""

_MOST_FORMATS = 1_000
"""Formats that a later genebench may have. A larger number is no format."""


class Fault(NamedTuple):
    """A fault of a record."""

    key: str
    line: str
    """One line: the file, what is wrong, and what to do."""


class ResultsStore:
    """Records by key in one folder. The folder is created by :meth:`prepare`.

    Attributes:
        root: the folder.
        paths: paths of its files.
        annotations: what was added to records after they were written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.paths = ResultPaths(root)
        self.annotations = AnnotationFiles(self.paths)

    def prepare(self) -> None:
        """Create the folder, check that it can be written to, and remove stale files.

        Raises:
            UserError: the folder cannot be made or written, or belongs to something else.
        """
        with user_errors(self.root, OTHER_FOLDER):
            self.root.mkdir(parents=True, exist_ok=True)
            self.check()
            sweep(self.root, TEMPORARY_FILES)
            sweep(self.root, CHECKPOINT_FOLDERS, _CHECKPOINT_DAYS)
            if self.paths.layout.exists():
                # Permissions are no proof: a read-only file system fails only when written to.
                with tempfile.TemporaryFile(dir=self.root):
                    return
            with atomic_write(self.paths.layout) as stream:
                stream.write(json.dumps({"genebench-results": LAYOUT}).encode())

    def check(self) -> None:
        """Check that the folder, if it exists, is a results folder of this layout.

        Raises:
            UserError: the folder is something else, or has another layout.
        """
        try:
            layout = read_document(self.paths.layout, ANNOTATIONS_BYTES).get("genebench-results")
        except (FileNotFoundError, NotADirectoryError):
            # Hidden files, such as .DS_Store, do not make a folder somebody's own.
            if self.root.is_dir() and any(
                not path.name.startswith(".") for path in self.root.iterdir()
            ):
                raise UserError(f"{self.root}: not a results folder. {OTHER_FOLDER}") from None
            return
        except PermissionError:
            raise
        except (ValueError, OSError):
            layout = "unknown"
        # type(), because in Python True == 1.
        if type(layout) is not int or layout != LAYOUT:
            shown = cut(str(layout), _SHOWN_LETTERS)
            raise UserError(f"{self.paths.layout}: layout {shown} is not {LAYOUT}. {OTHER_FOLDER}")

    def check_exists(self) -> None:
        """Check that the folder exists, and is a results folder of this layout.

        Raises:
            UserError: there is no such folder, or it is something else.
        """
        if not self.root.exists():
            raise UserError(
                f"{self.root}: no such folder. Make results with genebench run, or name another "
                "folder."
            )
        self.check()
        if not self.paths.layout.exists():
            raise UserError(f"{self.root}: not a results folder. {OTHER_FOLDER}")

    def keys(self) -> list[str]:
        """Return the keys of all records, done and failed, sorted."""
        return self.paths.keys()

    def read(self, key: str) -> Record | None:
        """Return the record of a key, or None if there is none.

        Raises:
            UserError: the record is damaged, or is that of another key.
        """
        path = self.paths.record(key)
        try:
            with as_user_error(
                path, "cannot be read", "Remove the file, or check its permissions."
            ):
                try:
                    record = Record.model_validate_json(read_file(path, RECORD_BYTES))
                except ValidationError as error:
                    raise UserError(f"{path}: {_explain(error)}") from error
        except (FileNotFoundError, NotADirectoryError):
            return None
        # A copy of a record under another name must not count as a second result.
        if record.key != key:
            held = cut(record.key, _SHOWN_LETTERS)
            raise UserError(f"{path}: holds the record of key {held}. Rename it to {held}.json.")
        # Here rather than in verify: every reader shows names, and few verify first.
        for fault in name_faults(record):
            raise UserError(f"{path}: {fault}. Remove the file.")
        return record

    def written(self, key: str) -> dict[str, Any]:
        """Return the document of a readable record as it was written, before any upgrade."""
        return read_document(self.paths.record(key), RECORD_BYTES)

    def digest(self, key: str) -> str:
        """Return the SHA-256 digest of a record's file."""
        return digest_of(self.paths.record(key), RECORD_BYTES)

    def records(self) -> Iterator[Record]:
        """Yield all records in the order of their keys.

        Raises:
            UserError: there is no such folder, it is something else, or a record is damaged.
        """
        self.check_exists()
        for key in self.keys():
            record = self.read(key)
            if record:
                yield record

    def sound(self, *, thorough: bool = False) -> tuple[list[Record], list[Fault]]:
        """Return the records that can be shown, in the order of their keys, and all faults.

        A record is left out if it cannot be read.

        Args:
            thorough: leave out records that :func:`~genebench.results.checks.verify` finds faults
                in, too. This reads all files of each record.

        Raises:
            UserError: there is no such folder, or it is something else.
        """
        self.check_exists()
        records: list[Record] = []
        faults: list[Fault] = []
        for key in self.keys():
            try:
                record = self.read(key)
            except UserError as error:
                faults.append(Fault(key, str(error)))
                continue
            if record is None:
                continue  # another process removed it since the folder was listed
            lines = verify(self.paths, record) if thorough else []
            faults += [Fault(key, f"{self.paths.record(key)}: {line}") for line in lines]
            if not lines:
                records.append(record)
        return records, faults

    def vectors(
        self, record: Record, names: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Return vectors by name: metric values, and the ids of their genes and profiles.

        Args:
            record: a done record.
            names: vectors to read, where the record has them. None reads all.

        Raises:
            UserError: the file is missing, damaged, changed, far larger than any record's, or its
                vectors have other lengths than the record says.
        """
        path = self.paths.vectors(record.key)
        vectors = read_vectors(path, record.vectors, names)
        with as_user_error(path, "cannot be read as vectors", RUN_AGAIN):
            for fault in chain(
                missing_faults(record, vectors, names), shape_faults(record, vectors)
            ):
                raise UserError(f"{path}: {fault}. {RUN_AGAIN}")
        return vectors

    def predictions(self, record: Record) -> NDArray[np.float32] | None:
        """Return kept predictions, or None if they were not kept.

        The matrix is a memory map, profiles × targets.

        Raises:
            UserError: the predictions were changed after they were written, or have another shape
                or type than the record says.
        """
        path = self._kept_path(record, "predictions")
        if path is None:
            return None
        with as_user_error(path, "cannot be read as predictions", RUN_AGAIN):
            return map_matrix(path, (record.profiles["test"], record.genes["target"]))

    def model_path(self, record: Record) -> Path | None:
        """Return the file of the saved model, or None if it was not saved.

        Raises:
            UserError: the model was changed after it was written.
        """
        return self._kept_path(record, "model")

    def _kept_path(self, record: Record, kind: Kept) -> Path | None:
        """Return the path of a kept file, once its digest is checked, or None if it was not kept.

        Raises:
            UserError: the file was changed after it was written.
        """
        path = self.paths.kept(record.key, kind)
        digest = self.paths.digests(record).get(path)
        if digest is None or not path.exists():
            return None
        # Callers read the file later, piece by piece, so the whole of it is checked before.
        with as_user_error(path, "cannot be read", RUN_AGAIN):
            if stored_digest(record, path) != digest:
                raise UserError(f"{path}: was changed after it was written. {RUN_AGAIN}")
        return path

    def write(self, record: Record, vectors: Vectors) -> Record:
        """Write vectors, then the record with their digest. Return the record as written.

        Raises:
            UserError: the disk is full, or the folder cannot be written to.
        """
        with user_errors(self.root, OTHER_FOLDER):
            if record.status == "done":
                path = self.paths.vectors(record.key)
                with atomic_write(path) as stream:
                    write_npz(stream, vectors)
                record = record.model_copy(update={"vectors": sha256_of(path)})
            record = record.with_checksum()
            # Last of all files: a crash before this line leaves a key without a record, which runs
            # again, and never a record without its files.
            with atomic_write(self.paths.record(record.key)) as stream:
                stream.write(record.model_dump_json(indent=1).encode())
        return record

    @contextmanager
    def scratch(self, key: str) -> Iterator[Path]:
        """Provide a temporary file. It is removed at the end, unless :meth:`keep` renamed it.

        Raises:
            UserError: the disk is full, or the folder cannot be written to.
        """
        with user_errors(self.root, OTHER_FOLDER):
            path = self.paths.temporary(key)
        try:
            with full_disk(self.root, OTHER_FOLDER):
                yield path
        finally:
            path.unlink(missing_ok=True)

    def keep(self, scratch: Path, key: str, kind: Kept) -> str:
        """Rename a temporary file to the kept predictions, or the model, of a key.

        Return the file's SHA-256 digest.
        """
        digest = sha256_of(scratch)
        make_readable(scratch)
        scratch.replace(self.paths.kept(key, kind))
        return digest

    @contextmanager
    def work(self, keys: Iterable[str]) -> Iterator[Path]:
        """Provide the checkpoint folder of the job that gives these records.

        Files that are in it at the end stay, for when the same job is run again.

        Raises:
            UserError: the folder cannot be made.
        """
        folder = self.paths.checkpoints(keys)
        with user_errors(self.root, OTHER_FOLDER):
            folder.mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            # rmdir fails while files are left, and when another process removed the folder.
            with suppress(OSError):
                folder.rmdir()


def _explain(error: ValidationError) -> str:
    """Return why a file is no record, and what to do."""
    first = error.errors()[0]
    remedy = "Remove the file and run again."
    if first["loc"] == ("format",) and first["input"] in range(_MOST_FORMATS):
        remedy = f"Use the genebench that wrote format {first['input']}."
    return f"not a record of this version ({first_fault(error)}). {remedy}"
