"""Algorithm 1 of Wang et al. 2018: one step of the discriminator, then one of the generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from genebench import Context
from genebench.training import DTYPES, Learner, generator
from genebench_ggan.discriminator import Discriminator
from genebench_ggan.fast_linear import LayerCache
from genebench_ggan.losses import ADVERSARIAL_SCALE, CONSISTENCY_SCALE, ERRORS, consistency
from genebench_ggan.network import Dropout, Network, activation, dense_layers
from genebench_ggan.optimisers import OPTIMISERS


class GGANLearner(Learner):
    """Generator and, where the adversarial loss has a weight, discriminator.

    Args:
        n_landmarks: landmarks of a profile, the generator's inputs.
        n_targets: targets of a profile, its outputs.
        params: parameters in effect.
        context: seed and device.
    """

    def __init__(
        self, n_landmarks: int, n_targets: int, params: Mapping[str, Any], context: Context
    ) -> None:
        self.parts = (slice(0, n_targets),)
        self._params, self._context = params, context
        self.network = Network(
            [n_landmarks, *[params["units"]] * params["layers"], n_targets],
            dense=dense_layers(params),
            combine=params["combine"],
            activate=activation(params),
            norm=params["norm"],
            dtype=DTYPES[params["precision"]],
            device=context.device,
            random=generator(context.seed, "generator"),
        )
        self._optimiser = OPTIMISERS[params["optimiser"]](self.network.trainable)
        # Losses are means over targets. Adam's steps do not depend on a factor of the loss, but
        # those of gradient descent do, and D-GEX descends on the sum.
        self._rate_factor = n_targets if params["optimiser"] == "sgd" else 1
        self.discriminator, self.advice = None, f"lower lr (now {params['lr']:g})"
        if params["adv"]:
            self.discriminator = Discriminator(n_landmarks, n_targets, params, context)
            self.advice += f" or adv (now {params['adv']:g})"
        # Without dropout both passes would be the same, and the consistency loss 0.
        self._passes = 2 if params["cons"] and params["dropout"] else 1
        scale = params["loss_scale"]
        self._loss_weights = {
            "cons": params["cons"] * CONSISTENCY_SCALE[scale],
            "adv": params["adv"] * ADVERSARIAL_SCALE[scale],
        }

    def begin_epoch(self, epoch: int) -> None:
        """Set the learning rate and the mask's share, and seed dropout and masks."""
        params, context = self._params, self._context
        # The rate falls linearly (§4.1.4). Of the mask, the paper says only that it shows more and
        # more genes (§3.2). A linear rise is this project's reading.
        self.rate = linear_schedule(params["lr"], params["lr_end"], epoch, params["epochs"])
        random = generator(context.seed, f"dropout {epoch}", context.device)
        self._dropout = Dropout(params["dropout"], random)
        self.network.refresh()
        if self.discriminator:
            start, end = params["mask_start"], params["mask_end"]
            share_shown = linear_schedule(start, end, epoch, params["epochs"])
            self.discriminator.begin_epoch(epoch, share_shown)

    def step(self, landmarks: torch.Tensor, targets: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Update discriminator and generator once on a mini-batch.

        Returns:
            Losses by name, each summed over the batch's profiles. ``loss`` is the generator's.
        """
        caches: list[LayerCache] = []
        passes = self._infer(landmarks, caches)
        losses = self._losses(landmarks, targets, passes)
        gradients = self.network.gradients(losses["loss"], caches)
        self._optimiser.step(gradients, self.rate * self._rate_factor)
        return {name: loss.detach() * len(targets) for name, loss in losses.items()}

    def _infer(self, landmarks: torch.Tensor, caches: list[LayerCache]) -> tuple[torch.Tensor, ...]:
        """Return G(x ⊕ u) and, for the consistency loss, G(x ⊕ u′): profiles × targets each."""
        # Both passes are one batch of twice the size. That reads every weight once, not twice, and
        # made a step 1.21 times as fast (benchmarks/README.md, GGAN 3 × 3000).
        inputs = landmarks.repeat(self._passes, 1).to(self.network.dtype)
        if self._params["drop_input"]:
            inputs = self._dropout(inputs)
        return self.network(inputs, caches, self._dropout).chunk(self._passes)

    def _losses(
        self, landmarks: torch.Tensor, targets: torch.Tensor, passes: Sequence[torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Update the discriminator, and return every loss by name.

        ``loss`` is Eq. 7: ``L₁ + λ_cons L_cons + λ_adv L_adv``. ``disc`` is the discriminator's.
        """
        inferred, error = passes[0], self._params["error"]
        terms = {error: ERRORS[error](inferred, targets)}
        if len(passes) > 1:
            terms["cons"] = consistency(*passes)
            if self._params["cons_gradient"] == "none":
                terms["cons"] = terms["cons"].detach()
        reported = {}
        if self.discriminator:
            # One mask for real and inferred profiles, and for both networks' steps (§3.2).
            mask = self.discriminator.mask(targets)
            reported["disc"] = self.discriminator.step(
                landmarks, targets, inferred.detach(), mask, self.rate
            )
            terms["adv"] = self.discriminator.generator_loss(landmarks, inferred, mask)
        loss = sum(self._loss_weights.get(name, 1.0) * term for name, term in terms.items())
        return {"loss": loss} | terms | reported

    @torch.no_grad()
    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Return profiles × targets for profiles × landmarks, without dropout."""
        return self.network(landmarks)

    def state(self) -> Mapping[str, torch.Tensor]:
        """Return references to all weights and to the optimisers' state."""
        owners = {"generator": self.network.parameters(), "optimiser": self._optimiser.state()}
        if self.discriminator:
            owners["discriminator"] = self.discriminator.state()
        return {
            f"{owner}.{name}": value
            for owner, tensors in owners.items()
            for name, value in tensors.items()
        }

    def weights(self, part: int) -> Mapping[str, torch.Tensor]:  # noqa: ARG002  there is one part
        """Return references to the generator's weights, biases and gains."""
        return self.network.parameters()


def linear_schedule(start: float, end: float, epoch: int, epochs: int) -> float:
    """Return ``start`` in epoch 1, ``end`` in the last of ``epochs``, and a line in between."""
    return start + (end - start) * (epoch - 1) / max(epochs - 1, 1)
