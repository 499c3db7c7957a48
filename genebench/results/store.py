"""The results folder: records are written and read here.

File names are those of :mod:`genebench.results.paths`. The record is written last, by rename, so a
key with a record is finished. Merging two folders is a copy of files. Files of a record that was
replaced stay for a day, because processes may be about to read them.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Collection, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from functools import partial
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from genebench._util.files import (
    DAY_SECONDS,
    LOCK_FILE,
    age_seconds,
    atomic_write,
    is_old,
    make_readable,
    sha256_of,
    sweep,
    sync_folder,
    temporary_folder,
    unused,
    user_errors,
)
from genebench._util.hashing import key_of
from genebench._util.locks import LocksUnsupportedError, lock
from genebench._util.retries import retried
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
from genebench.results.record import Identity, Kept, Record
from genebench.results.untrusted import (
    as_user_error,
    digest_of,
    map_matrix,
    read_document,
    read_file,
)
from genebench.results.vectors import RUN_AGAIN, Vectors, read_vectors, write_npz

LAYOUT = 2
"""Version of the layout of a results folder.

2: names of files beside a record have its digest of them.
"""

_LAYOUTS = (1, LAYOUT)
"""Layouts that are read. A folder of an earlier one becomes one of this when it is written to."""

_CHECKPOINTS, _RECORDS = "checkpoints", "records"
"""Names in a checkpoint folder."""

_CHECKPOINT_DAYS = 30
"""Days that checkpoints are kept for their job to be run again."""

_SHOWN_LETTERS = 40
"""Letters of a value in a stranger's file that a message repeats."""

