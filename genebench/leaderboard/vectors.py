"""The vectors of a run, as far as pages need them.

A page needs the spread of a metric over genes, and the shares of profiles that ranks are made of.
Only these are read: a record has a dozen vectors.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench._util.hashing import key_of
from genebench.errors import UserError
from genebench.leaderboard.charts import Histogram
from genebench.leaderboard.reading import Run
from genebench.results.checks import share_faults
from genebench.results.panels import (
    GENE_METRIC,
    PANELS,
    PROFILE_METRIC,
    agree,
    scores_of,
    share_name,
)
from genebench.results.record import Record

BINS = 12
_TAIL_PERCENT = 0.5
"""Share of the genes beyond each end of a histogram. The outer bins count them."""

_DIGEST_LENGTH = 16
_digests: dict[bytes, str] = {}
"""Checksum of an array of ids → its digest. All runs of a board have the same ids."""

IDS = ("profile.id", "profile.group")

Vectors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class VectorSummary:
    """The content of one run's vectors that pages show.

    Attributes:
        spreads: metric → histogram over genes.
        evidence: the vectors that ranks are made of, one value per test profile.
        test_profiles: digest of the ids of the test profiles, in order. It names the test split.
        fault: a contradiction to the record, or empty. A run with a fault is not shown.
    """

    spreads: Mapping[str, Histogram] = field(default_factory=dict)
    evidence: Vectors = field(default_factory=dict)
    test_profiles: str = ""
    fault: str = ""


def claims_of(run: Run, metrics: Sequence[str]) -> Run:
    """Return a run with no more of its record than :func:`summarise` needs.

    Thousands of runs are sent to worker processes, and whole records take longer to send.
    """
    record = run.record
    scores = {name: record.scores[name] for name in metrics if name in record.scores}
    claims = Record.model_construct(
        key=record.key, status=record.status, profiles=record.profiles, genes=record.genes,
        scores=scores, vectors=record.vectors,
    )  # fmt: skip
    return replace(run, record=claims)


def summarise(run: Run, metrics: Sequence[str]) -> VectorSummary:
    """Read the vectors of a run and compare them with its record.

    Any failure becomes the fault of this run alone.
    """
    try:
        return _summarise(run, metrics)
    except UserError as error:
        return VectorSummary(fault=str(error))
    except Exception as error:  # noqa: BLE001  a damaged file may raise anything
        return VectorSummary(fault=run.problem(error))


def _summarise(run: Run, metrics: Sequence[str]) -> VectorSummary:
    record = run.record
    if record.status != "done":
        return VectorSummary()
    shares = [share_name(metric, panel) for metric in metrics for panel in PANELS]
    per_profile = [f"{PROFILE_METRIC}{metric}" for metric in metrics]
    per_gene = {metric: f"{GENE_METRIC}{metric}" for metric in metrics}
    evidence = [*IDS, *per_profile, *shares]
    vectors = run.store.vectors(record, {"gene.twin", *per_gene.values(), *evidence})
    fault = next(_faults(record, vectors, metrics), "")
    if fault:
        return VectorSummary(fault=f"{run.folder}: record {record.key}: {fault}")
    return VectorSummary(
        spreads={
            metric: _spread(vectors[name]) for metric, name in per_gene.items() if name in vectors
        },
        evidence={name: vectors[name] for name in evidence if name in vectors},
        test_profiles=profiles_digest(vectors),
    )


def profiles_digest(vectors: Vectors) -> str:
    """Return the digest of the ids of test profiles, or an empty text without ids."""
    ids = vectors.get("profile.id")
    if ids is None:
        return ""
    content = sha256(ids.dtype.str.encode() + ids.tobytes()).digest()
    if content not in _digests:
        _digests[content] = key_of(ids.tolist())[:_DIGEST_LENGTH]
    return _digests[content]


def share_ids(summaries: Iterable[VectorSummary]) -> list[VectorSummary]:
    """Return the same summaries, with equal arrays of profile ids replaced by one array.

    All runs of a board have the same ids, and each worker process sends its own copy of them.
    """
    arrays: dict[bytes, NDArray[Any]] = {}
    shared = []
    for summary in summaries:
        ids = {
            name: arrays.setdefault(summary.evidence[name].tobytes(), summary.evidence[name])
            for name in IDS
            if name in summary.evidence
        }
        shared.append(replace(summary, evidence={**summary.evidence, **ids}))
    return shared


def _faults(record: Record, vectors: Vectors, metrics: Sequence[str]) -> Iterator[str]:
    """Yield contradictions between a record and the vectors that were read.

    ``genebench results verify`` reads all vectors.
    """
    if "gene.twin" not in vectors:
        yield "vector gene.twin is missing"
        return
    recomputed = scores_of(vectors)
    for metric in metrics:
        recorded, expected = record.scores.get(metric, {}), recomputed.get(metric, {})
        for panel in sorted({*recorded, *expected}):
            if not agree(recorded.get(panel), expected.get(panel)):
                yield f"{metric} on panel {panel} is not what its vector gives"
    yield from share_faults(record, vectors)


def _spread(values: NDArray[np.float64]) -> Histogram:
    """Return the histogram of a metric over genes."""
    # One sorting gives the limits and the counts, and is faster than np.percentile.
    ordered, last = np.sort(values), len(values) - 1
    tail = last * _TAIL_PERCENT / 100
    low, high = np.interp((tail, last - tail), np.arange(len(values)), ordered).tolist()
    # All genes may have one value, and bins need a width.
    high = high if high > low else low + 1
    inner = np.searchsorted(ordered, np.linspace(low, high, BINS + 1)[1:-1])
    counts = np.diff(inner, prepend=0, append=len(values))
    return Histogram(low, high, tuple(counts.tolist()))
