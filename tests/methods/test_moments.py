"""Moments of the training profiles, against numpy on the whole matrices."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest
import torch

import genebench.methods.moments
from genebench.datasets.library import open_dataset
from genebench.methods.moments import Moments, moments
from genebench.plugins.registry import registry
from genebench.protocols import GEO, GEO_STRICT

REAL = ("x_mean", "y_mean", "xx", "xy", "yy")


@pytest.fixture
def dataset(tmp_path, monkeypatch):
    """The tiny dataset, prepared afresh: nothing has been worked out from it yet."""
    monkeypatch.setenv("GENEBENCH_HOME", str(tmp_path))
    return open_dataset("sim", registry().datasets, "tiny")


def by_numpy(x, y):
    x, y = x.astype(float), y.astype(float)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    x, y = x - x_mean, y - y_mean
    return Moments(len(x), x_mean, y_mean, x.T @ x, x.T @ y, (y * y).sum(axis=0))


def assert_same(found, expected, **tolerance):
    assert found.n == expected.n
    for name in REAL:
        np.testing.assert_allclose(
            getattr(found, name), getattr(expected, name), err_msg=name, **tolerance
        )


@pytest.mark.parametrize("protocol", [GEO, GEO_STRICT])
def test_moments_are_those_of_the_standardised_profiles(dataset, protocol):
    train = dataset.profiles(protocol.train)
    # The standardised values themselves are float32: that is the tolerance.
    assert_same(moments(train), by_numpy(train.landmarks, train.targets), atol=2e-5)


def test_nothing_is_lost_of_what_float32_input_holds(dataset):
    train = dataset.profiles(GEO.train)
    levels = np.vstack(list(train.expression_blocks())).astype(np.longdouble)
    values = (levels - train.standardiser.mean) * train.standardiser.factors
    p = len(train.landmark_genes)
    x, y = values[:, :p] - values[:, :p].mean(axis=0), values[:, p:] - values[:, p:].mean(axis=0)
    found = moments(train)
    size = np.sqrt(np.outer((x * x).sum(axis=0), (y * y).sum(axis=0))).astype(float)
    assert np.abs((found.xy - (x.T @ y).astype(float)) / size).max() < 1e-14
    assert np.linalg.matrix_rank(found.xx) == min(p, len(train) - 1)


def test_the_size_of_blocks_changes_nothing_that_matters(dataset, monkeypatch):
    train = dataset.profiles(GEO.train)
    whole = moments(train)
    train.cached(f"moments-{genebench.methods.moments.VERSION}").unlink()
    monkeypatch.setattr(genebench.methods.moments, "PROFILES_PER_BLOCK", 7)
    assert_same(moments(train), whole, atol=1e-11)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_both_devices_agree(dataset):
    train = dataset.profiles(GEO.train)
    on_cpu = moments(train)
    train.cached(f"moments-{genebench.methods.moments.VERSION}").unlink()
    assert_same(moments(train, device="cuda"), on_cpu, atol=1e-11)


def test_moments_are_worked_out_once_for_all_methods_and_protocols(dataset, monkeypatch):
    first = moments(dataset.profiles(GEO.train))
    monkeypatch.setattr(genebench.methods.moments, "MomentSums", None)
    again = moments(dataset.profiles(GEO.train))
    for item in fields(Moments):
        np.testing.assert_array_equal(getattr(again, item.name), getattr(first, item.name))


def test_kept_moments_of_which_any_byte_was_changed_are_not_used(dataset, monkeypatch):
    train = dataset.profiles(GEO.train)
    first = moments(train)
    path = train.cached(f"moments-{genebench.methods.moments.VERSION}")
    data = path.read_bytes()
    monkeypatch.setattr(genebench.methods.moments, "MomentSums", lambda *_: Worked(first))
    for at in [*range(0, 200, 7), *range(200, len(data), len(data) // 50)]:
        path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
        Worked.number = 0
        assert moments(train) is first
        assert Worked.number == 1, at
    for cut in (0, 10, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:cut])
        assert moments(train) is first


class Worked:
    """Stands for the pass over the profiles."""

    number = 0

    def __init__(self, found):
        self.found = found

    def run(self, _progress):
        Worked.number += 1
        return self.found


def test_moments_of_a_file_that_was_damaged_do_not_outlive_the_damage(dataset):
    sound = moments(dataset.profiles(GEO.train))
    path = dataset.root / "geo" / "expression.npy"
    content = path.read_bytes()
    damaged = bytearray(content)
    damaged[-4000:] = bytes(4000)
    path.write_bytes(damaged)
    assert not np.allclose(moments(dataset.profiles(GEO.train)).xy, sound.xy)
    path.write_bytes(content)
    assert_same(moments(dataset.profiles(GEO.train)), sound, rtol=0)


def test_a_dataset_that_cannot_be_written_is_no_obstacle(dataset, monkeypatch):
    def refuse(path, stamp):
        raise PermissionError(path)

    monkeypatch.setattr(genebench.methods.moments, "write_checked", refuse)
    assert moments(dataset.profiles(GEO.train)).n


def test_progress_reaches_the_number_of_profiles(dataset):
    train = dataset.profiles(GEO.train)
    steps = []
    moments(train, lambda done, total, message: steps.append((done, total)))
    assert steps[-1] == (len(train), len(train))
