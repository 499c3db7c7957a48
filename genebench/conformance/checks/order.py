"""Whether the order of profiles and genes is without meaning, as it is in the data."""

from __future__ import annotations

import numpy as np

from genebench.conformance import simulated
from genebench.conformance.base import Violation
from genebench.conformance.check import check
from genebench.conformance.scores import mae
from genebench.conformance.subject import (
    CLOSE,
    Subject,
    open_training_set,
    open_validation_sets,
    opened,
)
from genebench.data.profiles import Matrix
from genebench.formats.base import BLOCK

_BLOCKS = (1, 7)
_MORE_THAN_A_JOB_GIVES = 2 * BLOCK
_UNUSUAL = 5.0
_SCORES_APART = 0.25
"""Of a stochastic method's MAE: first weights belong to positions, so that permuting genes is
drawing again."""


@check
def order_of_profiles_does_not_matter(subject: Subject) -> None:
    """Permuting the profiles of a block permutes their predictions."""
    for name, predicted in subject.predictions.items():
        order = np.random.default_rng(0).permutation(len(predicted))
        landmarks = subject.tests[name].landmarks[order]
        _same(subject.predict(subject.models[name], landmarks), predicted[order])


@check
def size_of_blocks_does_not_matter(subject: Subject) -> None:
    """Predictions are the same whatever the size of the blocks that profiles come in."""
    for name, predicted in subject.predictions.items():
        landmarks, model = subject.tests[name].landmarks, subject.models[name]
        for size in _BLOCKS:
            starts = range(0, len(landmarks), size)
            blocks = [subject.predict(model, landmarks[at : at + size]) for at in starts]
            _same(np.concatenate(blocks), predicted)
        times = -(-_MORE_THAN_A_JOB_GIVES // len(landmarks))
        _same(subject.predict(model, np.tile(landmarks, (times, 1)))[: len(predicted)], predicted)


@check
def what_was_predicted_before_does_not_matter(subject: Subject) -> None:
    """Predictions are the same whatever profiles a model was asked about before."""
    subject.check_repeatable()
    models = subject.fit()
    for name, predicted in subject.predictions.items():
        landmarks = subject.tests[name].landmarks
        subject.predict(models[name], np.full_like(landmarks, _UNUSUAL))
        _same(subject.predict(models[name], landmarks), predicted)


@check
def order_of_genes_does_not_matter(subject: Subject) -> None:
    """Permuting landmarks and targets permutes predictions; where they are drawn, MAE is alike."""
    subject.check_repeatable()
    random = np.random.default_rng(0)
    train, test = open_training_set(opened()), subject.tests["geo"]
    orders = [random.permutation(len(genes)) for genes in (test.landmark_genes, test.target_genes)]
    models = subject.fit(
        simulated.with_genes_permuted(train, *orders),
        {
            name: simulated.with_genes_permuted(profiles, *orders)
            for name, profiles in open_validation_sets(opened()).items()
        },
    )
    predicted = np.empty_like(subject.predictions["geo"])
    predicted[:, orders[1]] = subject.predict(models["geo"], test.landmarks[:, orders[0]])
    if not subject.spec.stochastic:
        _same(predicted, subject.predictions["geo"])
        return
    before, after = (mae(test, found) for found in (subject.predictions["geo"], predicted))
    if abs(after - before) > _SCORES_APART * before:
        raise Violation(f"the MAE goes from {before:.3f} to {after:.3f}.")


def _same(found: Matrix, expected: Matrix) -> None:
    difference = float(np.abs(found - expected).max())
    if difference > CLOSE:
        raise Violation(f"predictions differ by up to {difference:.2g} standard deviations.")
