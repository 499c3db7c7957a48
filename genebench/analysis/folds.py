"""Results of a protocol with folds as one: means over its folds, and what tests need.

:func:`pooled` replaces the records of single folds by one for each method, seed and set of
parameters. It has the name of the whole protocol, means of all scores over the folds, and vectors
of all test profiles. So reports, ranks and comparisons treat it as any other record. A method some
of whose folds failed, or were not run, has no mean: its record is one of a failure, which says so.

Reasons for the weights, and for the unit of tests, are in ``docs/explanation/statistics.md``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench._util.hashing import key_of
from genebench.analysis.seals import LEVELS
from genebench.analysis.vectors import VectorsOf
from genebench.errors import counted, some
from genebench.results.filters import Names
from genebench.results.panels import (
    GENE_METRIC,
    PROFILE_GROUP,
    PROFILE_METRIC,
    PROFILE_SHARE,
    share_name,
)
from genebench.results.record import ALL_FOLDS, Failure, Identity, Record, Score
from genebench.results.vectors import Vectors

PROFILE_FOLD = "profile.fold"
"""Name of the vector with the fold that each test profile of a pooled record is tested in."""

FOLD_OVERLAP = "fold.overlap"
"""Name of the vector with one number: the mean over folds of the number of test profiles, divided
by that of training profiles."""

FOLD_OF_PART = re.compile(r"/fold-[a-z0-9-]+")
INCOMPLETE = "IncompleteFolds"
"""Kind of the failure of a method without results for all folds."""


@dataclass(frozen=True)
class Pooled:
    """Records, with those of folds pooled.

    Attributes:
        records: the records, in the order of the first fold of each.
        vectors_of: returns the vectors of each of these records.
        members: key of a pooled record → the records of its folds, by the order of their labels.
    """

    records: tuple[Record, ...]
    vectors_of: VectorsOf
    members: Mapping[str, tuple[Record, ...]] = field(default_factory=dict)


def pooled(records: Iterable[Record], vectors_of: VectorsOf, named: Names = None) -> Pooled:
    """Pool the records of folds. Records of other protocols, and trials, stay as they are.

    Args:
        records: records of any protocols.
        vectors_of: returns the vectors of a record.
        named: names of protocols that the user asked for. A fold among them stays as it is.
    """
    names = named.split(",") if isinstance(named, str) else named or ()
    single = {name.strip() for name in names}

    def is_alone(identity: Identity) -> bool:
        return not identity.fold or identity.is_trial or identity.protocol in single

    groups: dict[str, list[Record]] = {}
    for record in records:
        key = record.key if is_alone(record.identity) else _family_key(record)
        groups.setdefault(key, []).append(record)
    members: dict[str, tuple[Record, ...]] = {}
    result = []
    for group in groups.values():
        if is_alone(group[0].identity):
            result += group
            continue
        folds = tuple(sorted(group, key=lambda record: natural(record.identity.fold)))
        record = _pool(folds)
        members[record.key] = folds
        result.append(record)

    def vectors(record: Record) -> Vectors:
        if record.key not in members:
            return vectors_of(record)
        return _vectors(members[record.key], vectors_of) if record.status == "done" else {}

    return Pooled(tuple(result), vectors, members)


def fold_table(records: Iterable[Record]) -> pd.DataFrame:
    """Return one row per fold, method, seed, panel and metric of protocols with folds.

    Columns: dataset, data, protocol, fold, method, preset, seed, status, train, test (numbers of
    profiles), panel, metric, mean and key. A fold that is not done has one row, without panel,
    metric and mean.
    """
    rows: list[dict[str, object]] = []
    for record in records:
        identity = record.identity
        if not identity.fold or identity.is_trial:
            continue
        common = {
            "dataset": record.dataset, "data": identity.data, "protocol": identity.family,
            "fold": identity.fold, "method": identity.method, "preset": record.preset,
            "seed": identity.seed, "status": record.status, "train": record.profiles["train"],
            "test": record.profiles["test"], "key": record.key,
        }  # fmt: skip
        scores = [
            {"panel": panel, "metric": metric, "mean": score.mean}
            for metric, panels in record.scores.items()
            for panel, score in panels.items()
        ]
        rows += [common | score for score in scores or [{"panel": "", "metric": ""}]]
    columns = ("dataset", "data", "protocol", "fold", "method", "preset", "seed", "status",
               "train", "test", "panel", "metric", "mean", "key")  # fmt: skip
    return pd.DataFrame(rows, columns=list(columns))


def natural(label: str) -> tuple[int, str]:
    """Return a key that sorts numbers by size, and other labels by the alphabet."""
    return (int(label), "") if label.isdecimal() else (0, label)


def _family_key(record: Record) -> str:
    """Return a hash of everything that the folds of one result have in common."""
    return key_of([record.dataset, record.preset, _of_all_folds(record.identity).model_dump()])


def _of_all_folds(identity: Identity) -> Identity:
    """Return the identity of a protocol as a whole, from that of one of its folds.

    Members are other models in each fold, so their keys and variants are left out.
    """
    parts = {
        name: FOLD_OF_PART.sub("/all-folds", getattr(identity, name))
        for name in ("train", "validation", "test")
    }
    members = {
        name: member.model_copy(update={"key": "", "variant": ""})
        for name, member in identity.members.items()
    }
    splits = {**identity.plugin_splits, ALL_FOLDS: identity.splits[ALL_FOLDS]}
    update = {**parts, "protocol": identity.family, "splits": splits, "members": members}
    return identity.model_copy(update=update)


def _pool(folds: Sequence[Record]) -> Record:
    """Return the record of all folds: means, or a failure if a fold is missing."""
    first, identity = folds[0], _of_all_folds(folds[0].identity)
    expected = identity.folds[1]
    done = [record for record in folds if record.status == "done"]
    complete = len(done) == expected == len(folds)
    reasons = {record.reason for record in folds}
    not_applicable = not complete and all(reasons)
    weakest = max(folds, key=lambda record: LEVELS.index(record.seal.level))
    profiles = {
        "train": round(fmean(record.profiles["train"] for record in folds)),
        "validation": round(fmean(record.profiles["validation"] for record in folds)),
        "test": sum(record.profiles["test"] for record in folds),
    }
    update: dict[str, Any] = {
        "key": key_of([first.dataset, first.preset, identity.model_dump()]),
        "identity": identity,
        "status": "done" if complete else "not applicable" if not_applicable else "failed",
        "profiles": profiles,
        "choices": {
            name: value
            for name, value in first.choices.items()
            if all(record.choices.get(name) == value for record in folds)
        },
        "notes": tuple(
            note for note in first.notes if all(note in record.notes for record in folds)
        ),
        "curves": {}, "vectors": "", "predictions": "", "model": "", "shared_fit": (),
        "scores": _mean_scores(done) if complete else {},
        "metrics": {
            metric: digest if all(r.metrics.get(metric) == digest for r in folds) else "several"
            for metric, digest in first.metrics.items()
        },
        "constant_truth": max(record.constant_truth for record in folds),
        "constant_prediction": max(record.constant_prediction for record in folds),
        "seconds": {
            phase: sum(record.seconds.get(phase, 0.0) for record in folds)
            for phase in dict.fromkeys(phase for record in folds for phase in record.seconds)
        },
        "peak_memory": max(record.peak_memory for record in folds),
        "failure": None,
        "reason": " ".join(sorted(reasons)) if not_applicable else "",
        "seal": weakest.seal,
        "published_data": False,
        "checksum": "",
    }  # fmt: skip
    if update["status"] == "failed":
        update["failure"] = Failure(
            kind=INCOMPLETE, message=_missing(folds, expected), traceback=""
        )
    return first.model_copy(update=update)


def _missing(folds: Sequence[Record], expected: int) -> str:
    """Return which folds of a method are done, failed, not applicable, or not run."""
    of = {
        status: [record for record in folds if record.status == status]
        for status in ("done", "failed", "not applicable")
    }
    parts = [f"{len(of['done'])} of {counted(expected, 'fold')} done"]
    if failed := of["failed"]:
        why = failed[0].failure
        named = some([record.identity.fold for record in failed], 5)
        parts.append(
            f"{len(failed)} failed ({named}{f', {why.kind}: {why.message}' if why else ''})"
        )
    if apart := of["not applicable"]:
        named = some([record.identity.fold for record in apart], 5)
        parts.append(f"{len(apart)} not applicable ({named}: {apart[0].reason})")
    if left := expected - len(folds):
        parts.append(f"{left} not run")
    return ", ".join(parts)


def _mean_scores(folds: Sequence[Record]) -> dict[str, dict[str, Score]]:
    """Return metric → panel → the mean over folds, for all that every fold has."""
    return {
        metric: {
            panel: Score(
                mean=fmean(record.scores[metric][panel].mean for record in folds),
                std=fmean(record.scores[metric][panel].std for record in folds),
                genes=folds[0].scores[metric][panel].genes,
            )
            for panel in panels
            if all(panel in record.scores[metric] for record in folds)
        }
        for metric, panels in folds[0].scores.items()
        if all(metric in record.scores for record in folds)
    }


def _vectors(folds: Sequence[Record], vectors_of: VectorsOf) -> Vectors:
    """Return the vectors of all folds, or none if those of a fold cannot be read.

    Genes have means over folds. Profiles follow each other, fold by fold. A share is weighted by
    ``N / (F n)``, for N test profiles of F folds and n of its fold. So the mean of all shares is
    the mean over folds, in which each fold counts the same.
    """
    each = [vectors_of(record) for record in folds]
    if not all(each) or any("profile.id" not in vectors for vectors in each):
        return {}
    counts = [len(vectors["profile.id"]) for vectors in each]
    weights = np.repeat([sum(counts) / (len(counts) * count) for count in counts], counts)
    found: dict[str, NDArray[Any]] = {
        name: each[0][name] for name in ("gene.id", "gene.twin") if name in each[0]
    }
    common = [name for name in each[0] if all(name in vectors for vectors in each)]
    for name in common:
        values = [vectors[name] for vectors in each]
        if name.startswith(GENE_METRIC):
            found[name] = np.mean(values, axis=0)
        elif name.startswith(PROFILE_SHARE):
            found[name] = np.concatenate(values) * weights
        elif name.startswith(PROFILE_METRIC):
            found[name] = np.concatenate(values)
            # Its mean over profiles would give large folds more weight.
            found[share_name(name.removeprefix(PROFILE_METRIC), "all")] = found[name] * weights
        elif name.startswith("profile."):
            found[name] = np.concatenate(values)
    labels = [record.identity.fold for record in folds]
    found[PROFILE_FOLD] = np.repeat(labels, counts)
    kind = folds[0].identity.folds[0]
    if kind == "leave-one-out":
        found[PROFILE_GROUP] = found[PROFILE_FOLD]
    if kind == "repeat":
        # A profile is tested in several repeats. All its results are one unit.
        found.setdefault(PROFILE_GROUP, found["profile.id"])
    found[FOLD_OVERLAP] = np.array(
        [fmean(record.profiles["test"] / record.profiles["train"] for record in folds)]
    )
    return found


def described(identity: Identity) -> Iterator[str]:
    """Yield what the scores of a pooled record are means over, and how they are tested."""
    kind, number = identity.folds
    if not number or identity.fold:
        return
    units = {
        "k-fold": "over the profiles of all folds, in their groups",
        "leave-one-out": "over the groups that were left out, each of equal weight",
        "repeat": "over profiles, each with the results of all repeats as one unit",
    }.get(kind, "over profiles")
    yield (
        f"means over {number} {'repeats' if kind == 'repeat' else 'folds'}. Their models share "
        f"training profiles. So a difference must pass two tests: the wild bootstrap {units}, and "
        "the corrected resampled t test over folds (Nadeau & Bengio 2003)"
    )
