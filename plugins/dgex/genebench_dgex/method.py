"""D-GEX: two tanh networks, each for half of the targets, trained by gradient descent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Context, Method, Model, Profiles
from genebench.relevance import NETWORK_RULES, Attribution, network_relevance
from genebench.training import DTYPES, Learner, Trained, generator
from genebench.training import train as run_training
from genebench_dgex.network import Network

MONITORED = 5000
"""Training profiles whose error decides on the learning rate, as in the published code."""


class DGEX(Method):
    """Fully connected tanh networks with a linear output, under squared error."""

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Train once, and return the model of the best epochs for each validation set."""

        def create(params: Mapping[str, Any]) -> DGEXLearner:
            n_landmarks = len(train.landmark_genes)
            n_targets = len(train.target_genes)
            return DGEXLearner(n_landmarks, n_targets, params, context)

        results = run_training(create, train, validation_sets, context, self.params)
        return {name: _model(trained, context.device) for name, trained in results.items()}

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """Return the model of these tensors, on the context's device."""
        loaded = {
            name: torch.from_numpy(np.array(value)).to(context.device)
            for name, value in tensors.items()
        }
        return Perceptrons(loaded, context.device)


class DGEXLearner(Learner):
    """The networks of one D-GEX in training. They share nothing but the order of profiles."""

    monitored = MONITORED

    def __init__(
        self, n_landmarks: int, n_targets: int, params: Mapping[str, Any], context: Context
    ) -> None:
        self.parts = _target_slices(n_targets, params["halves"])
        self._context = context
        self._networks = [
            Network(
                [n_landmarks, *[params["units"]] * params["layers"], part.stop - part.start],
                rate=learning_rate(params),
                momentum=params["momentum"],
                dropout=params["dropout"],
                dtype=DTYPES[params["precision"]],
                device=context.device,
                random=generator(context.seed, f"weights {index}"),
            )
            for index, part in enumerate(self.parts)
        ]
        self.advice = (
            f"lower lr (now {learning_rate(params):g}). The loss sums over the targets, so the "
            "largest stable rate depends on their number"
        )

    def begin_epoch(self, epoch: int) -> None:
        """Seed dropout."""
        seed, device = self._context.seed, self._context.device
        for index, network in enumerate(self._networks):
            network.begin_epoch(generator(seed, f"dropout {index} {epoch}", device))

    def step(self, landmarks: torch.Tensor, targets: torch.Tensor) -> Mapping[str, torch.Tensor]:
        """Update each network on its targets, and return the summed squared error."""
        losses = [
            network.step(landmarks, targets[:, part])
            for network, part in zip(self._networks, self.parts, strict=True)
        ]
        return {"loss": torch.stack(losses).sum()}

    def predict(self, landmarks: torch.Tensor) -> torch.Tensor:
        """Return profiles × targets for profiles × landmarks."""
        return torch.cat([network.predict(landmarks) for network in self._networks], dim=1)

    def end_epoch(self, errors: Sequence[float]) -> None:
        """Adapt each network's learning rate to its own error."""
        for network, error in zip(self._networks, errors, strict=True):
            network.end_epoch(error)

    def state(self) -> Mapping[str, torch.Tensor]:
        """Return references to every network's state."""
        return {
            f"{index}.{name}": value
            for index, network in enumerate(self._networks)
            for name, value in network.state().items()
        }

    def weights(self, part: int) -> Mapping[str, torch.Tensor]:
        """Return references to one network's weights and biases."""
        return self._networks[part].parameters()


class Perceptrons(Model):
    """Trained networks side by side: ``<network>.weight.<layer>``, ``<network>.bias.<layer>``."""

    relevance_rules = NETWORK_RULES

    def __init__(self, tensors: Mapping[str, torch.Tensor], device: str) -> None:
        self._tensors = tensors
        self.n_parameters = sum(tensor.numel() for tensor in tensors.values())
        self._device = device
        networks = 1 + max(int(name.split(".")[0]) for name in tensors)
        layers = 1 + max(int(name.split(".")[2]) for name in tensors)
        self._networks = [
            [(tensors[f"{index}.weight.{k}"], tensors[f"{index}.bias.{k}"]) for k in range(layers)]
            for index in range(networks)
        ]

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return profiles × targets for profiles × landmarks, in float32."""
        # torch warns of arrays that are read-only, and refuses negative strides.
        array = np.require(landmarks, requirements=["C", "W"])
        inputs = torch.from_numpy(array).to(self._device)
        outputs = torch.cat([_forward(layers, inputs) for layers in self._networks], dim=1)
        values: NDArray[np.float32] = outputs.cpu().numpy()
        return values

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return weights and biases."""
        return {name: value.cpu().numpy() for name, value in self._tensors.items()}

    def relevance(
        self, landmarks: NDArray[np.float32], weights: NDArray[np.floating[Any]], rule: str
    ) -> Attribution:
        """Return the relevance of landmarks for a weighted sum of targets."""
        shares = torch.tensor(weights, dtype=torch.float32, device=self._device)
        of_networks = torch.split(shares, [len(layers[-1][1]) for layers in self._networks])
        # Each network with one output, the weighted sum of its targets.
        summed = [
            [*hidden, ((share @ weight)[None], (share @ bias)[None])]
            for (*hidden, (weight, bias)), share in zip(self._networks, of_networks, strict=True)
        ]

        def total(inputs: torch.Tensor) -> torch.Tensor:
            return torch.cat([_forward(layers, inputs) for layers in summed], dim=1).sum(1)

        return network_relevance(total, landmarks, rule, self._device)


def learning_rate(params: Mapping[str, Any]) -> float:
    """Return the learning rate at the start: ``lr``, or the published one where ``lr`` is 0."""
    published = 5e-4 if params["layers"] == 1 else 3e-4
    return float(params["lr"] or published)


def _model(trained: Trained, device: str) -> Perceptrons:
    tensors = {
        f"{index}.{name}": value
        for index, weights in enumerate(trained.weights)
        for name, value in weights.items()
    }
    model = Perceptrons(tensors, device)
    model.choices, model.notes, model.curves = trained.choices, trained.notes, trained.curves
    return model


def _target_slices(n_targets: int, networks: int) -> tuple[slice, ...]:
    """Return each network's targets. There are fewer networks where there are fewer targets."""
    cuts = [n_targets * index // networks for index in range(networks + 1)]
    return tuple(slice(start, stop) for start, stop in pairwise(cuts) if stop > start)


def _forward(
    layers: Sequence[tuple[torch.Tensor, torch.Tensor]], landmarks: torch.Tensor
) -> torch.Tensor:
    *hidden, (weight, bias) = layers
    for hidden_weight, hidden_bias in hidden:
        landmarks = torch.addmm(hidden_bias, landmarks, hidden_weight.T).tanh_()
    return torch.addmm(bias, landmarks, weight.T)
