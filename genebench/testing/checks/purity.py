"""Whether a method leaves everything as it found it but its own model."""

from __future__ import annotations

import numpy as np

from genebench.errors import some
from genebench.protocols import GEO
from genebench.testing.check import Fault, check
from genebench.testing.subject import PROTOCOLS, Subject, opened
from genebench.testing.surroundings import Traces, traced


@check
def fit_leaves_profiles_alone(subject: Subject) -> None:
    """Fitting changes no value and no table of the profiles that it is given."""
    altered = subject.made.altered
    if altered:
        raise Fault(f"it changes {some(altered)}.")


@check
def predict_leaves_landmarks_alone(subject: Subject) -> None:
    """Predicting does not change the landmarks that it is given."""
    for name, model in subject.models.items():
        given = subject.tests[name].landmarks.copy()
        model.predict(given)
        if not np.array_equal(given, subject.tests[name].landmarks):
            raise Fault("it does.")


@check
def takes_read_only_maps(subject: Subject) -> None:
    """Profiles that are read-only memory maps will do, to fit and to predict."""
    dataset = opened()
    models = subject.fit(
        dataset.profiles(GEO.train, mmap=True),
        {name: dataset.profiles(item.select, mmap=True) for name, item in PROTOCOLS.items()},
    )
    path = subject.folder("maps") / "landmarks.npy"
    np.save(path, subject.tests["geo"].landmarks, allow_pickle=False)
    models["geo"].predict(np.load(path, mmap_mode="r", allow_pickle=False))


@check
def leaves_generators_alone(subject: Subject) -> None:
    """Fitting and predicting leave the global random generators as they were."""
    used = _traces(subject).generators
    if used:
        raise Fault(
            f"they change {some(used)}; draw from a generator of your own, such as "
            "numpy.random.default_rng(context.seed), or put the state back."
        )


@check
def leaves_torch_alone(subject: Subject) -> None:
    """Fitting and predicting leave the settings of torch as they were."""
    changed = _traces(subject).settings
    if changed:
        raise Fault(f"they change its {some(changed)}; put it back.")


def _traces(subject: Subject) -> Traces:
    """What fitting and predicting change for everybody else."""
    fitting, predicting = subject.made.traces, Traces()
    assert subject.first_predictions
    with traced(predicting, seed=0):
        subject.predict_tests(subject.models)
    return Traces(
        sorted({*fitting.generators, *predicting.generators}),
        sorted({*fitting.settings, *predicting.settings}),
    )
