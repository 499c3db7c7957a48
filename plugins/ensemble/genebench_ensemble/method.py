"""The ensemble: members that were fitted before, and a weight for each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench import Context, Method, Model, Profiles
from genebench.relevance import Attribution
from genebench_ensemble.stacking import absolute_error, stacking_weights

MOST_VALUES = 20_000_000
"""Values of the validation set that weights are chosen on: 80 MB for each member.

The published set has 106 million. A few weights need far fewer.
"""
DECIMALS = 2
"""Decimals of a weight. A slight change of the validation set then leaves the weights as they are.
"""


class WeightedSum(Model):
    """``ŷ = Σ w_m ŷ_m`` over the members.

    Attributes:
        weights: one for each member, in their order.
        relevance_rules: the rules that all members of a weight above 0 have.
    """

    def __init__(self, members: Mapping[str, Model], weights: NDArray[np.float64]) -> None:
        self.weights = weights
        self._members = members
        used = [member for _, member in self._used()]
        first = used[0].relevance_rules if used else ()
        self.relevance_rules = tuple(
            rule for rule in first if all(rule in member.relevance_rules for member in used)
        )

    def _used(self) -> list[tuple[float, Model]]:
        """Return weight and model of the members of a weight above 0."""
        pairs = zip(self.weights.tolist(), self._members.values(), strict=True)
        return [(weight, member) for weight, member in pairs if weight]

    def predict(self, landmarks: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return profiles × targets for profiles × landmarks."""
        total: NDArray[np.float32] | None = None
        for model, weight in zip(self._members.values(), self.weights, strict=True):
            # A member of weight 0 need not predict, unless only its shape is known.
            if weight or total is None:
                part = np.float32(weight) * np.asarray(model.predict(landmarks), np.float32)
                total = part if total is None else total + part
        assert total is not None
        return total

    def tensors(self) -> Mapping[str, NDArray[Any]]:
        """Return ``weights``. The members are saved beside them."""
        return {"weights": self.weights}

    def relevance(
        self, landmarks: NDArray[np.float32], weights: NDArray[np.floating[Any]], rule: str
    ) -> Attribution:
        """Return the weighted sum of the members' relevance."""
        parts = [
            [weight * np.asarray(part) for part in member.relevance(landmarks, weights, rule)]
            for weight, member in self._used()
        ]
        values, rest, output = (np.sum(part, axis=0) for part in zip(*parts, strict=True))
        return Attribution(values, rest, output)


class Ensemble(Method):
    """The mean of the members, or their non-negative stacking."""

    def __init__(self, *, members: str, weights: str) -> None:
        super().__init__(members=members, weights=weights)
        self._stacked = weights == "stack"

    def fit(
        self,
        train: Profiles,  # noqa: ARG002  the members were fitted on them
        validation_sets: Mapping[str, Profiles],
        context: Context,
    ) -> Mapping[str, Model]:
        """Choose weights on each validation set. The members stay as they are."""
        return {
            name: self._weighted(context.members[name], validation, context)
            for name, validation in validation_sets.items()
        }

    def _weighted(
        self, members: Mapping[str, Model], validation: Profiles, context: Context
    ) -> WeightedSum:
        predictions, truth = _predicted(members, validation, context)
        weights = np.full(len(members), 1 / len(members))
        if self._stacked:
            weights = np.round(stacking_weights(predictions, truth), DECIMALS)
        model = WeightedSum(members, weights)
        n_genes = len(validation.target_genes)
        used = f"{len(truth) // n_genes:,} of {len(validation):,} validation profiles"
        model.n_parameters = len(members) if self._stacked else 0
        model.choices = {
            **{f"weight.{name}": float(w) for name, w in zip(members, weights, strict=True)},
            "validation_mae": absolute_error(predictions, truth, weights),
        }
        model.notes = (
            *(f"{name} has weight 0." for name, w in zip(members, weights, strict=True) if not w),
            *([f"Weights are from {used}."] if len(truth) < len(validation) * n_genes else []),
        )
        model.curves = {
            "members": {
                "position": list(range(1, len(members) + 1)),
                "weight": weights.tolist(),
                "mae": [absolute_error(predictions, truth, row) for row in np.eye(len(members))],
            }
        }
        return model

    def restore(self, tensors: Mapping[str, NDArray[Any]], context: Context) -> Model:
        """Return the weighted sum of the restored members."""
        [members] = context.members.values()
        return WeightedSum(members, np.asarray(tensors["weights"], np.float64))


def _predicted(
    members: Mapping[str, Model], validation: Profiles, context: Context
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return predictions of the members (members × values), and the true values.

    They are those of evenly spaced profiles, if the set has more values than are needed.
    """
    n_genes = len(validation.target_genes)
    step = -(-len(validation) * n_genes // MOST_VALUES)
    chosen = np.arange(0, len(validation), step)
    predictions = np.empty((len(members), len(chosen), n_genes), np.float32)
    truth = np.empty((len(chosen), n_genes), np.float32)
    start = done = 0
    for landmarks, targets in validation.blocks():
        rows = chosen[(chosen >= start) & (chosen < start + len(landmarks))] - start
        place = slice(done, done + len(rows))
        truth[place] = targets[rows]
        for number, model in enumerate(members.values()):
            predictions[number, place] = model.predict(landmarks[rows])
        start, done = start + len(landmarks), done + len(rows)
        context.progress(start, len(validation), "validation profiles predicted")
    return predictions.reshape(len(members), -1), truth.reshape(-1)
