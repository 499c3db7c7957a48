"""Relevance of landmarks, by profile or by group of target genes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench._util.progress import Progress, silent
from genebench.errors import UserError
from genebench.explaining.permutation import permutation
from genebench.method import Attribution, Model
from genebench.methods.relevance import PERMUTATION, RULES

PROFILES_PER_BLOCK = 256
"""Profiles whose relevance is computed at a time."""
CHECKED = 64
"""Profiles for which the sum that a model distributes is compared with its predictions."""
TOLERANCE = 1e-3
"""Difference of the sum that a model distributes from that of its predictions, at most. It is
relative to the mean absolute prediction."""

__all__ = ["RULES", "Relevance", "by_profile", "by_target_group", "rule_of"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Relevance:
    """Relevance of landmarks for some rows: profiles, or groups of targets.

    Attributes:
        values: rows × landmarks. Positive relevance raises the sum, and negative lowers it. For
            groups of targets, the mean over profiles.
        effects: rows × landmarks: the mean over the row's profiles of absolute relevance, with the
            sign of the influence. It is positive if the sum rises with the landmark. The mean of
            ``values`` over all profiles is near 0 for a standardised landmark with a linear effect.
        outputs: the sum that was distributed, one per row.
        rule: the rule in effect, never ``auto``.
        errors: standard errors of ``effects``, rows × landmarks. None unless landmarks were
            permuted.
        conservation: the largest |Σ relevance + rest − sum|, relative to the mean |sum|. The
            largest of all groups. None if landmarks were permuted.
        bias_share: mean |rest| relative to the mean |sum|. The rest is what no landmark carries.
    """

    values: NDArray[np.float32]
    effects: NDArray[np.float32]
    outputs: Floats
    rule: str
    errors: NDArray[np.float32] | None
    conservation: float | None
    bias_share: float | None


def by_profile(
    model: Model,
    landmarks: NDArray[np.float32],
    rule: str = "auto",
    *,
    weights: NDArray[np.floating[Any]] | None = None,
    block: int = PROFILES_PER_BLOCK,
    seed: int = 0,
    progress: Progress = silent,
) -> Relevance:
    """Return the relevance of landmarks for each profile. Its rows are profiles.

    Args:
        model: a fitted model.
        landmarks: profiles × landmarks, standardised.
        rule: one of :data:`RULES`.
        weights: weight of each target in the sum. By default, the sum is the mean prediction.
        block: profiles at a time. The result does not depend on it.
        seed: seed of permutations.
        progress: called after each block.

    Raises:
        UserError: the model does not have the rule, or its relevance is not one of its predictions.
    """
    rule = rule_of(model, rule)
    weights = _mean(_targets(model, landmarks)) if weights is None else weights
    if rule == PERMUTATION:
        found = permutation(
            model, landmarks, weights[:, None], seed=seed, block=block, progress=progress
        )
        changes, errors = found.by_profile()
        effects, outputs = _effects(landmarks, changes), found.outputs[:, 0]
        return Relevance(changes, effects, outputs, rule, errors, None, None)
    _check_sum(model, landmarks, weights, rule)
    values = np.empty(landmarks.shape, np.float32)
    tally = _Tally()
    for start, part in _blocks(model, landmarks, weights, rule, block):
        values[start : start + len(part.values)] = part.values
        tally.add(part)
        progress(tally.profiles, len(landmarks), "computing relevance")
    return Relevance(
        values=values,
        effects=_effects(landmarks, values),
        outputs=np.concatenate(tally.outputs),
        rule=rule,
        errors=None,
        conservation=tally.conservation,
        bias_share=tally.bias_share,
    )


def by_target_group(
    model: Model,
    landmarks: NDArray[np.float32],
    groups: NDArray[np.integer[Any]],
    rule: str = "auto",
    *,
    block: int = PROFILES_PER_BLOCK,
    seed: int = 0,
    progress: Progress = silent,
) -> Relevance:
    """Return the relevance of landmarks for the mean prediction of each group of targets.

    A group takes one pass over the profiles, whatever its size.

    Args:
        model: a fitted model.
        landmarks: profiles × landmarks, standardised.
        groups: number of the group of each target, from 0. A negative one belongs to no group.
        rule: one of :data:`RULES`.
        block: profiles at a time. The result does not depend on it.
        seed: seed of permutations.
        progress: called after each group.

    Raises:
        UserError: the model does not have the rule, or its relevance is not one of its predictions.
        ValueError: a group is empty.
    """
    rule = rule_of(model, rule)
    members = np.arange(groups.max() + 1)[:, None] == groups
    if not members.any(1).all():
        raise ValueError("a group has no targets")
    shares = members / members.sum(1, keepdims=True)
    if rule == PERMUTATION:
        found = permutation(model, landmarks, shares.T, seed=seed, block=block, progress=progress)
        values, effects, errors = found.by_group()
        outputs = found.outputs.mean(0)
        return Relevance(values, effects, outputs, rule, errors, None, None)
    _check_sum(model, landmarks, shares[0], rule)
    values, effects = np.empty((2, len(shares), landmarks.shape[1]), np.float32)
    outputs, tallies = np.empty(len(shares)), []
    for number, weights in enumerate(shares):
        tally, total = _Tally(), np.zeros((3, landmarks.shape[1]))
        for start, part in _blocks(model, landmarks, weights, rule, block):
            tally.add(part)
            x = landmarks[start : start + len(part.values)]
            total += part.values.sum(0), np.abs(part.values).sum(0), (x * part.values).sum(0)
        mean, size, covariance = total / len(landmarks)
        values[number], effects[number] = mean, size * np.where(covariance < 0, -1, 1)
        outputs[number] = np.concatenate(tally.outputs).mean()
        tallies.append(tally)
        progress(number + 1, len(shares), "computing relevance")
    return Relevance(
        values=values,
        effects=effects,
        outputs=outputs,
        rule=rule,
        errors=None,
        conservation=max(tally.conservation for tally in tallies),
        bias_share=float(np.mean([tally.bias_share for tally in tallies])),
    )


def rule_of(model: Model, rule: str) -> str:
    """Return the rule in effect: the model's first for ``auto``, and permutation if it has none.

    Raises:
        UserError: the model does not have the rule.
    """
    rules = (*model.relevance_rules, PERMUTATION)
    if rule == "auto":
        return rules[0]
    if rule not in rules:
        raise UserError(f"rule {rule}: the model does not have it. Use {' or '.join(rules)}.")
    return rule


class _Tally:
    """Sums over the blocks of one set of weights."""

    def __init__(self) -> None:
        self.profiles = 0
        self.outputs: list[Floats] = []
        self._largest_error = self._rest = 0.0

    def add(self, part: Attribution) -> None:
        """Add a block."""
        values, rest, output = (np.asarray(each, np.float64) for each in part)
        self.profiles += len(output)
        self.outputs.append(output)
        error = np.abs(values.sum(1) + rest - output)
        self._largest_error = max(self._largest_error, float(error.max(initial=0)))
        self._rest += float(np.abs(rest).sum())

    @property
    def conservation(self) -> float:
        return self._largest_error / max(self._size / self.profiles, np.finfo(float).tiny)

    @property
    def bias_share(self) -> float:
        return self._rest / max(self._size, np.finfo(float).tiny)

    @property
    def _size(self) -> float:
        return float(sum(np.abs(output).sum() for output in self.outputs))


def _blocks(
    model: Model,
    landmarks: NDArray[np.float32],
    weights: NDArray[np.floating[Any]],
    rule: str,
    block: int,
) -> Iterator[tuple[int, Attribution]]:
    """Yield the first row and the relevance of each block, checked."""
    for start in range(0, len(landmarks), block):
        rows = landmarks[start : start + block]
        part = model.relevance(rows, weights, rule)
        shapes = [np.shape(each) for each in part]
        if shapes != [rows.shape, (len(rows),), (len(rows),)]:
            raise UserError(
                f"rule {rule}: the model returned relevance of shapes {shapes}. "
                f"Use rule {PERMUTATION}, and report this to the author of the method."
            )
        if not all(np.isfinite(each).all() for each in part):
            raise UserError(
                f"rule {rule}: the model returned relevance that is NaN or infinite. "
                f"Use rule {PERMUTATION}, and check the model."
            )
        yield start, part


def _check_sum(
    model: Model, landmarks: NDArray[np.float32], weights: NDArray[np.floating[Any]], rule: str
) -> None:
    """Refuse relevance for another sum than that of the predictions.

    Only some profiles are compared, because a prediction of all targets of a large network takes
    as long as the relevance of their sum.
    """
    rows = landmarks[:: -(-len(landmarks) // CHECKED)]
    predicted = np.asarray(model.predict(rows), np.float64)
    if predicted.shape[1:] != np.shape(weights):
        raise ValueError(f"{len(weights)} weights for {predicted.shape[1]} targets")
    [(_, part)] = _blocks(model, rows, weights, rule, len(rows))
    size = float((np.abs(predicted) @ np.abs(weights)).mean())
    difference = float(np.abs(part.output - predicted @ weights).max())
    if difference > TOLERANCE * max(size, TOLERANCE):
        raise UserError(
            f"rule {rule}: the model's relevance is not that of its predictions, whose sum "
            f"differs by {difference:.2g}. Use rule {PERMUTATION}, and report this to the author "
            "of the method."
        )


def _targets(model: Model, landmarks: NDArray[np.float32]) -> int:
    return int(np.shape(model.predict(landmarks[:1]))[1])


def _mean(targets: int) -> Floats:
    return np.full(targets, 1 / targets)


def _effects(landmarks: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    signs = np.where(landmarks * values < 0, -1, 1)
    return (np.abs(values) * signs).astype(np.float32)
