"""Checks of methods and of protocols as the parameters of a pytest function."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from typing import Any

from genebench.conformance.base import NothingToCheck
from genebench.conformance.check import AnySubject, Check
from genebench.conformance.collection import chosen_checks, protocol_checks
from genebench.conformance.protocol_under_check import ProtocolSubject
from genebench.conformance.run import expected_failures
from genebench.conformance.subject import Subject
from genebench.runs.suite import texts


class _PytestCheck(Check):
    """A check that skips its test if it does not apply."""

    def __call__(self, subject: AnySubject) -> None:
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
    only: Iterable[str] = (),
) -> Any:
    """Run a pytest function with each check of some installed methods.

    The function takes ``check`` and ``method``, and calls ``check(method)``. A check that does
    not apply is skipped with its reason. An expected failure is a strict xfail.

    Args:
        methods: a name, or several.
        preset: the preset of the parameters.
        params: parameter → value, where it is not the preset's.
        expected: name of a check → why it fails, besides the specs' ``expected_failures``.
        only: names of checks or groups. By default all checks.

    Returns:
        A decorator.

    Raises:
        UserError: an unknown method, parameter or check.
    """
    import pytest

    names = [methods] if isinstance(methods, str) else list(methods)
    subjects = [Subject(name, preset=preset, overrides=texts(params or {})) for name in names]
    checks = chosen_checks(only)
    pairs = [pair for subject in subjects for pair in _pairs(subject, checks, expected or {})]
    return pytest.mark.parametrize(("check", "method"), pairs)


def parametrize_with_protocol_checks(
    protocols: str | Iterable[str], *, dataset: str = "sim", preset: str | None = None
) -> Any:
    """Run a pytest function with each check of some installed protocols.

    The function takes ``check`` and ``protocol``, and calls ``check(protocol)``. A check that does
    not apply is skipped with its reason.

    Args:
        protocols: a name, or several.
        dataset: the dataset, built-in or prepared.
        preset: the size of the dataset. By default its smallest.

    Returns:
        A decorator.

    Raises:
        UserError: an unknown protocol or dataset.
    """
    import pytest

    names = [protocols] if isinstance(protocols, str) else list(protocols)
    subjects = [ProtocolSubject(name, dataset=dataset, preset=preset) for name in names]
    pairs = [
        pytest.param(_skipping(check), subject, id=f"{subject}-{check.name}")
        for subject in subjects
        for check in protocol_checks()
    ]
    return pytest.mark.parametrize(("check", "protocol"), pairs)


def _skipping(check: Check) -> _PytestCheck:
    """Return a check that skips its test where it does not apply."""
    return _PytestCheck(**{item.name: getattr(check, item.name) for item in fields(check)})


def _pairs(subject: Subject, checks: Iterable[Check], more: Mapping[str, str]) -> Iterator[Any]:
    import pytest

    expected = expected_failures(subject, more)
    for plain in checks:
        check = _skipping(plain)
        reason = expected.get(check.name)
        marks = [pytest.mark.xfail(reason=reason, strict=True)] if reason else []
        yield pytest.param(check, subject, marks=marks, id=f"{subject}-{check.group}-{check.name}")
