"""A float32 matrix and its bfloat16 copy."""

from __future__ import annotations

import pytest
import torch

from genebench.methods.training import precision
from genebench.methods.training.precision import Weight, product


def test_float32_needs_no_copy():
    weight = Weight(torch.ones(2, 3), torch.float32)
    assert weight.fast is weight.master
    weight.add_(torch.ones(2, 3))
    assert (weight.fast == 2).all()


@pytest.mark.parametrize("cached", [4, 100])
def test_the_copy_is_the_master_rounded_also_in_pieces(cached, monkeypatch):
    monkeypatch.setattr(precision, "_PIECE_ELEMENTS", cached)
    random = torch.Generator().manual_seed(0)
    start, change = (torch.randn(5, 7, generator=random) for _ in range(2))
    weight = Weight(start.clone(), torch.bfloat16)
    weight.add_(change.bfloat16())
    expected = start + change.bfloat16().float()
    assert torch.equal(weight.master, expected)
    assert torch.equal(weight.fast, expected.bfloat16())


def test_updates_too_small_for_bfloat16_add_up():
    weight = Weight(torch.ones(1), torch.bfloat16)
    for _ in range(100):
        weight.add_(torch.full((1,), 1e-3, dtype=torch.bfloat16))
    assert float(weight.master) == pytest.approx(1.1, rel=1e-3)
    assert float(weight.fast) == pytest.approx(1.1, rel=5e-3)


def test_refresh_follows_a_master_that_was_written_to():
    weight = Weight(torch.zeros(3), torch.bfloat16)
    weight.master.fill_(2)
    weight.refresh()
    assert (weight.fast == 2).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("with_bias", [True, False])
def test_products_are_those_of_a_linear_layer_with_a_gradient_by_their_inputs(dtype, with_bias):
    random = torch.Generator().manual_seed(0)
    x, v, dy = (
        torch.randn(shape, generator=random, dtype=torch.float64).to(dtype)
        for shape in ((9, 40), (30, 40), (9, 30))
    )
    bias = torch.randn(30, generator=random).to(dtype) if with_bias else None
    x.requires_grad_()
    ours = product(x, v, bias)
    exact = x.detach().double() @ v.double().T + (0 if bias is None else bias.double())
    (dx,) = torch.autograd.grad(ours, x, dy)
    rounding = {torch.float32: 1e-5, torch.bfloat16: 2e-2}[dtype]
    assert ours.dtype == dtype
    torch.testing.assert_close(ours.double(), exact, rtol=rounding, atol=5 * rounding)
    expected = dy.double() @ v.double()
    torch.testing.assert_close(dx.double(), expected, rtol=rounding, atol=5 * rounding)
