"""Whether a method learns what there is to learn, and no more."""

from __future__ import annotations

from genebench.conformance.base import NotApplicable, Violation
from genebench.conformance.check import check
from genebench.conformance.scores import mae, mae_of_train_mean
from genebench.conformance.subject import (
    NOISE,
    Subject,
    open_training_set,
    open_validation_sets,
    opened,
)

_LEARNT = 0.8
"""Of the train mean's MAE; least squares gets to a third on the easy data."""
_TOO_GOOD, _ABSURD = 0.9, 1.5
"""Of the train mean's MAE, where there is nothing to learn. Guesses that are as spread as the
truth err by √2."""


@check
def learns_what_is_easy(subject: Subject) -> None:
    """Where landmarks tell the targets, it errs clearly less than the mean of the training set."""
    if subject.spec.control:
        raise NotApplicable("a control need not learn")
    test = subject.tests["geo"]
    floor = mae_of_train_mean(open_training_set(opened()), test)
    found = mae(test, subject.predictions["geo"])
    if found > _LEARNT * floor:
        raise Violation(f"its MAE is {found:.3f}, that of the training mean {floor:.3f}.")


@check
def is_not_absurd_on_noise(subject: Subject) -> None:
    """Where nothing can be learnt, it errs about as much as the mean of the training set."""
    dataset = opened(NOISE)
    train, test = open_training_set(dataset), subject.test_sets(NOISE)["geo"]
    model = subject.fit(train, open_validation_sets(dataset))["geo"]
    floor = mae_of_train_mean(train, test)
    found = mae(test, subject.predict(model, test.landmarks))
    if not _TOO_GOOD * floor < found < _ABSURD * floor:
        what = "it cannot know that" if found < floor else "that is worse than guessing"
        raise Violation(f"its MAE is {found:.3g}, that of the training mean {floor:.3f}: {what}.")
