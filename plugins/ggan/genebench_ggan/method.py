"""GGAN and its ablations: one method, of which ingredients that are not declared are left out."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import linear

from genebench import Context, Method, Model, Profiles, UserError
from genebench.specs import Value
from genebench.training import Trained, train
from genebench_ggan.layers import activation, flow, lengths, views
from genebench_ggan.learner import GGANLearner

WITHOUT: dict[str, Value] = {
    "error": "l1",
    "dense": False,
    "output_sees": "last",
    "cons": 0.0,
    "adv": 0.0,
    "loss_scale": "paper",
    "mask_start": 1.0,
    "mask_end": 1.0,
    "mask_as_input": False,
}
"""What a parameter is where a method does not declare it."""


class GGAN(Method):
    """A fully connected generator with the ingredients that are declared."""

    fixed: ClassVar[dict[str, Value]] = WITHOUT

    def __init__(self, **params: Any) -> None:
        super().__init__(**(self.fixed | params))
        for low, high in (("mask_start", "mask_end"), ("lr_end", "lr")):
            if self.params[low] > self.params[high]:
                values = f"{low}={self.params[low]:g} is above {high}={self.params[high]:g}"
                raise UserError(f"ggan: {values}; set one of them")

    def fit(
        self, train_profiles: Profiles, validation_sets: Mapping[str, Profiles], context: Context
    ) -> Mapping[str, Model]:
        """Train once; a model of the best epoch for each validation set."""

        def create() -> GGANLearner:
            genes = len(train_profiles.landmark_genes), len(train_profiles.target_genes)
            return GGANLearner(*genes, self.params, context)

        found = train(create, train_profiles, validation_sets, context, self.params)
        return {name: self._model(trained, context.device) for name, trained in found.items()}

    def _model(self, trained: Trained, device: str) -> Generator:
        model = Generator(folded(trained.weights[0]), self.params, device)
        model.choices, model.notes, model.curves = trained.choices, trained.notes, trained.curves
        return model

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """The model of these tensors."""
        loaded = {
            name: torch.from_numpy(np.array(value)).to(context.device)
            for name, value in tensors.items()
        }
        return Generator(loaded, self.params, context.device)


class DenseGGAN(GGAN):
    """Every layer sees the landmarks and all hidden layers before it."""

    fixed = WITHOUT | {"dense": True}


class SquaredError(GGAN):
    """Under squared error in place of absolute error."""

    fixed = WITHOUT | {"error": "mse"}


class Generator(Model):
    """A trained generator: ``weight.<layer>`` (outputs × inputs), ``bias.<layer>``."""

    def __init__(
        self, tensors: Mapping[str, torch.Tensor], params: Mapping[str, Any], device: str
    ) -> None:
        self._tensors, self._device = tensors, device
        self.n_parameters = sum(tensor.numel() for tensor in tensors.values())
        self._sees_all, self._activate = views(params), activation(params)
        self._layers = [
            partial(linear, weight=tensors[f"weight.{at}"], bias=tensors[f"bias.{at}"])
            for at in range(len(self._sees_all))
        ]

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Profiles × landmarks → profiles × targets, in float32."""
        given = torch.from_numpy(np.require(landmarks, requirements=["C", "W"])).to(self._device)
        found = flow(self._layers, self._sees_all, self._activate, given)
        values: NDArray[np.float32] = found.cpu().numpy()
        return values

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Weights, normalised where they are to be, and biases."""
        return {name: value.cpu().numpy() for name, value in self._tensors.items()}


def folded(learnt: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Plain weights and biases: ``g v / ‖v‖`` where there are gains, to float32's rounding."""
    gains = {name: value for name, value in learnt.items() if name.startswith("gain")}
    plain = {name: value for name, value in learnt.items() if name not in gains}
    for name, gain in gains.items():
        weight = name.replace("gain", "weight")
        plain[weight] = learnt[weight] * (gain / lengths(learnt[weight]))[:, None]
    return plain
