"""The conformance checks of genebench."""

from __future__ import annotations

from genebench.testing import parametrize_with_checks


@parametrize_with_checks("ensemble")
def test_the_mean_conforms(check, method):
    check(method)


@parametrize_with_checks("ensemble", params={"weights": "stack"})
def test_stacking_conforms(check, method):
    check(method)
