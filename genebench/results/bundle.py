"""Bundles: records, their files and a manifest in one zip file, to be checked by somebody else.

A bundle may come from a stranger, so nothing in it is trusted. Names must be those of a results
folder. Entries must be regular files with the digest that the manifest gives.
"""

from __future__ import annotations

import hashlib
import shutil
import stat
import tempfile
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from genebench._util.files import DISK_FULL, atomic_write, full_disk, open_regular, sha256_of
from genebench._util.schema import first_fault
from genebench.errors import UserError, describe, some
from genebench.hookspecs import DISTRIBUTION
from genebench.results.limits import LINE_LETTERS, cut
from genebench.results.paths import SHARED_FILES
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.results.untrusted import open_zip

BUNDLE_FORMAT: Literal[1] = 1
_MANIFEST = "manifest.json"

_MANIFEST_BYTES = 16 << 20
"""Bytes of a manifest that are read: room for the names and digests of 100,000 files."""

_UNPACKING_RATIO = 100
"""Largest ratio of unpacked to packed size. Zip bombs reach 1,000, real bundles stay under 20."""

_SMALL_BYTES = 64 << 20
"""Bytes that any bundle may unpack to, whatever the ratio."""

_ANOTHER_COPY = "Ask its sender for another copy."

SENDER_LETTERS = 200
"""Largest length of a text about the sender: each is shown on one line."""

Text = Annotated[str, Field(max_length=SENDER_LETTERS)]


class Manifest(BaseModel):
    """The sender and the files of a bundle."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format: Literal[1] = Field(description="version of the layout of bundles")
    name: Text = Field(description="name of the sender")
    contact: Text = Field(description="address of the sender")
    licence: Text = Field(description="licence of the results, empty if none is named")
    created: Text = Field(description="time when the bundle was made, UTC, ISO 8601")
    genebench: Text = Field(description="version of genebench that made the bundle")
    files: dict[Text, Text] = Field(description="name of every other file → its sha256")


def write_bundle(
    out: Path, store: ResultsStore, records: Iterable[Record], sender: Mapping[str, str]
) -> Manifest:
    """Write records with all of their files, and the sender, to a zip file.

    The file is complete, or is not there at all.

    Args:
        out: the file to write.
        store: the folder that holds the records.
        records: records to send.
        sender: ``name``, ``contact`` and ``licence``.

    Raises:
        UserError: the disk is full, or there is no such folder.
    """
    paths = [path for record in records for path in store.paths.files(record)]
    manifest = Manifest(
        format=BUNDLE_FORMAT,
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        genebench=metadata.version(DISTRIBUTION),
        files={path.name: sha256_of(path) for path in (store.paths.layout, *paths)},
        **sender,
    )
    with full_disk(out, "Name another file with --out."):
        if not out.parent.is_dir():
            raise UserError(f"{out}: there is no folder {out.parent}. Make it first.")
        # The manifest comes first, so that a reader can stop before it unpacks anything else.
        with atomic_write(out) as stream, zipfile.ZipFile(stream, "w") as archive:
            archive.writestr(_entry(_MANIFEST), manifest.model_dump_json(indent=1))
            for name in manifest.files:
                with (
                    (store.root / name).open("rb") as source,
                    # Predictions of many profiles can exceed the limit of a plain zip entry.
                    archive.open(_entry(name), "w", force_zip64=True) as target,
                ):
                    shutil.copyfileobj(source, target)
    return manifest


@contextmanager
def opened(path: Path) -> Iterator[tuple[Manifest, ResultsStore]]:
    """Provide a bundle's manifest, and its records in a temporary folder.

    Raises:
        UserError: the file is no bundle, was changed, or holds an entry that no bundle has.
    """
    with tempfile.TemporaryDirectory(prefix="genebench-bundle-") as folder:
        with (
            full_disk(Path(folder), "Set TMPDIR to a larger place."),
            _damage(path),
            open_regular(path) as stream,
            open_zip(stream) as archive,
        ):
            manifest = _unpack(path, archive, Path(folder))
        yield manifest, ResultsStore(Path(folder))


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Turn every exception that a damaged zip file may raise into a UserError."""
    try:
        yield
    except UserError:
        raise
    except OSError as error:
        if error.errno in DISK_FULL:
            raise  # the place of the unpacked files is full
        raise UserError(
            f"{path}: cannot be read ({error.strerror or error}). Check the path."
        ) from error
    except Exception as error:
        reason = cut(describe(error), LINE_LETTERS)
        raise UserError(
            f"{path}: not a bundle that can be read ({reason}). {_ANOTHER_COPY}"
        ) from error


