"""The results folder. Nobody else spells its file names.

::

    <results>/genebench-results.json      marks the folder, with its layout's version
    <results>/<key>.json                  the record
    <results>/<key>.npz                   vectors: gene-metric.<name>, profile-metric.<name>,
                                          profile-share.<metric>.<panel>, gene.id, gene.twin,
                                          profile.id, profile.group; gene-model.<name>, what the
                                          method has to say of each gene
    <results>/<key>.predictions.npy       predictions, float32 profiles × targets, when kept
    <results>/<key>.model.safetensors     the model, when kept
    <results>/<key>.marks.json            what was learnt of the record later: who submitted it,
                                          whether it was recomputed here
    <results>/.<key>.work/                checkpoints of a job that was interrupted, or failed

The record is written last, by rename: a key with a record is finished. Merging is a copy.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from io import BytesIO
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
from genebench._util.hashing import KEY, key_of
from genebench._util.schema import first_fault
from genebench.errors import UserError
from genebench.results.annotations import Marks
from genebench.results.checks import (
    checksum_faults,
    key_faults,
    name_faults,
    outcome_faults,
    shape_faults,
    vector_faults,
)
from genebench.results.record import Record
from genebench.results.vectors import read_npz, write_npz
from genebench.runs.jobs import Kept

LAYOUT = 1
MARK = "genebench-results.json"
"""The file that tells a results folder, and its layout, from any other folder."""

_REMEDY = "name another folder with --results"
_AGAIN = "remove the record and run again"
_WORK_DAYS = 30
"""How long checkpoints wait for their job to be run again."""

Vectors = Mapping[str, NDArray[Any]]

_MOST_VECTORS = 1 << 30
"""Bytes that the vectors of a record may unpack to: 50 times those of the published size."""

_UNREADABLE = (
    OSError, ValueError, EOFError, MemoryError, RuntimeError, zipfile.BadZipFile, zlib.error,
)  # fmt: skip
"""What reading a damaged .npz may raise."""

UNSAVED = "none"
"""Stands for the digest of a model that its method cannot save."""

_KEPT: Mapping[Kept, str] = {"predictions": "predictions.npy", "model": "model.safetensors"}


class Fault(NamedTuple):
    """What is wrong with a record."""

    key: str
    line: str
    """One line: which file, what is wrong, and what to do."""


class ResultsStore:
    """Records by key in one folder, created when first written to."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def prepare(self) -> None:
        """Make sure that results can be written here.

        Raises:
            UserError: the folder cannot be made or written, or belongs to something else.
        """
        with user_errors(self.root, _REMEDY):
            self.root.mkdir(parents=True, exist_ok=True)
            self.check()
            sweep(self.root, ".*.tmp")
            sweep(self.root, ".*.work", _WORK_DAYS)
            if self._mark.exists():
                with tempfile.TemporaryFile(dir=self.root):
                    return
            with atomic_write(self._mark) as stream:
                stream.write(json.dumps({"genebench-results": LAYOUT}).encode())

    def check(self) -> None:
        """Make sure that the folder, if there is one, is a results folder of this layout.

        Raises:
            UserError: it is something else, or of another layout.
        """
        try:
            layout = json.loads(self._mark.read_text("utf-8"))["genebench-results"]
        except (FileNotFoundError, NotADirectoryError):
            if self.root.is_dir() and any(self._visible()):
                raise UserError(f"{self.root}: not a results folder; {_REMEDY}") from None
            return
        except (ValueError, TypeError, KeyError):
            layout = "unknown"
        if layout != LAYOUT:
            raise UserError(f"{self._mark}: layout {layout} is not {LAYOUT}; {_REMEDY}")

    def keys(self) -> list[str]:
        """Keys of all records, done and failed."""
        names = (path.stem for path in self.root.glob("*.json"))
        return sorted(name for name in names if KEY.fullmatch(name))

    def read(self, key: str) -> Record | None:
        """The record of that key, or None.

        Raises:
            UserError: there is one, but it is damaged.
        """
        path = self._record_path(key)
        try:
            record = Record.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror})") from error
        except ValidationError as error:
            raise UserError(f"{path}: {_explain(error)}") from error
        if record.key != key:
            raise UserError(f"{path}: holds the record of key {record.key}; give it its own name")
        for fault in name_faults(record):
            raise UserError(f"{path}: {fault}; remove the file")
        return record

    def written(self, key: str) -> dict[str, Any]:
        """Return the document of a readable record as it was written, before any upgrade."""
        document: dict[str, Any] = json.loads(self._record_path(key).read_bytes())
        return document

    def check_exists(self) -> None:
        """Make sure that the folder is there, and holds results.

        Raises:
            UserError: there is no such folder, or it is something else.
        """
        if not self.root.exists():
            raise UserError(f"{self.root}: no such folder; genebench run makes one, or {_REMEDY}")
        self.check()
        if not self._mark.exists():
            raise UserError(f"{self.root}: not a results folder; {_REMEDY}")

    def records(self) -> Iterator[Record]:
        """All records, in the order of their keys; the first damaged one raises UserError."""
        self.check_exists()
        for key in self.keys():
            record = self.read(key)
            if record:
                yield record

    def sound(self, *, thorough: bool = False) -> tuple[list[Record], list[Fault]]:
        """The records that can be shown, in the order of their keys, and what is wrong with others.

        A record is left out when it cannot be read as one; if ``thorough``, also when
        :meth:`verify` finds a fault, which reads all of its files.

        Raises:
            UserError: there is no such folder, or it is something else.
        """
        self.check_exists()
        records, faults = [], []
        for key in self.keys():
            try:
                record = self.read(key)
            except UserError as error:
                faults.append(Fault(key, str(error)))
                continue
            found = [
                Fault(key, f"{self._record_path(key)}: {fault}")
                for fault in (self.verify(record) if record and thorough else ())
            ]
            faults += found
            if record and not found:
                records.append(record)
        return records, faults

    def vectors(
        self, record: Record, names: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        """Vectors by name: values of each metric, and ids of the genes and profiles they are of.

        All of them, or those of ``names`` that there are: each is read by itself.

        Raises:
            UserError: they are missing, damaged, not those that the record was written with, of
                other lengths than it says, or far larger than any record's.
        """
        vectors = self._read_vectors(record, names)
        for fault in shape_faults(record, vectors):
            raise UserError(f"{self._vectors_path(record.key)}: {fault}; {_AGAIN}")
        return vectors

    def _read_vectors(
        self, record: Record, names: Collection[str] | None = None
    ) -> dict[str, NDArray[Any]]:
        path = self._vectors_path(record.key)
        try:
            # Read once: the bytes that become vectors are those whose digest is taken.
            content = _whole(path)
            vectors = read_npz(BytesIO(content), names, most=_MOST_VECTORS)
        except FileNotFoundError:
            raise UserError(f"{path}: is missing; {_AGAIN}") from None
        except OverflowError as error:
            raise UserError(f"{path}: {error}") from None
        except _UNREADABLE as error:
            raise UserError(f"{path}: cannot be read as vectors ({error}); {_AGAIN}") from error
        if hashlib.sha256(content).hexdigest() != record.vectors:
            raise UserError(f"{path}: was changed after it was written; {_AGAIN}")
        return vectors

    def predictions(self, record: Record) -> NDArray[np.float32] | None:
        """Kept predictions, a memory map of profiles × targets, or None when not kept.

        Raises:
            UserError: they were changed after they were written.
        """
        path = self._path(record.key, "predictions")
        if not record.predictions or not path.exists():
            return None
        if sha256_of(path) != record.predictions:
            raise UserError(f"{path}: was changed after it was written; {_AGAIN}")
        matrix: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        return matrix

    def write(self, record: Record, vectors: Vectors) -> Record:
        """Write vectors, then the record with their digest; return the record as written."""
        with user_errors(self.root, _REMEDY):
            if record.status == "done":
                with atomic_write(self._vectors_path(record.key)) as stream:
                    write_npz(stream, vectors)
                digest = sha256_of(self._vectors_path(record.key))
                record = record.model_copy(update={"vectors": digest})
            record = record.with_checksum()
            with atomic_write(self._record_path(record.key)) as stream:
                stream.write(record.model_dump_json(indent=1).encode())
        return record

    @contextmanager
    def scratch(self, key: str) -> Iterator[Path]:
        """A temporary file, removed at the end unless :meth:`keep` took it away."""
        with user_errors(self.root, _REMEDY):
            handle, name = tempfile.mkstemp(prefix=f".{key}.", suffix=".tmp", dir=self.root)
            os.close(handle)
        try:
            with full_disk(self.root, _REMEDY):
                yield Path(name)
        finally:
            Path(name).unlink(missing_ok=True)

    def keep(self, scratch: Path, key: str, what: Kept) -> str:
        """Keep predictions, or a model, under their key; return the file's digest."""
        digest = sha256_of(scratch)
        make_readable(scratch)
        scratch.replace(self._path(key, what))
        return digest

    @contextmanager
    def work(self, keys: Iterable[str]) -> Iterator[Path]:
        """A folder for checkpoints of the job that gives these records.

        What is left in it at the end stays, for when the same job is run again.
        """
        folder = self.root / f".{key_of(sorted(keys))}.work"
        with user_errors(self.root, _REMEDY):
            folder.mkdir(exist_ok=True)
        try:
            yield folder
        finally:
            with suppress(OSError):
                folder.rmdir()  # when nothing is in it

    def take(self, source: ResultsStore, record: Record) -> None:
        """Copy a record with its files, and who submitted it, from another folder.

        What this folder had under that key is replaced; the record goes last.
        """
        key = record.key
        with user_errors(self.root, _REMEDY), ExitStack() as cleanup:
            copies = {}
            for path in source.paths(record):
                handle, name = tempfile.mkstemp(prefix=f".{key}.", suffix=".tmp", dir=self.root)
                os.close(handle)
                copy = Path(name)
                cleanup.callback(copy.unlink, missing_ok=True)
                shutil.copyfile(path, copy)
                make_readable(copy)
                copies[self.root / path.name] = copy
            # From here to the last rename the key has no record rather than a mixed one.
            self._record_path(key).unlink(missing_ok=True)
            self._marks_path(key).unlink(missing_ok=True)
            for path, copy in copies.items():
                copy.replace(path)
        submitted = source.marks(key).get("submitted")
        if submitted:
            self.mark(key, submitted=submitted)

    def paths(self, record: Record) -> list[Path]:
        """All files of a record, the record itself last; what is kept of marks apart."""
        return [*self.files(record), self._record_path(record.key)]

    def files(self, record: Record) -> dict[Path, str]:
        """Files that belong to a record, the record itself apart → their digests in the record."""
        found = {self._vectors_path(record.key): record.vectors} if record.vectors else {}
        kept: dict[Kept, str] = {"predictions": record.predictions, "model": record.model}
        for what, digest in kept.items():
            if digest not in ("", UNSAVED):
                found[self._path(record.key, what)] = digest
        return found

    def marks(self, key: str) -> dict[str, dict[str, Any]]:
        """What was learnt of a record: ``submitted`` and ``verified``, each only where it holds.

        Keys of each are those of :mod:`genebench.results.annotations`. ``verified`` holds for
        as long as the record's file is the one that was verified. Marks that cannot be read
        are none.
        """
        try:
            marks = Marks.model_validate_json(self._marks_path(key).read_bytes())
        except (OSError, ValidationError):
            return {}
        path = self._record_path(key)
        if marks.verified and not (path.exists() and sha256_of(path) == marks.verified.record):
            marks = marks.model_copy(update={"verified": None})
        return marks.model_dump(exclude_none=True)

    def mark(self, key: str, **marks: Mapping[str, Any]) -> None:
        """Add marks to a record, or replace them."""
        checked = Marks.model_validate({**self.marks(key), **marks})
        with user_errors(self.root, _REMEDY), atomic_write(self._marks_path(key)) as stream:
            stream.write(checked.model_dump_json(indent=1, exclude_none=True).encode())

    def digest(self, key: str) -> str:
        """sha256 of the record's file."""
        return sha256_of(self._record_path(key))

    def verify(self, record: Record) -> list[str]:
        """Return the faults of a record: its key, its files, its scores. Empty when sound."""
        document = self.written(record.key)
        faults = [*key_faults(document), *outcome_faults(record)]
        if record.status == "done":
            faults += self._verify_files(record)
        # A more specific fault says already what was edited.
        return faults or list(checksum_faults(document))

    def _verify_files(self, record: Record) -> Iterator[str]:
        for path, digest in {self._vectors_path(record.key): "", **self.files(record)}.items():
            if not path.exists():
                yield f"{path.name} is missing"
            elif sha256_of(path) != digest:
                yield f"{path.name} was changed after it was written"
            elif path.suffix == ".npz":
                yield from self._verify_vectors(record)

    def _verify_vectors(self, record: Record) -> Iterator[str]:
        try:
            vectors = self._read_vectors(record)
        except UserError as error:
            yield str(error)
        else:
            yield from vector_faults(record, vectors)

    @property
    def _mark(self) -> Path:
        return self.root / MARK

    def _visible(self) -> Iterator[Path]:
        return (path for path in self.root.iterdir() if not path.name.startswith("."))

    def _record_path(self, key: str) -> Path:
        return self.root / f"{key}.json"

    def _marks_path(self, key: str) -> Path:
        return self.root / f"{key}.marks.json"

    def _vectors_path(self, key: str) -> Path:
        return self.root / f"{key}.npz"

    def _path(self, key: str, what: Kept) -> Path:
        return self.root / f"{key}.{_KEPT[what]}"

    def model_path(self, record: Record) -> Path | None:
        """The file of the saved model, or None when it was not saved."""
        path = self._path(record.key, "model")
        return path if path.exists() else None


def _whole(path: Path) -> bytes:
    size = path.stat().st_size
    if size > _MOST_VECTORS:
        raise OverflowError(f"{size:,} bytes of vectors are no record's")
    return path.read_bytes()


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    remedy = "remove the file and run again"
    if first["loc"] == ("format",):
        remedy = f"use the genebench that wrote format {first['input']!r}"
    return f"not a record of this version ({first_fault(error)}); {remedy}"
