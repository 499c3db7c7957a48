"""Phrases that several reports share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import fmean

from genebench._util.hashing import code_digest
from genebench.analysis.seals import LEVELS, could_have_cheated, weakest
from genebench.analysis.variants import Variant
from genebench.results.record import Record, SealLevel
from genebench.specs import MetricSpec


def described(metric: MetricSpec, where: str = "") -> str:
    """Return a metric's title with its direction and unit. ``where`` follows the title."""
    title = f"{metric.title} {where}" if where else metric.title
    return f"{title} ({metric.direction} is better, unit: {metric.unit})"


def sizes(record: Record) -> str:
    """Return how many profiles and genes the record's method was trained and tested on."""
    profiles, genes = record.profiles, record.genes
    filled = f" (up to {genes['filled']:,} not measured but filled)" if "filled" in genes else ""
    return (
        f"{profiles['train']:,} train, {profiles['validation']:,} validation, "
        f"{profiles['test']:,} test profiles. "
        f"{genes['landmark']:,} landmarks{filled}, {genes['target']:,} targets"
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


SEALS: Mapping[SealLevel, str] = {
    "landlock": "in a process without test data, confined by Landlock",
    "view": "in a process without test data that was not confined, or whose plugin also ran where "
    "scores are made",
    "no": "in the process that holds the test data",
}
"""Level of a seal → where the method ran."""


def seal_notes(rows: Iterable[tuple[str, Iterable[Record]]]) -> Iterator[str]:
    """Yield how the methods of a table were sealed, and which of them could have cheated.

    Rows are labels with their records. Nothing is yielded if all of them were confined.
    """
    rows = [(label, list(records)) for label, records in rows]
    levels = {level for _, records in rows if (level := weakest(records))}
    if levels <= {"landlock"}:
        return
    meanings = (f"{level} ({SEALS[level]})" for level in LEVELS if level in levels)
    yield (
        f"sealed: {', '.join(meanings)}. Methods that genebench ships are sealed on request "
        "(--sealed require)"
    )
    labels = [label for label, records in rows if any(map(could_have_cheated, records))]
    if labels:
        yield (
            f"COULD HAVE CHEATED: {', '.join(labels)}. This code is not of genebench, and its seal "
            "is not landlock. Run it again with --sealed require"
        )


def missing_text(variant: Variant) -> str:
    """Return what stands in place of a score: a dash, ``n/a`` (not applicable) or ``failed``."""
    if variant.done:
        return "–"
    return "n/a" if all(record.reason for record in variant.records) else "failed"


def without_scores(label: str, records: Iterable[Record], where: str = "") -> Iterator[str]:
    """Yield why records have no scores: failures, and methods that are not applicable."""
    for record in records:
        if record.failure:
            yield f"{label} failed{where}: {record.failure.kind}: {record.failure.message}"
        elif record.reason:
            yield f"{label} is not applicable{where}: {record.reason}"


def score_text(variant: Variant, metric: str, panel: str) -> str:
    """Return ``mean ± std`` over genes, each averaged over seeds, or else :func:`missing_text`."""
    scores = [record.scores[metric][panel] for record in variant.scored(metric, panel)]
    if not scores:
        return missing_text(variant)
    mean, std = fmean(score.mean for score in scores), fmean(score.std for score in scores)
    return f"{mean:.4f} ± {std:.4f}"
