"""Phrases that several reports share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from statistics import fmean

from genebench._util.hashing import code_digest
from genebench.analysis.variants import Variant
from genebench.results.record import Record
from genebench.specs import MetricSpec


def described(metric: MetricSpec, where: str = "") -> str:
    """Return a metric's title with its direction and unit. ``where`` follows the title."""
    title = f"{metric.title} {where}" if where else metric.title
    return f"{title} ({metric.direction} is better, unit: {metric.unit})"


def sizes(record: Record) -> str:
    """Return how many profiles and genes the record's method was trained and tested on."""
    profiles, genes = record.profiles, record.genes
    return (
        f"{profiles['train']:,} train, {profiles['validation']:,} validation, "
        f"{profiles['test']:,} test profiles. "
        f"{genes['landmark']:,} landmarks, {genes['target']:,} targets"
    )


def stale_scores(records: Iterable[Record], metrics: Iterable[MetricSpec]) -> Iterator[str]:
    """Yield a note for each metric whose code has changed since some records were scored."""
    records = list(records)
    for metric in metrics:
        digest = code_digest(metric.code)
        stale = sum(record.metrics.get(metric.name, digest) != digest for record in records)
        if stale:
            yield (
                f"{metric.title}: the code of this metric has changed since {stale} of "
                f"{len(records)} results were scored. genebench run scores them again"
            )


def score_text(variant: Variant, metric: str, panel: str) -> str:
    """Return ``mean ± std`` over genes, each averaged over seeds, ``failed``, or a dash."""
    scores = [record.scores[metric][panel] for record in variant.scored(metric, panel)]
    if not scores:
        return "–" if variant.done else "failed"
    mean, std = fmean(score.mean for score in scores), fmean(score.std for score in scores)
    return f"{mean:.4f} ± {std:.4f}"
