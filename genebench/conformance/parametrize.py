"""Checks as the parameters of a pytest function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from genebench.conformance.base import NotApplicable
from genebench.conformance.check import Check
from genebench.conformance.collection import all_checks
from genebench.conformance.run import expected_failures
from genebench.conformance.subject import Subject
from genebench.runs.suite import texts


class _PytestCheck(Check):
    """A check that skips its test if it does not apply."""

    def __call__(self, subject: Subject) -> None:
        import pytest

        try:
            super().__call__(subject)
        except NotApplicable as reason:
            pytest.skip(str(reason))


def parametrized(
    methods: Iterable[str],
    *,
    preset: str,
    params: Mapping[str, Any],
    expected: Mapping[str, str],
) -> Any:
    """Return the decorator of :func:`genebench.conformance.parametrize_with_checks`."""
    import pytest

    subjects = [Subject(name, preset=preset, overrides=texts(params)) for name in methods]
    pairs = [pair for subject in subjects for pair in _pairs(subject, expected)]
    return pytest.mark.parametrize(("check", "method"), pairs)


def _pairs(subject: Subject, more: Mapping[str, str]) -> Iterator[Any]:
    import pytest

    expected = expected_failures(subject, more)
    for plain in all_checks():
        check = _PytestCheck(**{item.name: getattr(plain, item.name) for item in fields(plain)})
        reason = expected.get(check.name)
        marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
        yield pytest.param(check, subject, marks=marks, id=f"{subject}-{check.group}-{check.name}")
