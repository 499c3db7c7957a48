"""Relevance in kernel ridge, against a numerical path integral written in numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.integrate import quad_vec

from genebench_kernel.kernels import KERNELS, Kernel
from genebench_kernel.model import KernelModel

LANDMARKS, CENTRES, TARGETS = 12, 30, 4
WIDTH, LINEAR = 20.0, 0.05


def made(name, seed=0):
    random = np.random.default_rng(seed)
    arrays = [
        random.standard_normal(shape)
        for shape in ((CENTRES, LANDMARKS), (CENTRES, TARGETS), (TARGETS,))
    ]
    # Centres are kept in float32, as expression is.
    arrays[0] = arrays[0].astype(np.float32).astype(float)
    return KernelModel(Kernel(name, WIDTH, LINEAR), *map(torch.tensor, arrays)), arrays


def gradient(name, x, centres, coefficients):
    """The gradient of the sum of kernels at x, term by term."""
    total = np.zeros(LANDMARKS)
    for centre, coefficient in zip(centres, coefficients, strict=True):
        q = np.sum((x - centre) ** 2) / WIDTH
        slope = {
            "cauchy": -1 / (1 + q) ** 2,
            "imq": -0.5 * (1 + q) ** -1.5,
            "laplace": -np.exp(-np.sqrt(q)) / (2 * np.sqrt(q)),
            "rbf": -np.exp(-q),
            "linear-cauchy": -1 / (1 + q) ** 2,
        }[name]
        total += coefficient * slope * 2 * (x - centre) / WIDTH
        if name == "linear-cauchy":
            total += coefficient * LINEAR * centre
    return total


@pytest.mark.parametrize("name", KERNELS)
def test_exact_is_the_path_integral_from_the_mean_profile(name):
    model, (centres, coefficients, _) = made(name)
    x = np.random.default_rng(1).standard_normal((5, LANDMARKS)).astype(np.float32)
    weights = np.array([0.5, -1.0, 0.0, 2.0])
    found = model.relevance(x, weights, "exact")
    for row, profile in zip(found.values, x.astype(float), strict=True):
        expected, _ = quad_vec(
            lambda s, p=profile: gradient(name, s * p, centres, coefficients @ weights),
            0, 1, epsabs=1e-12,
        )  # fmt: skip
        np.testing.assert_allclose(row, profile * expected, atol=1e-6)


@pytest.mark.parametrize("name", KERNELS)
def test_the_parts_add_up_to_the_prediction(name):
    model, _ = made(name)
    x = 2 * np.random.default_rng(1).standard_normal((5, LANDMARKS)).astype(np.float32)
    weights = np.ones(TARGETS)
    for rule in model.relevance_rules:
        found = model.relevance(x, weights, rule)
        np.testing.assert_allclose(found.values.sum(1) + found.rest, found.output, atol=1e-6)
        np.testing.assert_allclose(found.output, model.predict(x).sum(1), rtol=1e-5)
    origin = model.predict(np.zeros((1, LANDMARKS), np.float32)).sum()
    exact = model.relevance(x, weights, "exact")
    np.testing.assert_allclose(exact.rest, origin, rtol=1e-5)


@pytest.mark.parametrize("name", KERNELS)
def test_gradient_times_input_is_that_of_the_kernels(name):
    model, (centres, coefficients, _) = made(name)
    x = np.random.default_rng(1).standard_normal((5, LANDMARKS)).astype(np.float32)
    found = model.relevance(x, np.eye(TARGETS)[1], "gradient-input")
    expected = [p * gradient(name, p, centres, coefficients[:, 1]) for p in x.astype(float)]
    np.testing.assert_allclose(found.values, expected, atol=1e-10)


@pytest.mark.parametrize("name", KERNELS)
def test_a_profile_that_is_a_centre_has_finite_relevance(name):
    model, (centres, *_) = made(name)
    for rule in model.relevance_rules:
        found = model.relevance(centres[:3].astype(np.float32), np.ones(TARGETS), rule)
        assert np.isfinite(found.values).all()
        np.testing.assert_allclose(found.values.sum(1) + found.rest, found.output, atol=1e-6)
