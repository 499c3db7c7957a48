"""Conformance checks for methods, from the command line (``genebench check``) and from pytest.

In a plugin's tests::

    from genebench.conformance import parametrize_with_checks

    @parametrize_with_checks("mymethod")
    def test_conforms(check, method):
        check(method)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["parametrize_with_checks"]


def parametrize_with_checks(
    methods: str | Iterable[str],
    *,
    preset: str = "tiny",
    params: Mapping[str, Any] | None = None,
    expected: Mapping[str, str] | None = None,
) -> Any:
    """Run a pytest function with each check of some installed methods.

    The function takes ``check`` and ``method``, and calls ``check(method)``. What cannot be
    checked is skipped with its reason; an expected failure is a strict xfail.

    Args:
        methods: names, or one.
        preset: what parameters are taken from.
        params: parameter → value, where not the preset's.
        expected: name of a check → why it fails, on top of the specs' ``expected_failures``.

    Returns:
        A decorator.

    Raises:
        UserError: an unknown method, parameter or check.
    """
    from genebench.conformance.parametrize import parametrized

    names = [methods] if isinstance(methods, str) else list(methods)
    return parametrized(names, preset=preset, params=params or {}, expected=expected or {})
