"""Paths in a results folder. No other module builds a file name.

::

    <results>/genebench-results.json      version of the folder's layout
    <results>/<key>.json                  the record
    <results>/<key>.<digest>.npz          vectors: gene-metric.<name>, profile-metric.<name>,
                                          profile-share.<metric>.<panel>, gene.id, gene.twin,
                                          profile.id, profile.group, gene-model.<name>
    <results>/<key>.<digest>.predictions.npy
                                          predictions, float32 profiles × targets, when kept
    <results>/<key>.<digest>.model.safetensors
                                          the model, when kept
    <results>/<key>.marks.json            annotations: who submitted the record, and whether its
                                          scores were recomputed here
    <results>/<key>.explanation/          which landmarks the model's predictions rest on
    <results>/.<fit>.work/                checkpoints of a fit that was interrupted, or failed
        checkpoints/                      files of the method
        records/                          empty files, named by the keys that the fit is for
        .lock                             locked by jobs that use the folder
    <results>/.jobs/<key>.order.json      a job that waits to be run on some machine
    <results>/.jobs/<key>.claims/<n>      who works on a record now: host, process and progress
    <results>/.jobs/<key>.attempts        attempts at a job that ended without a record

The key of a job is that of its first record. ``<digest>`` begins the SHA-256 that the record has of
the file. Two results under one key have separate files, so that a record never lies beside files of
another. Layout 1 had no digests in names. Such files are still read.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path

from genebench._util.files import user_errors
from genebench._util.hashing import KEY, key_of
from genebench._util.retries import retried
from genebench.results.record import UNSAVED, Identity, Kept, Record

LAYOUT_FILE = "genebench-results.json"
"""Name of the file that distinguishes a results folder from any other folder."""

OTHER_FOLDER = "Name another results folder."
"""Remedy for a folder that cannot be written to."""

TEMPORARY_FILES = ".*.tmp"
"""Pattern of the names of temporary files."""

CHECKPOINT_FOLDERS = ".*.work"
"""Pattern of the names of checkpoint folders."""

JOBS_FOLDER = ".jobs"
"""Name of the folder of orders, claims and attempts."""

CLAIMS_SUFFIX = ".claims"
"""End of the names of folders of claims."""

_RECORD_SUFFIX, _VECTORS_SUFFIX = "json", "npz"
_KEPT_SUFFIXES: Mapping[Kept, str] = {
    "predictions": "predictions.npy",
    "model": "model.safetensors",
}
_DIGEST_DIGITS = 16
_SUFFIXES = "|".join(map(re.escape, (_VECTORS_SUFFIX, *_KEPT_SUFFIXES.values())))
_FILE = re.compile(rf"({KEY.pattern})(?:\.[0-9a-f]{{{_DIGEST_DIGITS}}})?\.({_SUFFIXES})")
"""Names of the files beside records: the key and the suffix. Those of layout 1 have no digest."""

SHARED_FILES = re.compile(
    rf"{re.escape(LAYOUT_FILE)}|{KEY.pattern}\.{_RECORD_SUFFIX}|{_FILE.pattern}"
)
"""Names of the files that others may be sent. Annotations are left out: ``verified`` is local to a
folder."""


_FIT = {"method", "params", "seed", "train", "data", "code", "numerics", "members"}
"""Parts of an identity that a fit depends on, besides the code of a plugin's split."""


