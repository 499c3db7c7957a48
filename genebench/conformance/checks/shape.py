"""Whether a method gives models, and models the numbers that they were asked for."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from genebench.conformance.base import Violation
from genebench.conformance.check import check
from genebench.conformance.subject import CLOSE, PROTOCOLS, Subject
from genebench.method import Model

_FAR = 20.0
"""Standard deviations: such values occur where a gene is silent in all training profiles."""


@check
def fits(subject: Subject) -> None:
    """Fitting gives one Model for each validation set, by its name."""
    models = subject.first_fit().models
    if not isinstance(models, Mapping):
        raise Violation(f"fit returned {type(models).__name__}.")
    if missing := sorted(set(PROTOCOLS) - set(models)):
        raise Violation(f"fit returned none for {', '.join(missing)}.")
    for name, model in models.items():
        if not isinstance(model, Model):
            raise Violation(f"that of {name} is a {type(model).__name__}, not a genebench.Model.")


@check
def predicts_many_profiles(subject: Subject) -> None:
    """Predictions of a block are finite numbers, profiles × targets."""
    for name, model in subject.models.items():
        subject.predict(model, subject.tests[name].landmarks)


@check
def predicts_one_profile(subject: Subject) -> None:
    """A block of one profile gives 1 × targets."""
    for name, model in subject.models.items():
        subject.predict(model, subject.tests[name].landmarks[:1])


@check
def predicts_no_profile(subject: Subject) -> None:
    """A block of no profiles gives 0 × targets."""
    for name, model in subject.models.items():
        subject.predict(model, subject.tests[name].landmarks[:0])


@check
def predicts_profiles_far_out(subject: Subject) -> None:
    """Predictions stay finite where landmarks are far from anything that was trained on."""
    for name, model in subject.models.items():
        landmarks = subject.tests[name].landmarks
        for value in (-_FAR, _FAR):
            subject.predict(model, np.full_like(landmarks, value))


@check
def predicts_any_layout(subject: Subject) -> None:
    """How a block lies in memory (column by column, every other row) does not matter."""
    for name, model in subject.models.items():
        landmarks = subject.tests[name].landmarks
        doubled = np.repeat(landmarks, 2, axis=0)[::2]
        for layout in (np.asfortranarray(landmarks), doubled):
            predicted = np.asarray(model.predict(layout))
            difference = float(np.abs(predicted - subject.predictions[name]).max())
            if difference > CLOSE:
                raise Violation(f"predictions differ by {difference:.2g} standard deviations.")
