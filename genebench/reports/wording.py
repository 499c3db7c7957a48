"""Phrases that several reports share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from statistics import fmean

from genebench._util.hashing import code_digest
from genebench.analysis.bootstrap import SIGNIFICANCE_LEVEL
from genebench.analysis.costs import fit_seconds
from genebench.analysis.folds import INCOMPLETE
from genebench.analysis.rank import Standing, description_of_test
from genebench.analysis.seals import LEVELS, could_have_cheated, weakest
from genebench.analysis.timing import RankedTimes
from genebench.analysis.variants import Variant
from genebench.errors import counted, some
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


def filled_landmarks(records: Iterable[Record]) -> Iterator[str]:
    """Yield a note if landmarks of the dataset were not measured everywhere, but filled."""
    if filled := max((record.genes.get("filled", 0) for record in records), default=0):
        yield (
            f"{counted(filled, 'landmark')} not measured on some platform, but filled with the "
            "mean rank on the training arrays: these profiles are partly not measured"
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


def seal_levels(rows: Iterable[tuple[str, Iterable[Record]]]) -> Iterator[str]:
    """Yield how the methods of a table were sealed, unless all of them were confined.

    Rows are labels with their records.
    """
    levels = {level for _, records in rows if (level := weakest(list(records)))}
    if not levels <= {"landlock"}:
        meanings = (f"{level} ({SEALS[level]})" for level in LEVELS if level in levels)
        yield (
            f"sealed: {', '.join(meanings)}. Methods that genebench ships are sealed on request "
            "(--sealed require)"
        )


def could_have_cheated_notes(rows: Iterable[tuple[str, Iterable[Record]]]) -> Iterator[str]:
    """Yield a note that names the methods that could have cheated, if there are any."""
    labels = [label for label, records in rows if any(map(could_have_cheated, records))]
    if labels:
        yield (
            f"COULD HAVE CHEATED: {', '.join(labels)}. This code is not of genebench, and its seal "
            "is not landlock. Run it again with --sealed require"
        )


def missing_text(variant: Variant) -> str:
    """Return what stands in place of a score.

    A dash, ``n/a`` (not applicable), ``incomplete`` (some folds are done) or ``failed``.
    """
    if variant.done:
        return "–"
    if all(record.reason for record in variant.records):
        return "n/a"
    failures = {record.failure.kind for record in variant.records if record.failure}
    return "incomplete" if failures == {INCOMPLETE} else "failed"


def without_scores(label: str, records: Iterable[Record], where: str = "") -> Iterator[str]:
    """Yield why records have no scores: failures, and methods that are not applicable."""
    for record in records:
        if record.failure and record.failure.kind == INCOMPLETE:
            yield f"{label} has no mean over folds{where}: {record.failure.message}"
        elif record.failure:
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


def mean_text(variant: Variant, metric: str, panel: str) -> str:
    """Return the mean over genes and seeds, ``failed``, or a dash."""
    return score_text(variant, metric, panel).partition(" ±")[0]


def in_rank_order(variant: Variant, metric: MetricSpec) -> tuple[bool, bool, float, str]:
    """Return a key that sorts best first, then those without a score, then controls by name."""
    control, missing, loss = variant.sort_key(metric, "all")
    return (control, missing, 0.0 if control else loss, variant.label)


TO_BEST = "to best ± 95 %"
"""Column of the paired differences to the leader."""

_MOST_NAMES = 3
"""Methods that a sentence names."""

NOT_BETTER = "†"
"""Mark of a rank whose method is not significantly better than the control ``train-mean``."""


def rank_cells(row: Standing | None) -> tuple[str, str]:
    """Return the rank with the ranks that are possible, and the difference to the leader."""
    if row is None or row.rank is None:
        return "–", "–"
    mark = NOT_BETTER if row.beats_mean is False else ""
    possible = "" if row.rank_low == row.rank_high else f" ({row.places})"
    return f"{row.place}{possible}{mark}", difference_text(row)


def difference_text(row: Standing) -> str:
    """Return the difference to the leader with half its interval, or ``best``.

    Half an interval that rounds to 0 is given as a bound.
    """
    if row.difference is None:
        return "best"
    if row.difference_high is None:
        return f"{row.difference:+z.4f}"
    half = f"{row.difference_high - row.difference:.4f}"
    return f"{row.difference:+z.4f} ± {'<0.0001' if half == '0.0000' else half}"


def reaches_zero(row: Standing) -> bool:
    """Return whether a method is significantly worse, although its interval holds 0.

    The test goes down in steps. The intervals hold for all pairs at once, without steps.
    """
    low, high = row.difference_low, row.difference_high
    if row.p is None or row.p > SIGNIFICANCE_LEVEL or low is None or high is None:
        return False
    return low <= 0 <= high


def why_zero(table: Sequence[Standing], metric: MetricSpec) -> Iterator[str]:
    """Yield a sentence about methods that are worse although their intervals hold 0, if any are.

    Args:
        table: places on all targets.
        metric: the metric that they are by.
    """
    if worse := [row.variant.label for row in table if reaches_zero(row)]:
        one = len(worse) == 1
        their = "its interval contains" if one else "their intervals contain"
        yield (
            f"{metric.title}, all: {some(worse)} {'is' if one else 'are'} significantly worse by "
            f"the step-down test, though {their} 0, because intervals have no step-down."
        )


def verdict(table: Sequence[Standing], metric: MetricSpec, times: RankedTimes) -> Iterator[str]:
    """Yield sentences: the best method, the ones that chance may part from it, and its cost."""
    ranked = [row for row in table if row.rank is not None]
    if not ranked:
        if any(not row.variant.control for row in table):
            yield f"{metric.title}: {description_of_test(table)}."
        return
    best, others = ranked[0], ranked[1:]
    name = best.variant.label
    tied = [row for row in others if row.p is not None and row.p > SIGNIFICANCE_LEVEL]
    if not others:
        yield f"{name} is the only method ({metric.title} {best.mean:.4f})."
    elif not tied:
        yield (
            f"{name} is best by {metric.title} ({best.mean:.4f}). {others[0].variant.label} is "
            f"significantly worse, by {abs(others[0].difference or 0):.4f} (p = {others[0].p:.2g})."
        )
    else:
        worse = [row for row in others if row not in tied]
        yield (
            f"{name} has the best {metric.title} ({best.mean:.4f}), but not significantly: the "
            f"data cannot tell it from {_named(tied)}."
        )
        if worse:
            largest = max(row.p for row in worse if row.p is not None)
            yield f"Significantly worse (p ≤ {largest:.2g}): {_named(worse)}."
    yield _cost(best, tied, times)


def _named(rows: Sequence[Standing]) -> str:
    """Return the labels of a few rows, and the number of the others."""
    # One more name is as short as "1 other".
    most = len(rows) if len(rows) == _MOST_NAMES + 1 else _MOST_NAMES
    names, more = [row.variant.label for row in rows[:most]], len(rows) - most
    if more > 0:
        names.append(counted(more, "other"))
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]


def _cost(best: Standing, tied: Sequence[Standing], times: RankedTimes) -> str:
    """Return the time of the leader's fit, and the fastest method that is tied with it.

    Only times that compare with that of the leader count.
    """
    spent = fit_seconds(best.variant)
    cost = f"Its fit took {spent:.2f} s"
    compared = [row for row in tied if times.has(best.variant) and times.has(row.variant)]
    fastest = min(compared, key=lambda row: fit_seconds(row.variant), default=None)
    if fastest is None or fit_seconds(fastest.variant) >= spent:
        return f"{cost}."
    return f"{cost}, that of {fastest.variant.label} {fit_seconds(fastest.variant):.2f} s."
