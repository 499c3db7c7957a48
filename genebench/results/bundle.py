"""Bundles: records with their files and a manifest in one zip, for somebody else to check.

A bundle may come from a stranger. Nothing of it is trusted: only names that a results folder has
are accepted, and only regular files of the size and the digest that the manifest says.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import stat
import struct
import tempfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genebench._util.files import atomic_write, full_disk, sha256_of
from genebench._util.hashing import KEY
from genebench._util.schema import first_fault
from genebench.errors import UserError, some
from genebench.results.record import Record
from genebench.results.store import MARK, ResultsStore

BUNDLE_FORMAT: Literal[1] = 1
_MANIFEST = "manifest.json"
_MOST_MANIFEST = 16 << 20
_MOST_RATIO = 100
"""How many times its own size a bundle may unpack to; real ones stay under 20."""
_FREE = 64 << 20
"""Bytes that any bundle may unpack to."""
_NAME = re.compile(
    rf"{re.escape(MARK)}|{KEY.pattern}\.(json|npz|predictions\.npy|model\.safetensors)"
)
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError
)  # fmt: skip
"""What zipfile raises of files that are damaged, encrypted, or none."""

_REMEDY = "ask its sender for another copy"

Text = Annotated[str, Field(max_length=200)]


class Manifest(BaseModel):
    """Who submits what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = Field(description="version of the layout of bundles")
    name: Text = Field(description="who submits")
    contact: Text = Field(description="how to reach them")
    licence: Text = Field(description="licence of the results; empty when none is named")
    created: Text = Field(description="when the bundle was made, UTC, ISO 8601")
    genebench: Text = Field(description="version of genebench that made the bundle")
    files: dict[str, str] = Field(description="name of every other file → its sha256")


def write_bundle(
    out: Path, store: ResultsStore, records: Iterable[Record], sender: Mapping[str, str]
) -> Manifest:
    """Write records with all of their files, and who sends them, to a zip; whole or not at all.

    Args:
        out: the bundle to be.
        store: where the records are.
        records: what to send.
        sender: ``name``, ``contact`` and ``licence``.

    Raises:
        UserError: there is no place to write.
    """
    paths = [path for record in records for path in store.paths(record)]
    manifest = Manifest(
        format=BUNDLE_FORMAT,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        genebench=metadata.version("genebench"),
        files={path.name: sha256_of(path) for path in (store.root / MARK, *paths)},
        **sender,
    )
    with full_disk(out, "name another file with --out"):
        if not out.parent.is_dir():
            raise UserError(f"{out}: there is no folder {out.parent}; make it first")
        with atomic_write(out) as stream, zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(_entry(_MANIFEST), manifest.model_dump_json(indent=1))
            for name in manifest.files:
                with (
                    (store.root / name).open("rb") as source,
                    archive.open(_entry(name), "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(source, target)
    return manifest


@contextmanager
def opened(path: Path) -> Iterator[tuple[Manifest, ResultsStore]]:
    """A bundle's manifest, and its records in a temporary folder.

    Raises:
        UserError: it is no bundle, was changed, or holds what no bundle has.
    """
    with tempfile.TemporaryDirectory(prefix="genebench-bundle-") as folder:
        with (
            full_disk(Path(folder), "set TMPDIR to a larger place"),
            _damage(path),
            zipfile.ZipFile(path) as archive,
        ):
            manifest = _unpack(path, archive, Path(folder))
        yield manifest, ResultsStore(Path(folder))


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Everything that reading a damaged zip may raise, as one line."""
    try:
        yield
    except _UNREADABLE as error:
        raise UserError(f"{path}: not a bundle that can be read ({error}); {_REMEDY}") from error
    except (FileNotFoundError, PermissionError, IsADirectoryError) as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from error


def _unpack(path: Path, archive: zipfile.ZipFile, folder: Path) -> Manifest:
    entries = archive.infolist()
    _check_entries(path, entries)
    manifest = _manifest(path, archive)
    names = {entry.filename for entry in entries} - {_MANIFEST}
    if odd := names ^ manifest.files.keys():
        raise UserError(
            f"{path}: {some(sorted(odd))}: in the bundle or in its manifest, but not in both; "
            f"{_REMEDY}"
        )
    for name, digest in manifest.files.items():
        if _extract(archive, name, folder / name) != digest:
            raise UserError(f"{path}: {name} is not what the manifest says; {_REMEDY}")
    return manifest


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    names = Counter(entry.filename for entry in entries)
    if _MANIFEST not in names:
        raise UserError(f"{path}: not a bundle of genebench results: it has no {_MANIFEST}")
    for entry in entries:
        mode = entry.external_attr >> 16
        regular = not mode or stat.S_IFMT(mode) in (0, stat.S_IFREG)
        known = entry.filename == _MANIFEST or _NAME.fullmatch(entry.filename)
        plain = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if not (regular and known and plain) or names[entry.filename] > 1:
            raise UserError(f"{path}: {entry.filename[:80]!r} has no place in a bundle; refused")
    size = sum(entry.file_size for entry in entries)
    if size > max(_FREE, _MOST_RATIO * path.stat().st_size):
        raise UserError(f"{path}: would unpack to {size:,} bytes; no bundle does; refused")


def _manifest(path: Path, archive: zipfile.ZipFile) -> Manifest:
    with archive.open(_MANIFEST) as stream:
        content = stream.read(_MOST_MANIFEST)
    try:
        return Manifest.model_validate_json(content)
    except ValidationError as error:
        raise UserError(
            f"{path}: its {_MANIFEST} cannot be understood ({first_fault(error)}); {_REMEDY}"
        ) from error


def _extract(archive: zipfile.ZipFile, name: str, target: Path) -> str:
    """Unpack a file, never more of it than it says; return its digest."""
    digest = hashlib.sha256()
    with archive.open(name) as source, target.open("xb") as stream:
        while block := source.read(1 << 20):
            digest.update(block)
            stream.write(block)
    return digest.hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    """Texts are packed; vectors and models are packed already, or hardly can be."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    if name.endswith(".json"):
        entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
