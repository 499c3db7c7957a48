"""Checks run one by one, and what came of each."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from genebench._util.text import escaped_output
from genebench.conformance.base import CheckError, NotApplicable
from genebench.conformance.check import Check, all_checks
from genebench.conformance.subject import Subject
from genebench.errors import unknown

Status = Literal["passed", "failed", "skipped", "expected"]


@dataclass(frozen=True)
class Outcome:
    """What came of a check.

    Attributes:
        status: ``expected`` is a failure that was declared.
        detail: why it failed or was skipped, in one sentence; of an expected failure, the reason
            that was declared.
        traceback: of a failure.
    """

    check: Check
    status: Status
    detail: str = ""
    traceback: str = ""


def expected_failures(subject: Subject, more: Mapping[str, str] | None = None) -> dict[str, str]:
    """Check → why it fails, as the spec declares and as is said here.

    Raises:
        UserError: there is no such check.
    """
    expected = {**subject.spec.expected_failures, **(more or {})}
    known = {check.name for check in all_checks()}
    for name in expected:
        if name not in known:
            raise unknown(f"check (an expected failure of {subject})", name, known)
    return expected


def run_checks(
    subject: Subject, checks: Iterable[Check], expected: Mapping[str, str]
) -> Iterator[Outcome]:
    """Make checks, and yield the outcome of each as soon as it is known."""
    for check in checks:
        yield judged(outcome_of(subject, check), expected)


def outcome_of(subject: Subject, check: Check) -> Outcome:
    """Make a check, and say what came of it."""
    try:
        with escaped_output():
            check(subject)
    except NotApplicable as reason:
        return Outcome(check, "skipped", str(reason))
    except CheckError as error:
        return Outcome(check, "failed", str(error), "".join(traceback.format_exception(error)))
    return Outcome(check, "passed")


def judged(outcome: Outcome, expected: Mapping[str, str]) -> Outcome:
    """The outcome in the light of which checks are expected to fail, and why."""
    reason = expected.get(outcome.check.name)
    if reason is None:
        return outcome
    if outcome.status == "failed":
        return Outcome(outcome.check, "expected", reason, outcome.traceback)
    if outcome.status == "passed":
        stale = f"It was expected to fail ({reason}), and passes: declare that no more."
        return Outcome(outcome.check, "failed", stale)
    return outcome


def summary(outcomes: Iterable[Outcome]) -> str:
    """How many checks ran and passed, were skipped and why, and failed as expected and why."""
    every = list(outcomes)
    ran = [outcome for outcome in every if outcome.status != "skipped"]
    passed = sum(outcome.status == "passed" for outcome in ran)
    failed = sum(outcome.status == "failed" for outcome in ran)
    parts = [
        f"{len(ran)} of {len(every)} checks ran",
        f"{passed} passed",
        *([f"{failed} failed"] if failed else []),
        *_reasons(every, "skipped", "skipped"),
        *_reasons(every, "expected", "failed as expected"),
    ]
    return ", ".join(parts)


def _reasons(outcomes: Iterable[Outcome], status: Status, said: str) -> Iterator[str]:
    reasons = Counter(outcome.detail for outcome in outcomes if outcome.status == status)
    if reasons:
        told = "; ".join(f"{number} × {reason}" for reason, number in reasons.items())
        yield f"{reasons.total()} {said} ({told})"
