"""A check: a rule for methods or protocols, and a function that finds whether one keeps it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from genebench.conformance.base import CheckError, NothingToCheck, Violation
from genebench.errors import describe
from genebench.plugins.guards import no_exit


class Home(Protocol):
    """The data folder of a subject."""

    def active(self) -> AbstractContextManager[None]:
        """Make it the folder that genebench finds."""


class AnySubject(Protocol):
    """A method or a protocol under check."""

    @property
    def home(self) -> Home:
        """Its data folder."""


@dataclass(frozen=True)
class Check:
    """One check. Call it with a subject: a method or a protocol.

    Attributes:
        name: its name, for expected failures and ``--only``.
        group: its group.
        rule: the rule, one sentence that tells the author what the method or protocol must do.
        function: raises an exception if the method breaks the rule.
    """

    name: str
    group: str
    rule: str
    function: Callable[[Any], None]

    def __call__(self, subject: AnySubject) -> None:
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


def check(function: Callable[[Any], None]) -> Check:
    """Turn a function into a check. Its docstring is the rule, and its module the group."""
    group = function.__module__.rpartition(".")[2]
    rule = " ".join((function.__doc__ or "").split())
    return Check(function.__name__, group, rule, function)
