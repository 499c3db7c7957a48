"""Whether a method leaves everything as it found it but its own model."""

from __future__ import annotations

from typing import Literal

import numpy as np

from genebench.conformance.base import Violation
from genebench.conformance.check import check
from genebench.conformance.subject import PROTOCOLS, Subject, opened
from genebench.conformance.surroundings import Traces, traced
from genebench.errors import some
from genebench.protocols import GEO


@check
def fit_leaves_profiles_alone(subject: Subject) -> None:
    """Fitting changes no value and no table of the profiles that it is given."""
    altered = subject.made.altered
    if altered:
        raise Violation(f"it changes {some(altered)}.")


@check
def predict_leaves_landmarks_alone(subject: Subject) -> None:
    """Predicting does not change the landmarks that it is given."""
    for name, model in subject.models.items():
        given = subject.tests[name].landmarks.copy()
        model.predict(given)
        if not np.array_equal(given, subject.tests[name].landmarks):
            raise Violation("it does.")


@check
def takes_read_only_maps(subject: Subject) -> None:
    """Profiles that are read-only memory maps will do, to fit and to predict."""
    dataset = opened()
    models = subject.fit(
        dataset.profiles(GEO.train, mmap=True),
        {name: dataset.profiles(item.validation, mmap=True) for name, item in PROTOCOLS.items()},
    )
    path = subject.folder("maps") / "landmarks.npy"
    np.save(path, subject.tests["geo"].landmarks, allow_pickle=False)
    models["geo"].predict(np.load(path, mmap_mode="r", allow_pickle=False))


@check
def leaves_generators_alone(subject: Subject) -> None:
    """Fitting and predicting leave the global random generators as they were."""
    # Of a second fit: what is imported by the first may draw, and is no doing of the method's.
    used = _changed(subject, "generators", subject.second_traces)
    if used:
        raise Violation(
            f"they change {some(used)}; draw from a generator of your own, such as "
            "numpy.random.default_rng(context.seed), or put the state back."
        )


@check
def leaves_settings_alone(subject: Subject) -> None:
    """Fitting and predicting leave the settings of numpy and torch as they were."""
    changed = _changed(subject, "settings", subject.made.traces)
    if changed:
        raise Violation(f"they change {some(changed)}; put it back.")


def _changed(
    subject: Subject, what: Literal["generators", "settings"], fitting: Traces
) -> list[str]:
    """What a fit, or predicting, changes for everybody else."""
    predicting = Traces()
    assert subject.first_predictions
    with traced(predicting, seed=0):
        subject.predict_tests(subject.models)
    return sorted({*getattr(fitting, what), *getattr(predicting, what)})
