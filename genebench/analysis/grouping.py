"""Groups of records whose scores may be compared."""

from __future__ import annotations

from collections.abc import Iterable

from genebench._util.hashing import key_of
from genebench.plugins.registry import Registry
from genebench.results.record import Record
from genebench.specs import PRESETS


def comparable(records: Iterable[Record]) -> list[list[Record]]:
    """Group records that may stand in one table: those whose tests are the same."""
    groups: dict[str, list[Record]] = {}
    for record in records:
        groups.setdefault(key_of(record.identity.test_setting()), []).append(record)
    return list(groups.values())


def in_order(records: Iterable[Record], registry: Registry) -> list[list[Record]]:
    """Return the comparable groups by dataset, protocol (in the registry's order) and data."""

    def sort_key(group: list[Record]) -> tuple[str, tuple[int, float], str]:
        identity = group[0].identity
        return group[0].dataset, registry.protocols.place(identity.protocol), identity.data

    return sorted(comparable(records), key=sort_key)


def by_preset(records: Iterable[Record], registry: Registry) -> dict[str, list[Record]]:
    """Map each preset to its records among comparable ones, the largest preset first.

    A record belongs to every preset that has its parameters. Least squares has no parameters, so
    its records belong to each preset.
    """
    group = list(records)
    present = {record.preset for record in group}
    presets = [preset for preset in reversed(PRESETS) if preset in present]
    return {
        preset: [record for record in group if _is_of(preset, record, registry)]
        for preset in (*presets, *sorted(present.difference(PRESETS)))
    }


def _is_of(preset: str, record: Record, registry: Registry) -> bool:
    """Return whether a record has the parameters of a preset."""
    if record.preset == preset:
        return True
    spec = registry.methods.specs.get(record.identity.method)
    if spec is None or preset not in PRESETS:
        return False
    return record.identity.params == spec.values(preset, {})
