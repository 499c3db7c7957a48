"""The effect of each leak of the published protocols: a protocol beside its variants."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import fmean

import pandas as pd

from genebench._util.hashing import canonical, key_of
from genebench.analysis.grouping import by_preset
from genebench.analysis.variants import labels_of
from genebench.plugins.registry import Registry
from genebench.results.filters import RecordFilter
from genebench.results.record import Record
from genebench.specs import sized_name

COLUMNS = (
    "dataset", "data", "preset", "original", "variant", "method", "label", "params", "metric",
    "seeds", "mean_original", "mean_variant", "difference",
)  # fmt: skip

_OF_THE_PROTOCOL = {"protocol", "protocol_version", "train", "validation", "test", "splits"}
"""Keys of an identity that differ between a protocol and its variant."""

Pair = tuple[Record, Record]


def leaks(records: Iterable[Record], registry: Registry) -> pd.DataFrame:
    """Return one row per preset, method with its parameters, metric, and variant of a protocol.

    A record is paired with that of the variant that has the same data, parameters, code, seed and
    number of training profiles. Records without such a partner, trials and failures have no row.
    Columns ``original`` and ``variant`` name the protocols. ``mean_original`` and ``mean_variant``
    are means over all targets and over the ``seeds`` that both were run with. ``difference`` is
    variant − original: the part of the score that came from the leak. ``label`` is the method with
    the parameters that tell it from others.
    """
    rows: list[dict[str, object]] = []
    datasets: dict[str, list[Record]] = {}
    for record in RecordFilter(status="done", trials=False).apply(records):
        datasets.setdefault(record.identity.data, []).append(record)
    for group in datasets.values():
        for preset, members in by_preset(group, registry).items():
            labels = dict(zip((each.key for each in members), labels_of(members), strict=True))
            for (original, variant), pairs in _pairs(members, registry).items():
                rows += [
                    {"preset": preset, "original": original, "variant": variant} | row
                    for seeds in pairs.values()
                    for row in _rows(seeds, labels[seeds[0][0].key])
                ]
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _pairs(
    records: list[Record], registry: Registry
) -> dict[tuple[str, str], dict[str, list[Pair]]]:
    """Return protocol and variant → method with its parameters → a pair of records per seed."""
    partners = {
        (record.identity.protocol, _setting(record), record.identity.seed): record
        for record in records
    }
    pairs: dict[tuple[str, str], dict[str, list[Pair]]] = {}
    for spec in registry.protocols.specs.values():
        for (protocol, setting, seed), changed in partners.items():
            base, size = sized_name(protocol)
            if not spec.variant_of or base != spec.name:
                continue
            original = spec.variant_of + (f"-n{size}" if size else "")
            if (original, setting, seed) in partners:
                pair = partners[original, setting, seed], changed
                pairs.setdefault((original, protocol), {}).setdefault(setting, []).append(pair)
    return pairs


def _setting(record: Record) -> str:
    """Return a hash of what a method depends on, the protocol and the seed apart.

    Members are results under the same protocol, so only their names and distributions count.
    """
    content = record.identity.model_dump(exclude={"seed", *_OF_THE_PROTOCOL})
    content["members"] = {
        name: member.distribution for name, member in record.identity.members.items()
    }
    return key_of(content)


def _rows(seeds: list[Pair], label: str) -> list[dict[str, object]]:
    """Return a row for each metric that all pairs of records have."""
    first = seeds[0][0]
    rows: list[dict[str, object]] = []
    for metric in first.scores:
        if not all("all" in record.scores.get(metric, {}) for pair in seeds for record in pair):
            continue
        before, after = (
            fmean(record.scores[metric]["all"].mean for record in side)
            for side in zip(*seeds, strict=True)
        )
        rows.append(
            {
                "dataset": first.dataset,
                "data": first.identity.data,
                "method": first.identity.method,
                "label": label,
                "params": canonical(first.identity.params),
                "metric": metric,
                "seeds": len(seeds),
                "mean_original": before,
                "mean_variant": after,
                "difference": after - before,
            }
        )
    return rows
