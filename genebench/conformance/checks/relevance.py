"""Checks of the relevance of landmarks, for models that have any."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from genebench.conformance.base import NothingToCheck, Violation
from genebench.conformance.check import check
from genebench.conformance.subject import Subject
from genebench.method import Attribution, Model
from genebench.methods.relevance import PERMUTATION, RULES

_MISSED = 1e-3
"""Part of the mean absolute sum that relevance and rest may miss."""
_MISSED_BY_QUADRATURE = 0.05
"""The same for integrated gradients, whose sum errs where a network has kinks."""
_STEP = 0.01
"""Relative step of finite differences."""
_APART = 0.1
"""Median difference of gradients from finite differences, relative to the mean size of these. A
step may cross a kink of a network."""


class _Case(NamedTuple):
    """A rule of a model, with landmarks and the weights of a sum."""

    model: Model
    rule: str
    landmarks: NDArray[np.float32]
    weights: NDArray[np.float64]

    def relevance(self, rows: slice = slice(None)) -> Attribution:
        """Return the relevance of some profiles, checked."""
        landmarks = self.landmarks[rows]
        found = self.model.relevance(landmarks.copy(), self.weights.copy(), self.rule)
        if not isinstance(found, Attribution):
            raise Violation(f"with {self.rule}, it returns {type(found).__name__}.")
        shapes = [np.shape(part) for part in found]
        if shapes != [landmarks.shape, (len(landmarks),), (len(landmarks),)]:
            raise Violation(f"with {self.rule}, the shapes are {shapes}.")
        parts = [np.asarray(part, np.float64) for part in found]
        if not all(np.isfinite(part).all() for part in parts):
            raise Violation(f"with {self.rule}, values are NaN or infinite.")
        return Attribution(*parts)

    def predicted(self, landmarks: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        """Return the weighted sum of the predictions."""
        predicted = self.model.predict(landmarks.astype(np.float32))
        return np.asarray(predicted, np.float64) @ self.weights


def _cases(subject: Subject) -> Iterator[_Case]:
    """Yield each rule of each model.

    Raises:
        NothingToCheck: no model has a rule.
    """
    fits, found = subject.fits, False
    for name, model in fits.models.items():
        landmarks = fits.test_sets[name].landmarks
        # Weights of both signs, so that no symmetry hides a mistake.
        n_targets = len(fits.test_sets[name].target_genes)
        weights = np.random.default_rng(0).standard_normal(n_targets) / n_targets
        for rule in model.relevance_rules:
            found = True
            yield _Case(model, rule, landmarks, weights)
    if not found:
        raise NothingToCheck(
            "its models have no relevance_rules, so genebench explain permutes their landmarks"
        )


@check
def names_known_rules(subject: Subject) -> None:
    """Name relevance rules that genebench knows."""
    known = set(RULES) - {"auto", PERMUTATION}
    for case in _cases(subject):
        if case.rule not in known:
            raise Violation(f"it names {case.rule!r}. Known: {', '.join(sorted(known))}.")


@check
def relevance_adds_up(subject: Subject) -> None:
    """Return relevance and a rest that add up to the weighted sum of the predictions."""
    for case in _cases(subject):
        found, predicted = case.relevance(), case.predicted(case.landmarks)
        size = float(np.abs(predicted).mean())
        if float(np.abs(found.output - predicted).max()) > _MISSED * size:
            raise Violation(f"with {case.rule}, the output is not the sum of the predictions.")
        missed = float(np.abs(found.values.sum(1) + found.rest - found.output).max()) / size
        by_quadrature = case.rule == "integrated-gradients"
        if missed > (_MISSED_BY_QUADRATURE if by_quadrature else _MISSED):
            raise Violation(f"with {case.rule}, they miss up to {missed:.1%} of the mean sum.")


@check
def gradients_follow_predictions(subject: Subject) -> None:
    """Agree with finite differences of predictions, in the rule gradient-input."""
    cases = [case for case in _cases(subject) if case.rule == "gradient-input"]
    if not cases:
        raise NothingToCheck("its models do not have the rule gradient-input")
    for case in cases:
        values = case.relevance().values
        # Half of the landmarks move, because all of them could hide a mix-up among them.
        moved = np.random.default_rng(0).random(values.shape[1]) < 0.5  # noqa: PLR2004
        step = _STEP * case.landmarks * moved
        up, down = (case.predicted(case.landmarks + sign * step) for sign in (1, -1))
        expected = (up - down) / (2 * _STEP)
        difference = np.median(np.abs(values[:, moved].sum(1) - expected))
        size = float(np.abs(expected).mean())
        if difference > _APART * max(size, _MISSED):
            raise Violation(
                f"with {case.rule}, the change is {difference / max(size, _MISSED):.0%} of its "
                "mean size away from that of the predictions."
            )


@check
def relevance_is_that_of_each_profile(subject: Subject) -> None:
    """Return the same relevance of a profile in blocks of any size."""
    for case in _cases(subject):
        whole = case.relevance().values
        parts = [case.relevance(slice(first, first + 7)).values for first in range(0, 21, 7)]
        single = [case.relevance(slice(row, row + 1)).values for row in range(3)]
        size = float(np.abs(whole).mean())
        for found in (np.concatenate(parts), np.concatenate(single)):
            difference = float(np.abs(found - whole[: len(found)]).max())
            if difference > _MISSED * max(size, _MISSED):
                raise Violation(f"with {case.rule}, values differ by {difference:.2g}.")
