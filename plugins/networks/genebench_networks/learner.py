"""Training of a network by AdamW (Loshchilov & Hutter 2019), with autograd."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from genebench import Context
from genebench.training import DTYPES, Learner, generator
from genebench_networks.network import Dropout, Function, Network

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
        # Only matrices decay. The rest decides on scales, and adapters would decay to zero.
        named = list(self.network.named_parameters())
        groups: list[dict[str, Any]] = [
            {"params": [value for name, value in named if is_matrix(name)]},
            {"params": [value for name, value in named if not is_matrix(name)], "weight_decay": 0},
        ]
        self._optimiser = torch.optim.AdamW(
            groups, lr=params["lr"], weight_decay=params["weight_decay"], fused=True
        )
        # torch creates the state in the first step. A checkpoint is read before it.
        self._optimiser.state.update(
            {
                value: {
                    "step": torch.zeros((), device=value.device),
                    "exp_avg": torch.zeros_like(value),
                    "exp_avg_sq": torch.zeros_like(value),
                }
                for _, value in named
            }
        )

    def begin_epoch(self, epoch: int) -> None:
        """Set the learning rate, which falls linearly, and seed dropout."""
        params, context = self._params, self._context
        progress = (epoch - 1) / max(params["epochs"] - 1, 1)
        for group in self._optimiser.param_groups:
            group["lr"] = params["lr"] + progress * (params["lr_end"] - params["lr"])
        random = generator(context.seed, f"dropout {epoch}", context.device)
        self._dropout = Dropout(params["dropout"], random, drop_input=params["drop_input"])

    def step(self, landmarks: torch.Tensor, targets: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Update the network once. The loss is the mean over targets, and over members."""
        with self._autocast():
            outputs = self.network(landmarks, self._dropout)
        loss = self._loss(outputs - targets).mean()
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimiser.step()
        return {"loss": loss.detach() * len(targets)}

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
        optimiser = {
            f"{use}.{name}": tensor
            for name, value in self.network.named_parameters()
            for use, tensor in self._optimiser.state[value].items()
        }
        return {**self.weights(0), **optimiser}

    def weights(self, part: int) -> Mapping[str, torch.Tensor]:  # noqa: ARG002  there is one part
        """Return references to the network's parameters."""
        return {name: value.detach() for name, value in self.network.named_parameters()}


def is_matrix(name: str) -> bool:
    """Return whether a parameter is a weight matrix."""
    return name.endswith(".weight")
