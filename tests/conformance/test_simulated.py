"""The simulated datasets of the checks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from genebench.conformance import simulated
from genebench.data.store import DataStore
from genebench.data.verification import changed_files
from genebench.errors import UserError
from genebench.protocols import GEO, GTEX


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return DataStore(tmp_path_factory.mktemp("home"))


def r2(simulation, store, name):
    dataset = simulation.write(store, name)
    train, test = dataset.profiles(GEO.train), dataset.profiles(GEO.test)
    fitted = LinearRegression().fit(train.landmarks, train.targets)
    return fitted.score(test.landmarks, test.targets)


def test_landmarks_determine_easy_targets_and_not_noise(store):
    assert r2(simulated.easy(), store, "easy") > 0.7
    assert r2(simulated.noise(), store, "noise") < 0.05


def test_a_written_dataset_is_sound_and_standardised_by_platform(store):
    dataset = simulated.easy().write(store, "sound")
    assert changed_files(dataset) == []
    assert dataset.target_genes["twin"].sum() == simulated.TWINS
    for part in (GTEX.validation, GTEX.test):
        values = dataset.profiles(part).targets
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-4)
        np.testing.assert_allclose(values.std(axis=0), 1, atol=1e-2)


def test_without_test_profiles_the_rest_is_the_same_and_they_are_nowhere(store):
    simulation = simulated.easy()
    whole, rest = simulation.write(store, "whole"), simulation.without_test().write(store, "rest")
    for part in (GEO.train, GEO.validation, GTEX.validation):
        for role in ("landmarks", "targets"):
            np.testing.assert_array_equal(
                getattr(whole.profiles(part), role), getattr(rest.profiles(part), role)
            )
    tested = whole.profiles(GEO.test)
    n_geo = len(whole.expression("geo"))
    assert len(rest.expression("geo")) == n_geo - len(tested)
    ids = {path: path.read_text() for path in rest.root.rglob("*.tsv")}
    assert not any(f"{name}\t" in text for text in ids.values() for name in tested.profiles.index)
    assert rest.platforms == ["geo", "1000g"]
    with pytest.raises(UserError, match="no profile of platform geo into test"):
        rest.profiles(GEO.test)


def test_permuted_genes_are_the_same_genes_with_the_same_values(store):
    train = simulated.easy().write(store, "permuted").profiles(GEO.train)
    orders = [np.random.default_rng(0).permutation(n) for n in (16, 24)]
    moved = simulated.with_genes_permuted(train, *orders)
    for role, genes in (("landmarks", "landmark_genes"), ("targets", "target_genes")):
        positions = getattr(moved, genes).index.get_indexer(getattr(train, genes).index)
        np.testing.assert_array_equal(getattr(moved, role)[:, positions], getattr(train, role))
