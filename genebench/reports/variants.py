"""Variants: the records of one method with one set of parameters, one for each seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from genebench.plugins.registry import Registry
from genebench.reports.wording import setting, short
from genebench.results.record import Record
from genebench.specs import MetricSpec

_PHASES = ("fit", "predict", "score")


@dataclass(frozen=True)
class Variant:
    """A row of a table: the records of all seeds, failed ones included."""

    label: str
    records: tuple[Record, ...]
    control: bool = False

    @property
    def first(self) -> Record:
        """The record of the first seed."""
        return self.records[0]

    @property
    def done(self) -> list[Record]:
        """Records that have scores."""
        return [record for record in self.records if record.status == "done"]

    def has(self, metric: str, panel: str) -> bool:
        """Return whether any seed has a score."""
        return bool(self._scored(metric, panel))

    def rank(self, metric: MetricSpec, panel: str) -> tuple[bool, bool, float]:
        """Return a key that sorts best first, then variants without a score, then controls."""
        means = [
            record.scores[metric.name][panel].mean for record in self._scored(metric.name, panel)
        ]
        sign = 1 if metric.direction == "lower" else -1
        return self.control, not means, sign * fmean(means) if means else 0.0

    def score(self, metric: str, panel: str) -> str:
        """Return ``mean ± std`` over genes, each averaged over seeds."""
        scores = [record.scores[metric][panel] for record in self._scored(metric, panel)]
        if not scores:
            return "–" if self.done else "failed"
        mean, std = fmean(score.mean for score in scores), fmean(score.std for score in scores)
        return f"{mean:.4f} ± {std:.4f}"

    def costs(self) -> tuple[str, ...]:
        """Return label, seconds of each phase (mean over seeds), peak memory in MB, and device."""
        seconds = [fmean(r.seconds.get(phase, 0.0) for r in self.records) for phase in _PHASES]
        peak = max(record.peak_memory for record in self.records) / 1e6
        device = self.first.provenance.device
        return self.label, *(f"{value:.2f}" for value in seconds), f"{peak:,.0f}", device

    def notes(self) -> Iterator[str]:
        """Yield remarks on the row: its seeds, failures, choices and constant predictions."""
        if len(self.done) > 1:
            yield f"{self.label}: mean of {len(self.done)} seeds"
        for record in self.records:
            if record.failure:
                yield f"{self.label} failed: {record.failure.kind}: {record.failure.message}"
        # Choices and remarks of the first seed only: a table has no room for every seed.
        for record in self.done[:1]:
            yield from self._outcome(record)

    def _outcome(self, record: Record) -> Iterator[str]:
        if record.choices:
            chosen = (f"{name} = {short(value)}" for name, value in record.choices.items())
            yield f"{self.label}: chosen {', '.join(chosen)}"
        if record.constant_prediction and not self.control:
            yield f"{self.label}: CONSTANT prediction of {record.constant_prediction:,} targets"
        for note in record.notes:
            yield f"{self.label}: {note}"

    def _scored(self, metric: str, panel: str) -> list[Record]:
        return [record for record in self.done if panel in record.scores.get(metric, {})]


def variants_of(records: list[Record], registry: Registry) -> list[Variant]:
    """Group comparable records by identity, the seed apart, in the order of their first records."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        # The identity holds the parameters in effect and the digest of the code, but no label.
        groups.setdefault(record.identity.without_seed(), []).append(record)
    variants = []
    for group in groups.values():
        spec = registry.methods.specs.get(group[0].identity.method)
        variants.append(
            Variant(
                label=_label(group[0], records),
                records=tuple(sorted(group, key=lambda record: record.identity.seed)),
                control=spec is not None and spec.control,
            )
        )
    return variants


def _label(record: Record, others: list[Record]) -> str:
    """Return the method's name, and what tells it apart from others of that name."""
    identity = record.identity
    same = [other.identity for other in others if other.identity.method == identity.method]
    differing = [
        setting(name, value)
        for name, value in identity.params.items()
        if any(other.params.get(name) != value for other in same)
    ]
    if any(other.code.distribution != identity.code.distribution for other in same):
        differing.append(f"from {identity.code.distribution}")
    if any(other.code.version != identity.code.version for other in same):
        differing.append(f"version {identity.code.version}")
    elif any(other.code.digest != identity.code.digest for other in same):
        differing.append(f"code {identity.code.digest[:7]}")
    return f"{identity.method} ({', '.join(differing)})" if differing else identity.method
