"""The model of all linear methods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from genebench import Context, Method, Model
from genebench.moments import Moments
from genebench.relevance import LINEAR_RULES, Attribution, linear_relevance


class Linear(Model):
    """``ŷ = x W + b`` on standardised expression.

    Attributes:
        weights: W, landmarks × targets, float32.
        bias: b, one per target, float32.
    """

    relevance_rules = LINEAR_RULES

    def __init__(
        self,
        weights: torch.Tensor,
        bias: torch.Tensor,
        *,
        choices: Mapping[str, float | str] | None = None,
        notes: tuple[str, ...] = (),
        curves: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
        per_target: Mapping[str, NDArray[np.float64]] | None = None,
    ) -> None:
        self.weights = weights
        self.bias = bias
        self.n_parameters = weights.numel() + bias.numel()
        self.choices: Mapping[str, float | str] = choices or {}
        self.notes = notes
        self.curves = curves or {}
        self.per_target = per_target or {}

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return profiles × targets for profiles × landmarks."""
        x = on_device(landmarks, self.weights.device)
        return torch.addmm(self.bias, x, self.weights).cpu().numpy()

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return ``weights`` and ``bias``, from which each prediction follows."""
        return {"weights": self.weights.cpu().numpy(), "bias": self.bias.cpu().numpy()}

    def relevance(
        self,
        landmarks: NDArray[np.float32],
        weights: NDArray[np.floating[Any]],
        rule: str,  # noqa: ARG002  all rules give the same
    ) -> Attribution:
        """Return the relevance of landmarks for a weighted sum of targets: ``x ∘ (W weights)``."""
        shares = torch.tensor(weights, dtype=torch.float64, device=self.weights.device)
        slopes, rest = self.weights.double() @ shares, self.bias.double() @ shares
        return linear_relevance(landmarks, slopes.cpu().numpy(), float(rest))


class LinearMethod(Method):
    """A method whose models are linear."""

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Linear:
        """Return the model with these weights and this bias, on the context's device."""
        return Linear(*(on_device(tensors[name], context.device) for name in ("weights", "bias")))


def on_device(values: NDArray[Any], device: torch.device | str) -> torch.Tensor:
    """Return an array as a tensor.

    On the CPU the tensor shares the array's memory if the array is writable. A read-only array is
    copied, because torch warns of those.
    """
    return torch.from_numpy(np.require(values, requirements="W")).to(device)


def bias_of(weights: torch.Tensor, train_moments: Moments) -> torch.Tensor:
    """Return the unpenalised bias ``ȳ − x̄ W`` of some weights, in float64.

    Args:
        weights: W, landmarks × targets, float64.
        train_moments: moments of the training profiles.
    """
    x_mean, y_mean = (
        torch.from_numpy(mean).to(weights.device)
        for mean in (train_moments.x_mean, train_moments.y_mean)
    )
    return y_mean - x_mean @ weights
