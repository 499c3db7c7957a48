"""The two players, and their steps: the discriminator's, then the generator's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from genebench import Context
from genebench.training import DTYPES, Learner, generator
from genebench_ggan.discriminator import Discriminator
from genebench_ggan.layers import activation, views
from genebench_ggan.losses import ADVERSARIAL_SCALE, ERRORS, consistency
from genebench_ggan.network import Network, Tape
from genebench_ggan.noise import Dropout
from genebench_ggan.optimisers import OPTIMISERS
from genebench_ggan.schedule import between


class GGANLearner(Learner):
    """Generator and, where the adversarial loss has a weight, discriminator.

    Args:
        n_landmarks, n_targets: what the generator infers from, and what.
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
            sees_all=views(params),
            activate=activation(params),
            norm=params["norm"],
            dtype=DTYPES[params["precision"]],
            device=context.device,
            random=generator(context.seed, "generator"),
        )
        self._optimiser = OPTIMISERS[params["optimiser"]](self.network.learnt)
        # Losses are means over targets, which Adam does not feel; D-GEX descends on the sum.
        self._reach = n_targets if params["optimiser"] == "sgd" else 1
        self.discriminator, self.advice = None, f"lower lr (now {params['lr']:g})"
        if params["adv"]:
            self.discriminator = Discriminator(n_landmarks, n_targets, params, context)
            self.advice += f" or adv (now {params['adv']:g})"
        # Without dropout both passes would be the same, and the loss 0.
        self._passes = 2 if params["cons"] and params["dropout"] else 1
        scale = ADVERSARIAL_SCALE[params["loss_scale"]]
        self._weights = {"cons": params["cons"], "adv": params["adv"] * scale}

    def begin_epoch(self, epoch: int) -> None:
        """Set learning rate and mask; seed dropout."""
        params, context = self._params, self._context
        self.rate = between(params["lr"], params["lr_end"], epoch, params["epochs"])
        random = generator(context.seed, f"dropout {epoch}", context.device)
        self._drop = Dropout(params["dropout"], random)
        self.network.refresh()
        if self.discriminator:
            self.discriminator.begin_epoch(epoch)

    def step(self, landmarks: torch.Tensor, targets: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """One step of each player on a mini-batch."""
        tape: Tape = []
        passes = self._infer(landmarks, tape)
        losses = self._losses(landmarks, targets, passes)
        gradients = self.network.gradients(losses["loss"], tape)
        self._optimiser.step(gradients, self.rate * self._reach)
        return {name: loss.detach() * len(targets) for name, loss in losses.items()}

    def _infer(self, landmarks: torch.Tensor, tape: Tape) -> tuple[torch.Tensor, ...]:
        """Passes under dropout of their own; they go through the network as one."""
        given = landmarks.repeat(self._passes, 1).to(self.network.dtype)
        if self._params["drop_input"]:
            given = self._drop(given)
        return self.network(given, tape, self._drop).chunk(self._passes)

    def _losses(
        self, landmarks: torch.Tensor, targets: torch.Tensor, passes: Sequence[torch.Tensor]
    ) -> dict[str, torch.Tensor]:
        """Every loss by name; the generator's whole, called ``loss``, is first."""
        inferred, error = passes[0], self._params["error"]
        terms = {error: ERRORS[error](inferred, targets)}
        if len(passes) > 1:
            terms["cons"] = consistency(*passes)
        notes = {}
        if self.discriminator:
            mask = self.discriminator.mask(targets)
            shown = landmarks, targets, inferred.detach()
            notes["disc"] = self.discriminator.step(*shown, mask, self.rate)
            terms["adv"] = self.discriminator.loss(landmarks, inferred, mask)
        loss = sum(self._weights.get(name, 1.0) * term for name, term in terms.items())
        return {"loss": loss} | terms | notes

    @torch.no_grad()
    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Profiles × landmarks → profiles × targets."""
        return self.network(landmarks)

    def state(self) -> Mapping[str, torch.Tensor]:
        """Both players' state."""
        players = {"generator": self.network.parameters(), "optimiser": self._optimiser.state()}
        if self.discriminator:
            players["discriminator"] = self.discriminator.state()
        return {
            f"{player}.{name}": value
            for player, tensors in players.items()
            for name, value in tensors.items()
        }

    def weights(self, part: int) -> Mapping[str, torch.Tensor]:  # noqa: ARG002  there is one
        """The generator's."""
        return self.network.parameters()
