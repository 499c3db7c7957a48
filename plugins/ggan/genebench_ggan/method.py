"""GGAN and its ablations: one method, whose ingredients are on where their parameters are declared.

Sections and equations are those of Wang et al. 2018.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import linear

from genebench import Context, Method, Model, Profiles, UserError
from genebench.relevance import NETWORK_RULES, Attribution, network_relevance
from genebench.specs import Value
from genebench.training import Trained
from genebench.training import train as run_training
from genebench_ggan.fast_linear import row_norms
from genebench_ggan.learner import GGANLearner
from genebench_ggan.network import Function, activation, dense_layers, forward

WITHOUT: dict[str, Value] = {
    "error": "l1",
    "dense": False,
    "output_sees": "last",
    "combine": "concat",
    "cons": 0.0,
    "cons_gradient": "both",
    "adv": 0.0,
    "loss_scale": "paper",
    "disc_output": "linear",
    "mask_start": 1.0,
    "mask_end": 1.0,
    "mask_as_input": False,
    "mask_refresh": "step",
}
"""Values of parameters that a method does not declare. Each turns one ingredient off."""


class GGAN(Method):
    """A fully connected generator with the ingredients that are declared."""

    fixed: ClassVar[dict[str, Value]] = WITHOUT

    def __init__(self, **params: Any) -> None:
        super().__init__(**(self.fixed | params))
        for low, high in (("mask_start", "mask_end"), ("lr_end", "lr")):
            if self.params[low] > self.params[high]:
                raise UserError(
                    f"ggan: {low}={self.params[low]:g} is above {high}={self.params[high]:g}. "
                    f"Lower {low} or raise {high}."
                )

    def fit(
        self, train: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Train once, and return the model of the best epoch for each validation set."""

        def create(params: Mapping[str, Any]) -> GGANLearner:
            n_landmarks = len(train.landmark_genes)
            n_targets = len(train.target_genes)
            return GGANLearner(n_landmarks, n_targets, params, context)

        results = run_training(create, train, validation_sets, context, self.params)
        return {name: self._model(trained, context.device) for name, trained in results.items()}

    def _model(self, trained: Trained, device: str) -> Generator:
        model = Generator(plain_weights(trained.weights[0]), self.params, device)
        model.choices, model.notes, model.curves = trained.choices, trained.notes, trained.curves
        return model

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """Return the model of these tensors, on the context's device."""
        loaded = {
            name: torch.from_numpy(np.array(value)).to(context.device)
            for name, value in tensors.items()
        }
        return Generator(loaded, self.params, context.device)


class DenseGGAN(GGAN):
    """A generator whose layers see the landmarks and all hidden layers before them (§4.1.4)."""

    fixed = WITHOUT | {"dense": True}


class SquaredError(GGAN):
    """A generator under squared error in place of absolute error."""

    fixed = WITHOUT | {"error": "mse"}


class Generator(Model):
    """A trained generator: ``weight.<layer>`` (outputs × inputs) and ``bias.<layer>``."""

    relevance_rules = NETWORK_RULES

    def __init__(
        self, tensors: Mapping[str, torch.Tensor], params: Mapping[str, Any], device: str
    ) -> None:
        self._tensors, self._device = tensors, device
        self.n_parameters = sum(tensor.numel() for tensor in tensors.values())
        self._dense, self._activate = dense_layers(params), activation(params)
        self._combine = params["combine"]
        self._layers = [
            partial(linear, weight=tensors[f"weight.{index}"], bias=tensors[f"bias.{index}"])
            for index in range(len(self._dense))
        ]

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return profiles × targets for profiles × landmarks, in float32."""
        # torch warns of arrays that are read-only, and refuses negative strides.
        array = np.require(landmarks, requirements=["C", "W"])
        inputs = torch.from_numpy(array).to(self._device)
        values: NDArray[np.float32] = self._forward(self._layers, inputs).cpu().numpy()
        return values

    def _forward(self, layers: Sequence[Function], inputs: torch.Tensor) -> torch.Tensor:
        return forward(layers, self._dense, self._activate, inputs, self._combine)

    def relevance(
        self, landmarks: NDArray[np.float32], weights: NDArray[np.floating[Any]], rule: str
    ) -> Attribution:
        """Return the relevance of landmarks for a weighted sum of targets."""
        shares = torch.tensor(weights, dtype=torch.float32, device=self._device)
        *hidden, output = self._layers
        weight, bias = output.keywords["weight"], output.keywords["bias"]
        # The network with one output, the weighted sum of all targets.
        layers = [*hidden, partial(linear, weight=(shares @ weight)[None], bias=shares @ bias)]

        def total(inputs: torch.Tensor) -> torch.Tensor:
            return self._forward(layers, inputs)[:, 0]

        return network_relevance(total, landmarks, rule, self._device)

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return plain weights, with weight normalisation multiplied in, and biases."""
        return {name: value.cpu().numpy() for name, value in self._tensors.items()}


def plain_weights(parameters: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return plain weights and biases: ``w = g v / ‖v‖`` where there are gains.

    A layer of ``w`` gives what the layer in training gives, to float32's rounding.
    """
    gains = {name: value for name, value in parameters.items() if name.startswith("gain")}
    plain = {name: value for name, value in parameters.items() if name not in gains}
    for name, gain in gains.items():
        weight = name.replace("gain", "weight")
        v = parameters[weight]
        plain[weight] = v * (gain / row_norms(v))[:, None]
    return plain
