"""What a check is: a function whose one-sentence docstring is its name and its error."""

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
"""Groups of checks, in the order that they are run in; each is a module of ``checks``."""


@dataclass(frozen=True)
class Check:
    """One check of one method. Call it with a :class:`Subject`.

    Attributes:
        name: what expected failures and ``--only`` call it.
        group: what it is about.
        sentence: what a method that conforms does.
    """

    name: str
    group: str
    sentence: str
    function: Callable[[Subject], None]

    def __call__(self, subject: Subject) -> None:
        """Make the check.

        Raises:
            CheckError: the method does not conform.
            NotApplicable: nothing can be said of it.
        """
        try:
            with subject.at_home(), no_exit():
                self.function(subject)
        except NotApplicable:
            raise
        except Violation as violation:
            raise CheckError(f"{self.sentence} But {violation}") from violation
        except (Exception, SystemExit) as error:
            raise CheckError(f"{self.sentence} But it raised {describe(error)}") from error


_KNOWN: dict[str, Check] = {}


def check(function: Callable[[Subject], None]) -> Check:
    """Make a check of a function; its module is its group, its docstring what it says."""
    group = function.__module__.rpartition(".")[2]
    sentence = " ".join((function.__doc__ or "").split())
    made = Check(function.__name__, group, sentence, function)
    _KNOWN[made.name] = made
    return made


def all_checks() -> list[Check]:
    """Every check, group by group."""
    for group in GROUPS:
        import_module(f"genebench.conformance.checks.{group}")
    return sorted(_KNOWN.values(), key=lambda check: GROUPS.index(check.group))


def chosen_checks(names: Iterable[str]) -> list[Check]:
    """The checks of these names or groups; every one when there are none.

    Raises:
        UserError: there is no such check or group.
    """
    wanted, every = set(names), all_checks()
    known = {*GROUPS, *(check.name for check in every)}
    for name in wanted - known:
        raise unknown("check", name, known)
    return [check for check in every if not wanted or wanted & {check.name, check.group}]
