"""Checks that results can be repeated, and depend on the seed as declared."""

from __future__ import annotations

from genebench.conformance.base import Violation
from genebench.conformance.check import check
from genebench.conformance.fits import CLOSE, largest_difference
from genebench.conformance.subject import Subject


@check
def the_same_seed_gives_the_same(subject: Subject) -> None:
    """Predict the same after two fits with the same seed and the same data."""
    difference = subject.fits.repeat_difference
    if difference > CLOSE:
        raise Violation(f"predictions differ by up to {difference:.2g} standard deviations.")


@check
def predicting_again_gives_the_same(subject: Subject) -> None:
    """Predict the same each time with the same model."""
    fits = subject.fits
    difference = largest_difference(fits.first_predictions, fits.predict_tests(fits.models))
    if difference > CLOSE:
        raise Violation(f"predictions differ by up to {difference:.2g} standard deviations.")


@check
def the_seed_matters_as_declared(subject: Subject) -> None:
    """Predict something else with another seed if the spec says stochastic, and only then."""
    fits = subject.fits
    fits.require_repeatable()
    difference = largest_difference(fits.predict_tests(fits.again(seed=1)), fits.predictions)
    stochastic = subject.method.spec.stochastic
    if not stochastic and difference > CLOSE:
        raise Violation(
            f"predictions differ by up to {difference:.2g} standard deviations. Declare "
            "stochastic=True, or do not use the seed."
        )
    if stochastic and not difference:
        raise Violation(
            "predictions are the same. Draw all random numbers from context.seed, or declare "
            "stochastic=False."
        )
