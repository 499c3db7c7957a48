"""Whether what a method predicts comes from what it may know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.data.profiles import Matrix, Profiles
from genebench.method import Model
from genebench.testing import simulated
from genebench.testing.check import Fault, check
from genebench.testing.child import ChildError, Predictions, ask
from genebench.testing.subject import (
    CLOSE,
    Subject,
    apart,
    opened,
    selection_sets,
)

_SECONDS = 300.0
_SLIGHT = (1e-2, 1e-3, 1e-4)
"""Shares of shuffled targets that are mixed into the selection targets."""
_MOST = 0.5
"""Share of the genes that may move each time."""
_UNUSUAL = 5.0


@check
def fits_without_test_files(subject: Subject) -> None:
    """A process without any test profile in its files ends with the same model."""
    subject.check_repeatable()
    landmarks = {name: test.landmarks for name, test in subject.tests.items()}
    request = {"method": subject.spec.name, "params": subject.params}
    try:
        found = ask(subject.home_without_test, request, landmarks, _SECONDS)
    except ChildError as error:
        raise Fault(f"the fit fails without them: {error}") from error
    difference = apart(found.predictions, subject.predictions)
    if difference > CLOSE:
        raise Fault(
            f"predictions differ by up to {difference:.2g} standard deviations: what is tested "
            "on was used to fit."
        )


@check
def a_profile_is_predicted_by_itself(subject: Subject) -> None:
    """Changing the landmarks of one profile changes only the prediction of that profile."""
    for name, predicted in subject.predictions.items():
        landmarks = subject.tests[name].landmarks.copy()
        changed = len(landmarks) // 2
        landmarks[changed] = _UNUSUAL
        others = np.arange(len(landmarks)) != changed
        found = subject.predict(subject.models[name], landmarks)
        difference = float(np.abs(found - predicted)[others].max())
        if difference > CLOSE:
            raise Fault(
                f"the others change by up to {difference:.2g} standard deviations: statistics of "
                "the block were used."
            )


@check
def selection_targets_only_choose(subject: Subject) -> None:
    """Changing the selection targets changes what is chosen (λ, k, an epoch) and nothing else."""
    subject.check_repeatable()
    _check_shuffled(subject)
    _check_slightly_changed(subject)


def _check_shuffled(subject: Subject) -> None:
    """The same choice means the same predictions, whatever the targets that it was made by."""
    models = subject.fit(selections=_changed_selections(lambda _, shuffled: shuffled))
    for name, test in subject.tests.items():
        before, after = subject.models[name], models[name]
        predicted = subject.predict(after, test.landmarks)
        difference = float(np.abs(predicted - subject.predictions[name]).max())
        if _choice_of(before) == _choice_of(after) and difference > CLOSE:
            raise Fault(
                f"with shuffled targets it makes the same choices ({_told(before.choices)}), and "
                f"predictions differ by up to {difference:.2g} standard deviations."
            )


def _check_slightly_changed(subject: Subject) -> None:
    """What is chosen among some candidates stays; what is fitted follows every change."""
    moved = []
    for share in _SLIGHT:
        models = subject.fit(selections=_changed_selections(_mixed(share)))
        moved.append(_moved(subject.predict_tests(models), subject.predictions))
        # A gene may have two candidates that are all but equal; most have not.
        follow = np.min(moved, axis=0) > subject.wobble
        if follow.mean() <= _MOST:
            return
    told = (
        f"mixing in {share:.2%} moves them by {by.max():.1g}"
        for share, by in zip(_SLIGHT, moved, strict=True)
    )
    raise Fault(
        f"predictions follow the slightest change of them: {', '.join(told)} standard deviations."
    )


def _moved(one: Predictions, other: Predictions) -> NDArray[np.float32]:
    """How far the predictions of each gene are apart at the most, protocol by protocol."""
    return np.concatenate([np.abs(one[name] - other[name]).max(axis=0) for name in one])


def _mixed(share: float) -> Callable[[Matrix, Matrix], Matrix]:
    return lambda real, shuffled: ((1 - share) * real + share * shuffled).astype(np.float32)


def _changed_selections(change: Callable[[Matrix, Matrix], Matrix]) -> dict[str, Profiles]:
    """Selection sets whose targets are made of the real ones and of the same, shuffled."""
    random = np.random.default_rng(0)
    changed = {}
    for name, profiles in selection_sets(opened()).items():
        shuffled = profiles.targets[random.permutation(len(profiles))]
        changed[name] = simulated.with_values(
            profiles, profiles.landmarks, change(profiles.targets, shuffled)
        )
    return changed


@check
def selection_sets_are_apart(subject: Subject) -> None:
    """What is chosen on one selection set does not depend on which others are given."""
    subject.check_repeatable()
    name = "geo"
    alone = subject.fit(selections={name: selection_sets(opened())[name]})
    predicted = subject.predict(alone[name], subject.tests[name].landmarks)
    difference = float(np.abs(predicted - subject.predictions[name]).max())
    if difference > CLOSE:
        raise Fault(
            f"with that of {name} alone, predictions of {name} differ by up to {difference:.2g} "
            "standard deviations."
        )


def _choice_of(model: Model) -> dict[str, Any]:
    """What was chosen, for all targets or for each, comparable by ``==``."""
    each = {name: np.asarray(values).tobytes() for name, values in model.per_target.items()}
    return {**model.choices, "per target": each}


def _told(choices: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in choices.items()) or "none"
