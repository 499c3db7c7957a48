"""Checks that a method learns what can be learnt, and no more."""

from __future__ import annotations

from genebench.conformance.base import NothingToCheck, Violation
from genebench.conformance.check import check
from genebench.conformance.scores import mae, mae_of_train_mean
from genebench.conformance.subject import Subject
from genebench.conformance.temporary_home import (
    NOISE,
    open_test_sets,
    open_training_set,
    open_validation_sets,
)

_LEARNT = 0.8
"""Share of the training mean's MAE that a method may reach. Least squares reaches a third on the
easy data."""

_TOO_GOOD, _TOO_BAD = 0.9, 1.5
"""Shares of the training mean's MAE that a method must stay between where all is noise. Guesses
with the spread of the truth have √2."""


@check
def learns_what_is_easy(subject: Subject) -> None:
    """Have a clearly lower MAE than the training mean where landmarks determine the targets."""
    if subject.method.spec.control:
        raise NothingToCheck("a control need not learn")
    fits = subject.fits
    test = fits.test_sets["geo"]
    of_mean = mae_of_train_mean(open_training_set(), test)
    error = mae(test, fits.predictions["geo"])
    if error > _LEARNT * of_mean:
        raise Violation(f"its MAE is {error:.3f}, that of the training mean {of_mean:.3f}.")


@check
def is_not_absurd_on_noise(subject: Subject) -> None:
    """Have about the same MAE as the training mean where nothing can be learnt."""
    fits = subject.fits
    train, test = open_training_set(NOISE), open_test_sets(NOISE)["geo"]
    model = fits.again(train, open_validation_sets(NOISE))["geo"]
    of_mean = mae_of_train_mean(train, test)
    error = mae(test, fits.predict(model, test.landmarks))
    if not _TOO_GOOD * of_mean < error < _TOO_BAD * of_mean:
        reason = (
            "no method can know that" if error < of_mean else "that is worse than guessing"
        )  # fmt: skip
        raise Violation(
            f"its MAE is {error:.3g}, that of the training mean {of_mean:.3f}: {reason}."
        )
