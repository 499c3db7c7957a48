"""The results folder. Nobody else spells its file names.

::

    <results>/genebench-results.json      marks the folder, with its layout's version
    <results>/<key>.json                  the record
    <results>/<key>.npz                   vectors: gene-metric.<name>, profile-metric.<name>,
                                          gene.id, gene.twin, profile.id; gene-model.<name>,
                                          what the method has to say of each gene
    <results>/<key>.predictions.npy       predictions, float32 profiles × targets, when kept
    <results>/<key>.model.safetensors     the model, when kept
    <results>/.<key>.work/                checkpoints of a job that was interrupted, or failed

The record is written last, by rename: a key with a record is finished. Merging is a copy.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from genebench.errors import UserError
from genebench.files import atomic_write, full_disk, make_readable, sha256_of, sweep, user_errors
from genebench.keys import KEY, key_of
from genebench.results.record import Record
from genebench.results.scores import agree, scores_of

LAYOUT = 1
_MARK = "genebench-results.json"
_REMEDY = "name another folder with --results"
_WORK_DAYS = 30
"""How long checkpoints wait for their job to be run again."""

Vectors = Mapping[str, NDArray[Any]]

Kept = Literal["predictions", "model"]
"""What may be kept of a result besides its scores."""

UNSAVED = "none"
"""Stands for the digest of a model that its method cannot save."""

_KEPT: Mapping[Kept, str] = {"predictions": "predictions.npy", "model": "model.safetensors"}


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
        return record

    def records(self) -> Iterator[Record]:
        """All records, in the order of their keys."""
        if not self.root.exists():
            raise UserError(f"{self.root}: no such folder; genebench run makes one, or {_REMEDY}")
        self.check()
        if not self._mark.exists():
            raise UserError(f"{self.root}: not a results folder; {_REMEDY}")
        for key in self.keys():
            record = self.read(key)
            if record:
                yield record

    def vectors(self, record: Record) -> dict[str, NDArray[Any]]:
        """Vectors by name: values of each metric, and ids of the genes and profiles they are of."""
        with np.load(self._vectors_path(record.key), allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}

    def predictions(self, record: Record) -> NDArray[np.float32] | None:
        """Kept predictions, a memory map of profiles × targets, or None when not kept.

        Raises:
            UserError: they were changed after they were written.
        """
        path = self._path(record.key, "predictions")
        if not record.predictions or not path.exists():
            return None
        if sha256_of(path) != record.predictions:
            raise UserError(f"{path}: was changed after it was written; run again")
        matrix: NDArray[np.float32] = np.load(path, mmap_mode="r", allow_pickle=False)
        return matrix

    def write(self, record: Record, vectors: Vectors) -> Record:
        """Write vectors, then the record with their digest; return the record as written."""
        with user_errors(self.root, _REMEDY):
            if record.status == "done":
                with atomic_write(self._vectors_path(record.key)) as stream:
                    np.savez_compressed(stream, allow_pickle=False, **vectors)
                digest = sha256_of(self._vectors_path(record.key))
                record = record.model_copy(update={"vectors": digest})
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

    def verify(self, record: Record) -> list[str]:
        """What is wrong with a record: its key, its files, its scores. Empty when sound."""
        faults = []
        if key_of(record.identity.model_dump()) != record.key:
            faults.append("the key is not that of its identity")
        if record.status == "done":
            faults += self._verify_files(record)
        return faults

    def _verify_files(self, record: Record) -> Iterator[str]:
        files = {self._vectors_path(record.key): record.vectors}
        kept: dict[Kept, str] = {"predictions": record.predictions, "model": record.model}
        for what, digest in kept.items():
            if digest not in ("", UNSAVED):
                files[self._path(record.key, what)] = digest
        for path, digest in files.items():
            if not path.exists():
                yield f"{path.name} is missing"
            elif sha256_of(path) != digest:
                yield f"{path.name} was changed after it was written"
            elif path.suffix == ".npz":
                yield from self._verify_scores(record)

    def _verify_scores(self, record: Record) -> Iterator[str]:
        found = scores_of(self.vectors(record))
        for metric in sorted(found.keys() ^ record.scores.keys()):
            yield f"{metric} is in the record or in its vectors, but not in both"
        for metric in sorted(found.keys() & record.scores.keys()):
            given, expected = record.scores[metric], found[metric]
            for panel in sorted({*given, *expected}):
                if not agree(given.get(panel), expected.get(panel)):
                    yield f"{metric} on panel {panel} is not what its vector gives"

    @property
    def _mark(self) -> Path:
        return self.root / _MARK

    def _visible(self) -> Iterator[Path]:
        return (path for path in self.root.iterdir() if not path.name.startswith("."))

    def _record_path(self, key: str) -> Path:
        return self.root / f"{key}.json"

    def _vectors_path(self, key: str) -> Path:
        return self.root / f"{key}.npz"

    def _path(self, key: str, what: Kept) -> Path:
        return self.root / f"{key}.{_KEPT[what]}"

    def model_path(self, record: Record) -> Path | None:
        """The file of the saved model, or None when it was not saved."""
        path = self._path(record.key, "model")
        return path if path.exists() else None


def _explain(error: ValidationError) -> str:
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "the file"
    remedy = "remove the file and run again"
    if where == "format":
        remedy = f"use the genebench that wrote format {first['input']!r}"
    return f"not a record of this version ({where}: {first['msg']}); {remedy}"
