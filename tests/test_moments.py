"""Moments of the training profiles, against numpy on the whole matrices."""

from __future__ import annotations

import numpy as np

from genebench.moments import moments
from genebench.protocols import GEO


def test_moments_are_those_of_the_whole_matrices(tiny):
    train = tiny.profiles(GEO.train)
    x, y = train.landmarks.astype(float), train.targets.astype(float)
    found = moments(train)
    assert found.n == len(train)
    np.testing.assert_allclose(found.x_mean, x.mean(axis=0), atol=1e-9)
    np.testing.assert_allclose(found.y_mean, y.mean(axis=0), atol=1e-9)
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)
    np.testing.assert_allclose(found.xx, x.T @ x, atol=1e-8)
    np.testing.assert_allclose(found.xy, x.T @ y, atol=1e-8)
    np.testing.assert_allclose(found.yy, (y * y).sum(axis=0), atol=1e-8)


def test_progress_reaches_the_number_of_profiles(tiny):
    train = tiny.profiles(GEO.train)
    steps = []
    moments(train, lambda done, total, message: steps.append((done, total)))
    assert steps[-1] == (len(train), len(train))
