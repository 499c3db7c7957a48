"""The collection of all checks for methods, by groups, and of those for protocols."""

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
    protocol,
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


def protocol_checks() -> list[Check]:
    """Return every check for protocols, in the order of definition."""
    return [item for item in vars(protocol).values() if isinstance(item, Check)]


def all_checks() -> list[Check]:
    """Return every check for methods, group by group, in the order of definition."""
    return [
        item for module in _MODULES for item in vars(module).values() if isinstance(item, Check)
    ]


def chosen_checks(names: Iterable[str], *, protocols: bool = False) -> list[Check]:
    """Return the checks of some names or groups, or all checks if there are no names.

    Args:
        names: names of checks or groups.
        protocols: True for the checks of protocols, False for those of methods.

    Raises:
        UserError: there is no such check or group.
    """
    wanted, checks = set(names), protocol_checks() if protocols else all_checks()
    known = {name for check in checks for name in (check.group, check.name)}
    for name in wanted - known:
        raise unknown("check", name, known)
    return [check for check in checks if not wanted or wanted & {check.name, check.group}]
