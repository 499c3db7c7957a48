"""Results of several folders and bundles in one: nothing that is there gets worse, nothing is lost.

Two machines run the same controls and the same deterministic methods, so one key in two folders is
the rule. Their scores say whether it is one result; times and hosts of course differ.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from genebench._util.files import sha256_of
from genebench.errors import UserError
from genebench.results.annotations import Submitted
from genebench.results.bundle import opened
from genebench.results.checks import differences
from genebench.results.record import Record
from genebench.results.store import MARK, UNSAVED, ResultsStore


@dataclass
class Merged:
    """What became of every record of the sources."""

    added: list[str] = field(default_factory=list)
    """Keys that were new."""
    same: list[str] = field(default_factory=list)
    """Keys whose result was there already."""
    replaced: list[str] = field(default_factory=list)
    """One line for each record that gave way to one that holds more."""
    refused: list[str] = field(default_factory=list)
    """One line for each record that is in conflict, or unsound, with the remedy."""


def merge(sources: Iterable[Path], results: Path) -> Merged:
    """Take the records of result folders and bundles into a folder; again is no different.

    Raises:
        UserError: a source, or the destination, is something else; nothing was merged then.
    """
    paths = list(sources)
    destination = ResultsStore(results)
    for path in paths:
        _check(path)
    destination.prepare()
    merged = Merged()
    for path in paths:
        with _source(path) as (store, submitted):
            _merge(store, destination, submitted, str(path), merged)
    return merged


def label(record: Record) -> str:
    """What to call a record in messages."""
    identity = record.identity
    return (
        f"{identity.method} seed {identity.seed} on {record.dataset} under {identity.protocol} "
        f"({record.key})"
    )


def _check(path: Path) -> None:
    if path.is_file():
        with opened(path):
            return
    if not (path / MARK).is_file():
        raise UserError(f"{path}: neither a results folder nor a bundle; nothing was merged")
    ResultsStore(path).check()


@contextmanager
def _source(path: Path) -> Iterator[tuple[ResultsStore, Submitted | None]]:
    """A source as a folder, and who submitted it if it is a bundle."""
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
    records, faults = source.sound(thorough=True)
    merged.refused += [fault.line for fault in faults]
    for record in records:
        try:
            _take(source, destination, record, name, merged)
        except UserError as error:
            merged.refused.append(str(error))
            continue
        # What was there before the bundle came is this folder's own.
        if submitted and record.key in merged.added:
            destination.mark(record.key, submitted=submitted.model_dump())


def _take(
    source: ResultsStore, destination: ResultsStore, record: Record, name: str, merged: Merged
) -> None:
    key, ours = record.key, destination.read(record.key)
    if ours is None:
        destination.take(source, record)
        merged.added.append(key)
        return
    if fault := next(iter(destination.verify(ours)), None):
        raise UserError(
            f"{destination.root}: {label(ours)}: {fault}; remove {key}.json there and merge again"
        )
    if ours.status == record.status == "done" and (
        difference := next(differences(ours, record), None)
    ):
        raise UserError(
            f"conflict: {label(record)}: {difference}, in {name}; run it again, and remove "
            f"{key}.json from the folder that is wrong"
        )
    if reason := _gain(ours, record):
        destination.take(source, record)
        merged.replaced.append(f"{label(record)}: {reason}")
    else:
        merged.same.append(key)


def _gain(ours: Record, theirs: Record) -> str:
    """Why their record is better to have than ours; empty when it is not."""
    if theirs.status != ours.status:
        return "done replaces failed" if theirs.status == "done" else ""
    have, offered = _holdings(ours), _holdings(theirs)
    return f"also holds {', '.join(sorted(offered - have))}" if offered > have else ""


def _holdings(record: Record) -> set[str]:
    kept = {"predictions": record.predictions, "a model": record.model}
    return {*record.scores, *(what for what, digest in kept.items() if digest not in ("", UNSAVED))}
