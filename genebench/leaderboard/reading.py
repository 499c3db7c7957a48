"""Reading of results folders: the runs that a site shows, and one line for each problem."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from genebench.analysis.seals import could_have_cheated
from genebench.errors import UserError, describe, some
from genebench.results.checks import checksum_faults, differences, key_faults
from genebench.results.record import Provenance, Record
from genebench.results.store import ResultsStore

CHEAT_MARK = "could have cheated"
"""The mark of a run of code that is not of genebench and was not confined."""


@dataclass(frozen=True)
class Run:
    """One record of a results folder.

    Attributes:
        record: the record.
        folder: its results folder.
        marks: its marks, such as ``verified``, and warnings about its code and its seal.
        folds: the runs of its folds, if its record is that of all folds of a protocol.
        is_pooled: True for a run of a fold, which stands on no board by itself.
    """

    record: Record
    folder: Path
    marks: tuple[str, ...] = ()
    folds: tuple[Run, ...] = ()
    is_pooled: bool = False

    @property
    def key(self) -> str:
        """The record's key, which is also the name of its page."""
        return self.record.key

    @property
    def store(self) -> ResultsStore:
        """The results folder as a store."""
        return ResultsStore(self.folder)

    def problem(self, error: Exception) -> str:
        """Return one line about an unforeseen error that keeps the run from being shown."""
        return f"{self.folder}: record {self.key}: cannot be shown ({describe(error)})"

    def limited_to(self, metrics: Collection[str]) -> Run:
        """Return the run with the scores of these metrics alone.

        Thousands of runs are sent to worker processes, and a record may hold a dozen metrics.
        """
        scores = {name: panels for name, panels in self.record.scores.items() if name in metrics}
        record = self.record.model_copy(update={"scores": scores, "metrics": {}})
        folds = tuple(fold.limited_to(metrics) for fold in self.folds)
        return replace(self, record=record, folds=folds)


@dataclass(frozen=True)
class Reading:
    """The content of some results folders.

    Attributes:
        runs: the runs in the order of their keys.
        problems: one line for each record or folder that is not shown.
        trials: number of records that were scored on validation profiles. They stand on no board.
    """

    runs: tuple[Run, ...]
    problems: tuple[str, ...]
    trials: int


def read(folders: Sequence[Path]) -> Reading:
    """Read every sound record of some results folders.

    Raises:
        UserError: there is no sound record.
    """
    by_key: dict[str, Run] = {}
    problems: list[str] = []
    for folder in folders:
        runs, faults = _read_folder(folder)
        problems += faults
        for run in runs:
            earlier = by_key.get(run.key)
            problems += _conflict(earlier, run) if earlier else ()
            by_key[run.key] = _preferred(earlier, run) if earlier else run
    if not by_key:
        nothing = f"{folders[0]}: no results yet. Run a benchmark first."
        raise no_record(some(problems, 1) or nothing)
    runs = [run for _, run in sorted(by_key.items()) if not run.record.identity.is_trial]
    return Reading(tuple(runs), tuple(problems), len(by_key) - len(runs))


def no_record(reason: str) -> UserError:
    """Return the error for results without a record that a board can show."""
    return UserError(f"There is no record to make a board of. {reason}")


def _read_folder(folder: Path) -> tuple[list[Run], list[str]]:
    """Return the runs of a folder, and one line for each problem."""
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
            marks = (
                *store.annotations.read(record.key).names,
                *origin_marks(record.provenance),
                *([CHEAT_MARK] if could_have_cheated(record) else ()),
            )
            runs.append(Run(record, folder, marks))
    return runs, problems


def origin_marks(provenance: Provenance) -> Iterator[str]:
    """Yield warnings about code that is not published."""
    origins = provenance.plugins.values()
    if any(origin.install == "file" for origin in origins):
        yield "local file"
    if any(origin.dirty for origin in origins):
        yield "dirty checkout"


def _preferred(earlier: Run, later: Run) -> Run:
    """Return the run to show of two with the same key.

    It is one that is done, else one that came in no bundle, else the earlier. A mark holds for the
    file that was marked. So the marks of both are merged only if the files are the same to the
    byte.
    """
    # Host, times and notes of a submitted record are claims of its sender. max takes the first.
    kept = max(
        (earlier, later),
        key=lambda run: (run.record.status == "done", "submitted" not in run.marks),
    )
    if earlier.store.digest(earlier.key) != later.store.digest(later.key):
        return kept
    return replace(kept, marks=tuple(dict.fromkeys([*earlier.marks, *later.marks])))


def _conflict(earlier: Run, later: Run) -> Iterator[str]:
    """Yield a problem if two records of one key differ.

    The key covers everything that scores depend on, so their scores should be the same.
    """
    differing = list(differences(earlier.record, later.record))
    if differing:
        yield (
            f"{later.folder}: record {later.key} differs from the one in {earlier.folder}, which "
            f"is shown: {some(differing, 1)}"
        )
