"""Differences between two records, or between the records of two folders."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import pandas as pd

from genebench._util.hashing import canonical
from genebench._util.text import typed
from genebench.results.filters import RecordFilter
from genebench.results.record import Record

COLUMNS = (
    "dataset", "protocol", "method", "params", "seed", "metric", "panel", "a", "b", "difference",
    "key_a", "key_b",
)  # fmt: skip

Pair = tuple[Record, Record]


@dataclass
class Pairing:
    """The records of two folders, paired."""

    pairs: list[Pair] = field(default_factory=list)
    only_a: list[Record] = field(default_factory=list)
    only_b: list[Record] = field(default_factory=list)


def paired(a: Iterable[Record], b: Iterable[Record]) -> Pairing:
    """Pair records of the same method, parameters, seed, protocol and dataset.

    Data, code and versions may differ: they are what a comparison of two folders is about. Of
    several records with one setting, that of the same key is taken, or else the one that ran last.
    Trials of tuning are left out.
    """
    left, right = (_by_setting(RecordFilter(trials=False).apply(records)) for records in (a, b))
    found = Pairing()
    for setting, ours in left.items():
        theirs = right.get(setting, {})
        if not theirs:
            found.only_a += ours.values()
            continue
        common = [key for key in ours if key in theirs]
        key_a, key_b = (common[-1], common[-1]) if common else ([*ours][-1], [*theirs][-1])
        found.pairs.append((ours[key_a], theirs[key_b]))
    found.only_b = [
        record
        for setting, theirs in right.items()
        if setting not in left
        for record in theirs.values()
    ]
    return found


def _by_setting(records: Iterable[Record]) -> dict[str, dict[str, Record]]:
    """Return setting → key → record, in the order of time."""
    groups: dict[str, dict[str, Record]] = {}
    for record in sorted(records, key=lambda record: record.provenance.started):
        identity = record.identity
        names = ("method", "params", "seed", "protocol")
        setting = canonical([record.dataset, identity.model_dump(include=set(names))])
        groups.setdefault(setting, {})[record.key] = record
    return groups


def setting_differences(a: Record, b: Record) -> list[tuple[str, str, str]]:
    """Return a row for each setting that differs: its dotted name, and the value of each record.

    Settings are the identity, the choices on the validation set, and where and with which versions
    the work was done. A value that one record lacks is ``–``. Versions are those of libraries that
    both records have. A record lists a library only if its process had loaded it by then, so that
    an earlier job of the same command may have brought it in.
    """
    ours, theirs = (dict(_flat(_settings(record))) for record in (a, b))
    both = {*a.provenance.versions} & {*b.provenance.versions}
    libraries = {f"versions.{name}" for name in both}
    return [
        (name, typed(ours.get(name, "–")), typed(theirs.get(name, "–")))
        for name in dict.fromkeys([*ours, *theirs])
        if ours.get(name) != theirs.get(name)
        and (not name.startswith("versions.") or name in libraries)
    ]


def _settings(record: Record) -> dict[str, Any]:
    """Return what may explain another score."""
    provenance = record.provenance.model_dump(exclude={"command", "started", "plugins", "cpus"})
    return {
        "status": record.status,
        "dataset": record.dataset,
        "preset": record.preset,
        **record.identity.model_dump(),
        "profiles": record.profiles,
        "genes": record.genes,
        "choices": record.choices,
        "metrics": record.metrics,
        "seal": record.seal.level,
        **provenance,
    }


def _flat(content: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in content.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def score_differences(pairs: Iterable[Pair]) -> pd.DataFrame:
    """Return a row for each metric and panel that both records of a pair have.

    ``a`` and ``b`` are means over the panel, ``difference`` is b − a.
    """
    rows = [
        {
            "dataset": a.dataset,
            "protocol": a.identity.protocol,
            "method": a.identity.method,
            "params": canonical(a.identity.params),
            "seed": a.identity.seed,
            "metric": metric,
            "panel": panel,
            "a": score.mean,
            "b": other.mean,
            "difference": other.mean - score.mean,
            "key_a": a.key,
            "key_b": b.key,
        }
        for a, b in pairs
        for metric, panels in a.scores.items()
        for panel, score in panels.items()
        if (other := b.scores.get(metric, {}).get(panel))
    ]
    return pd.DataFrame(rows, columns=list(COLUMNS))
