"""The methods: which network a set of parameters describes, and a trained model."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Context, Method, Model, Profiles, UserError
from genebench.relevance import NETWORK_RULES, Attribution, network_relevance
from genebench.training import train as run_training
from genebench_networks.learner import NetworkLearner
from genebench_networks.network import ACTIVATIONS, Network
from genebench_networks.packed import PackedMLP
from genebench_networks.towers import Towers

LEAST_CHECKERBOARD = 3
"""Towers of a checkerboard. With fewer, the towers on both sides would be the same one."""


class NetworkMethod(Method):
    """A method that trains one network."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        if params["lr_end"] > params["lr"]:
            raise UserError(
                f"lr_end={params['lr_end']:g} is above lr={params['lr']:g}. "
                "Lower lr_end or raise lr."
            )

    @abstractmethod
    def network(self, n_landmarks: int, n_targets: int) -> Network:
        """Return the network, without values."""

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Train once, and return the model of the best epoch for each validation set."""
        sizes = (len(train.landmark_genes), len(train.target_genes))

        def create(params: Mapping[str, Any]) -> NetworkLearner:
            return NetworkLearner(self.network(*sizes), sizes[1], params, context)

        models = {}
        results = run_training(create, train, validation_sets, context, self.params)
        for name, trained in results.items():
            model = self._model(trained.weights[0], context)
            model.choices, model.notes, model.curves = (
                trained.choices,
                trained.notes,
                trained.curves,
            )
            models[name] = model
        return models

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """Return the model of these tensors, on the context's device."""
        loaded = {name: torch.from_numpy(np.array(value)) for name, value in tensors.items()}
        return self._model(loaded, context)

    def _model(self, tensors: Mapping[str, torch.Tensor], context: Context) -> Trained:
        weights = [value for name, value in tensors.items() if name.endswith(".weight")]
        network = self.network(weights[0].shape[-1], weights[-1].shape[-2])
        network.load_state_dict(tensors)
        return Trained(network.to(context.device).requires_grad_(False), context.device)


class MLPEnsemble(NetworkMethod):
    """Packed networks with rank-1 adapters."""

    def network(self, n_landmarks: int, n_targets: int) -> Network:
        """Return the packed networks."""
        params = self.params
        return PackedMLP(
            [n_landmarks, *[params["units"]] * params["layers"], n_targets],
            members=params["networks"],
            activate=ACTIVATIONS[params["activation"]],
        )


class TAAFNetwork(NetworkMethod):
    """A fully connected network with trainable activations."""

    def network(self, n_landmarks: int, n_targets: int) -> Network:
        """Return the network: a single tower."""
        return self._towers(n_landmarks, n_targets, towers=1, checkerboard=False)

    def _towers(
        self, n_landmarks: int, n_targets: int, *, towers: int, checkerboard: bool
    ) -> Network:
        params = self.params
        return Towers(
            n_landmarks,
            n_targets,
            layers=params["layers"],
            towers=towers,
            units=params["units"],
            checkerboard=checkerboard,
            activate=ACTIVATIONS[params["activation"]],
            adaptive=params["adaptive"],
        )


class TowerNetwork(TAAFNetwork):
    """Towers, or a checkerboard of blocks, with trainable activations."""

    def __init__(self, **params: Any) -> None:
        super().__init__(**params)
        if params["architecture"] == "checkerboard" and params["towers"] < LEAST_CHECKERBOARD:
            raise UserError(
                f"architecture=checkerboard needs {LEAST_CHECKERBOARD} towers or more "
                f"(now towers={params['towers']}). Raise towers."
            )

    def network(self, n_landmarks: int, n_targets: int) -> Network:
        """Return the towers, or the checkerboard."""
        params = self.params
        return self._towers(
            n_landmarks,
            n_targets,
            towers=params["towers"],
            checkerboard=params["architecture"] == "checkerboard",
        )


class Trained(Model):
    """A trained network."""

    relevance_rules = NETWORK_RULES

    def __init__(self, network: Network, device: str) -> None:
        self._network, self._device = network, device
        self.n_parameters = sum(value.numel() for value in network.parameters())

    @torch.no_grad()
    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return profiles × targets for profiles × landmarks, in float32."""
        # torch warns of arrays that are read-only, and refuses negative strides.
        array = np.require(landmarks, requirements=["C", "W"])
        inputs = torch.from_numpy(array).to(self._device)
        values: NDArray[np.float32] = self._network.predict(inputs).cpu().numpy()
        return values

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return the network's parameters by name."""
        return {name: value.cpu().numpy() for name, value in self._network.named_parameters()}

    def relevance(
        self, landmarks: NDArray[np.float32], weights: NDArray[np.floating[Any]], rule: str
    ) -> Attribution:
        """Return the relevance of landmarks for a weighted sum of targets."""
        shares = torch.tensor(weights, dtype=torch.float32, device=self._device)

        def total(inputs: torch.Tensor) -> torch.Tensor:
            return (self._network.predict(inputs) * shares).sum(1)

        return network_relevance(total, landmarks, rule, self._device)
