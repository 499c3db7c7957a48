"""Variants: the records of one method with one set of parameters, one for each seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from statistics import fmean

from genebench._util.hashing import key_of
from genebench._util.text import setting
from genebench.errors import counted
from genebench.plugins.registry import Registry
from genebench.results.filters import RecordFilter
from genebench.results.record import Record
from genebench.specs import MetricSpec


@dataclass(frozen=True, repr=False)
class Variant:
    """A method with its parameters, and the records of all its seeds, failed ones included."""

    label: str
    records: tuple[Record, ...]
    control: bool = False

    def __repr__(self) -> str:
        return f"<Variant {self.label}: {counted(len(self.records), 'record')}>"

    @property
    def first(self) -> Record:
        """The record of the first seed."""
        return self.records[0]

    @property
    def done(self) -> list[Record]:
        """Records that have scores."""
        return RecordFilter(status="done").apply(self.records)

    def scored(self, metric: str, panel: str) -> list[Record]:
        """Return the records that have a score."""
        return RecordFilter(metric=metric, panel=panel).apply(self.records)

    def has(self, metric: str, panel: str) -> bool:
        """Return whether any seed has a score."""
        return bool(self.scored(metric, panel))

    def sort_key(self, metric: MetricSpec, panel: str) -> tuple[bool, bool, float]:
        """Return a key that sorts best first, then variants without a score, then controls."""
        means = [
            record.scores[metric.name][panel].mean for record in self.scored(metric.name, panel)
        ]
        sign = 1 if metric.direction == "lower" else -1
        return self.control, not means, sign * fmean(means) if means else 0.0


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
                label=label_of(group[0], records),
                records=tuple(sorted(group, key=lambda record: record.identity.seed)),
                control=spec is not None and spec.control,
            )
        )
    return variants


def label_of(record: Record, others: list[Record]) -> str:
    """Return the method's name, and what tells it apart from others of that name.

    Parameters that are not needed for that are left out: the most common values first.
    """
    identity = record.identity
    same = [other.identity for other in others if other.identity.method == identity.method]
    own = identity.params
    all_params = {tuple(other.params.items()): other.params for other in same}.values()
    # For each other variant, the parameters that tell it from this one.
    apart = [
        frozenset(name for name, value in own.items() if params.get(name) != value)
        for params in all_params
    ]
    rarity = Counter(name for names in apart for name in names)
    needed = set(rarity)
    # Of two that go together, the one that is declared later is left out.
    later_first = [*reversed(own)]
    for name in sorted(later_first, key=rarity.__getitem__):
        if all((needed - {name}) & names for names in set(apart) if names):
            needed.discard(name)
    differing = [setting(name, value) for name, value in own.items() if name in needed]
    # Under another protocol or with other training profiles, members always differ.
    alike = [
        other
        for other in same
        if (other.params, other.test_setting()) == (identity.params, identity.test_setting())
    ]
    members = {name: member.variant for name, member in identity.members.items()}
    if any({n: m.variant for n, m in other.members.items()} != members for other in alike):
        differing.append(f"members {key_of(members)[:7]}")
    if any(other.code.distribution != identity.code.distribution for other in same):
        differing.append(f"from {identity.code.distribution}")
    if any(other.code.version != identity.code.version for other in same):
        differing.append(f"version {identity.code.version}")
    elif any(other.code.digest != identity.code.digest for other in same):
        differing.append(f"code {identity.code.digest[:7]}")
    return f"{identity.method} ({', '.join(differing)})" if differing else identity.method
