"""Merging results of several folders and bundles into one folder. No record is lost or gets worse.

Two machines run the same controls and the same deterministic methods, so the same key in two
folders is common. Equal scores show that it is one result. Times and hosts may differ.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from genebench._util.files import (
    atomic_write,
    make_readable,
    sha256_of,
    temporary_file,
    user_errors,
)
from genebench.errors import UserError
from genebench.results.annotations import Submitted
from genebench.results.bundle import opened
from genebench.results.checks import differences, verify
from genebench.results.limits import RECORD_BYTES
from genebench.results.paths import OTHER_FOLDER, ResultPaths
from genebench.results.record import UNSAVED, Record
from genebench.results.store import ResultsStore
from genebench.results.untrusted import as_user_error, read_file


@dataclass
class Merged:
    """The outcome of a merge, for every record of the sources."""

    added: list[str] = field(default_factory=list)
    """Keys that were new."""
    same: list[str] = field(default_factory=list)
    """Keys whose result was there already."""
    replaced: list[str] = field(default_factory=list)
    """One line for each record that was replaced by one that holds more."""
    kept: list[str] = field(default_factory=list)
    """One line for each record that was kept, although a submitted one holds more."""
    refused: list[str] = field(default_factory=list)
    """One line for each record that is in conflict, or unsound, with the remedy."""


def merge(sources: Iterable[Path], results: Path) -> Merged:
    """Copy the records of result folders and bundles into a folder. A second merge adds nothing.

    Raises:
        UserError: a source, or the destination, is something else. Nothing was merged then.
    """
    paths = list(sources)
    destination = ResultsStore(results)
    # All sources are checked first, so that a typing error in the last one leaves no half merge.
    for path in paths:
        if path.is_file():
            with opened(path):
                continue
        if not ResultPaths(path).layout.is_file():
            raise UserError(
                f"{path}: neither a results folder nor a bundle, so nothing was merged. Check the "
                "path."
            )
        ResultsStore(path).check()
    destination.prepare()
    merged = Merged()
    for path in paths:
        with _opened_source(path) as (source, submitted):
            _merge(source, destination, submitted, str(path), merged)
    return merged


@contextmanager
def _opened_source(path: Path) -> Iterator[tuple[ResultsStore, Submitted | None]]:
    """Provide a source as a folder, and the sender if it is a bundle."""
    if not path.is_file():
        yield ResultsStore(path), None
        return
    with opened(path) as (manifest, store):
        yield (
            store,
            Submitted(
                name=manifest.name,
                contact=manifest.contact,
                licence=manifest.licence,
                created=manifest.created,
                bundle=sha256_of(path),
            ),
        )


def _merge(
    source: ResultsStore,
    destination: ResultsStore,
    submitted: Submitted | None,
    name: str,
    merged: Merged,
) -> None:
    """Merge one source, called ``name`` in messages, and note the outcome in ``merged``."""
    records, faults = source.sound(thorough=True)
    merged.refused += [fault.line for fault in faults]
    for record in records:
        # A folder may hold records that came in a bundle, too.
        sender = submitted or source.annotations.read(record.key).submitted
        try:
            _merge_record(source, destination, record, merged, sender=sender, name=name)
        except UserError as error:
            merged.refused.append(str(error))


def _merge_record(
    source: ResultsStore,
    destination: ResultsStore,
    theirs: Record,
    merged: Merged,
    *,
    sender: Submitted | None,
    name: str,
) -> None:
    key, ours = theirs.key, destination.read(theirs.key)
    file_name = destination.paths.record(key).name
    if ours is None:
        _copy(source, destination, theirs, sender)
        merged.added.append(key)
        return
    # Ours must be sound itself before it can show that theirs is the same result.
    if fault := next(iter(verify(destination.paths, ours)), None):
        raise UserError(
            f"{destination.root}: {_label(ours)}: {fault}. Remove {file_name} there and merge "
            "again."
        )
    if ours.status == theirs.status == "done" and (
        difference := next(differences(ours, theirs), None)
    ):
        raise UserError(
            f"conflict: {_label(theirs)}: {difference}, in {name}. Run it again, and remove "
            f"{file_name} from the folder that is wrong."
        )
    reason = _gain(ours, theirs)
    if reason and sender:
        # Host, times and notes of a stranger are claims, whatever else the record holds.
        merged.kept.append(
            f"{_label(theirs)}: that of {sender.name} in {name} would be taken because "
            f"{reason}, but a submitted record replaces none. Remove {file_name} to take it."
        )
    elif reason:
        _copy(source, destination, theirs, None)
        merged.replaced.append(f"{_label(theirs)}: {reason}")
    else:
        merged.same.append(key)


def _copy(
    source: ResultsStore, destination: ResultsStore, record: Record, sender: Submitted | None
) -> None:
    """Copy a record and its files, marked with its sender.

    All files are copied to temporary names first, and renamed when every copy is whole. Then the
    record takes the place of an earlier one. Each has its own files at any moment.

    Raises:
        UserError: the source changed meanwhile, or the destination cannot be written to.
    """
    key, paths = record.key, destination.paths
    with user_errors(destination.root, OTHER_FOLDER), ExitStack() as cleanup:
        copies = {}
        for path, digest in source.paths.digests(record).items():
            copy = cleanup.enter_context(temporary_file(destination.root, f".{key}."))
            shutil.copyfile(path, copy)
            if sha256_of(copy) != digest:
                raise UserError(f"{path}: was changed while it was read. Merge again.")
            copies[copy] = paths.copied(path, digest)
        document = _unchanged(source.paths.record(key), record)
        for copy, path in copies.items():
            make_readable(copy)
            copy.replace(path)
        # A submitted record must never be here without its sender. So the sender comes before it,
        # and goes after it was replaced by a record of ours.
        if sender:
            # "verified" stays behind: it describes the dataset and predictions of the other folder.
            paths.annotations(key).unlink(missing_ok=True)
            destination.annotations.add(key, submitted=sender)
        with atomic_write(paths.record(key)) as stream:
            stream.write(document)
        if not sender:
            paths.annotations(key).unlink(missing_ok=True)


def _unchanged(path: Path, record: Record) -> bytes:
    """Return the text of a record's file.

    Raises:
        UserError: the file holds another record by now, or none.
    """
    try:
        with as_user_error(path, "cannot be read", "Merge again."):
            document = read_file(path, RECORD_BYTES)
            if Record.model_validate_json(document) == record:
                return document
    except (FileNotFoundError, NotADirectoryError):
        pass
    raise UserError(f"{path}: was changed while it was read. Merge again.")


def _gain(ours: Record, theirs: Record) -> str:
    """Return why their record should replace ours, or nothing if it should not."""
    if theirs.status != ours.status:
        return f"done replaces {ours.status}" if theirs.status == "done" else ""
    # Only a true superset replaces ours: of two records that each hold more, neither is lost.
    have, offered = _contents(ours), _contents(theirs)
    return f"also holds {', '.join(sorted(offered - have))}" if offered > have else ""


def _contents(record: Record) -> set[str]:
    """Return the names of a record's metrics and kept files."""
    kept = {"predictions": record.predictions, "a model": record.model}
    return {*record.scores, *(kind for kind, digest in kept.items() if digest not in ("", UNSAVED))}


def _label(record: Record) -> str:
    identity = record.identity
    return (
        f"{identity.method} seed {identity.seed} on {record.dataset} under {identity.protocol} "
        f"({record.key})"
    )
