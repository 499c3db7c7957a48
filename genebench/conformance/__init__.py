"""Conformance checks for methods, from the command line (``genebench check``) and from pytest.

In a plugin's tests::

    from genebench.testing import parametrize_with_checks

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
    from genebench.conformance.parametrize import parametrized

    names = [methods] if isinstance(methods, str) else list(methods)
    return parametrized(names, preset=preset, params=params or {}, expected=expected or {})
