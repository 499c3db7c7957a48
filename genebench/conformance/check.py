"""A check: a rule for methods, and a function that finds whether a method keeps it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from genebench.conformance.base import CheckError, NothingToCheck, Violation
from genebench.conformance.subject import Subject
from genebench.errors import describe
from genebench.plugins.guards import no_exit


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
            NothingToCheck: the rule does not apply to this method, or not on this machine.
        """
        try:
            with subject.home.active(), no_exit():
                self.function(subject)
        except NothingToCheck:
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
