"""What generator and discriminator are to make small; each a mean over profiles (and genes)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import l1_loss, mse_loss, softplus

ERRORS = {"l1": l1_loss, "mse": mse_loss}
"""How far predictions are from the truth."""
ADVERSARIAL_SCALE = {"paper": 200 / 9520, "batchmean": 1 / 9520, "mean": 1.0}
"""Times the mean adversarial loss, when the others are means over profiles and genes.

As printed, the others are means over the batch of sums over 9,520 genes (Eqs. 5, 6), and the
adversarial loss is a sum over a batch of 200 (Eq. 13); ``batchmean`` takes its mean. All of it is
divided by 9,520, so that the balance depends neither on the batch nor on the number of genes.
"""


class AdversarialLoss(NamedTuple):
    """An adversarial loss; verdicts are the discriminator's linear outputs."""

    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    """Of the verdicts on real and on inferred profiles."""
    generator: Callable[[torch.Tensor], torch.Tensor]
    """Of the verdicts on inferred profiles."""


def consistency(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """How far two passes are apart (Eq. 6)."""
    return mse_loss(one, other)


def _ls_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def _ls_generator(fake: torch.Tensor) -> torch.Tensor:
    return (fake - 1).square().mean()


def _bce_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    return softplus(-real).mean() + softplus(fake).mean()


def _bce_generator(fake: torch.Tensor) -> torch.Tensor:
    return softplus(-fake).mean()


GAMES = {
    "ls": AdversarialLoss(_ls_discriminator, _ls_generator),
    "bce": AdversarialLoss(_bce_discriminator, _bce_generator),
}
"""Least squares (Eq. 13), and cross-entropy (Eq. 4, non-saturating for the generator)."""
