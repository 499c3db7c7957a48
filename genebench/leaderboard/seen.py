"""What pages need of a run's vectors: how its metrics spread over genes, and its shares to rank by.

Nothing is read that is not shown: of a dozen vectors of a record, a page draws two.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
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
_TAIL = 0.5
"""Percent of the genes beyond each end of a histogram; they are counted in its last bins."""

IDS = ("profile.id", "profile.group")

Vectors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Seen:
    """What was found in the vectors of one run.

    Attributes:
        spreads: metric → histogram over genes.
        evidence: vectors that ranks are made of, one value per test profile.
        test_profiles: digest of the ids of the test profiles, in order: the split, as it was met.
        fault: what contradicts the record; such a run is not shown.
    """

    spreads: Mapping[str, Histogram] = field(default_factory=dict)
    evidence: Vectors = field(default_factory=dict)
    test_profiles: str = ""
    fault: str = ""


def claims(run: Run, metrics: Sequence[str]) -> Run:
    """No more of a run than :func:`look` holds against its vectors: it goes to another process."""
    record = run.record
    scores = {name: record.scores[name] for name in metrics if name in record.scores}
    claimed = Record.model_construct(
        key=record.key, status=record.status, profiles=record.profiles, genes=record.genes,
        scores=scores, vectors=record.vectors,
    )  # fmt: skip
    return replace(run, record=claimed)


def look(run: Run, metrics: Sequence[str]) -> Seen:
    """Read what is shown of a run, and hold it against the record; what is wrong is its fault."""
    try:
        return _look(run, metrics)
    except UserError as error:
        return Seen(fault=str(error))
    except Exception as error:  # noqa: BLE001  whatever a file does costs its own run alone
        return Seen(fault=run.problem(error))


def _look(run: Run, metrics: Sequence[str]) -> Seen:
    record = run.record
    if record.status == "failed":
        return Seen()
    shares = [share_name(metric, panel) for metric in metrics for panel in PANELS]
    per_profile = [f"{PROFILE_METRIC}{metric}" for metric in metrics]
    evidence = [*IDS, *per_profile, *shares]
    wanted = {"gene.twin", *(f"{GENE_METRIC}{metric}" for metric in metrics), *evidence}
    vectors = run.store.vectors(record, wanted)
    fault = next(_faults(record, vectors, metrics), "")
    if fault:
        return Seen(fault=f"{run.folder}: record {record.key}: {fault}")
    return Seen(
        {
            m: _spread(vectors[f"{GENE_METRIC}{m}"])
            for m in metrics
            if f"{GENE_METRIC}{m}" in vectors
        },
        {name: vectors[name] for name in evidence if name in vectors},
        key_of(vectors["profile.id"].tolist())[:16] if "profile.id" in vectors else "",
    )


def shared(seen: Iterable[Seen]) -> list[Seen]:
    """The same, where equal ids of profiles are one array: runs of a board have them in common."""
    known: dict[bytes, NDArray[Any]] = {}

    def one(found: Seen) -> Seen:
        ids = {name: found.evidence[name] for name in IDS if name in found.evidence}
        same = {name: known.setdefault(array.tobytes(), array) for name, array in ids.items()}
        return replace(found, evidence={**found.evidence, **same})

    return [one(found) for found in seen]


def _faults(record: Record, vectors: Vectors, metrics: Sequence[str]) -> Iterator[str]:
    """What contradicts the record in the vectors that were read; ``results verify`` reads all."""
    if "gene.twin" not in vectors:
        yield "vector gene.twin is missing"
        return
    found = scores_of(vectors)
    for metric in metrics:
        given, expected_scores = record.scores.get(metric, {}), found.get(metric, {})
        for panel in sorted({*given, *expected_scores}):
            if not agree(given.get(panel), expected_scores.get(panel)):
                yield f"{metric} on panel {panel} is not what its vector gives"
    yield from share_faults(record, vectors)


def _spread(values: NDArray[np.float64]) -> Histogram:
    ordered, last = np.sort(values), len(values) - 1
    tail = _TAIL / 100 * last
    low, high = np.interp((tail, last - tail), np.arange(len(values)), ordered)
    high = high if high > low else low + 1
    inner = low + (high - low) / BINS * np.arange(1, BINS)
    below = [0, *np.searchsorted(ordered, inner).tolist(), len(values)]
    return Histogram(float(low), float(high), tuple(b - a for a, b in pairwise(below)))
