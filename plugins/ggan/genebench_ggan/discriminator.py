"""The discriminator D(x, y·m): it separates real from inferred targets, given the landmarks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from genebench import Context
from genebench.training import DTYPES, bernoulli, generator
from genebench_ggan.fast_linear import LayerCache
from genebench_ggan.losses import ADVERSARIAL_LOSSES
from genebench_ggan.network import Network, activation
from genebench_ggan.optimisers import Adam


class Discriminator:
    """A network of one hidden layer over landmarks and masked targets, with one output.

    Args:
        n_landmarks: landmarks of a profile.
        n_targets: targets of a profile.
        params: parameters in effect.
        context: seed and device.
    """

    def __init__(
        self, n_landmarks: int, n_targets: int, params: Mapping[str, Any], context: Context
    ) -> None:
        self._params, self._context = params, context
        self._losses = ADVERSARIAL_LOSSES[params["gan"]]
        n_inputs = n_landmarks + n_targets * (2 if params["mask_as_input"] else 1)
        self.network = Network(
            [n_inputs, params["disc_units"], 1],
            dense=[False, False],
            activate=activation(params),
            norm=params["norm"],
            dtype=DTYPES[params["precision"]],
            device=context.device,
            random=generator(context.seed, "discriminator"),
        )
        self._activate_output = activation(params) if params["disc_output"] == "leaky" else None
        self._optimiser = Adam(self.network.trainable)

    def begin_epoch(self, epoch: int, share_shown: float) -> None:
        """Seed the masks of an epoch, and set the share of targets that they show."""
        self.share_shown = share_shown
        self._random = generator(self._context.seed, f"mask {epoch}", self._context.device)
        self._mask_of_epoch: torch.Tensor | None = None
        self.network.refresh()

    def mask(self, targets: torch.Tensor) -> torch.Tensor:
        """Return a mask m of Eq. 4, profiles × targets, drawn gene by gene.

        It is fresh, or the one of the epoch.

        Its values are 0, and 1/q where q is the share shown, so that inputs keep their scale. The
        text prints 1/p_mask. There, p_mask is the share of zeros, which would not keep it.
        """
        share, random, dtype = self.share_shown, self._random, self.network.dtype
        if self._params["mask_refresh"] == "step":
            return bernoulli(targets.shape, share, random, dtype)
        if self._mask_of_epoch is None:
            shape = torch.Size([self._params["batch"], targets.shape[1]])
            self._mask_of_epoch = bernoulli(shape, share, random, dtype)
        return self._mask_of_epoch[: len(targets)]

    def step(
        self,
        landmarks: torch.Tensor,
        real: torch.Tensor,
        fake: torch.Tensor,
        mask: torch.Tensor,
        rate: float,
    ) -> torch.Tensor:
        """Update D once on real and inferred targets under the same mask, and return its loss.

        This is line 5 of Algorithm 1. The paper ascends on Eq. 4. Both losses here are written to
        be descended on.
        """
        inputs = [self._inputs(landmarks, targets, mask) for targets in (real, fake)]
        caches: list[LayerCache] = []
        outputs = self._outputs(torch.cat(inputs), caches)
        loss = self._losses.discriminator(*outputs.chunk(2))
        gradients = self.network.gradients(loss, caches)
        self._optimiser.step(gradients, rate * self._params["disc_rate"])
        return loss.detach()

    def generator_loss(
        self, landmarks: torch.Tensor, fake: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        """Return the generator's adversarial loss. Its gradient flows back to ``fake``."""
        return self._losses.generator(self._outputs(self._inputs(landmarks, fake, mask)))

    def _outputs(
        self, inputs: torch.Tensor, caches: list[LayerCache] | None = None
    ) -> torch.Tensor:
        outputs = self.network(inputs, caches)
        return outputs if self._activate_output is None else self._activate_output(outputs)

    def _inputs(
        self, landmarks: torch.Tensor, targets: torch.Tensor, mask: torch.Tensor
    ) -> torch.Tensor:
        parts = [landmarks.to(mask.dtype), targets.to(mask.dtype) * mask]
        if self._params["mask_as_input"]:
            parts.append((mask > 0).to(mask.dtype))
        return torch.cat(parts, dim=1)

    def state(self) -> dict[str, torch.Tensor]:
        """Return references to every tensor that its training depends on."""
        optimiser = {f"adam.{name}": value for name, value in self._optimiser.state().items()}
        return self.network.parameters() | optimiser
