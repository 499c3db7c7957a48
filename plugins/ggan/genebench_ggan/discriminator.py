"""The discriminator: tells real target expression from inferred, given the landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from genebench import Context
from genebench.training import DTYPES, bernoulli, generator
from genebench_ggan.layers import activation
from genebench_ggan.losses import GAMES
from genebench_ggan.network import Network, Tape
from genebench_ggan.optimisers import Adam
from genebench_ggan.schedule import between


class Discriminator:
    """One hidden layer over landmarks and masked targets; its output is linear.

    Args:
        n_landmarks, n_targets: what a profile consists of.
        params: parameters in effect.
        context: seed and device.
    """

    def __init__(
        self, n_landmarks: int, n_targets: int, params: Mapping[str, Any], context: Context
    ) -> None:
        self._params, self._context = params, context
        self._game = GAMES[params["gan"]]
        n_inputs = n_landmarks + n_targets * (2 if params["mask_as_input"] else 1)
        self.network = Network(
            [n_inputs, params["disc_units"], 1],
            sees_all=[False, False],
            activate=activation(params),
            norm=params["norm"],
            dtype=DTYPES[params["precision"]],
            device=context.device,
            random=generator(context.seed, "discriminator"),
        )
        self._adam = Adam(self.network.learnt)

    def begin_epoch(self, epoch: int) -> None:
        """Set the share of targets that is shown; seed the masks."""
        params, context = self._params, self._context
        start, end, epochs = params["mask_start"], params["mask_end"], params["epochs"]
        self.shown = between(start, end, epoch, epochs)
        self._random = generator(context.seed, f"mask {epoch}", context.device)
        self.network.refresh()

    def mask(self, targets: torch.Tensor) -> torch.Tensor:
        """A fresh mask: each gene of each profile is shown or not; what is shown is scaled up."""
        return bernoulli(targets.shape, self.shown, self._random, self.network.dtype)

    def step(
        self,
        landmarks: torch.Tensor,
        real: torch.Tensor,
        fake: torch.Tensor,
        mask: torch.Tensor,
        rate: float,
    ) -> torch.Tensor:
        """Learn to tell real targets from inferred ones, shown under the same mask; its loss."""
        shown = [self._shown(landmarks, targets, mask) for targets in (real, fake)]
        tape: Tape = []
        verdicts = self.network(torch.cat(shown), tape)
        loss = self._game.discriminator(*verdicts.chunk(2))
        gradients = self.network.gradients(loss, tape)
        self._adam.step(gradients, rate * self._params["disc_rate"])
        return loss.detach()

    def loss(self, landmarks: torch.Tensor, fake: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """What the generator loses by not being taken for real."""
        return self._game.generator(self.network(self._shown(landmarks, fake, mask)))

    def _shown(
        self, landmarks: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        given = [landmarks.to(mask.dtype), targets.to(mask.dtype) * mask]
        if self._params["mask_as_input"]:
            given.append((mask > 0).to(mask.dtype))
        return torch.cat(given, dim=1)

    def state(self) -> dict[str, torch.Tensor]:
        """All that its training depends on, as references."""
        adam = {f"adam.{name}": value for name, value in self._adam.state().items()}
        return self.network.parameters() | adam
