"""Checks that predictions come only from the data that a method may use."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from genebench.confinement.policy import capability
from genebench.conformance import simulated
from genebench.conformance.base import NothingToCheck, Predictions, Violation
from genebench.conformance.check import check
from genebench.conformance.child import ChildError, ask
from genebench.conformance.fits import CLOSE, Fits, largest_difference
from genebench.conformance.subject import Subject
from genebench.conformance.temporary_home import open_training_set, open_validation_sets
from genebench.data.profiles import Matrix, Profiles
from genebench.method import Context, Model
from genebench.plugins.registry import registry
from genebench.results.store import ResultsStore
from genebench.runs.members import saved_members
from genebench.sealing.client import SealedJob, sealed
from genebench.sealing.failure import SealedFailureError

_CHILD_SECONDS = 300.0
"""Time limit of a child process."""

_BLOCKS = 3
"""Number of blocks that profiles are predicted in, so that none depends on those of other blocks.
"""

_SLIGHT = (1e-2, 1e-3, 1e-4)
"""Shares of other values that are mixed into the validation set."""

_MOST_GENES = 0.5
"""Share of the genes whose predictions may move with each share of other values."""

_UNUSUAL = 5.0
"""Standard deviations of every landmark of a profile that looks like no other."""

_FAR, _FOLLOWED = 20.0, 1.0
"""Standard deviations that validation targets are moved by, and that predictions may follow.

The candidates were fitted without these targets. The chosen one may lie in their direction by
chance, but not far off."""

Change = Callable[[Matrix], Matrix]


@check
def fits_without_test_files(subject: Subject) -> None:
    """Fit the same model when no file on disk holds a test profile."""
    fits, method = subject.fits, subject.method
    fits.require_repeatable()
    landmarks = {name: test.landmarks for name, test in fits.test_sets.items()}
    request = {"method": method.spec.name, "params": method.params}
    before = fits.predictions
    try:
        with subject.home.without_test_profiles() as home:
            result = ask(home, request, landmarks, _CHILD_SECONDS)
    except ChildError as error:
        raise Violation(f"the fit fails without them: {error}") from error
    difference = largest_difference(result.predictions, before)
    if difference > CLOSE:
        raise Violation(
            f"predictions differ by up to {difference:.2g} standard deviations: test "
            "profiles were used to fit."
        )


@check
def fits_the_same_when_sealed(subject: Subject) -> None:
    """Fit and predict the same in a sealed process, which holds no test profile."""
    if capability().level == "no":
        raise NothingToCheck(capability().reason)
    fits, method = subject.fits, subject.method
    fits.require_repeatable()
    train, validation_sets = open_training_set(), open_validation_sets()
    parts = {f"validation.{name}": profiles for name, profiles in validation_sets.items()}
    scratch = subject.home.new_folder("scratch")
    job = SealedJob(
        method=method.spec, params=method.params, seed=0, device=method.device,
        n_targets=len(train.target_genes), parts={"train": train, **parts}, scratch=scratch,
        forbidden=(subject.home.path(),),
        members=[registry().methods.get(name) for name in method.spec.members_in(method.params)],
    )  # fmt: skip
    results = subject.home.new_folder("results")
    try:
        with sealed(job) as apart:
            members = {
                item.protocol.name: {
                    name: apart.restore_member(saved, method.device)
                    for name, saved in saved_members(planned, item, ResultsStore(results))
                }
                for planned in (method.jobs(results) if job.members else ())
                for item in planned.evaluations
            }
            context = Context(device=method.device, scratch=scratch, members=members)
            models = apart.fit(train, validation_sets, context)
            predicted = {
                name: _in_blocks(models[name], test.landmarks)
                for name, test in fits.test_sets.items()
            }
    except SealedFailureError as error:
        raise Violation(f"it fails there: {error.failure.kind}: {error}.") from error
    difference = largest_difference(predicted, fits.predictions)
    if difference > CLOSE:
        raise Violation(
            f"predictions differ by up to {difference:.2g} standard deviations: outside, something "
            "else than the given profiles was used."
        )


def _in_blocks(model: Model, landmarks: Matrix) -> Matrix:
    """Return predictions of profiles in another order, in blocks, as a sealed job asks for them."""
    order = np.random.default_rng(0).permutation(len(landmarks))
    blocks = np.array_split(order, _BLOCKS)
    predicted = np.concatenate([model.predict(landmarks[rows]) for rows in blocks])
    return predicted[np.argsort(order)].astype(np.float32)


@check
def a_profile_is_predicted_by_itself(subject: Subject) -> None:
    """Predict each profile from its own landmarks alone."""
    fits = subject.fits
    for name, predicted in fits.predictions.items():
        landmarks = fits.test_sets[name].landmarks.copy()
        changed = len(landmarks) // 2
        landmarks[changed] = _UNUSUAL
        others = np.arange(len(landmarks)) != changed
        after = fits.predict(fits.models[name], landmarks)
        difference = float(np.abs(after - predicted)[others].max())
        if difference > CLOSE:
            raise Violation(
                f"another profile changes predictions by up to {difference:.2g} standard "
                "deviations: statistics of the block were used."
            )


@check
def validation_targets_only_choose(subject: Subject) -> None:
    """Use validation targets only to choose (λ, k, an epoch), and never to fit."""
    fits = subject.fits
    fits.require_repeatable()
    _check_same_choices(fits, _validation_sets(targets=_shuffled), "shuffled targets")
    _check_far(fits)
    _check_slight(fits, lambda share: _validation_sets(targets=_mixed(share, _shuffled)))


@check
def validation_landmarks_only_choose(subject: Subject) -> None:
    """Use validation landmarks only to choose, and never to fit."""
    fits = subject.fits
    fits.require_repeatable()
    _check_same_choices(fits, _validation_sets(landmarks=_drawn), "other landmarks")
    _check_slight(fits, lambda share: _validation_sets(landmarks=_mixed(share, _drawn)))


def _check_same_choices(
    fits: Fits, validation_sets: dict[str, Profiles], change: str
) -> None:  # fmt: skip
    """Raise Violation if the same choices come with other predictions.

    A method that only chooses predicts the same whenever it makes the same choices.
    """
    models = fits.again(validation_sets=validation_sets)
    for name, test in fits.test_sets.items():
        before, after = fits.models[name], models[name]
        predicted = fits.predict(after, test.landmarks)
        difference = float(np.abs(predicted - fits.predictions[name]).max())
        if _choices_of(before) == _choices_of(after) and difference > CLOSE:
            choices = ", ".join(f"{key}={value}" for key, value in before.choices.items())
            raise Violation(
                f"with {change} it makes the same choices ({choices or 'none'}), and "
                f"predictions differ by up to {difference:.2g} standard deviations."
            )


def _check_far(fits: Fits) -> None:
    """Raise Violation if predictions follow validation targets that are moved far.

    A fit follows the level of its targets, however far. So each gene is moved far up or down.
    """
    n_genes = len(fits.test_sets["geo"].target_genes)
    direction = np.random.default_rng(1).choice([-1.0, 1.0], n_genes)
    models = fits.again(
        validation_sets=_validation_sets(
            targets=lambda real: (real + _FAR * direction).astype(np.float32)
        )
    )
    for name, predicted in fits.predict_tests(models).items():
        shift = (predicted - fits.predictions[name]).mean(axis=0)
        followed = float((shift * direction).mean())
        if followed > _FOLLOWED:
            raise Violation(
                f"predictions follow them: moved by {_FAR:g} standard deviations, up or down, "
                f"they move predictions by {followed:.2g}."
            )


def _check_slight(fits: Fits, changed: Callable[[float], dict[str, Profiles]]) -> None:
    """Raise Violation if predictions follow every slight change of the validation set.

    A choice among some candidates stays the same after a slight change. A fit never does.
    """
    moved = []
    for share in _SLIGHT:
        models = fits.again(validation_sets=changed(share))
        moved.append(_moved(fits.predict_tests(models), fits.predictions))
        # A gene may have two candidates that are almost equal. Most genes have not.
        follow = np.min(moved, axis=0) > fits.repeat_difference
        if follow.mean() <= _MOST_GENES:
            return
    effects = (
        f"mixing in {share:.2%} moves them by {genes.max():.1g}"
        for share, genes in zip(_SLIGHT, moved, strict=True)
    )
    raise Violation(
        f"predictions follow the slightest change of them: {', '.join(effects)} standard "
        "deviations."
    )


def _moved(after: Predictions, before: Predictions) -> NDArray[np.float32]:
    """Return the largest difference of each gene's predictions, protocol by protocol."""
    return np.concatenate([np.abs(after[name] - before[name]).max(axis=0) for name in after])


