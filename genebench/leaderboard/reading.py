"""What a board is made of: the runs of some results folders, and what is wrong with the others."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from genebench.errors import UserError, describe, some
from genebench.results.checks import checksum_faults, differences, key_faults
from genebench.results.record import Provenance, Record
from genebench.results.store import ResultsStore


@dataclass(frozen=True)
class Run:
    """One record, where it lies, and what marks it has."""

    record: Record
    folder: Path
    marks: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Its key, which is the name of its page."""
        return self.record.key

    @property
    def store(self) -> ResultsStore:
        """The results folder that it is in."""
        return ResultsStore(self.folder)

    def problem(self, error: Exception) -> str:
        """One line for what could not be foreseen, and keeps it from being shown."""
        return f"{self.folder}: record {self.key}: cannot be shown ({describe(error)})"

    def limited_to(self, metrics: Collection[str]) -> Run:
        """The same with scores in these metrics alone: thousands of them go to other processes."""
        scores = {name: found for name, found in self.record.scores.items() if name in metrics}
        record = self.record.model_copy(update={"scores": scores, "metrics": {}})
        return replace(self, record=record)


@dataclass(frozen=True)
class Reading:
    """Runs in the order of their keys, and one line for everything that is not shown."""

    runs: tuple[Run, ...]
    problems: tuple[str, ...]
    trials: int
    """Records that were scored on validation profiles: they stand on no board."""


def read(folders: Sequence[Path]) -> Reading:
    """Read every record that can be read.

    Raises:
        UserError: there is no record to show at all.
    """
    found: dict[str, Run] = {}
    problems: list[str] = []
    for folder in folders:
        runs, faults = _read_folder(folder)
        problems += faults
        for run in runs:
            known = found.get(run.key)
            problems += _conflict(known, run) if known else ()
            found[run.key] = _preferred(known, run) if known else run
    if not found:
        first = problems[0] if problems else f"{folders[0]}: no results yet; run some"
        raise UserError(f"nothing to make a board of: {first}")
    runs = [run for _, run in sorted(found.items()) if not run.record.identity.is_trial]
    return Reading(tuple(runs), tuple(problems), len(found) - len(runs))


def _read_folder(folder: Path) -> tuple[list[Run], list[str]]:
    """Its runs, and what is wrong with it or with some of its records."""
    store = ResultsStore(folder)
    try:
        records, faults = store.sound()
    except UserError as error:
        return [], [str(error)]
    problems = [fault.line for fault in faults]
    runs = []
    for record in records:
        document = store.written(record.key)
        fault = next(chain(key_faults(document), checksum_faults(document)), "")
        if fault:
            problems.append(f"{folder}: record {record.key}: {fault}")
        else:
            marks = (*store.annotations.read(record.key).names, *origin_marks(record.provenance))
            runs.append(Run(record, folder, marks))
    return runs, problems


def origin_marks(provenance: Provenance) -> Iterator[str]:
    """What a reader should know of where the code came from."""
    origins = provenance.plugins.values()
    if any(origin.install == "file" for origin in origins):
        yield "local file"
    if any(origin.dirty for origin in origins):
        yield "dirty checkout"


def _preferred(known: Run, other: Run) -> Run:
    """Of two records of one key the one that is done, else the first.

    A mark speaks for the file that it was given to: those of both hold only where the files are
    the same to the byte.
    """
    later = known.record.status == "failed" and other.record.status == "done"
    kept = other if later else known
    if known.store.digest(known.key) != other.store.digest(other.key):
        return kept
    return replace(kept, marks=tuple(dict.fromkeys([*known.marks, *other.marks])))


def _conflict(known: Run, other: Run) -> Iterator[str]:
    """Two records of one key should have the same scores: it covers all that they depend on."""
    differing = list(differences(known.record, other.record))
    if differing:
        yield (
            f"{other.folder}: record {other.key} differs from that of {known.folder}, which is "
            f"the one shown: {some(differing, 1)}"
        )
