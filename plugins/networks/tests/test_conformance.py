"""The conformance checks of genebench; a few epochs are enough for the easy data."""

from __future__ import annotations

from genebench.testing import parametrize_with_checks


@parametrize_with_checks(("mlp-ensemble", "taaf", "tower"), params={"epochs": 6})
def test_conforms(check, method):
    check(method)


@parametrize_with_checks("tower", params={"epochs": 6, "architecture": "checkerboard"})
def test_checkerboard_conforms(check, method):
    check(method)
