"""Paths in a results folder. No other module builds a file name.

::

    <results>/genebench-results.json      version of the folder's layout
    <results>/<key>.json                  the record
    <results>/<key>.npz                   vectors: gene-metric.<name>, profile-metric.<name>,
                                          profile-share.<metric>.<panel>, gene.id, gene.twin,
                                          profile.id, profile.group, gene-model.<name>
    <results>/<key>.predictions.npy       predictions, float32 profiles × targets, when kept
    <results>/<key>.model.safetensors     the model, when kept
    <results>/<key>.marks.json            annotations: who submitted the record, and whether its
                                          scores were recomputed here
    <results>/.<key>.work/                checkpoints of a job that was interrupted, or failed
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from genebench._util.hashing import KEY, key_of
from genebench.results.record import UNSAVED, Kept, Record

LAYOUT_FILE = "genebench-results.json"
"""Name of the file that distinguishes a results folder from any other folder."""

OTHER_FOLDER = "Name another results folder."
"""Remedy for a folder that cannot be written to."""

TEMPORARY_FILES = ".*.tmp"
"""Pattern of the names of temporary files."""

CHECKPOINT_FOLDERS = ".*.work"
"""Pattern of the names of checkpoint folders."""

_RECORD_SUFFIX, _VECTORS_SUFFIX = "json", "npz"
_KEPT_SUFFIXES: Mapping[Kept, str] = {
    "predictions": "predictions.npy",
    "model": "model.safetensors",
}
_SUFFIXES = (_RECORD_SUFFIX, _VECTORS_SUFFIX, *_KEPT_SUFFIXES.values())

SHARED_FILES = re.compile(
    rf"{re.escape(LAYOUT_FILE)}|{KEY.pattern}\.({'|'.join(map(re.escape, _SUFFIXES))})"
)
"""Names of the files that others may be sent. Annotations are left out: ``verified`` is local to a
folder."""


class ResultPaths:
    """Paths of all files in a results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def layout(self) -> Path:
        """Path of the file that holds the layout's version."""
        return self.root / LAYOUT_FILE

    def keys(self) -> list[str]:
        """Return the keys of all records, done and failed, sorted."""
        names = (path.stem for path in self.root.glob(f"*.{_RECORD_SUFFIX}"))
        return sorted(name for name in names if KEY.fullmatch(name))

    def record(self, key: str) -> Path:
        """Return the path of a record."""
        return self.root / f"{key}.{_RECORD_SUFFIX}"

    def vectors(self, key: str) -> Path:
        """Return the path of a record's vectors."""
        return self.root / f"{key}.{_VECTORS_SUFFIX}"

    def kept(self, key: str, kind: Kept) -> Path:
        """Return the path of a record's kept predictions, or of its model."""
        return self.root / f"{key}.{_KEPT_SUFFIXES[kind]}"

    def annotations(self, key: str) -> Path:
        """Return the path of a record's annotations."""
        return self.root / f"{key}.marks.json"

    def checkpoints(self, keys: Iterable[str]) -> Path:
        """Return the checkpoint folder of the job that gives these records, in any order."""
        return self.root / f".{key_of(sorted(keys))}.work"

    def temporary(self, key: str) -> Path:
        """Create an empty temporary file for a record, and return its path."""
        handle, name = tempfile.mkstemp(prefix=f".{key}.", suffix=".tmp", dir=self.root)
        os.close(handle)
        return Path(name)

    def digests(self, record: Record) -> dict[Path, str]:
        """Return the files beside a record, with the SHA-256 digest that the record has of each."""
        digests = {self.vectors(record.key): record.vectors} if record.vectors else {}
        kept: dict[Kept, str] = {"predictions": record.predictions, "model": record.model}
        for kind, digest in kept.items():
            if digest not in ("", UNSAVED):
                digests[self.kept(record.key, kind)] = digest
        return digests

    def files(self, record: Record) -> list[Path]:
        """Return all files of a record without its annotations. The record itself is last."""
        return [*self.digests(record), self.record(record.key)]
