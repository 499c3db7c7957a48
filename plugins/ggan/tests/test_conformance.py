"""The conformance checks of genebench; a few epochs are enough for the easy data."""

from __future__ import annotations

from genebench.testing import parametrize_with_checks


@parametrize_with_checks(("ggan", "ggan-fc", "mlp-l1", "mlp-mse"), params={"epochs": 6})
def test_conforms(check, method):
    check(method)


# Their models are those of ggan-fc, to the bit: test_an_ablation_is_ggan_fc_with_something_off.
@parametrize_with_checks(("mlp-l1-cons-adv", "mlp-l1-adv", "mlp-l1-cons"), only=["spec"])
def test_specs_of_further_ablations_conform(check, method):
    check(method)
