"""Variants: the records of one method with one set of parameters, one for each seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from genebench._util.hashing import key_of
from genebench._util.text import setting, typed
from genebench.errors import counted
from genebench.plugins.registry import Registry
from genebench.results.filters import RecordFilter
from genebench.results.record import Identity, Record
from genebench.specs import MetricSpec, Value


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
    labels = labels_of([group[0] for group in groups.values()])
    for label, group in zip(labels, groups.values(), strict=True):
        spec = registry.methods.specs.get(group[0].identity.method)
        variants.append(
            Variant(
                label=label,
                records=tuple(sorted(group, key=lambda record: record.identity.seed)),
                control=spec is not None and spec.control,
            )
        )
    return variants


def labels_of(records: Sequence[Record]) -> list[str]:
    """Return for each record its method's name, and what tells it from others of that name.

    Parameters that are not needed for that are left out: the most common values first.
    """
    places: dict[str, list[int]] = {}
    for place, record in enumerate(records):
        places.setdefault(record.identity.method, []).append(place)
    labels = [""] * len(records)
    for method, at in places.items():
        same = [records[place].identity for place in at]
        parts = zip(_settings(same), _members(same), _codes(same), strict=True)
        for place, part in zip(at, parts, strict=True):
            differing = [text for texts in part for text in texts]
            labels[place] = f"{method} ({', '.join(differing)})" if differing else method
    return labels


def _settings(same: Sequence[Identity]) -> Iterator[list[str]]:
    """Yield the parameters that tell each identity from others, as they are shown."""
    params = [*{tuple(identity.params.items()): identity.params for identity in same}.values()]
    if len(params) == 1:
        return ([] for _ in same)
    names = [*dict.fromkeys(name for values in params for name in values)]
    texts = [_texts(name, params) for name in names]
    # Parameters × variants: comparing numbers is much faster than comparing texts.
    codes = np.array([np.unique(row, return_inverse=True)[1] for row in texts])
    later_first = range(len(names) - 1, -1, -1)
    found = {}
    for variant, values in enumerate(params):
        own = [row[variant] for row in texts]
        # A parameter that this one lacks is not in its label.
        differs = (codes != codes[:, [variant]]) & np.array([[text != ""] for text in own])
        needed, ways = differs.any(axis=1), differs.sum(axis=0)
        # Of two that go together, the one that is declared later is left out.
        for row in sorted(later_first, key=differs.sum(axis=1).__getitem__):
            # Another parameter must still tell each of the other variants from this one.
            if needed[row] and not (differs[row] & (ways == 1)).any():
                needed[row] = False
                ways -= differs[row]
        found[tuple(values.items())] = [own[row] for row in np.flatnonzero(needed)]
    return (found[tuple(identity.params.items())] for identity in same)


def _texts(name: str, params: Sequence[Mapping[str, Value]]) -> list[str]:
    """Return a parameter with each value as it is shown, or "" where there is none."""
    shown = [setting(name, values[name]) if name in values else "" for values in params]
    if len(set(shown)) == len({values.get(name) for values in params}):
        return shown
    # Six digits do not tell all values apart.
    return [f"{name}={typed(values[name])}" if name in values else "" for values in params]


def _members(same: Sequence[Identity]) -> Iterator[list[str]]:
    """Yield the digest of each identity's members, where others differ in nothing but these."""
    members = [
        key_of({name: member.variant for name, member in identity.members.items()})[:7]
        for identity in same
    ]
    # Under another protocol or with other training profiles, members always differ.
    alike = [key_of([identity.params, identity.test_setting()]) for identity in same]
    choices = Counter(group for group, _ in set(zip(alike, members, strict=True)))
    for group, digest in zip(alike, members, strict=True):
        yield [f"members {digest}"] if choices[group] > 1 else []


def _codes(same: Sequence[Identity]) -> Iterator[list[str]]:
    """Yield where the code of each identity comes from, as far as others differ in it."""
    codes = [identity.code for identity in same]
    distributions = {code.distribution for code in codes}
    digests = Counter(version for version, _ in {(code.version, code.digest) for code in codes})
    for code in codes:
        parts = [f"from {code.distribution}"] if len(distributions) > 1 else []
        parts += [f"version {code.version}"] if len(digests) > 1 else []
        parts += [f"code {code.digest[:7]}"] if digests[code.version] > 1 else []
        yield parts
