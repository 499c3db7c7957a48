"""Variants: the records of one method with one set of parameters, one for each seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from statistics import fmean

from genebench.plugins.registry import Registry
from genebench.results.record import Record
from genebench.specs import MetricSpec, Value

_PHASES = ("fit", "predict", "score")


@dataclass(frozen=True)
class Variant:
    """A row of a table: what its seeds gave, failed ones included."""

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
        """Whether there is a value."""
        return bool(self._scored(metric, panel))

    def rank(self, metric: MetricSpec, panel: str) -> tuple[bool, bool, float]:
        """Sorts best first, those without a value after them, controls last."""
        means = [
            record.scores[metric.name][panel].mean for record in self._scored(metric.name, panel)
        ]
        sign = 1 if metric.direction == "lower" else -1
        return self.control, not means, sign * fmean(means) if means else 0.0

    def score(self, metric: str, panel: str) -> str:
        """``mean ± std`` over genes, each averaged over seeds."""
        scores = [record.scores[metric][panel] for record in self._scored(metric, panel)]
        if not scores:
            return "–" if self.done else "failed"
        mean, std = fmean(score.mean for score in scores), fmean(score.std for score in scores)
        return f"{mean:.4f} ± {std:.4f}"

    def costs(self) -> tuple[str, ...]:
        """Label, seconds of each phase (mean over seeds), peak memory in MB, device."""
        seconds = [fmean(r.seconds.get(phase, 0.0) for r in self.records) for phase in _PHASES]
        peak = max(record.peak_memory for record in self.records) / 1e6
        device = self.first.provenance.device
        return self.label, *(f"{value:.2f}" for value in seconds), f"{peak:,.0f}", device

    def notes(self) -> Iterator[str]:
        """What a reader of the row should know."""
        if len(self.done) > 1:
            yield f"{self.label}: mean of {len(self.done)} seeds"
        for record in self.records:
            if record.failure:
                yield f"{self.label} failed: {record.failure.kind}: {record.failure.message}"
        for record in self.done[:1]:
            yield from self._outcome(record)

    def _outcome(self, record: Record) -> Iterator[str]:
        if record.choices:
            chosen = (f"{name} = {_short(value)}" for name, value in record.choices.items())
            yield f"{self.label}: chosen {', '.join(chosen)}"
        if record.constant_prediction and not self.control:
            yield f"{self.label}: CONSTANT prediction of {record.constant_prediction:,} targets"
        for note in record.notes:
            yield f"{self.label}: {note}"

    def _scored(self, metric: str, panel: str) -> list[Record]:
        return [record for record in self.done if panel in record.scores.get(metric, {})]


def variants_of(records: list[Record], registry: Registry) -> list[Variant]:
    """Group comparable records by what they are, the seed apart, in the order they come."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        identity = record.identity.model_copy(update={"seed": 0})
        groups.setdefault(identity.model_dump_json(), []).append(record)
    return [
        Variant(
            label=_label(group[0], records),
            records=tuple(sorted(group, key=lambda record: record.identity.seed)),
            control=_is_control(group[0], registry),
        )
        for group in groups.values()
    ]


def _label(record: Record, others: list[Record]) -> str:
    """The method's name, plus whatever tells it from others of that name in the table."""
    own = record.identity
    same = [other.identity for other in others if other.identity.method == own.method]
    differing = [
        f"{name}={_short(value)}"
        for name, value in own.params.items()
        if any(other.params.get(name) != value for other in same)
    ]
    if any(other.code.distribution != own.code.distribution for other in same):
        differing.append(f"from {own.code.distribution}")
    if any(other.code.version != own.code.version for other in same):
        differing.append(f"version {own.code.version}")
    elif any(other.code.digest != own.code.digest for other in same):
        differing.append(f"code {own.code.digest[:7]}")
    return f"{own.method} ({', '.join(differing)})" if differing else own.method


def _is_control(record: Record, registry: Registry) -> bool:
    spec = registry.methods.specs.get(record.identity.method)
    return spec is not None and spec.control


def _short(value: Value) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
