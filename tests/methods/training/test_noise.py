"""Masks: shares, scales, independence."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from genebench.methods.training.noise import bernoulli


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.999])
def test_a_mask_shows_its_share_scaled_to_a_mean_of_one(share):
    random = torch.Generator().manual_seed(0)
    mask = bernoulli(torch.Size((999, 1003)), share, random, torch.float64)
    shown = mask > 0
    spread = math.sqrt(share * (1 - share) / mask.numel())
    assert float(shown.double().mean()) == pytest.approx(share, abs=4 * spread + 1 / 65536)
    np.testing.assert_allclose(mask[shown].unique(), [1 / share], rtol=1e-4 / share)
    assert float(mask.mean()) == pytest.approx(1, abs=4 * spread / share)
    for axis in (0, 1):
        by_line = shown.double().mean(dim=axis)
        expected = math.sqrt(share * (1 - share) / mask.shape[axis])
        assert float(by_line.std()) == pytest.approx(expected, rel=0.1)
    assert not torch.equal(mask, bernoulli(mask.shape, share, random, torch.float64))
