"""Relevance in networks of torch, against captum, zero biases, and networks written otherwise."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from genebench.methods.propagation import EPSILON, GAMMA, network_relevance
from genebench.relevance import NETWORK_RULES, linear_relevance, quadrature

with warnings.catch_warnings():
    # Its own imports warn of things that later versions change.
    warnings.simplefilter("ignore")
    from captum.attr import LRP, IntegratedGradients
    from captum.attr._utils.lrp_rules import EpsilonRule, GammaRule

LANDMARKS, OUTPUTS = 9, 5


def network(activation, *, bias=True, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        layers = [nn.Linear(LANDMARKS, 12, bias=bias), nn.Linear(12, 8, bias=bias)]
        last = nn.Linear(8, 1, bias=bias)
    hidden = [part for layer in layers for part in (layer, activation())]
    return nn.Sequential(*hidden, last).requires_grad_(False).eval()


def profiles(n=20, seed=0):
    return np.random.default_rng(seed).standard_normal((n, LANDMARKS)).astype(np.float32)


def relevance(made, x, rule="lrp-epsilon"):
    return network_relevance(lambda inputs: made(inputs)[:, 0], x, rule)


def captum_lrp(made, x, rule):
    for layer in made:
        if isinstance(layer, nn.Linear):
            layer.rule = rule()
    inputs = torch.tensor(x, requires_grad=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return LRP(made).attribute(inputs, target=0).detach().numpy()


def test_lrp_epsilon_is_captums_on_a_relu_network():
    made, x = network(nn.ReLU), profiles()
    expected = captum_lrp(made, x, lambda: EpsilonRule(EPSILON))
    np.testing.assert_allclose(relevance(made, x).values, expected, atol=1e-5)


def test_lrp_gamma_is_captums_where_landmarks_and_sums_are_positive():
    made, x = network(nn.ReLU, bias=False), np.abs(profiles())
    made[-1].weight.abs_()
    expected = captum_lrp(made, x, lambda: GammaRule(GAMMA, set_bias_to_zero=True))
    np.testing.assert_allclose(relevance(made, x, "lrp-gamma").values, expected, atol=1e-5)


@pytest.mark.parametrize("activation", [nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid])
def test_integrated_gradients_are_captums(activation, monkeypatch):
    monkeypatch.setattr("genebench.methods.propagation.MOST_STEPS", 32)
    made, x = network(activation), profiles()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = IntegratedGradients(made).attribute(torch.tensor(x), target=0, n_steps=32)
    found = relevance(made, x, "integrated-gradients").values
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-5)


def test_integrated_gradients_take_points_until_they_add_up():
    made, x = network(lambda: nn.LeakyReLU(0.2)), profiles()
    found = relevance(made, x, "integrated-gradients")
    missed = np.abs(found.values.sum(1) + found.rest - found.output).max()
    assert missed <= 0.01 * np.abs(found.output).mean()


def test_integrated_gradients_stop_at_their_most_points(monkeypatch):
    """A step has no gradient, so no number of points is enough."""
    asked = []
    real = quadrature
    monkeypatch.setattr(
        "genebench.methods.propagation.quadrature", lambda n: asked.append(n) or real(n)
    )
    found = network_relevance(
        lambda x: (x[:, 0] > 0) + 0 * x[:, 0], profiles(), "integrated-gradients"
    )
    assert asked == [32, 64, 128, 256, 512]
    assert np.abs(found.values).max() == 0


def test_lrp_epsilon_tends_to_gradient_times_input_in_leaky_networks(monkeypatch):
    made, x = network(lambda: nn.LeakyReLU(0.2)), profiles()
    expected = relevance(made, x, "gradient-input")
    distances = []
    for epsilon in (1e-1, 1e-3, 1e-7):
        monkeypatch.setattr("genebench.methods.propagation.EPSILON", epsilon)
        found = relevance(made, x)
        distances.append(float(np.abs(found.values - expected.values).max()))
    assert distances[0] > 10 * distances[1] > 100 * distances[2]
    assert distances[2] < 1e-5
    np.testing.assert_allclose(found.rest, expected.rest, atol=1e-5)


def test_lrp_epsilon_is_no_gradient_times_input_in_tanh_networks():
    made, x = network(nn.Tanh), 3 * profiles()
    difference = relevance(made, x).values - relevance(made, x, "gradient-input").values
    assert np.abs(difference).max() > 0.01


@pytest.mark.parametrize("rule", NETWORK_RULES)
@pytest.mark.parametrize(
    "activation", [nn.ReLU, nn.LeakyReLU, nn.Tanh, nn.Sigmoid, nn.ELU, nn.GELU, nn.Softplus]
)
def test_relevance_and_rest_add_up_to_the_output(activation, rule):
    made, x = network(activation), profiles()
    found = relevance(made, x, rule)
    np.testing.assert_allclose(found.output, made(torch.tensor(x))[:, 0].numpy(), atol=1e-5)
    # Integrated gradients err where an activation has a kink, also in its derivative.
    exact = rule != "integrated-gradients" or activation not in (nn.ReLU, nn.LeakyReLU, nn.ELU)
    total = found.values.sum(1) + found.rest
    np.testing.assert_allclose(total, found.output, atol=2e-5 if exact else 2e-2)


@pytest.mark.parametrize("rule", ["lrp-epsilon", "lrp-gamma"])
def test_without_biases_there_is_no_rest(rule):
    assert np.abs(relevance(network(nn.LeakyReLU, bias=False), profiles(), rule).rest).max() == 0


def test_the_rest_is_the_relevance_of_biases():
    """Biases that become weights of a landmark of 1 carry the rest."""
    made, x = network(nn.LeakyReLU), profiles()

    def with_landmarks_for_biases(inputs):
        one = inputs[:, -1:]
        hidden = inputs[:, :-1]
        for layer in made:
            if isinstance(layer, nn.Linear):
                joined = torch.cat([layer.weight, layer.bias[:, None]], dim=1)
                hidden = nn.functional.linear(torch.cat([hidden, one], dim=1), joined)
            else:
                hidden = layer(hidden)
        return hidden[:, 0]

    ones = np.ones((len(x), 1), np.float32)
    for rule in ("lrp-epsilon", "lrp-gamma"):
        found = relevance(made, x, rule)
        peer = network_relevance(with_landmarks_for_biases, np.hstack([x, ones]), rule)
        np.testing.assert_allclose(found.values, peer.values[:, :-1], atol=1e-5)
        np.testing.assert_allclose(found.rest, peer.values[:, -1], atol=1e-5)
        assert np.abs(peer.rest).max() == 0


def test_batch_normalisation_counts_as_part_of_the_layer_before_it():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        norm = nn.BatchNorm1d(12)
        norm.weight.data.uniform_(0.5, 2)
        norm.bias.data.normal_()
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2)
    plain = network(nn.LeakyReLU)
    first, *others = plain
    normed = nn.Sequential(first, norm, *others).requires_grad_(False).eval()
    scale = norm.weight / (norm.running_var + norm.eps).sqrt()
    folded = nn.Linear(LANDMARKS, 12)
    folded.weight.data = first.weight * scale[:, None]
    folded.bias.data = (first.bias - norm.running_mean) * scale + norm.bias
    peer = nn.Sequential(folded, *others).requires_grad_(False)
    for found, expected in zip(
        relevance(normed, profiles()), relevance(peer, profiles()), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("rule", NETWORK_RULES)
def test_a_network_written_with_operators_has_the_same_relevance(rule):
    made, x = network(nn.Tanh), profiles()
    first, _, second, _, last = made

    def written(inputs):
        hidden = torch.addmm(first.bias, inputs, first.weight.T).tanh_()
        hidden = (hidden @ second.weight.T + second.bias).tanh()
        return torch.matmul(hidden, last.weight.T)[:, 0] + last.bias

    found, expected = network_relevance(written, x, rule), relevance(made, x, rule)
    # With γ, a bias that is added by itself is no part of its layer.
    if rule != "lrp-gamma":
        np.testing.assert_allclose(found.values, expected.values, atol=1e-5)
    np.testing.assert_allclose(found.values.sum(1) + found.rest, found.output, atol=1e-5)


def test_concatenated_layers_share_the_relevance():
    """A dense network is a plain one whose wider layers copy what they saw."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        first, last = nn.Linear(LANDMARKS, 6), nn.Linear(LANDMARKS + 6, 1)
    both = [*first.requires_grad_(False).parameters(), *last.requires_grad_(False).parameters()]
    first_weight, first_bias, last_weight, last_bias = both
    x = profiles()

    def dense(inputs):
        hidden = torch.relu(nn.functional.linear(inputs, first_weight, first_bias))
        seen = torch.cat([inputs, hidden], dim=1)
        return nn.functional.linear(seen, last_weight, last_bias)[:, 0]

    found = network_relevance(dense, x, "lrp-epsilon")
    direct, through = last_weight[0].split([LANDMARKS, 6])
    pre = x @ first_weight.numpy().T + first_bias.numpy()
    passed = np.where(pre > 0, through.numpy(), 0)
    expected = x * (direct.numpy() + passed @ first_weight.numpy())
    np.testing.assert_allclose(found.values, expected, atol=1e-5)


