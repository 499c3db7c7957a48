"""The tables of changes between two folders of results, such as for a pull request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

import pandas as pd

from genebench._util.hashing import canonical
from genebench._util.text import setting
from genebench.analysis.difference import Pairing, score_differences, setting_differences
from genebench.errors import counted, some
from genebench.reports.report import Report, Row, Section, Table
from genebench.reports.wording import described
from genebench.results.checks import ROUNDING
from genebench.results.record import Record
from genebench.specs import MetricSpec, Value

_PANEL = "all"
_PLACES = ("host", "platform", "device", "accelerator")
"""Settings that say where it ran, which explain no change of a score."""
_MOST_SETTINGS = 20
_MOST_NAMED = 5


@dataclass
class _Change:
    """One method with its parameters under one protocol: its records before and after.

    Each seed that both sides have is in both. If there is none, all seeds of each side are there.
    """

    params: Mapping[str, Value]
    method: str
    before: list[Record] = field(default_factory=list)
    after: list[Record] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class ChangesReport(Report):
    """The report of ``genebench results diff --markdown``, which is in no registry.

    It takes two folders, and not one.

    Attributes:
        pairing: the records before and after.
        names: what the two folders are called.
    """

    pairing: Pairing
    names: tuple[str, str]

    def values(self) -> pd.DataFrame:
        """Return one row per pair of records, metric and panel."""
        return score_differences(self.pairing.pairs)

    def sections(self) -> Iterator[Section]:
        """Yield a section for each dataset and protocol, then the settings that differ."""
        metrics = [self.registry.metrics.get(name) for name in self.metrics]
        groups = self._groups()
        if not groups:
            yield Section("No results to compare", (), (f"{' and '.join(self.names)} are empty",))
        for (dataset, protocol), changes in groups.items():
            tables = [table for metric in metrics if (table := self._table(metric, changes))]
            words = Counter(self._word(change, metrics[0]) for change in changes)
            counts = ", ".join(f"{number} {word}" for word, number in words.items())
            yield Section(
                f"{dataset} · {protocol}",
                tuple(tables),
                verdict=(f"{metrics[0].title}: {counts}.",),
            )
        if lines := tuple(self._settings()):
            yield Section("Settings that differ", (), notes=lines)

    def _groups(self) -> dict[tuple[str, str], list[_Change]]:
        """Return dataset and protocol → changes, in the order of names."""
        changes: dict[tuple[str, str, str, str], _Change] = {}

        def change_of(record: Record) -> _Change:
            identity = record.identity
            key = (record.dataset, identity.protocol, identity.method, canonical(identity.params))
            return changes.setdefault(key, _Change(identity.params, identity.method))

        for before, after in self.pairing.pairs:
            change = change_of(before)
            change.before.append(before)
            change.after.append(after)
        paired = {id(change) for change in changes.values()}
        for records, side in ((self.pairing.only_a, "before"), (self.pairing.only_b, "after")):
            for record in records:
                # A mean over other seeds would not be comparable.
                if id(change := change_of(record)) not in paired:
                    getattr(change, side).append(record)
        groups: dict[tuple[str, str], list[_Change]] = {}
        for (dataset, protocol, _, _), change in sorted(changes.items()):
            groups.setdefault((dataset, protocol), []).append(change)
        return groups

    def _table(self, metric: MetricSpec, changes: Sequence[_Change]) -> Table | None:
        """Return the scores of a metric before and after, or None if no record has any."""
        if all(_mean(side, metric) is None for c in changes for side in (c.before, c.after)):
            return None
        rows = []
        for change in changes:
            before, after = _mean(change.before, metric), _mean(change.after, metric)
            difference = "–" if before is None or after is None else f"{after - before:+.4f}"
            rows.append(
                Row((
                    _label(change, changes),
                    _cell(change.before, before),
                    _cell(change.after, after),
                    difference,
                    self._word(change, metric),
                ))
            )  # fmt: skip
        return Table(
            described(metric, f"on panel {_PANEL}"),
            ("method", *self.names, "change", ""),
            tuple(rows),
        )

    def _word(self, change: _Change, metric: MetricSpec) -> str:
        """Return how a score has changed, in a word."""
        if not change.before:
            return "new"
        if not change.after:
            return "gone"
        before, after = _mean(change.before, metric), _mean(change.after, metric)
        if before is None or after is None:
            return "the same" if before is after else "unscored" if after is None else "scored"
        if abs(after - before) <= ROUNDING * max(1.0, abs(before)):
            return "the same"
        return "better" if (after < before) == (metric.direction == "lower") else "worse"

    def _settings(self) -> Iterator[str]:
        """Yield each setting that differs within pairs, with the methods that it differs for."""
        methods: dict[tuple[str, str, str], list[str]] = {}
        for before, after in self.pairing.pairs:
            for row in setting_differences(before, after):
                if row[0] not in _PLACES:
                    methods.setdefault(row, []).append(before.identity.method)
        for (name, old, new), differing in list(methods.items())[:_MOST_SETTINGS]:
            listed = some(list(dict.fromkeys(differing)), _MOST_NAMED)
            yield f"{name}: {old} → {new} ({listed})"
        if len(methods) > _MOST_SETTINGS:
            yield f"and {counted(len(methods) - _MOST_SETTINGS, 'more setting')}"


def _mean(records: Sequence[Record], metric: MetricSpec) -> float | None:
    """Return the mean over seeds, or None if a record has no score."""
    scores = [record.scores.get(metric.name, {}).get(_PANEL) for record in records]
    means = [score.mean for score in scores if score]
    return fmean(means) if means and len(means) == len(scores) else None


def _cell(records: Sequence[Record], mean: float | None) -> str:
    if mean is not None:
        return f"{mean:.4f}"
    unfinished = [record.status for record in records if record.status != "done"]
    return unfinished[0] if unfinished else "–"


def _label(change: _Change, changes: Sequence[_Change]) -> str:
    """Return the method's name, and the parameters that tell it apart from others of that name."""
    same = [other.params for other in changes if other.method == change.method]
    differing = [
        setting(name, value)
        for name, value in change.params.items()
        if any(params.get(name) != value for params in same)
    ]
    return f"{change.method} ({', '.join(differing)})" if differing else change.method
