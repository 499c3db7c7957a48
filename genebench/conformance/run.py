"""Running checks one by one, and the outcome of each."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from genebench._util.text import escaped_output
from genebench.conformance.base import CheckError, NothingToCheck
from genebench.conformance.check import AnySubject, Check
from genebench.conformance.collection import all_checks
from genebench.conformance.subject import Subject
from genebench.errors import unknown

Status = Literal["passed", "failed", "skipped", "expected"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of one check.

    Attributes:
        check: the check.
        status: the result. ``expected`` is a failure that was declared.
        detail: the behaviour that broke the rule, or the reason why the check was skipped. For an
            expected failure it is the declared reason.
        traceback: the traceback of a failure.
    """

    check: Check
    status: Status
    detail: str = ""
    traceback: str = ""


def expected_failures(subject: Subject, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return check → reason of each failure that is expected: those of the spec, and more.

    Raises:
        UserError: an expected failure names no check.
    """
    expected = {**subject.method.spec.expected_failures, **(more or {})}
    known = {check.name for check in all_checks()}
    for name in expected:
        if name not in known:
            raise unknown(f"check (an expected failure of {subject})", name, known)
    return expected


def run_checks(
    subject: AnySubject, checks: Iterable[Check], expected: Mapping[str, str]
) -> Iterator[Outcome]:
    """Run checks, and yield the outcome of each as soon as it has run."""
    for check in checks:
        yield judged(outcome_of(subject, check), expected)


def outcome_of(subject: AnySubject, check: Check) -> Outcome:
    """Run a check, and return its outcome."""
    try:
        with escaped_output():
            check(subject)
    except NothingToCheck as reason:
        return Outcome(check, "skipped", str(reason))
    except CheckError as error:
        lines = traceback.format_exception(error)
        return Outcome(check, "failed", f"But {error.observation}", "".join(lines))
    return Outcome(check, "passed")


def judged(outcome: Outcome, expected: Mapping[str, str]) -> Outcome:
    """Return the outcome with expected failures taken into account.

    An expected failure that passes is a failure: the declaration is out of date.
    """
    reason = expected.get(outcome.check.name)
    if reason is None:
        return outcome
    if outcome.status == "failed":
        return Outcome(outcome.check, "expected", reason, outcome.traceback)
    if outcome.status == "passed":
        stale = f"But it was expected to fail ({reason}), and passes. Remove the declaration."
        return Outcome(outcome.check, "failed", stale)
    return outcome


def summary(outcomes: Iterable[Outcome]) -> str:
    """Return one line: the numbers of checks by status, and the reasons of skips."""
    listed = list(outcomes)
    ran = [outcome for outcome in listed if outcome.status != "skipped"]
    passed = sum(outcome.status == "passed" for outcome in ran)
    failed = sum(outcome.status == "failed" for outcome in ran)
    parts = [
        f"{len(ran)} of {len(listed)} checks ran",
        f"{passed} passed",
        *([f"{failed} failed"] if failed else []),
        *_reasons(listed, "skipped", "skipped"),
        *_reasons(listed, "expected", "failed as expected"),
    ]
    return ", ".join(parts)


def _reasons(outcomes: Iterable[Outcome], status: Status, label: str) -> Iterator[str]:
    reasons = Counter(outcome.detail for outcome in outcomes if outcome.status == status)
    if reasons:
        counted = ", ".join(f"{number} × {reason}" for reason, number in reasons.items())
        yield f"{reasons.total()} {label} ({counted})"
