"""The conformance checks of genebench."""

from __future__ import annotations

from genebench.testing import parametrize_with_checks


@parametrize_with_checks("sample-lasso")
def test_conforms(check, method):
    check(method)
