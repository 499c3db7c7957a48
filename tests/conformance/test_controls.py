"""The built-in methods pass the conformance checks, as plugins do."""

from __future__ import annotations

from genebench.testing import parametrize_with_checks


@parametrize_with_checks(["train-mean", "copy-twin"])
def test_conforms(check, method):
    check(method)
