"""What can be wrong with a record, judged from the record and its vectors alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench._util.hashing import checksum_of, key_of
from genebench.results.panels import GENE_METRIC, PROFILE_METRIC, PROFILE_SHARE, agree, scores_of
from genebench.results.record import LARGEST, Record, Score
from genebench.results.upgrades import CHECKSUM_KEYS
from genebench.specs import check_name

ROUNDING = 1e-6
"""How far numbers may lie apart that were summed in another order, or on another machine."""

SUBJECTS = ("gene.id", "gene.twin")
"""Vectors that every record has."""

_NUMBERS = (GENE_METRIC, PROFILE_METRIC, PROFILE_SHARE)


def name_faults(record: Record) -> Iterator[str]:
    """Names that genebench would not have let anybody declare; they end up in pages and files."""
    names = {
        "method": [record.identity.method],
        "protocol": [record.identity.protocol],
        "metric": list(record.scores),
    }
    for kind, given in names.items():
        for name in given:
            try:
                check_name(kind, name)
            except ValueError:
                yield f"{kind} name {_short(name)} is malformed"


def key_faults(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a fault if a record's document has another key than its identity gives.

    The document is the record as it was written. An upgrade renames parts of the identity, so the
    key of an older record can only be checked before the upgrade.
    """
    if key_of(document["identity"]) != document["key"]:
        yield "the key is not that of its identity"


def checksum_faults(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a fault if a record's document does not have its checksum. Format 1 has none."""
    key = CHECKSUM_KEYS.get(document["format"])
    if key is None:
        return
    content = {name: value for name, value in document.items() if name != key}
    if document.get(key) != checksum_of(content):
        yield "was edited after it was written: its checksum does not match"


def outcome_faults(record: Record) -> Iterator[str]:
    """Whether what it says of its end fits together."""
    failed = record.status == "failed"
    if failed != (record.failure is not None) or (failed and record.scores):
        yield f"says {record.status}, but holds what a record that ended otherwise holds"


def vector_faults(record: Record, vectors: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Whether vectors have the record's lengths, hold numbers, and give the record's scores."""
    faults = list(shape_faults(record, vectors))
    faults += [f"vector {name} is missing" for name in SUBJECTS if name not in vectors]
    # Each check rests on the one before: shares on scores, scores on whole vectors.
    faults = faults or list(_score_faults(record.scores, scores_of(vectors)))
    yield from faults or share_faults(record, vectors)


def shape_faults(record: Record, vectors: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Whether each vector, of however many were read, has the record's length and holds numbers."""
    for name, values in vectors.items():
        yield from _shape_faults(record, name, values)


def _shape_faults(record: Record, name: str, values: NDArray[Any]) -> Iterator[str]:
    of, length = "test profiles", record.profiles.get("test")
    if name.startswith("gene"):
        of, length = "target genes", record.genes.get("target")
    if values.shape != (length,):
        yield f"vector {name} has shape {values.shape}, not one value for each of {length} {of}"
    elif name == "gene.twin" and values.dtype != np.bool_:
        yield f"vector {name} does not say yes or no"
    elif name.startswith(_NUMBERS) and not _holds_measures(values):
        yield f"vector {name} holds what is no finite number, or none that can be summed"


def _holds_measures(values: NDArray[Any]) -> bool:
    """Whether all are numbers that a score may be; NaN is within no bounds."""
    if values.dtype.kind != "f":
        return False
    return bool(values.min(initial=0) >= -LARGEST and values.max(initial=0) <= LARGEST)


def _score_faults(
    given: Mapping[str, Mapping[str, Score]], expected: Mapping[str, Mapping[str, Score]]
) -> Iterator[str]:
    for metric in sorted(expected.keys() ^ given.keys()):
        yield f"{metric} is in the record or in its vectors, but not in both"
    for metric in sorted(expected.keys() & given.keys()):
        for panel in sorted({*given[metric], *expected[metric]}):
            if not agree(given[metric].get(panel), expected[metric].get(panel)):
                yield f"{metric} on panel {panel} is not what its vector gives"


def share_faults(record: Record, vectors: Mapping[str, NDArray[Any]]) -> Iterator[str]:
    """Whether the shares of profiles, as far as they were read, add up to the record's scores."""
    for name in sorted(vectors):
        metric, _, panel = name.removeprefix(PROFILE_SHARE).rpartition(".")
        if not name.startswith(PROFILE_SHARE):
            continue
        score = record.scores.get(metric, {}).get(panel)
        if score is None or abs(float(vectors[name].mean()) - score.mean) > ROUNDING * max(
            1.0, abs(score.mean)
        ):
            yield f"the shares of profiles in {metric} on panel {panel} do not add up to its score"


def differences(one: Record, other: Record) -> Iterator[str]:
    """Scores that both records have, and that rounding does not explain."""
    close: Callable[[Score, Score], bool] = partial(Score.agrees_with, tolerance=ROUNDING)
    for metric in sorted(one.scores.keys() & other.scores.keys()):
        ours, theirs = one.scores[metric], other.scores[metric]
        for panel in sorted(ours.keys() & theirs.keys()):
            if not close(ours[panel], theirs[panel]):
                yield (
                    f"{metric} on panel {panel} is {ours[panel].mean:.6g} here and "
                    f"{theirs[panel].mean:.6g} there"
                )


def _short(name: str) -> str:
    return repr(name) if len(name) <= 40 else f"{name[:40]!r}… ({len(name):,} letters)"  # noqa: PLR2004
