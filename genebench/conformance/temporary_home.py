"""The home folder of a check: simulated datasets on disk, apart from the user's own home."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property, lru_cache
from pathlib import Path

from genebench.conformance import simulated
from genebench.conformance.surroundings import settings_kept
from genebench.data.home import home
from genebench.data.profiles import Profiles
from genebench.data.store import Dataset, DataStore
from genebench.protocols import GEO, GTEX

EASY, NOISE = "conformance", "conformance-noise"
"""Names of the datasets: targets that landmarks determine, and targets that are pure noise."""

PROTOCOLS = {protocol.name: protocol for protocol in (GEO, GTEX)}

_VARIABLE = "GENEBENCH_HOME"

_HOMES: weakref.WeakSet[TemporaryHome] = weakref.WeakSet()
"""Every home of this process."""


class TemporaryHome:
    """A folder for the datasets and the files of one subject. It is removed with this object."""

    def __init__(self) -> None:
        """Make no folder yet: pytest collects hundreds of subjects and may run few."""
        _HOMES.add(self)

    @cached_property
    def root(self) -> Path:
        """The folder, made when it is first needed."""
        folder = tempfile.mkdtemp(prefix="genebench-check-")
        weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        return Path(folder)

    def new_folder(self, name: str) -> Path:
        """Return a new, empty folder."""
        return Path(tempfile.mkdtemp(prefix=f"{name}-", dir=self.root))

    def path(self) -> Path:
        """Return a genebench home with both datasets, test profiles included.

        The datasets are written if they are not there, or not any more.
        """
        home = self.root / "home"
        if not home.exists():
            for name, simulation in ((EASY, simulated.easy()), (NOISE, simulated.noise())):
                simulation.write(DataStore(home), name)
        return home

    @contextmanager
    def without_test_profiles(self) -> Iterator[Path]:
        """Yield a home that has no test profile, while no other home of this process exists.

        The others are removed and not moved, because a method could find moved files. They are
        written again when they are next needed.
        """
        for other in _HOMES:
            for folder in other.root.iterdir():
                shutil.rmtree(folder)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            only_home = Path(temporary)
            simulated.easy().without_test().write(DataStore(only_home), EASY)
            yield only_home

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make this the only home that genebench finds, and restore torch's settings at the end."""
        before = os.environ.get(_VARIABLE)
        os.environ[_VARIABLE] = str(self.path())
        try:
            with settings_kept():
                yield
        finally:
            if before is None:
                del os.environ[_VARIABLE]
            else:
                os.environ[_VARIABLE] = before


def open_dataset(name: str = EASY) -> Dataset:
    """Return a dataset of the active home. Profiles of it have their own copies of its tables."""
    return _opened(home(), name)


# Reading the tables again for each fit takes a third of the time of a quick method's checks.
@lru_cache(maxsize=2)
def _opened(home_folder: Path, name: str) -> Dataset:
    dataset = DataStore(home_folder).open(name)
    assert dataset is not None
    return dataset


def open_training_set(name: str = EASY) -> Profiles:
    """Return the training profiles of a dataset. Both protocols share them."""
    return open_dataset(name).profiles(GEO.train)


def open_validation_sets(name: str = EASY) -> dict[str, Profiles]:
    """Return the validation sets of a dataset, by protocol."""
    dataset = open_dataset(name)
    return {key: dataset.profiles(protocol.validation) for key, protocol in PROTOCOLS.items()}


def open_test_sets(name: str = EASY) -> dict[str, Profiles]:
    """Return the test profiles of a dataset, by protocol."""
    dataset = open_dataset(name)
    return {key: dataset.profiles(protocol.test) for key, protocol in PROTOCOLS.items()}
