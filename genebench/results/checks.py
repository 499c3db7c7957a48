"""Checks of a record, from its document, its files and its vectors.

A check yields one line for each fault. A fault names what is wrong. Callers add the file's name and
the remedy, which depends on the command.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench._util.hashing import checksum_of, key_of
from genebench.errors import UserError, describe
from genebench.results.limits import LINE_LETTERS, MODEL_BYTES, RECORD_BYTES, VECTORS_BYTES, cut
from genebench.results.panels import (
    GENE_METRIC,
    PROFILE_GROUP,
    PROFILE_METRIC,
    PROFILE_SHARE,
    agree,
    scores_of,
)
from genebench.results.paths import ResultPaths
from genebench.results.record import LARGEST, Record, Score
from genebench.results.untrusted import digest_of, read_document
from genebench.results.upgrades import CHECKSUM_KEYS
from genebench.results.vectors import Vectors, read_vectors
from genebench.specs import check_name

ROUNDING = 1e-6
"""Largest relative difference between two sums of the same numbers, in another order or on another
machine. Scores are sums of float32 predictions, whose own precision is 6e-8."""

REQUIRED_VECTORS = ("gene.id", "gene.twin")
"""Vectors that every done record has."""

_NUMERIC_PREFIXES = (GENE_METRIC, PROFILE_METRIC, PROFILE_SHARE)

_UNIQUE_IDS = ("gene.id", "profile.id")
_IDS = (*_UNIQUE_IDS, PROFILE_GROUP)
"""Vectors of texts."""

_HEADER_BYTES = 256
"""Bytes before the values of kept predictions, and more."""

_SHOWN_LETTERS = 40
"""Letters of a hostile name that a message repeats."""


def verify(paths: ResultPaths, record: Record) -> list[str]:
    """Return the faults of a record: its key, its outcome, its files, its scores, its checksum.

    Reads all files of the record. The list is empty if the record is sound.
    """
    path = paths.record(record.key)
    try:
        document = read_document(path, RECORD_BYTES)
        faults = [*key_faults(document), *outcome_faults(record)]
        if record.status == "done":
            faults += _file_faults(paths, record)
        # Any edit breaks the checksum, but the faults above name the part that was edited.
        return faults or list(checksum_faults(document))
    except Exception as error:  # noqa: BLE001  a stranger's file may make any code raise
        return [f"cannot be checked ({cut(describe(error), LINE_LETTERS)})"]


def name_faults(record: Record) -> Iterator[str]:
    """Yield the names in a record that no plugin could have declared.

    Names end up in web pages and in file names, so a stranger's record must not choose them freely.
    """
    names = {
        "method": [record.identity.method],
        "protocol": [record.identity.protocol],
        "metric": list(record.scores),
    }
    for kind, values in names.items():
        for name in values:
            try:
                check_name(kind, name)
            except ValueError:
                shown = repr(name[:_SHOWN_LETTERS])
                if len(name) > _SHOWN_LETTERS:
                    shown = f"{shown}… ({len(name):,} letters)"
                yield f"{kind} name {shown} is malformed"


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
    """Yield a fault if a record's status contradicts its scores or its failure."""
    if record.status == "done" and record.failure is not None:
        yield "its status is done, but it has a failure"
    if record.status == "failed" and record.failure is None:
        yield "its status is failed, but it has no failure"
    if record.status == "not applicable" and not (record.reason and record.failure is None):
        yield "its status is not applicable, but it has no reason, or a failure"
    if record.status != "not applicable" and record.reason:
        yield f"its status is {record.status}, but it has a reason for not being applicable"
    if record.status != "done" and record.scores:
        yield f"its status is {record.status}, but it has scores"
    if record.status == "done" and not (record.genes["target"] and record.profiles["test"]):
        yield "its status is done, but it has no target genes or no test profiles"


def _file_faults(paths: ResultPaths, record: Record) -> Iterator[str]:
    # A done record has vectors, even if its own list of files was edited to have none.
    required = {paths.vectors(record): ""}
    for path, digest in {**required, **paths.digests(record)}.items():
        try:
            found = stored_digest(record, path)
        except (FileNotFoundError, NotADirectoryError):
            yield f"{path.name} is missing"
            continue
        except OSError as error:
            yield f"{path.name} cannot be read ({error.strerror})"
            continue
        if found != digest:
            yield f"{path.name} was changed after it was written"
        elif path.suffix == ".npz":
            try:
                vectors = read_vectors(path, digest)
            except UserError as error:
                yield str(error)
            else:
                yield from vector_faults(record, vectors)


