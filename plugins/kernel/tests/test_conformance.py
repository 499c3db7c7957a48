"""The conformance checks of genebench, with Nyström centres (preset tiny) and exact."""

from __future__ import annotations

from genebench.testing import parametrize_with_checks


@parametrize_with_checks("kernel-ridge")
def test_conforms(check, method):
    check(method)


@parametrize_with_checks(
    "kernel-ridge",
    params={"exact_max": 1000},
    expected={"the_seed_matters_as_declared": "an exact fit draws no random numbers"},
)
def test_exact_conforms(check, method):
    check(method)


@parametrize_with_checks(
    "kernel-ridge",
    params={"profile_weights": 2.0, "criterion": "mae-cc", "scale_max": 1.3},
)
def test_weights_criterion_and_scale_conform(check, method):
    check(method)
