"""Runs of folds as one row of a board: pooled as reports do, with the folds' own pages kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from genebench.analysis.folds import pooled
from genebench.leaderboard.boards import joined
from genebench.leaderboard.reading import Run
from genebench.leaderboard.vectors import VectorSummary, profiles_digest
from genebench.results.record import Record
from genebench.results.vectors import Vectors

Shown = Mapping[str, tuple[Run, VectorSummary]]
"""Key → the run, and the summary of its vectors."""


def with_folds_pooled(shown: Shown) -> dict[str, tuple[Run, VectorSummary]]:
    """Return the runs, with one more for all folds of each method, seed and set of parameters.

    The runs of single folds stay, and are marked, because each has a page of its own.
    """

    def vectors_of(record: Record) -> Vectors:
        return {**shown[record.key][1].evidence}

    whole = pooled((run.record for run, _ in shown.values()), vectors_of)
    result = dict(shown)
    for record in whole.records:
        if record.key not in whole.members:
            continue
        folds = [shown[member.key][0] for member in whole.members[record.key]]
        for run in folds:
            result[run.key] = (replace(run, is_pooled=True), shown[run.key][1])
        evidence = whole.vectors_of(record)
        summary = VectorSummary(evidence=evidence, test_profiles=profiles_digest(evidence))
        marks = tuple(joined(run.marks for run in folds))
        result[record.key] = (Run(record, folds[0].folder, marks, tuple(folds)), summary)
    return result
