"""Whether results can be had again, and depend on the seed as declared."""

from __future__ import annotations

from genebench.conformance.base import Violation
from genebench.conformance.check import check
from genebench.conformance.subject import CLOSE, Subject, apart


@check
def the_same_seed_gives_the_same(subject: Subject) -> None:
    """Two fits with the same seed and the same data predict the same."""
    if subject.wobble > CLOSE:
        raise Violation(f"predictions differ by up to {subject.wobble:.2g} standard deviations.")


@check
def predicting_again_gives_the_same(subject: Subject) -> None:
    """A model predicts the same each time that it is asked."""
    difference = apart(subject.first_predictions, subject.predict_tests(subject.models))
    if difference > CLOSE:
        raise Violation(f"predictions differ by up to {difference:.2g} standard deviations.")


@check
def the_seed_matters_as_declared(subject: Subject) -> None:
    """Another seed gives other predictions where the spec says stochastic, and only there."""
    subject.check_repeatable()
    difference = apart(subject.predict_tests(subject.fit(seed=1)), subject.predictions)
    if not subject.spec.stochastic and difference > CLOSE:
        raise Violation(
            f"predictions differ by up to {difference:.2g} standard deviations; declare "
            "stochastic=True, or leave the seed alone."
        )
    if subject.spec.stochastic and not difference:
        raise Violation(
            "predictions are the same; take all that is random from context.seed, or declare "
            "stochastic=False."
        )
