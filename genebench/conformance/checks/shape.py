"""Checks of the models that a fit returns, and of the shape of their predictions."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genebench.conformance.base import Violation
from genebench.conformance.check import check
from genebench.conformance.fits import CLOSE
from genebench.conformance.subject import Subject
from genebench.conformance.temporary_home import PROTOCOLS
from genebench.method import Model, NotApplicable

_FAR = 20.0
"""Standard deviations. Such values occur where a gene is silent in all training profiles."""


@check
def fits(subject: Subject) -> None:
    """Return one Model for each validation set, by its name."""
    try:
        models = subject.fits.first.models
    except NotApplicable as reason:
        raise Violation(
            f"it is not applicable to the data of the checks ({reason}), so that little is "
            "checked. Declare this as an expected failure if it is right."
        ) from reason
    if not isinstance(models, Mapping):
        raise Violation(f"fit returned {type(models).__name__}.")
    if missing := sorted(set(PROTOCOLS) - set(models)):
        raise Violation(f"fit returned no model for {', '.join(missing)}.")
    for name, model in models.items():
        if not isinstance(model, Model):
            raise Violation(
                f"the model for {name} is a {type(model).__name__}, not a genebench.Model."
            )


@check
def predicts_many_profiles(subject: Subject) -> None:
    """Predict finite numbers for a block, profiles × targets."""
    fits = subject.fits
    for name, model in fits.models.items():
        fits.predict(model, fits.test_sets[name].landmarks)


@check
def predicts_one_profile(subject: Subject) -> None:
    """Predict 1 × targets for a block of one profile."""
    fits = subject.fits
    for name, model in fits.models.items():
        fits.predict(model, fits.test_sets[name].landmarks[:1])


@check
def predicts_no_profile(subject: Subject) -> None:
    """Predict 0 × targets for a block of no profiles."""
    fits = subject.fits
    for name, model in fits.models.items():
        fits.predict(model, fits.test_sets[name].landmarks[:0])


@check
def predicts_profiles_far_out(subject: Subject) -> None:
    """Predict finite numbers even where landmarks are far from all training profiles."""
    fits = subject.fits
    for name, model in fits.models.items():
        landmarks = fits.test_sets[name].landmarks
        for value in (-_FAR, _FAR):
            fits.predict(model, np.full_like(landmarks, value))


@check
def predicts_any_layout(subject: Subject) -> None:
    """Predict the same for any memory layout of a block (column by column, every other row)."""
    fits = subject.fits
    for name, model in fits.models.items():
        landmarks = fits.test_sets[name].landmarks
        every_other_row = np.repeat(landmarks, 2, axis=0)[::2]
        for layout in (np.asfortranarray(landmarks), every_other_row):
            # Not fits.predict(), which would copy the block to the usual layout.
            predicted = np.asarray(model.predict(layout))
            difference = float(np.abs(predicted - fits.predictions[name]).max())
            if difference > CLOSE:
                raise Violation(f"predictions differ by {difference:.2g} standard deviations.")