def test_gamma_favours_the_parts_with_the_sign_of_their_sum():
    layer = nn.Linear(2, 1, bias=False).requires_grad_(False)
    layer.weight[0] = torch.tensor([3.0, -1.0])
    x = np.array([[1, 1], [-1, -1], [1, 2]], np.float32)
    found = network_relevance(lambda inputs: layer(inputs)[:, 0], x, "lrp-gamma").values
    favoured = 1 + GAMMA
    expected = [
        2 * np.array([3 * favoured, -1]) / (3 * favoured - 1),
        -2 * np.array([-3 * favoured, 1]) / (1 - 3 * favoured),
        np.array([3 * favoured, -2]) / (3 * favoured - 2),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_relevance_leaves_no_gradients_and_landmarks_as_they_were():
    made, x = network(nn.ReLU), profiles()
    x.flags.writeable = False
    for rule in NETWORK_RULES:
        relevance(made, x, rule)
    assert all(parameter.grad is None for parameter in made.parameters())


def test_an_unknown_rule_is_named():
    with pytest.raises(ValueError, match="deep-taylor is not one of lrp-epsilon"):
        relevance(network(nn.ReLU), profiles(), "deep-taylor")


def test_linear_relevance_is_landmark_times_slope():
    x, slopes = profiles(), np.arange(LANDMARKS)
    found = linear_relevance(x, slopes, 0.5)
    np.testing.assert_array_equal(found.values, x.astype(float) * slopes)
    np.testing.assert_allclose(found.output, x.astype(float) @ slopes + 0.5)
    assert (found.rest == 0.5).all()
