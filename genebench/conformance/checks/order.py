"""Checks that the order of profiles and genes has no meaning, as in the data."""

from __future__ import annotations

import math

import numpy as np

from genebench.conformance import simulated
from genebench.conformance.base import Violation
from genebench.conformance.check import check
from genebench.conformance.fits import CLOSE
from genebench.conformance.scores import mae
from genebench.conformance.subject import Subject
from genebench.conformance.temporary_home import open_training_set, open_validation_sets
from genebench.data.profiles import Matrix
from genebench.formats.base import BLOCK

_BLOCK_SIZES = (1, 7)
"""Profiles of a block: the fewest, and a number that does not divide the test profiles."""

_LARGE_BLOCK = 2 * BLOCK
"""Profiles of a block that is larger than any that a job passes to a model."""

_UNUSUAL = 5.0
"""Standard deviations of every landmark of a profile that looks like no other."""

_MAE_TOLERANCE = 0.25
"""Share of its MAE by which a stochastic method may differ when genes are permuted. Its first
weights belong to positions, so permuting genes has the effect of another seed."""


@check
def order_of_profiles_does_not_matter(subject: Subject) -> None:
    """Predict the same for each profile, in any order of the profiles."""
    fits = subject.fits
    for name, predicted in fits.predictions.items():
        order = np.random.default_rng(0).permutation(len(predicted))
        landmarks = fits.test_sets[name].landmarks[order]
        _compare(fits.predict(fits.models[name], landmarks), predicted[order])


@check
def size_of_blocks_does_not_matter(subject: Subject) -> None:
    """Predict the same for each profile, in blocks of any size."""
    fits = subject.fits
    for name, predicted in fits.predictions.items():
        landmarks, model = fits.test_sets[name].landmarks, fits.models[name]
        for size in _BLOCK_SIZES:
            starts = range(0, len(landmarks), size)
            blocks = [fits.predict(model, landmarks[start : start + size]) for start in starts]
            _compare(np.concatenate(blocks), predicted)
        copies = math.ceil(_LARGE_BLOCK / len(landmarks))
        large = np.tile(landmarks, (copies, 1))
        _compare(fits.predict(model, large)[: len(predicted)], predicted)


@check
def earlier_predictions_do_not_matter(subject: Subject) -> None:
    """Predict the same after predictions of any other profiles."""
    fits = subject.fits
    fits.require_repeatable()
    models = fits.again()
    for name, predicted in fits.predictions.items():
        landmarks = fits.test_sets[name].landmarks
        fits.predict(models[name], np.full_like(landmarks, _UNUSUAL))
        _compare(fits.predict(models[name], landmarks), predicted)


@check
def order_of_genes_does_not_matter(subject: Subject) -> None:
    """Predict the same in any order of genes, or have about the same MAE if stochastic."""
    fits = subject.fits
    fits.require_repeatable()
    random = np.random.default_rng(0)
    train, test = open_training_set(), fits.test_sets["geo"]
    orders = [random.permutation(len(genes)) for genes in (test.landmark_genes, test.target_genes)]
    models = fits.again(
        simulated.with_genes_permuted(train, *orders),
        {
            name: simulated.with_genes_permuted(profiles, *orders)
            for name, profiles in open_validation_sets().items()
        },
    )
    predicted = np.empty_like(fits.predictions["geo"])
    predicted[:, orders[1]] = fits.predict(models["geo"], test.landmarks[:, orders[0]])
    if not subject.method.spec.stochastic:
        _compare(predicted, fits.predictions["geo"])
        return
    before, after = mae(test, fits.predictions["geo"]), mae(test, predicted)
    if abs(after - before) > _MAE_TOLERANCE * before:
        raise Violation(f"the MAE goes from {before:.3f} to {after:.3f}.")


def _compare(predicted: Matrix, expected: Matrix) -> None:
    difference = float(np.abs(predicted - expected).max())
    if difference > CLOSE:
        raise Violation(f"predictions differ by up to {difference:.2g} standard deviations.")
