"""A check: a rule for methods, and a function that finds whether a method keeps it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from importlib import import_module

from genebench.conformance.base import CheckError, NotApplicable, Violation
from genebench.conformance.subject import Subject
from genebench.errors import describe, unknown
from genebench.plugins.guards import no_exit

GROUPS = (
    "spec", "shape", "purity", "order", "honesty", "learning", "repeat", "life", "device",
    "failure",
)  # fmt: skip
"""Groups of checks, in the order that they run in. Each is a module of ``checks``."""


@dataclass(frozen=True)
class Check:
    """One check. Call it with a :class:`Subject`.

    Attributes:
        name: its name, for expected failures and ``--only``.
        group: its group.
        rule: the rule, one sentence that tells the author of a method what the method must do.
        function: raises an exception if the method breaks the rule.
    """

    name: str
    group: str
    rule: str
    function: Callable[[Subject], None]

    def __call__(self, subject: Subject) -> None:
        """Run the check.

        Raises:
            CheckError: the method breaks the rule.
            NotApplicable: the rule does not apply to this method, or not on this machine.
        """
        try:
            with subject.home.active(), no_exit():
                self.function(subject)
        except NotApplicable:
            raise
        except Violation as violation:
            raise CheckError(self.rule, str(violation)) from violation
        except (Exception, SystemExit) as error:
            raise CheckError(self.rule, f"it raised {describe(error)}") from error


def check(function: Callable[[Subject], None]) -> Check:
    """Turn a function into a check. Its docstring is the rule, its module the group."""
    group = function.__module__.rpartition(".")[2]
    rule = " ".join((function.__doc__ or "").split())
    return Check(function.__name__, group, rule, function)


def all_checks() -> list[Check]:
    """Return every check, group by group, in the order of definition."""
    modules = [import_module(f"genebench.conformance.checks.{group}") for group in GROUPS]
    return [item for module in modules for item in vars(module).values() if isinstance(item, Check)]


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
