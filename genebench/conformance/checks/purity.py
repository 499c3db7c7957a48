"""Checks that a method changes nothing but its own model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from genebench.conformance.base import Violation
from genebench.conformance.check import check
from genebench.conformance.fits import Fits
from genebench.conformance.subject import Subject
from genebench.conformance.surroundings import Traces, settings_kept, traced
from genebench.conformance.temporary_home import PROTOCOLS, open_dataset
from genebench.errors import some
from genebench.protocols import GEO


@check
def fit_leaves_profiles_alone(subject: Subject) -> None:
    """Leave the values and the tables of all profiles unchanged when fitting."""
    altered = subject.fits.usable.altered
    if altered:
        raise Violation(f"it changes {some(altered)}.")


@check
def predict_leaves_landmarks_alone(subject: Subject) -> None:
    """Leave the landmarks unchanged when predicting."""
    fits = subject.fits
    for name, model in fits.models.items():
        original = fits.test_sets[name].landmarks
        passed = original.copy()
        model.predict(passed)
        if not np.array_equal(passed, original):
            raise Violation("predict changes them.")


@check
def takes_read_only_maps(subject: Subject) -> None:
    """Accept read-only memory maps, to fit and to predict."""
    fits, dataset = subject.fits, open_dataset()
    models = fits.again(
        dataset.profiles(GEO.train, mmap=True),
        {
            name: dataset.profiles(protocol.validation, mmap=True)
            for name, protocol in PROTOCOLS.items()
        },
    )
    path = subject.home.new_folder("maps") / "landmarks.npy"
    np.save(path, fits.test_sets["geo"].landmarks, allow_pickle=False)
    models["geo"].predict(np.load(path, mmap_mode="r", allow_pickle=False))


@check
def leaves_generators_alone(subject: Subject) -> None:
    """Leave the global random generators unchanged when fitting and predicting."""
    # The second fit counts. Modules that the first one imports may draw, and the method cannot
    # prevent that.
    used = _changed(subject.fits, "generators", subject.fits.second.traces)
    if used:
        raise Violation(
            f"it changes {_listed(used)}. Draw from a generator of your own, such as "
            "numpy.random.default_rng(context.seed), or restore the state."
        )


@check
def leaves_settings_alone(subject: Subject) -> None:
    """Leave the settings of numpy and torch unchanged when fitting and predicting."""
    changed = _changed(subject.fits, "settings", subject.fits.usable.traces)
    if changed:
        pronoun = "it" if len(changed) == 1 else "them"
        raise Violation(f"it changes {_listed(changed)}. Restore {pronoun}.")


def _listed(names: Sequence[str]) -> str:
    """Return names as they stand in a sentence, with ``and`` before the last one."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _changed(
    fits: Fits, kind: Literal["generators", "settings"], fitting: Traces
) -> list[str]:  # fmt: skip
    """Return the generators or settings that a fit changed, or that predicting changes."""
    # Not applicable if the predictions fail. If these are the first ones, their changes must be
    # undone, or the next ones would find nothing left to change.
    with settings_kept():
        _ = fits.first_predictions
    predicting = Traces()
    with traced(predicting, seed=0):
        fits.predict_tests(fits.models)
    return sorted({*getattr(fitting, kind), *getattr(predicting, kind)})
