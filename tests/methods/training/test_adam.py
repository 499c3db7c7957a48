"""Adam in one pass, against torch's."""

from __future__ import annotations

import pytest
import torch

from genebench.methods.training import adam
from genebench.methods.training.adam import adam_in_one_pass
from genebench.methods.training.precision import Weight


@pytest.mark.parametrize("chunk", [1, 50, 1 << 18])
def test_steps_are_those_of_torch_on_the_gradient_with_its_second_term(chunk, monkeypatch):
    monkeypatch.setattr(adam, "_CHUNK_ELEMENTS", chunk)
    random = torch.Generator().manual_seed(0)
    start = torch.randn(23, 17, generator=random)
    weight = Weight(start.clone(), torch.bfloat16)
    moments = torch.zeros_like(start), torch.zeros_like(start)
    peer = torch.nn.Parameter(start.clone())
    theirs = torch.optim.Adam([peer], lr=0.01)
    for step in range(1, 6):
        gradient = torch.randn(start.shape, generator=random).bfloat16()
        decay = torch.randn(len(start), generator=random)
        peer.grad = gradient.float() - decay[:, None] * peer.detach()
        theirs.step()
        # Rows in two parts, as an optimiser would that holds only a part of the gradient.
        for rows in (slice(0, 9), slice(9, 23)):
            adam_in_one_pass(
                weight, rows, gradient[rows], decay[rows], moments, rate=0.01, steps=step,
                betas=(0.9, 0.999), epsilon=1e-8,
            )  # fmt: skip
        torch.testing.assert_close(weight.master, peer.detach(), rtol=1e-5, atol=1e-6)
        assert torch.equal(weight.fast, weight.master.bfloat16())
        torch.testing.assert_close(weight.norms, weight.master.norm(dim=1))


def test_a_small_update_opens_no_threads(monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(adam, "in_order", refuse)
    weight = Weight(torch.ones(4, 3), torch.bfloat16)
    gradient = torch.ones(4, 3).bfloat16()
    moments = torch.zeros(4, 3), torch.zeros(4, 3)
    adam_in_one_pass(
        weight, slice(0, 4), gradient, torch.zeros(4), moments, rate=0.5, steps=1,
        betas=(0.9, 0.999), epsilon=1e-8,
    )  # fmt: skip
    # The first step of Adam has the size of the rate.
    torch.testing.assert_close(weight.master, torch.full((4, 3), 0.5))


def test_copies_are_rounded_to_the_even_one_of_two_and_keep_nan():
    # Halfway between two bfloat16 numbers, one way and the other; too large; no number.
    values = [1 + 2**-8, 1 + 3 * 2**-8, -(1 + 2**-8), 3.4e38, float("nan")]
    weight = Weight(torch.tensor([values]), torch.bfloat16)
    expected = weight.master.bfloat16()
    weight.fast.zero_()
    adam_in_one_pass(
        weight, slice(0, 1), torch.zeros(1, len(values)).bfloat16(), torch.zeros(1),
        (torch.zeros(1, len(values)), torch.zeros(1, len(values))), rate=0.0, steps=1,
        betas=(0.9, 0.999), epsilon=1e-8,
    )  # fmt: skip
    torch.testing.assert_close(weight.fast, expected, rtol=0, atol=0, equal_nan=True)


def test_norms_are_dropped_when_something_else_changes_the_weight():
    weight = Weight(torch.ones(2, 3), torch.bfloat16)
    for change in (lambda: weight.add_(torch.ones(2, 3).bfloat16()), weight.refresh):
        weight.norms = torch.ones(2)
        change()
        assert weight.norms is None
