"""Training of a network by AdamW (Loshchilov & Hutter 2019), with autograd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch.optim.adamw import adamw

from genebench import Context
from genebench.training import DTYPES, Learner, generator
from genebench_networks.network import Dropout, Function, Network

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
"""AdamW's constants, as in GGAN."""
LOSSES: dict[str, Function] = {"l1": torch.abs, "mse": torch.square}
"""Loss of a residual, by its name in the parameter ``loss``."""


class NetworkLearner(Learner):
    """One network in training.

    Args:
        network: the network, on the CPU.
        n_targets: targets of a profile.
        params: parameters in effect.
        context: seed and device.
    """

    def __init__(
        self, network: Network, n_targets: int, params: Mapping[str, Any], context: Context
    ) -> None:
        self.parts = (slice(0, n_targets),)
        self.advice = f"lower lr (now {params['lr']:g})"
        self._params, self._context = params, context
        self._loss = LOSSES[params["loss"]]
        network.start(generator(context.seed, "weights"))
        self.network = network.to(context.device)
        weights = self.weights(0)
        self._first = {name: torch.zeros_like(value) for name, value in weights.items()}
        self._second = {name: torch.zeros_like(value) for name, value in weights.items()}
        self._steps = {name: torch.zeros((), device=context.device) for name in weights}

    def begin_epoch(self, epoch: int) -> None:
        """Set the learning rate, which falls linearly, and seed dropout."""
        params, context = self._params, self._context
        progress = (epoch - 1) / max(params["epochs"] - 1, 1)
        self.rate = params["lr"] + progress * (params["lr_end"] - params["lr"])
        random = generator(context.seed, f"dropout {epoch}", context.device)
        self._dropout = Dropout(params["dropout"], random, drop_input=params["drop_input"])

    def step(self, landmarks: torch.Tensor, targets: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Update the network once. The loss is the mean over targets, and over members."""
        with self._autocast():
            outputs = self.network(landmarks, self._dropout)
        loss = self._loss(outputs - targets).mean()
        named = dict(self.network.named_parameters())
        gradients = torch.autograd.grad(loss, list(named.values()))
        self._update(dict(zip(named, gradients, strict=True)))
        return {"loss": loss.detach() * len(targets)}

    @torch.no_grad()
    def _update(self, gradients: Mapping[str, torch.Tensor]) -> None:
        """Update all parameters. Only matrices decay, because the rest decides on scales."""
        weights, decay = self.weights(0), self._params["weight_decay"]
        matrices = [name for name in weights if is_matrix(name)]
        others = [name for name in weights if not is_matrix(name)]
        # The class torch.optim.AdamW would import torch's compiler, which takes seconds.
        for names, weight_decay in ((matrices, decay), (others, 0.0)):
            tensors = (weights, gradients, self._first, self._second, self._steps)
            values, slopes, first, second, steps = (
                [tensor[name] for name in names] for tensor in tensors
            )
            adamw(
                values, slopes, first, second, [], steps,
                fused=True, amsgrad=False, beta1=BETA1, beta2=BETA2, lr=self.rate,
                weight_decay=weight_decay, eps=EPSILON, maximize=False,
            )  # fmt: skip

    @torch.no_grad()
    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Return profiles × targets for profiles × landmarks, without dropout."""
        with self._autocast():
            return self.network.predict(landmarks).float()

    def _autocast(self) -> torch.autocast:
        """Return the context in which products have the parameter ``precision``."""
        dtype = DTYPES[self._params["precision"]]
        return torch.autocast(
            self._context.device, dtype=torch.bfloat16, enabled=dtype == torch.bfloat16
        )

    def state(self) -> Mapping[str, torch.Tensor]:
        """Return references to all weights and to the optimiser's state."""
        owners = {"first": self._first, "second": self._second, "steps": self._steps}
        optimiser = {
            f"{owner}.{name}": value
            for owner, tensors in owners.items()
            for name, value in tensors.items()
        }
        return {**self.weights(0), **optimiser}

    def weights(self, part: int) -> Mapping[str, torch.Tensor]:  # noqa: ARG002  there is one part
        """Return references to the network's parameters."""
        return {name: value.detach() for name, value in self.network.named_parameters()}


def is_matrix(name: str) -> bool:
    """Return whether a parameter is a weight matrix."""
    return name.endswith(".weight")