class ResultPaths:
    """Paths of all files in a results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def layout(self) -> Path:
        """Path of the file that holds the layout's version."""
        return self.root / LAYOUT_FILE

    def keys(self) -> list[str]:
        """Return the keys of all records, done and failed, sorted.

        Raises:
            UserError: the folder cannot be read.
        """
        suffix = f".{_RECORD_SUFFIX}"
        stems = (name.removesuffix(suffix) for name in self._names() if name.endswith(suffix))
        return sorted(stem for stem in stems if KEY.fullmatch(stem))

    def _names(self) -> list[str]:
        """Return the names of all files. There are none without a folder."""
        with user_errors(self.root, OTHER_FOLDER, trouble="cannot be read"):
            try:
                return retried(lambda: [path.name for path in self.root.iterdir()])
            except (FileNotFoundError, NotADirectoryError):
                return []

    def record(self, key: str) -> Path:
        """Return the path of a record."""
        return self.root / f"{key}.{_RECORD_SUFFIX}"

    def vectors(self, record: Record) -> Path:
        """Return the path of a record's vectors."""
        return self._existing(record.key, record.vectors, _VECTORS_SUFFIX)

    def kept(self, record: Record, kind: Kept) -> Path:
        """Return the path of a record's kept predictions, or of its model."""
        digest = record.predictions if kind == "predictions" else record.model
        return self._existing(record.key, digest, _KEPT_SUFFIXES[kind])

    def new(self, key: str, digest: str, kind: Kept | None = None) -> Path:
        """Return the path to write vectors to, or a kept file.

        Args:
            key: key of the record.
            digest: SHA-256 digest of the content, in hexadecimal.
            kind: the kind of file. None means vectors.
        """
        suffix = _KEPT_SUFFIXES[kind] if kind else _VECTORS_SUFFIX
        return self.root / f"{key}.{digest[:_DIGEST_DIGITS]}.{suffix}"

    def copied(self, path: Path, digest: str) -> Path:
        """Return the path here of a file beside a record in another folder, of any layout."""
        key, suffix = path.name.split(".", 1)
        suffix = suffix.removeprefix(f"{digest[:_DIGEST_DIGITS]}.")
        return self.root / f"{key}.{digest[:_DIGEST_DIGITS]}.{suffix}"

    def _existing(self, key: str, digest: str, suffix: str) -> Path:
        """Return the path of a file beside a record, in this layout or the earlier one."""
        earlier = self.root / f"{key}.{suffix}"
        path = self.root / f"{key}.{digest[:_DIGEST_DIGITS]}.{suffix}"
        # The digest may be a stranger's text, and must not lead out of the folder.
        if not _FILE.fullmatch(path.name) or (earlier.exists() and not path.exists()):
            return earlier
        return path

    def annotations(self, key: str) -> Path:
        """Return the path of a record's annotations."""
        return self.root / f"{key}.marks.json"

    def explanation(self, key: str) -> Path:
        """Return the folder of the explanation of a record's model."""
        return self.root / f"{key}.explanation"

    def checkpoints(self, identity: Identity, *, sealed: bool = False) -> Path:
        """Return the folder of the checkpoints of the fit that gives a record.

        All records of one fit share it, so that a job finds its checkpoints when some of its
        records are written. Trials stay apart, as their jobs do, and so do sealed jobs.
        """
        fit = identity.model_dump(include=_FIT)
        # Only the training split. Records of one fit may differ in the splits of their tests.
        fit["splits"] = {
            name: digest
            for name, digest in identity.splits.items()
            if f"by-{name}" in identity.train.split("/") or name == "rows of train"
        }
        return self.root / f".{key_of([fit, identity.is_trial, sealed])}.work"

    @property
    def jobs(self) -> Path:
        """Folder of orders, claims and attempts."""
        return self.root / JOBS_FOLDER

    def order(self, key: str) -> Path:
        """Return the path of a job's order."""
        return self.jobs / f"{key}.order.json"

    def claims(self, key: str) -> Path:
        """Return the folder of the claims to a key. Their names are their generations."""
        return self.jobs / f"{key}{CLAIMS_SUFFIX}"

    def attempts(self, key: str) -> Path:
        """Return the path of a job's attempts."""
        return self.jobs / f"{key}.attempts"

    def digests(self, record: Record) -> dict[Path, str]:
        """Return the files beside a record, with the SHA-256 digest that the record has of each."""
        digests = {self.vectors(record): record.vectors} if record.vectors else {}
        kept: dict[Kept, str] = {"predictions": record.predictions, "model": record.model}
        for kind, digest in kept.items():
            if digest not in ("", UNSAVED):
                digests[self.kept(record, kind)] = digest
        return digests

    def files(self, record: Record) -> list[Path]:
        """Return all files of a record without its annotations. The record itself is last."""
        return [*self.digests(record), self.record(record.key)]

    def crowded(self) -> Iterator[tuple[str, list[Path]]]:
        """Yield each key that may have files of a record that was replaced, with all its files.

        Such a key has two files of one kind, or a kept file, which the new record may lack.
        """
        files: defaultdict[str, list[str]] = defaultdict(list)
        kinds: defaultdict[str, list[str]] = defaultdict(list)
        for name in self._names():
            if match := _FILE.fullmatch(name):
                files[match[1]].append(name)
                kinds[match[1]].append(match[2])
        for key, names in files.items():
            if kinds[key] != [_VECTORS_SUFFIX]:
                yield key, [self.root / name for name in names]
