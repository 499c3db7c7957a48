"""The collection of all checks, by groups."""

from __future__ import annotations

from collections.abc import Iterable

from genebench.conformance.check import Check
from genebench.conformance.checks import (
    device,
    failure,
    honesty,
    learning,
    life,
    order,
    purity,
    relevance,
    repeat,
    shape,
    spec,
)
from genebench.errors import unknown

_MODULES = (
    spec, shape, purity, order, honesty, learning, repeat, relevance, life, device, failure
)  # fmt: skip

GROUPS = tuple(module.__name__.rpartition(".")[2] for module in _MODULES)
"""Groups of checks, in the order that they run in."""


def all_checks() -> list[Check]:
    """Return every check, group by group, in the order of definition."""
    return [
        item for module in _MODULES for item in vars(module).values() if isinstance(item, Check)
    ]


def chosen_checks(names: Iterable[str]) -> list[Check]:
    """Return the checks of some names or groups, or all checks if there are no names.

    Raises:
        UserError: there is no such check or group.
    """
    wanted, checks = set(names), all_checks()
    known = {*GROUPS, *(check.name for check in checks)}
    for name in wanted - known:
        raise unknown("check", name, known)
    return [check for check in checks if not wanted or wanted & {check.name, check.group}]