_CHECK_FILE = "Check the file, or remove it."
"""Remedy for a record's file that cannot be read."""

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
            try:
                self.root.stat()  # mkdir calls a loop of links a file that exists
            except FileNotFoundError:
                self.root.mkdir(parents=True, exist_ok=True)
            self.check()
            sweep(self.root, TEMPORARY_FILES)
            self._sweep_checkpoints()
            self._sweep_replaced()
            if self._layout() == LAYOUT:
                # Permissions are no proof: a read-only file system fails only when written to.
                with tempfile.TemporaryFile(dir=self.root):
                    return
            with atomic_write(self.paths.layout) as stream:
                stream.write(json.dumps({"genebench-results": LAYOUT}).encode())

    def _layout(self) -> Any:
        """Return the version of the folder's layout, or None without a file that states it.

        Raises:
            UserError: the file cannot be read.
        """
        with user_errors(self.paths.layout, OTHER_FOLDER, trouble="cannot be read"):
            try:
                content = read_document(self.paths.layout, ANNOTATIONS_BYTES)
            except (FileNotFoundError, NotADirectoryError):
                return None
            except ValueError:
                return "unknown"
            return content.get("genebench-results", "unknown")

    def check(self) -> None:
        """Check that the folder, if it exists, is a results folder of a layout that is read.

        Raises:
            UserError: the folder is something else, has another layout, or cannot be read.
        """
        layout = self._layout()
        if layout is None:
            with user_errors(self.root, OTHER_FOLDER, trouble="cannot be read"):
                # Hidden files, such as .DS_Store, do not make a folder somebody's own.
                if self.root.is_dir() and any(
                    not path.name.startswith(".") for path in self.root.iterdir()
                ):
                    raise UserError(f"{self.root}: not a results folder. {OTHER_FOLDER}")
        # type(), because in Python True == 1.
        elif type(layout) is not int or layout not in _LAYOUTS:
            known, shown = " or ".join(map(str, _LAYOUTS)), cut(str(layout), _SHOWN_LETTERS)
            raise UserError(f"{self.paths.layout}: layout {shown} is not {known}. {OTHER_FOLDER}")

    def check_exists(self) -> None:
        """Check that the folder exists, and is a results folder of a layout that is read.

        Raises:
            UserError: there is no such folder, it is something else, or it cannot be read.
        """
        with user_errors(self.root, OTHER_FOLDER, trouble="cannot be read"):
            try:
                self.root.stat()
            except FileNotFoundError:
                raise UserError(
                    f"{self.root}: no such folder. Make results with genebench run, or name "
                    "another folder."
                ) from None
        self.check()
        if self._layout() is None:
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
            with as_user_error(path, "cannot be read", _CHECK_FILE):
                try:
                    content = retried(lambda: read_file(path, RECORD_BYTES))
                    record = Record.model_validate_json(content)
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
        """Return the SHA-256 digest of a record's file.

        Raises:
            UserError: the file cannot be read.
            FileNotFoundError: there is no such file.
        """
        path = self.paths.record(key)
        with as_user_error(path, "cannot be read", _CHECK_FILE):
            return digest_of(path, RECORD_BYTES)

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
        path = self.paths.vectors(record)
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
            UserError: the file was changed after it was written, or cannot be read.
        """
        path = self.paths.kept(record, kind)
        digest = self.paths.digests(record).get(path)
        if digest is None:
            return None
        # Callers read the file later, piece by piece, so the whole of it is checked before.
        try:
            with as_user_error(path, "cannot be read", RUN_AGAIN):
                if stored_digest(record, path) != digest:
                    raise UserError(f"{path}: was changed after it was written. {RUN_AGAIN}")
        except (FileNotFoundError, NotADirectoryError):
            return None
        return path

    def newer(self, key: str, version: str) -> Record | None:
        """Return the record of a key if it is another one than that of a version.

        Args:
            key: the key.
            version: version of the record that is known, or "" if none was known.

        Raises:
            UserError: the record is damaged.
        """
        record = self.read(key)
        return None if record is None or record.version == version else record

    def write(self, record: Record, vectors: Vectors, *, replaces: str | None = None) -> Record:
        """Write vectors, then the record with their digest. Return the record of the key.

        Args:
            record: the record.
            vectors: its vectors by name.
            replaces: version of the record that this one may replace, or "" for none. Another one
                was written meanwhile: it stays and is returned, unless it is a failure and this one
                is not. By default, any record is replaced.

        Raises:
            UserError: the disk is full, or the folder cannot be written to.
        """
        with user_errors(self.root, OTHER_FOLDER):
            if first := self._first(record, replaces):
                return first
            if record.status == "done":
                content = BytesIO()
                write_npz(content, vectors)
                digest = hashlib.sha256(content.getbuffer()).hexdigest()
                path = self.paths.new(record.key, digest)
                retried(partial(_write_atomically, path, content.getbuffer()))
                record = record.model_copy(update={"vectors": digest})
            record = record.with_checksum()
            # Last of all files: a crash before this line leaves a key without a record, which runs
            # again, and never a record without its files.
            path, document = self.paths.record(record.key), record.model_dump_json(indent=1)
            try:
                new = replaces == ""
                retried(partial(_write_atomically, path, document.encode(), new=new))
            except FileExistsError:
                if first := self._first(record, replaces):
                    return first
                retried(partial(_write_atomically, path, document.encode()))
            sync_folder(self.root)
        return record

    def _first(self, record: Record, replaces: str | None) -> Record | None:
        """Return the record that stays in the place of a new one, or None."""
        first = None if replaces is None else self.newer(record.key, replaces)
        is_worse = first is not None and first.status != "done" and record.status == "done"
        return None if is_worse else first

    @contextmanager
    def scratch(self, key: str) -> Iterator[Path]:
        """Provide a path for a temporary file. It is removed at the end, unless :meth:`keep` did.

        Raises:
            UserError: the disk is full, or the folder cannot be written to.
        """
        # In a locked folder: a library that writes the file may replace it, and a lock with it.
        with (
            user_errors(self.root, OTHER_FOLDER),
            temporary_folder(self.root, f".{key}.") as folder,
        ):
            yield folder / "file"

    def keep(self, scratch: Path, key: str, kind: Kept) -> str:
        """Rename a temporary file to the kept predictions, or the model, of a key.

        Return the file's SHA-256 digest.
        """
        digest = sha256_of(scratch)
        make_readable(scratch)
        scratch.replace(self.paths.new(key, digest, kind))
        return digest

    @contextmanager
    def work(self, identities: Iterable[Identity], *, sealed: bool = False) -> Iterator[Path]:
        """Provide the checkpoint folder of a job.

        Files that are in it at the end stay, for when the job is run again or continued. They go
        once all records of all jobs that used the folder are done.

        Args:
            identities: the identities of the job's records, which share one fit.
            sealed: whether the job is sealed. It has a folder of its own: it must not continue from
                what a job that could see test data has left.

        Raises:
            UserError: the folder cannot be made.
        """
        records = {key_of(identity.model_dump()): identity for identity in identities}
        folder = self.paths.checkpoints(next(iter(records.values())), sealed=sealed)
        with user_errors(self.root, OTHER_FOLDER):
            held = _use(folder)
            for key in records:
                (folder / _RECORDS / key).touch()
        try:
            with held:
                yield folder / _CHECKPOINTS
        finally:
            self._remove_checkpoints(folder, dated=())

    def _sweep_checkpoints(self) -> None:
        """Remove checkpoints that no job needs, and those that none has used for a month."""
        for folder in self.root.glob(CHECKPOINT_FOLDERS):
            self._remove_checkpoints(folder, dated=[folder])

    def _remove_checkpoints(self, folder: Path, dated: Iterable[Path]) -> None:
        """Remove a checkpoint folder if it is empty, old or no longer needed, and not in use.

        Args:
            folder: the folder.
            dated: files that must be older than a day, where there are no locks.
        """
        with ExitStack() as stack:
            # The folder may be in use, or another process may remove it. The next one tries again.
            stack.enter_context(suppress(OSError))
            stack.enter_context(unused(folder, dated))
            if not self._needs_checkpoints(folder):
                # Out of sight by one rename, so that no job finds half of a folder.
                trash = stack.enter_context(temporary_folder(self.root, folder.name))
                folder.rename(trash / folder.name)

    def _needs_checkpoints(self, folder: Path) -> bool:
        """Return whether a job may continue from the checkpoints in a folder.

        Raises:
            OSError: the folder cannot be read.
        """
        checkpoints, records = folder / _CHECKPOINTS, folder / _RECORDS
        # A folder of layout 1 has none of them. A job removes its checkpoints when it is done.
        if records.is_dir():
            keys = [path.name for path in records.iterdir()]
            is_empty = not checkpoints.is_dir() or not any(checkpoints.iterdir())
            if is_empty or all(map(self._is_done, keys)):
                return False
        inside = [checkpoints] if checkpoints.is_dir() else []
        return min(map(age_seconds, [folder, *inside])) < _CHECKPOINT_DAYS * DAY_SECONDS

    def _is_done(self, key: str) -> bool:
        try:
            record = self.read(key)
        except UserError:
            return False
        return record is not None and record.status == "done"

    def _sweep_replaced(self) -> None:
        """Remove files of records that were replaced more than a day ago.

        A key without a record is left alone: its record may have been put elsewhere.
        """
        for key, files in self.paths.crowded():
            # A record that cannot be read may be that of a later version.
            with suppress(OSError, UserError):
                record = self.read(key)
                if record is None or not is_old(self.paths.record(key)):
                    continue
                for path in {*files} - {*self.paths.digests(record)}:
                    if is_old(path):
                        path.unlink()


def _write_atomically(path: Path, content: bytes | memoryview, *, new: bool = False) -> None:
    """Write a file.

    Raises:
        FileExistsError: it is to be new, and another process was faster.
    """
    with atomic_write(path, new=new) as stream:
        stream.write(content)


def _use(folder: Path) -> AbstractContextManager[object]:
    """Make a checkpoint folder, and lock it against removal.

    Raises:
        OSError: it cannot be made.
    """
    while True:
        (folder / _CHECKPOINTS).mkdir(parents=True, exist_ok=True)
        try:
            (folder / _RECORDS).mkdir(exist_ok=True)
            (folder / LOCK_FILE).touch()
            return lock(folder / LOCK_FILE, shared=True, wait=True)
        except FileNotFoundError:
            continue  # another process removed it meanwhile
        except LocksUnsupportedError:
            return nullcontext()


def _explain(error: ValidationError) -> str:
    """Return why a file is no record, and what to do."""
    first = error.errors()[0]
    remedy = "Remove the file and run again."
    if first["loc"] == ("format",) and first["input"] in range(_MOST_FORMATS):
        remedy = f"Use the genebench that wrote format {first['input']}."
    return f"not a record of this version ({first_fault(error)}). {remedy}"