def _unpack(path: Path, archive: zipfile.ZipFile, folder: Path) -> Manifest:
    """Check the entries of a bundle, unpack its files, and return its manifest."""
    entries = archive.infolist()
    # The order matters: no byte is unpacked before the sizes and names of all entries are checked.
    _check_entries(path, entries)
    with archive.open(_MANIFEST) as stream:
        content = stream.read(_MANIFEST_BYTES + 1)
    if len(content) > _MANIFEST_BYTES:
        raise ValueError(f"its {_MANIFEST} has more than {_MANIFEST_BYTES:,} bytes")
    try:
        manifest = Manifest.model_validate_json(content)
    except ValidationError as error:
        raise UserError(
            f"{path}: its {_MANIFEST} cannot be understood ({first_fault(error)}). {_ANOTHER_COPY}"
        ) from error
    names = {entry.filename for entry in entries} - {_MANIFEST}
    if unpaired := names ^ manifest.files.keys():
        raise UserError(
            f"{path}: {some(sorted(unpaired))}: in the bundle or in its manifest, but not in both. "
            f"{_ANOTHER_COPY}"
        )
    for name, digest in manifest.files.items():
        if _extract(archive, name, folder / name) != digest:
            raise UserError(f"{path}: {name} is not the file of the manifest. {_ANOTHER_COPY}")
    return manifest


def _check_entries(path: Path, entries: list[zipfile.ZipInfo]) -> None:
    """Refuse entries with foreign names, links, encryption or rare compression, and zip bombs."""
    names = Counter(entry.filename for entry in entries)
    if _MANIFEST not in names:
        raise UserError(
            f"{path}: not a bundle of genebench results: it has no {_MANIFEST}. Make one with "
            "genebench results submit."
        )
    for entry in entries:
        # The upper 16 bits are the Unix mode, or 0 if the zip file was made elsewhere.
        mode = entry.external_attr >> 16
        regular = not mode or stat.S_IFMT(mode) in (0, stat.S_IFREG)
        allowed = entry.filename == _MANIFEST or SHARED_FILES.fullmatch(entry.filename)
        plain = entry.compress_type in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
        if not (regular and allowed and plain) or names[entry.filename] > 1:
            raise UserError(
                f"{path}: {entry.filename[:80]!r} has no place in a bundle. {_ANOTHER_COPY}"
            )
    size = sum(entry.file_size for entry in entries)
    if size > max(_SMALL_BYTES, _UNPACKING_RATIO * path.stat().st_size):
        raise UserError(
            f"{path}: would unpack to {size:,} bytes, more than any bundle. {_ANOTHER_COPY}"
        )


def _extract(archive: zipfile.ZipFile, name: str, target: Path) -> str:
    """Unpack a file in blocks of 1 MiB, and return its SHA-256 digest.

    zipfile unpacks no more bytes than the entry's declared size, which was checked before.
    """
    digest = hashlib.sha256()
    # "x" refuses to write over an existing file.
    with archive.open(name) as source, target.open("xb") as stream:
        while block := source.read(1 << 20):
            digest.update(block)
            stream.write(block)
    return digest.hexdigest()


def _entry(name: str) -> zipfile.ZipInfo:
    """Return the entry of a file. Only JSON is compressed: other files hardly shrink further."""
    entry = zipfile.ZipInfo(name)
    entry.external_attr = 0o644 << 16
    if name.endswith(".json"):
        entry.compress_type = zipfile.ZIP_DEFLATED
    return entry
