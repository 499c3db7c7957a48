"""Whether what a method predicts comes from what it may know."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.conformance import simulated
from genebench.conformance.base import Predictions, Violation
from genebench.conformance.check import check
from genebench.conformance.child import ChildError, ask
from genebench.conformance.subject import (
    CLOSE,
    Subject,
    apart,
    open_validation_sets,
    opened,
)
from genebench.data.profiles import Matrix, Profiles
from genebench.method import Model

_SECONDS = 300.0
_SLIGHT = (1e-2, 1e-3, 1e-4)
"""Shares of something else that are mixed into the validation set."""
_MOST = 0.5
"""Share of the genes that may move each time."""
_UNUSUAL = 5.0
_FAR, _FOLLOWED = 20.0, 1.0
"""Standard deviations that validation targets are moved, and predictions may follow at the most:
candidates know nothing of it, and the one that happens to lie that way is not far off."""

Change = Callable[[Matrix], Matrix]


@check
def fits_without_test_files(subject: Subject) -> None:
    """A process without any test profile in its files ends with the same model."""
    subject.check_repeatable()
    landmarks = {name: test.landmarks for name, test in subject.tests.items()}
    request = {"method": subject.spec.name, "params": subject.params}
    before = subject.predictions
    try:
        with subject.home_without_test() as home:
            found = ask(home, request, landmarks, _SECONDS)
    except ChildError as error:
        raise Violation(f"the fit fails without them: {error}") from error
    difference = apart(found.predictions, before)
    if difference > CLOSE:
        raise Violation(
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
            raise Violation(
                f"the others change by up to {difference:.2g} standard deviations: statistics of "
                "the block were used."
            )


@check
def validation_targets_only_choose(subject: Subject) -> None:
    """Changing the validation targets changes what is chosen (λ, k, an epoch) and nothing else."""
    subject.check_repeatable()
    _check_same_choices(subject, _validation_sets(targets=_shuffled), "shuffled targets")
    _check_far(subject)
    _check_slight(subject, lambda share: _validation_sets(targets=_mixed(share, _shuffled)))


@check
def validation_landmarks_only_choose(subject: Subject) -> None:
    """Changing the validation landmarks changes what is chosen and nothing else."""
    subject.check_repeatable()
    _check_same_choices(subject, _validation_sets(landmarks=_drawn), "other landmarks")
    _check_slight(subject, lambda share: _validation_sets(landmarks=_mixed(share, _drawn)))


def _check_same_choices(subject: Subject, validation_sets: dict[str, Profiles], given: str) -> None:
    """The same choice means the same predictions, whatever profiles it was made by."""
    models = subject.fit(validation_sets=validation_sets)
    for name, test in subject.tests.items():
        before, after = subject.models[name], models[name]
        predicted = subject.predict(after, test.landmarks)
        difference = float(np.abs(predicted - subject.predictions[name]).max())
        if _choice_of(before) == _choice_of(after) and difference > CLOSE:
            raise Violation(
                f"with {given} it makes the same choices ({_told(before.choices)}), and "
                f"predictions differ by up to {difference:.2g} standard deviations."
            )


def _check_far(subject: Subject) -> None:
    """What is fitted follows the level of the targets, up or down for each gene, however far."""
    n_genes = len(subject.tests["geo"].target_genes)
    way = np.random.default_rng(1).choice([-1.0, 1.0], n_genes)
    models = subject.fit(
        validation_sets=_validation_sets(
            targets=lambda real: (real + _FAR * way).astype(np.float32)
        )
    )
    for name, predicted in subject.predict_tests(models).items():
        followed = float(((predicted - subject.predictions[name]).mean(axis=0) * way).mean())
        if followed > _FOLLOWED:
            raise Violation(
                f"predictions follow them: moved by {_FAR:g} standard deviations, up or down, "
                f"they take predictions {followed:.2g} along."
            )


def _check_slight(subject: Subject, changed: Callable[[float], dict[str, Profiles]]) -> None:
    """What is chosen among some candidates stays; what is fitted follows every change."""
    moved = []
    for share in _SLIGHT:
        models = subject.fit(validation_sets=changed(share))
        moved.append(_moved(subject.predict_tests(models), subject.predictions))
        # A gene may have two candidates that are all but equal; most have not.
        follow = np.min(moved, axis=0) > subject.wobble
        if follow.mean() <= _MOST:
            return
    told = (
        f"mixing in {share:.2%} moves them by {by.max():.1g}"
        for share, by in zip(_SLIGHT, moved, strict=True)
    )
    raise Violation(
        f"predictions follow the slightest change of them: {', '.join(told)} standard deviations."
    )


def _moved(one: Predictions, other: Predictions) -> NDArray[np.float32]:
    """How far the predictions of each gene are apart at the most, protocol by protocol."""
    return np.concatenate([np.abs(one[name] - other[name]).max(axis=0) for name in one])


def _shuffled(values: Matrix) -> Matrix:
    """The same rows in another order."""
    return values[np.random.default_rng(0).permutation(len(values))]


def _drawn(values: Matrix) -> Matrix:
    """Values of another level and spread."""
    return np.random.default_rng(0).normal(1, 2, values.shape).astype(np.float32)


def _mixed(share: float, other: Change) -> Change:
    return lambda real: ((1 - share) * real + share * other(real)).astype(np.float32)


def _unchanged(values: Matrix) -> Matrix:
    return values


def _validation_sets(
    landmarks: Change = _unchanged, targets: Change = _unchanged
) -> dict[str, Profiles]:
    """The validation sets, their landmarks or their targets changed."""
    return {
        name: simulated.with_values(
            profiles, landmarks(profiles.landmarks), targets(profiles.targets)
        )
        for name, profiles in open_validation_sets(opened()).items()
    }


@check
def validation_sets_are_apart(subject: Subject) -> None:
    """What is chosen on one validation set does not depend on which others are given."""
    subject.check_repeatable()
    name = "geo"
    alone = subject.fit(validation_sets={name: open_validation_sets(opened())[name]})
    predicted = subject.predict(alone[name], subject.tests[name].landmarks)
    difference = float(np.abs(predicted - subject.predictions[name]).max())
    if difference > CLOSE:
        raise Violation(
            f"with that of {name} alone, predictions of {name} differ by up to {difference:.2g} "
            "standard deviations."
        )


def _choice_of(model: Model) -> dict[str, Any]:
    """What was chosen, for all targets or for each, comparable by ``==``."""
    each = {name: np.asarray(values).tobytes() for name, values in model.per_target.items()}
    return {**model.choices, "per target": each}


def _told(choices: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in choices.items()) or "none"
