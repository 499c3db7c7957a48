"""Checks that a method changes nothing but its own model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from genebench.conformance.base import Violation
from genebench.conformance.check import check
from genebench.conformance.fits import Fits
from genebench.conformance.method_under_check import MethodUnderCheck
from genebench.conformance.subject import Subject
from genebench.conformance.surroundings import Traces, settings_kept, traced
from genebench.conformance.temporary_home import PROTOCOLS, open_dataset
from genebench.errors import some
from genebench.protocols import GEO
from genebench.results.store import ResultsStore
from genebench.runs.execute import execute
from genebench.runs.jobs import Settings

_RIVAL = "train-mean"


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


@check
def leaves_genebench_alone(subject: Subject) -> None:
    """Leave the functions of genebench and numpy unchanged when fitting and predicting."""
    replaced = _changed(subject.fits, "functions", subject.fits.usable.traces)
    if replaced:
        raise Violation(f"it replaces {some(replaced)}.")


@check
def writes_to_its_scratch_folder_only(subject: Subject) -> None:
    """Write files to the scratch folder only, and leave datasets, caches and results alone."""
    fits = subject.fits
    fits.require_repeatable()  # all cache files that genebench itself writes are there now
    folder = subject.home.new_folder("results")
    ResultsStore(folder).prepare()
    # A rival's result lies beside the scratch folder, as in a run. A job seeds the generators.
    with traced(Traces(), seed=0):
        execute(MethodUnderCheck(_RIVAL).jobs(folder)[0], Settings(results=folder, sealed="off"))
    scratch = folder / "scratch"
    scratch.mkdir()
    before = _files(folder, subject.home.path())
    models = fits.again(scratch=scratch)
    fits.predict_tests(models)
    after = _files(folder, subject.home.path())
    changed = {
        path.name
        for path in before.keys() | after.keys()
        if before.get(path) != after.get(path) and not path.is_relative_to(scratch)
    }
    if changed:
        raise Violation(f"it changes {some(changed)}.")


def _files(*folders: Path) -> dict[Path, tuple[int, int, int]]:
    """Return path → size, time of change and permissions of every file."""
    files = {}
    for path in (path for folder in folders for path in folder.rglob("*")):
        if path.is_file():
            state = path.stat()
            files[path] = (state.st_size, state.st_mtime_ns, state.st_mode)
    return files


def _listed(names: Sequence[str]) -> str:
    """Return names as they stand in a sentence, with ``and`` before the last one."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def _changed(
    fits: Fits, kind: Literal["generators", "settings", "functions"], fitting: Traces
) -> list[str]:  # fmt: skip
    """Return what a fit changed, or what predicting changes."""
    # Not applicable if the predictions fail. If these are the first ones, their changes must be
    # undone, or the next ones would find nothing left to change.
    with settings_kept():
        _ = fits.first_predictions
    predicting = Traces()
    with traced(predicting, seed=0):
        fits.predict_tests(fits.models)
    return sorted({*getattr(fitting, kind), *getattr(predicting, kind)})