def _shuffled(values: Matrix) -> Matrix:
    """Return the same rows in another order."""
    return values[np.random.default_rng(0).permutation(len(values))]


def _drawn(values: Matrix) -> Matrix:
    """Return values of another level and spread."""
    return np.random.default_rng(0).normal(1, 2, values.shape).astype(np.float32)


def _mixed(share: float, other: Change) -> Change:
    """Return a change that mixes a share of changed values into the real ones."""
    return lambda real: ((1 - share) * real + share * other(real)).astype(np.float32)


def _unchanged(values: Matrix) -> Matrix:
    return values


def _validation_sets(
    landmarks: Change = _unchanged, targets: Change = _unchanged
) -> dict[str, Profiles]:
    """Return the validation sets with their landmarks or their targets changed."""
    return {
        name: simulated.with_values(
            profiles, landmarks(profiles.landmarks), targets(profiles.targets)
        )
        for name, profiles in open_validation_sets().items()
    }


@check
def validation_sets_are_apart(subject: Subject) -> None:
    """Choose on each validation set without regard to the others."""
    fits = subject.fits
    fits.require_repeatable()
    name = "geo"
    alone = fits.again(validation_sets={name: open_validation_sets()[name]})
    predicted = fits.predict(alone[name], fits.test_sets[name].landmarks)
    difference = float(np.abs(predicted - fits.predictions[name]).max())
    if difference > CLOSE:
        raise Violation(
            f"with the validation set of {name} alone, predictions of {name} differ by up to "
            f"{difference:.2g} standard deviations."
        )


def _choices_of(model: Model) -> dict[str, Any]:
    """Return all choices of a model, for all targets and for each, comparable by ``==``."""
    each = {name: np.asarray(values).tobytes() for name, values in model.per_target.items()}
    return {**model.choices, "per target": each}
