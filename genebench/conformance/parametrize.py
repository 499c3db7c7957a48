"""Checks as the parameters of a pytest function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from genebench.conformance.base import NothingToCheck
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
        except NothingToCheck as reason:
            pytest.skip(str(reason))


def parametrize_with_checks(
    methods: str | Iterable[str],
    *,
    preset: str = "tiny",
    params: Mapping[str, Any] | None = None,
    expected: Mapping[str, str] | None = None,
) -> Any:
    """Run a pytest function with each check of some installed methods.

    The function takes ``check`` and ``method``, and calls ``check(method)``. A check that does
    not apply is skipped with its reason. An expected failure is a strict xfail.

    Args:
        methods: a name, or several.
        preset: the preset of the parameters.
        params: parameter → value, where it is not the preset's.
        expected: name of a check → why it fails, besides the specs' ``expected_failures``.

    Returns:
        A decorator.

    Raises:
        UserError: an unknown method, parameter or check.
    """
    import pytest

    names = [methods] if isinstance(methods, str) else list(methods)
    subjects = [Subject(name, preset=preset, overrides=texts(params or {})) for name in names]
    pairs = [pair for subject in subjects for pair in _pairs(subject, expected or {})]
    return pytest.mark.parametrize(("check", "method"), pairs)


def _pairs(subject: Subject, more: Mapping[str, str]) -> Iterator[Any]:
    import pytest

    expected = expected_failures(subject, more)
    for plain in all_checks():
        check = _PytestCheck(**{item.name: getattr(plain, item.name) for item in fields(plain)})
        reason = expected.get(check.name)
        marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
        yield pytest.param(check, subject, marks=marks, id=f"{subject}-{check.group}-{check.name}")