def stored_digest(record: Record, path: Path) -> str:
    """Return the SHA-256 digest of one of the files beside a record.

    Raises:
        OSError: there is no such file, it is not a regular one, or it is larger than the record's
            can be.
    """
    most = {
        ".npz": VECTORS_BYTES,
        ".npy": _HEADER_BYTES + 4 * record.profiles["test"] * record.genes["target"],
    }.get(path.suffix, MODEL_BYTES)
    return digest_of(path, most)


def vector_faults(record: Record, vectors: Vectors) -> Iterator[str]:
    """Yield faults of vectors: their lengths, their values, and the record's scores from them."""
    faults = [*missing_faults(record, vectors), *shape_faults(record, vectors)]
    # Scores can only be computed from whole vectors, and shares only be compared with sound scores.
    faults = faults or list(_score_faults(record.scores, scores_of(vectors)))
    yield from faults or share_faults(record, vectors)


def missing_faults(
    record: Record, vectors: Vectors, names: Collection[str] | None = None
) -> Iterator[str]:
    """Yield a fault for each vector that a record needs and does not have.

    Args:
        record: a done record.
        vectors: its vectors.
        names: names of the vectors that were read. None if all were.
    """
    for name in REQUIRED_VECTORS:
        if (names is None or name in names) and name not in vectors:
            yield f"vector {name} is missing"
    if names is None:
        for metric in record.scores:
            if (
                f"{GENE_METRIC}{metric}" not in vectors
                and f"{PROFILE_METRIC}{metric}" not in vectors
            ):
                yield f"{metric} is in the record or in its vectors, but not in both"


def shape_faults(record: Record, vectors: Vectors) -> Iterator[str]:
    """Yield a fault for each vector of a wrong length, of a wrong type or without numbers.

    The vectors may be any part of the record's.
    """
    for name, values in vectors.items():
        subject, length = "test profiles", record.profiles["test"]
        if name.startswith("gene"):
            subject, length = "target genes", record.genes["target"]
        if values.shape != (length,):
            yield (
                f"vector {name} has shape {values.shape}, not one value for each of "
                f"{length} {subject}"
            )
        elif name == "gene.twin" and values.dtype != np.bool_:
            yield f"vector {name} is not true or false"
        elif name in _IDS and values.dtype.kind != "U":
            yield f"vector {name} does not hold texts"
        elif name in _UNIQUE_IDS and len(set(values.tolist())) < length:
            yield f"vector {name} has an id twice"
        elif name.startswith(_NUMERIC_PREFIXES) and not _holds_measures(values):
            yield (
                f"vector {name} holds a value that is not a finite number, or beyond the limit of "
                f"±{LARGEST:g}, or is not of float32 or float64"
            )


def _holds_measures(values: NDArray[Any]) -> bool:
    """Return whether all values are floating-point numbers within the bounds of a score.

    Any NaN makes both the minimum and the maximum NaN, and comparisons with NaN are false.
    """
    # A mean of float16 overflows at 65,504.
    if values.dtype.kind != "f" or values.dtype.itemsize < 4:  # noqa: PLR2004
        return False
    return bool(values.min(initial=0) >= -LARGEST and values.max(initial=0) <= LARGEST)


def _score_faults(
    scores: Mapping[str, Mapping[str, Score]], expected: Mapping[str, Mapping[str, Score]]
) -> Iterator[str]:
    for metric in sorted(expected.keys() ^ scores.keys()):
        yield f"{metric} is in the record or in its vectors, but not in both"
    for metric in sorted(expected.keys() & scores.keys()):
        for panel in sorted({*scores[metric], *expected[metric]}):
            if not agree(scores[metric].get(panel), expected[metric].get(panel)):
                yield f"{metric} on panel {panel} is not what its vector gives"


def share_faults(record: Record, vectors: Vectors) -> Iterator[str]:
    """Yield a fault for each vector of shares whose mean is not the record's score.

    Only the vectors that were read are checked.
    """
    for name in sorted(vectors):
        metric, _, panel = name.removeprefix(PROFILE_SHARE).rpartition(".")
        if not name.startswith(PROFILE_SHARE):
            continue
        score = record.scores.get(metric, {}).get(panel)
        if score is None or abs(float(vectors[name].mean()) - score.mean) > ROUNDING * max(
            1.0, abs(score.mean)
        ):
            yield f"the shares of profiles in {metric} on panel {panel} do not add up to its score"


def differences(here: Record, there: Record) -> Iterator[str]:
    """Yield the scores that both records have and that differ by more than rounding."""
    for metric in sorted(here.scores.keys() & there.scores.keys()):
        ours, theirs = here.scores[metric], there.scores[metric]
        for panel in sorted(ours.keys() & theirs.keys()):
            if not ours[panel].agrees_with(theirs[panel], tolerance=ROUNDING):
                yield (
                    f"{metric} on panel {panel} is {ours[panel].mean:.6g} here and "
                    f"{theirs[panel].mean:.6g} there"
                )
