"""The model that all linear methods end in."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Context, Method, Model
from genebench.method import Curve
from genebench.moments import Moments


class Linear(Model):
    """``ŷ = x W + b`` on standardised expression.

    Attributes:
        weights: W, landmarks × targets, float32.
        bias: b, one per target, float32.
    """

    def __init__(
        self,
        weights: torch.Tensor,
        bias: torch.Tensor,
        *,
        choices: Mapping[str, float | str] | None = None,
        notes: tuple[str, ...] = (),
        curves: Mapping[str, Curve] | None = None,
        per_target: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> None:
        self.weights = weights
        self.bias = bias
        self.n_parameters = weights.numel() + bias.numel()
        self.choices = choices or {}
        self.notes = notes
        self.curves = curves or {}
        self.per_target = per_target or {}

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Profiles × landmarks → profiles × targets."""
        given = on_device(landmarks, self.weights.device)
        return torch.addmm(self.bias, given, self.weights).cpu().numpy()

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """``weights`` and ``bias``: why a prediction is what it is."""
        return {"weights": self.weights.cpu().numpy(), "bias": self.bias.cpu().numpy()}


class LinearMethod(Method):
    """A method whose models are linear."""

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Linear:
        """The model with these weights and this bias."""
        return Linear(*(on_device(tensors[name], context.device) for name in ("weights", "bias")))


def on_device(values: NDArray[Any], device: torch.device | str) -> torch.Tensor:
    """An array as a tensor; shared where it is on the CPU and torch may take it, else copied."""
    return torch.from_numpy(np.require(values, requirements="W")).to(device)


def bias_of(weights: torch.Tensor, found: Moments) -> torch.Tensor:
    """The unpenalised bias ``ȳ − x̄ W`` that goes with weights; float64 in, float64 out."""
    x_mean, y_mean = (
        torch.from_numpy(mean).to(weights.device) for mean in (found.x_mean, found.y_mean)
    )
    return y_mean - x_mean @ weights
