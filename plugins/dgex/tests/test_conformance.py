"""The conformance checks of genebench; a few epochs are enough for the easy data."""

from __future__ import annotations

from genebench.testing import parametrize_with_checks


@parametrize_with_checks("dgex", params={"epochs": 10})
def test_conforms(check, method):
    check(method)
