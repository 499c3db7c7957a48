"""What pages need of a run's vectors: how its metrics spread over genes, and its shares to rank by.

Nothing is read that is not shown: of a dozen vectors of a record, a page draws two.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.analysis.rank import SHARE
from genebench.errors import UserError
from genebench.keys import key_of
from genebench.report.site.charts import Histogram
from genebench.report.site.reading import Run
from genebench.results.record import Record
from genebench.results.scores import GENE_METRIC, PANELS, PROFILE_METRIC, agree, scores_of

BINS = 12
_TAIL = 0.5
"""Percent of the genes beyond each end of a histogram; they are counted in its last bins."""

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


def look(run: Run, metrics: Sequence[str]) -> Seen:
    """Read what is shown of a run, and hold it against the record."""
    record = run.record
    if record.status == "failed":
        return Seen()
    shares = [f"{SHARE}{metric}.{panel}" for metric in metrics for panel in PANELS]
    per_profile = [f"{PROFILE_METRIC}{metric}" for metric in metrics]
    evidence = ["profile.id", "profile.group", *per_profile, *shares]
    wanted = {"gene.twin", *(f"{GENE_METRIC}{metric}" for metric in metrics), *evidence}
    try:
        vectors = run.store.vectors(record, wanted)
    except UserError as error:
        return Seen(fault=str(error))
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


def _faults(record: Record, vectors: Vectors, metrics: Sequence[str]) -> Iterator[str]:
    """What contradicts the record in the vectors that were read; ``results verify`` reads all."""
    lengths = {"gene": record.genes.get("target"), "profile": record.profiles.get("test")}
    for name, values in vectors.items():
        expected = lengths["gene" if name.startswith("gene") else "profile"]
        if values.shape != (expected,):
            yield f"vector {name} has shape {values.shape}, not {expected} values"
        elif values.dtype.kind == "f" and not np.isfinite(values).all():
            yield f"vector {name} holds what is no finite number"
    if vectors.get("gene.twin", np.zeros(0)).dtype != np.bool_:
        yield "vector gene.twin is missing, or does not say yes or no"
        return
    found = scores_of(vectors)
    for metric in metrics:
        given, expected_scores = record.scores.get(metric, {}), found.get(metric, {})
        for panel in sorted({*given, *expected_scores}):
            if not agree(given.get(panel), expected_scores.get(panel)):
                yield f"{metric} on panel {panel} is not what its vector gives"


def _spread(values: NDArray[np.float64]) -> Histogram:
    low, high = np.percentile(values, (_TAIL, 100 - _TAIL))
    edges = np.linspace(low, high if high > low else low + 1, BINS + 1)
    counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), edges)
    return Histogram(float(edges[0]), float(edges[-1]), tuple(counts.tolist()))
