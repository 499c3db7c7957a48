"""The model of kernel ridge: a sum of kernel functions around centres."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from genebench import Model
from genebench.relevance import Attribution, quadrature
from genebench_kernel.kernels import Kernel

PREDICTED_PER_BLOCK = 256
"""Profiles predicted at a time. A smaller block is filled up with zeros.

Products of matrices of one shape add in one order. So a prediction does not depend on the number
of profiles that are predicted together.
"""


class KernelModel(Model):
    """``ŷ = μ + k(x)ᵀα`` on standardised expression.

    All is in float64. With a small λ, coefficients are large and cancel in the sum.
    """

    relevance_rules = ("exact", "integrated-gradients", "gradient-input")

    def __init__(
        self,
        kernel: Kernel,
        centres: Tensor,
        coefficients: Tensor,
        mean: Tensor,
        *,
        choices: Mapping[str, float | str] | None = None,
        notes: tuple[str, ...] = (),
        curves: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
    ) -> None:
        """Keep what predictions need, and the record of the choice.

        Args:
            kernel: the kernel.
            centres: landmarks of the centres, centres × landmarks.
            coefficients: α, centres × targets, float64.
            mean: μ, one per target, float64.
            choices: the chosen values.
            notes: remarks.
            curves: errors of all candidates.
        """
        self.kernel = kernel
        self.centres = centres.double()
        self.coefficients = coefficients
        self.mean = mean
        self.n_parameters = coefficients.numel() + mean.numel()
        self.choices = choices or {}
        self.notes = notes
        self.curves = curves or {}

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return profiles × targets for profiles × landmarks."""
        predicted = np.empty((len(landmarks), len(self.mean)), np.float32)
        for start in range(0, len(landmarks), PREDICTED_PER_BLOCK):
            part = landmarks[start : start + PREDICTED_PER_BLOCK]
            block = self.centres.new_zeros(PREDICTED_PER_BLOCK, landmarks.shape[1])
            block[: len(part)] = torch.tensor(part)
            values = self.kernel.matrix(block, self.centres)
            predictions = torch.addmm(self.mean, values, self.coefficients)[: len(part)]
            predicted[start : start + len(part)] = predictions.cpu().numpy()
        return predicted

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return the centres, their coefficients, the means, and the scales of the kernel."""
        return {
            "centres": self.centres.float().cpu().numpy(),
            "coefficients": self.coefficients.cpu().numpy(),
            "mean": self.mean.cpu().numpy(),
            "scales": np.array([self.kernel.width, self.kernel.linear]),
        }

    def relevance(
        self, landmarks: NDArray[np.float32], weights: NDArray[np.floating[Any]], rule: str
    ) -> Attribution:
        """Return the relevance of landmarks for a weighted sum of targets.

        ``exact`` is the path integral from the mean profile, that is integrated gradients. Its
        parts sum up to the prediction less that of the mean profile. Gradient × input of a kernel
        of distances does not: far from all centres the gradient vanishes, but not what the
        prediction has changed by on the way.
        """
        x = torch.tensor(landmarks, dtype=torch.float64, device=self.mean.device)
        shares = torch.tensor(weights, dtype=torch.float64, device=x.device)
        coefficients, mean = self.coefficients @ shares, self.mean @ shares
        points = [(1.0, 1.0)] if rule == "gradient-input" else quadrature()
        values = x * self.kernel.slopes(x, self.centres, coefficients, points)
        output = self.kernel.matrix(x, self.centres) @ coefficients + mean
        if rule == "gradient-input":
            rest = output - values.sum(1)
        else:
            origin = self.centres.new_zeros(1, x.shape[1])
            rest = self.kernel.matrix(origin, self.centres) @ coefficients + mean
            rest = rest.expand(len(x))
        return Attribution(values.cpu().numpy(), rest.cpu().numpy(), output.cpu().numpy())
