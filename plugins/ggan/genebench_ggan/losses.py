"""Losses of generator and discriminator. Equation numbers are those of Wang et al. 2018.

Each loss is a mean over profiles (and over genes). :data:`ADVERSARIAL_SCALE` restores the balance
of the printed sums.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch.nn.functional import l1_loss, mse_loss, softplus

ERRORS = {"l1": l1_loss, "mse": mse_loss}
"""Loss of predictions against truth: absolute error (Eq. 5), or squared error (D-GEX's)."""
ADVERSARIAL_SCALE = {
    "paper": 200 / 9520,
    "batchmean": 1 / 9520,
    "mean": 1.0,
    "l1sum": 1 / (200 * 9520),
}
"""Factor of the mean adversarial loss, beside absolute error and consistency averaged over genes.

As printed, Eqs. 5 and 6 are means over the batch of sums over 9,520 genes, and Eq. 13 is a sum over
a batch of 200. ``paper`` divides all of them by 9,520. ``batchmean`` also takes the batch's mean of
Eq. 13. ``mean`` averages everything. ``l1sum`` sums Eq. 5 over the batch, too, takes the batch's
mean of Eqs. 6 and 13, and divides by 200 · 9,520. So the balance depends neither on the batch nor
on the number of genes.
"""

CONSISTENCY_SCALE = {"paper": 1.0, "batchmean": 1.0, "mean": 1.0, "l1sum": 1 / 200}
"""Factor of the consistency averaged over batch and genes, by the same reasoning."""


def consistency(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    """Return the mean squared difference of two dropout passes (Eq. 6)."""
    return mse_loss(first, second)


class AdversarialLoss(NamedTuple):
    """An adversarial loss of the discriminator's linear outputs.

    Attributes:
        discriminator: loss of the outputs for real and for inferred profiles.
        generator: loss of the outputs for inferred profiles.
    """

    discriminator: Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
    generator: Callable[[torch.Tensor], torch.Tensor]


def _least_squares_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return ½ (D(real) − 1)² + ½ D(fake)², averaged: the first line of Eq. 13."""
    return ((real - 1).square().mean() + fake.square().mean()) / 2


def _least_squares_generator(fake: torch.Tensor) -> torch.Tensor:
    """Return (D(fake) − 1)², averaged: the second line of Eq. 13."""
    return (fake - 1).square().mean()


def _cross_entropy_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return −log σ(D(real)) − log(1 − σ(D(fake))), averaged: Eq. 4 with its sign reversed.

    ``softplus(−d)`` is ``−log σ(d)`` and does not overflow.
    """
    return softplus(-real).mean() + softplus(fake).mean()


def _cross_entropy_generator(fake: torch.Tensor) -> torch.Tensor:
    """Return −log σ(D(fake)), averaged: the non-saturating form (Goodfellow et al. 2014)."""
    return softplus(-fake).mean()


ADVERSARIAL_LOSSES = {
    "ls": AdversarialLoss(_least_squares_discriminator, _least_squares_generator),
    "bce": AdversarialLoss(_cross_entropy_discriminator, _cross_entropy_generator),
}
"""Least squares (Eq. 13) and cross-entropy (Eq. 4). Both networks descend on their loss."""
