"""The conformance checks of genebench; a few epochs are enough for the easy data."""

from __future__ import annotations

from genebench.testing import parametrize_with_checks

METHODS = (
    "ggan",
    "ggan-fc",
    "mlp-l1-cons-adv",
    "mlp-l1-adv",
    "mlp-l1-cons",
    "mlp-l1",
    "mlp-mse",
)


@parametrize_with_checks(METHODS, params={"epochs": 6})
def test_conforms(check, method):
    check(method)
