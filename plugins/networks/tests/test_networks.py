"""Networks: members and towers against plain networks, TAAF against numpy, training, models."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from genebench import Context, Profiles, UserError
from genebench.datasets.library import open_dataset
from genebench.methods.training import loop
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.protocols import GEO, GTEX
from genebench.relevance import network_relevance
from genebench.training import DivergedError
from genebench_networks import genebench_methods
from genebench_networks.learner import NetworkLearner
from genebench_networks.method import Trained
from genebench_networks.network import ACTIVATIONS, Dropout, xavier_
from genebench_networks.packed import PackedMLP
from genebench_networks.towers import TAAF, Towers

SPECS = {spec.name: spec for spec in genebench_methods()}
QUICK = {"units": 16, "epochs": 4, "batch": 64}
METHODS = tuple(SPECS)
INNER = {
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "leaky": lambda x: np.where(x > 0, x, 0.2 * x),
    "relu": lambda x: np.maximum(x, 0),
    "none": lambda x: x,
}
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ("cpu", pytest.param("cuda", marks=on_cuda))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Networks this small only wait for each other's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEBENCH_HOME", str(tmp_path_factory.mktemp("home")))
        tiny = open_dataset("sim", registry().datasets, "tiny")
        yield {
            "train": tiny.profiles(GEO.train),
            "geo": tiny.profiles(GEO.validation),
            "gtex": tiny.profiles(GTEX.validation),
            "test": tiny.profiles(GEO.test),
        }


@pytest.fixture
def validation_sets(parts):
    return {name: parts[name] for name in ("geo", "gtex")}


def method(name, **changes):
    spec = SPECS[name]
    return load_code(spec.code)(**spec.values("tiny", {}) | QUICK | changes)


def learner_of(name, *, landmarks=7, targets=11, **changes):
    made = method(name, **changes)
    return NetworkLearner(made.network(landmarks, targets), targets, made.params, Context())


def shaken(network, seed=0):
    """The network in float64, with parameters at random: adapters and α to δ have to matter."""
    random = torch.Generator().manual_seed(seed)
    network.double().requires_grad_(False)
    for value in network.parameters():
        value.copy_(torch.randn(value.shape, generator=random, dtype=torch.float64))
    return network


def normal(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def same(model, other, landmarks):
    return np.array_equal(model.predict(landmarks), other.predict(landmarks))


# Packed ensembles


def plain_member(packed, member):
    """The plain network whose weights are s rᵀ ∘ W."""
    modules = []
    for layer in packed.layers:
        outputs, inputs = layer.weight.shape
        linear = nn.Linear(inputs, outputs, dtype=torch.float64)
        with torch.no_grad():
            linear.weight.copy_(torch.outer(layer.s[member], layer.r[member]) * layer.weight)
            linear.bias.copy_(layer.bias[member])
        modules += [linear, nn.LeakyReLU(0.2)]
    return nn.Sequential(*modules[:-1])


def packed(members=3, widths=(7, 6, 5, 11)):
    return shaken(PackedMLP(list(widths), members=members, activate=ACTIVATIONS["leaky"]))


def test_each_member_is_a_plain_network():
    network, x = packed(), torch.from_numpy(normal(10, 7))
    outputs = network(x)
    for member in range(3):
        expected = plain_member(network, member)(x).detach()
        torch.testing.assert_close(outputs[member], expected)
    assert not torch.allclose(outputs[0], outputs[1])


def test_predictions_are_the_mean_of_the_plain_networks():
    network, x = packed(), torch.from_numpy(normal(10, 7))
    members = torch.stack([plain_member(network, member)(x) for member in range(3)]).detach()
    torch.testing.assert_close(network.predict(x), members.mean(dim=0))


def test_the_loss_is_the_mean_of_the_members_losses():
    learner = learner_of("mlp-ensemble", networks=3, dropout=0.0)
    x, y = (torch.from_numpy(normal(10, n, seed=n)).float() for n in (7, 11))
    network = learner.network
    expected = [(network(x)[member] - y).abs().mean().item() for member in range(3)]
    of_the_mean = float((learner.predict(x) - y).abs().mean())
    learner.begin_epoch(1)
    loss = learner.step(x, y)["loss"] / len(x)
    assert float(loss) == pytest.approx(np.mean(expected), rel=1e-6)
    # The loss of the averaged prediction is another one, and lower.
    assert float(loss) > 1.001 * of_the_mean


def test_members_start_as_signs_of_the_landmarks_under_the_same_weights():
    network = PackedMLP([400, 6, 5], members=3, activate=ACTIVATIONS["relu"])
    network.start(torch.Generator().manual_seed(0))
    first, last = network.layers
    assert set(first.r.unique().tolist()) == {-1.0, 1.0}
    # The mean of 1,200 fair signs has a standard deviation of 0.03.
    assert abs(float(first.r.detach().mean())) < 0.15
    ones = [last.r, first.s, last.s]
    assert all(bool((value == 1).all()) for value in ones)
    assert not first.bias.any()
    assert not last.bias.any()


def test_one_member_costs_few_parameters():
    sizes = [sum(value.numel() for value in packed(members).parameters()) for members in (1, 2, 3)]
    adapters = sum(inputs + 2 * outputs for inputs, outputs in ((7, 6), (6, 5), (5, 11)))
    assert np.diff(sizes).tolist() == [adapters, adapters]


def test_each_member_drops_landmarks_of_its_own():
    network = PackedMLP([300, 5], members=2, activate=ACTIVATIONS["relu"])
    network.start(torch.Generator().manual_seed(0))
    with torch.no_grad():
        network.layers[0].r.fill_(1)
        x = torch.ones(4, 300)
        alike = network(x)
        assert torch.equal(alike[0], alike[1])
        for drop_input in (True, False):
            dropout = Dropout(0.5, torch.Generator().manual_seed(0), drop_input=drop_input)
            dropped = network(x, dropout)
            assert torch.equal(dropped[0], dropped[1]) is not drop_input


# TAAF and towers


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "leaky", "relu", "none"])
def test_taaf_is_its_formula(name):
    taaf = shaken(TAAF(ACTIVATIONS[name], 6))
    x = normal(10, 6)
    alpha, beta, gamma, delta = (
        value.numpy() for value in (taaf.alpha, taaf.beta, taaf.gamma, taaf.delta)
    )
    expected = alpha * INNER[name](beta * x + gamma) + delta
    np.testing.assert_allclose(taaf(torch.from_numpy(x)).numpy(), expected, rtol=1e-12)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_gradients_of_taaf_are_numerically_right(name):
    taaf = shaken(TAAF(ACTIVATIONS[name], 3)).requires_grad_(True)
    x = torch.from_numpy(normal(5, 3))
    weights = torch.from_numpy(normal(5, 3, seed=1))
    (taaf(x) * weights).sum().backward()
    for parameter in taaf.parameters():
        values = parameter.detach()
        for unit in range(3):
            start, sums = float(values[unit]), []
            for moved in (start + 1e-6, start - 1e-6):
                values[unit] = moved
                sums.append(float((taaf(x) * weights).sum().detach()))
            values[unit] = start
            slope = (sums[0] - sums[1]) / 2e-6
            assert float(parameter.grad[unit]) == pytest.approx(slope, abs=1e-7)


def towers(**changes):
    sizes = {"layers": 3, "towers": 4, "units": 5, "checkerboard": False, "adaptive": True}
    return Towers(7, 11, activate=ACTIVATIONS["tanh"], **sizes | changes)


def layer_in_numpy(layer, x):
    y = x @ layer.weight.numpy().T + layer.bias.numpy()
    if not isinstance(layer.activate, TAAF):
        return np.tanh(y) if layer.activate else y
    taaf = layer.activate
    return taaf.alpha.numpy() * np.tanh(taaf.beta.numpy() * y + taaf.gamma.numpy()) + (
        taaf.delta.numpy()
    )


@pytest.mark.parametrize("adaptive", [True, False])
@pytest.mark.parametrize("architecture", ["tower", "checkerboard"])
def test_towers_are_their_description(architecture, adaptive):
    network = shaken(towers(checkerboard=architecture == "checkerboard", adaptive=adaptive))
    x = normal(10, 7)
    values = [layer_in_numpy(network.hidden[tower], x) for tower in range(4)]
    for level in (1, 2):
        seen = values
        if architecture == "checkerboard":
            seen = [np.hstack([values[tower - 1], values[(tower + 1) % 4]]) for tower in range(4)]
        layers = network.hidden[4 * level : 4 * level + 4]
        values = [layer_in_numpy(layer, value) for layer, value in zip(layers, seen, strict=True)]
    expected = layer_in_numpy(network.output, np.hstack(values))
    np.testing.assert_allclose(network.predict(torch.from_numpy(x)).numpy(), expected, rtol=1e-9)


def test_one_tower_is_a_fully_connected_network():
    network = shaken(towers(towers=1, adaptive=False))
    modules = []
    for layer in (*network.hidden, network.output):
        linear = nn.Linear(*reversed(layer.weight.shape), dtype=torch.float64)
        linear.load_state_dict(layer.state_dict())
        modules += [linear, nn.Tanh()]
    x = torch.from_numpy(normal(10, 7))
    torch.testing.assert_close(network.predict(x), nn.Sequential(*modules[:-1])(x).detach())


def test_taaf_starts_as_the_network_without_it():
    with_taaf, without = towers(), towers(adaptive=False)
    for network in (with_taaf, without):
        network.start(torch.Generator().manual_seed(0))
    x = torch.from_numpy(normal(10, 7)).float()
    assert torch.equal(with_taaf.predict(x), without.predict(x))
    extra = [name for name, _ in with_taaf.named_parameters() if name not in without.state_dict()]
    # Four for each unit: 3 layers of 4 towers of 5 units.
    assert sum(with_taaf.get_parameter(name).numel() for name in extra) == 4 * 60
    assert {name.rsplit(".", 1)[1] for name in extra} == {"alpha", "beta", "gamma", "delta"}


# Training


def test_a_step_is_that_of_torch_adamw():
    learner = learner_of("taaf", dropout=0.0, weight_decay=0.3, lr=0.01, lr_end=0.01)
    reference = {name: value.clone() for name, value in learner.weights(0).items()}
    copies = {name: value.requires_grad_() for name, value in reference.items()}
    matrices = [value for name, value in copies.items() if name.endswith("weight")]
    others = [value for name, value in copies.items() if not name.endswith("weight")]
    optimiser = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.3}, {"params": others, "weight_decay": 0.0}],
        lr=0.01,
    )
    learner.begin_epoch(1)
    for seed in range(3):
        x, y = (torch.from_numpy(normal(10, n, seed=seed + n)).float() for n in (7, 11))
        learner.step(x, y)
        optimiser.zero_grad()
        outputs = torch.func.functional_call(learner.network, copies, (x,))
        (outputs - y).abs().mean().backward()
        optimiser.step()
    for name, value in learner.weights(0).items():
        torch.testing.assert_close(value, copies[name].detach(), rtol=1e-5, atol=1e-6)


def test_the_loss_may_be_squared_error():
    learner = learner_of("taaf", dropout=0.0, loss="mse")
    x, y = (torch.from_numpy(normal(10, n, seed=n)).float() for n in (7, 11))
    expected = float((learner.predict(x) - y).square().mean())
    learner.begin_epoch(1)
    assert float(learner.step(x, y)["loss"]) / 10 == pytest.approx(expected, rel=1e-6)


def test_the_rate_falls_linearly():
    learner = learner_of("taaf", lr=0.9, lr_end=0.1, epochs=5)
    rates = []
    for epoch in range(1, 6):
        learner.begin_epoch(epoch)
        rates.append(learner.rate)
    assert rates == pytest.approx([0.9, 0.7, 0.5, 0.3, 0.1])


def test_first_weights_fill_their_bounds():
    weight = torch.empty(300, 200)
    xavier_(weight, torch.Generator().manual_seed(0))
    bound = math.sqrt(6 / 500)
    assert 0.99 * bound < float(weight.abs().max()) <= bound
    assert float(weight.std()) == pytest.approx(bound / math.sqrt(3), rel=0.02)


@pytest.mark.parametrize("name", METHODS)
def test_the_seed_decides(parts, validation_sets, name):
    landmarks = parts["test"].landmarks
    fitted = [
        method(name).fit(parts["train"], validation_sets, Context(seed=seed)) for seed in (3, 3, 4)
    ]
    for chosen_on in validation_sets:
        assert same(fitted[0][chosen_on], fitted[1][chosen_on], landmarks)
        assert not same(fitted[0][chosen_on], fitted[2][chosen_on], landmarks)
    alone = method(name).fit(parts["train"], {"geo": parts["geo"]}, Context(seed=3))
    assert same(alone["geo"], fitted[0]["geo"], landmarks)


@pytest.fixture
def stopped(monkeypatch, tmp_path):
    """A context that stops a run at the end of epoch 3, before its checkpoint is written."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_RATIO", 0.0)

    def stop(done, total, message):
        if message.startswith("epoch 3") and done * 4 == total * 3:
            raise KeyboardInterrupt

    return Context(scratch=tmp_path, progress=stop)


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("name", METHODS)
def test_a_stopped_run_continues_to_the_same_bits(parts, validation_sets, stopped, precision, name):
    with pytest.raises(KeyboardInterrupt):
        method(name, precision=precision).fit(parts["train"], validation_sets, stopped)
    steps = []
    context = replace(stopped, progress=lambda done, *_: steps.append(done))
    continued = method(name, precision=precision).fit(parts["train"], validation_sets, context)
    expected = method(name, precision=precision).fit(parts["train"], validation_sets, Context())
    assert len(steps) == 2  # epochs 3 and 4
    for chosen_on, model in continued.items():
        assert model.choices == expected[chosen_on].choices
        assert model.curves == expected[chosen_on].curves
        assert same(model, expected[chosen_on], parts["test"].landmarks)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("name", METHODS)
def test_bfloat16_ends_near_float32(parts, validation_sets, name, device):
    errors = {}
    for precision in ("float32", "bfloat16"):
        made = method(name, units=100, epochs=15, lr=2e-3, precision=precision)
        model = made.fit(parts["train"], validation_sets, Context(device=device))["geo"]
        errors[precision] = np.abs(
            model.predict(parts["test"].landmarks) - parts["test"].targets
        ).mean()
    assert errors["bfloat16"] != errors["float32"]
    assert errors["bfloat16"] == pytest.approx(errors["float32"], rel=0.01)


@pytest.mark.parametrize("name", METHODS)
def test_networks_beat_the_mean(parts, validation_sets, name):
    test = parts["test"]
    made = method(name, units=100, epochs=20, lr=4e-3)
    model = made.fit(parts["train"], validation_sets, Context())["geo"]
    error = np.abs(model.predict(test.landmarks) - test.targets).mean()
    assert error < 0.75 * np.abs(test.targets).mean()


# Models


@pytest.mark.parametrize("name", METHODS)
def test_a_model_says_what_was_chosen(parts, validation_sets, name):
    model = method(name).fit(parts["train"], validation_sets, Context())["geo"]
    validation = parts["geo"]
    error = np.abs(model.predict(validation.landmarks) - validation.targets).mean()
    assert model.choices["validation_mae"] == pytest.approx(error, rel=1e-5)
    assert set(model.curves["learning"]) == {"epoch", "loss", "mae geo"}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("mlp-ensemble", {"layers": 2}),
        ("taaf", {"adaptive": False}),
        ("taaf", {"layers": 2}),
        ("tower", {"architecture": "checkerboard"}),
    ],
)
def test_a_saved_model_predicts_the_same(parts, validation_sets, name, changes):
    made = method(name, **changes)
    model = made.fit(parts["train"], validation_sets, Context())["gtex"]
    restored = method(name, **changes).restore(model.tensors(), Context())
    assert same(model, restored, parts["test"].landmarks)
    assert model.n_parameters == sum(value.size for value in restored.tensors().values())


@pytest.mark.parametrize("name", METHODS)
def test_predictions_depend_on_blocks_by_rounding_only(parts, validation_sets, name):
    model = method(name).fit(parts["train"], validation_sets, Context())["geo"]
    landmarks = parts["test"].landmarks
    whole = model.predict(landmarks)
    for size in (1, 7):
        blocks = [model.predict(landmarks[i : i + size]) for i in range(0, len(landmarks), size)]
        np.testing.assert_allclose(np.vstack(blocks), whole, rtol=0, atol=1e-5)


@on_cuda
@pytest.mark.parametrize("name", METHODS)
def test_a_model_predicts_on_cuda_as_on_the_cpu(parts, validation_sets, name):
    model = method(name).fit(parts["train"], validation_sets, Context())["geo"]
    restored = method(name).restore(model.tensors(), Context(device="cuda"))
    landmarks = parts["test"].landmarks
    np.testing.assert_allclose(
        restored.predict(landmarks), model.predict(landmarks), rtol=1e-3, atol=1e-3
    )


def test_one_landmark_one_target_one_unit():
    x = np.linspace(-1, 1, 12)[:, None]
    data = Profiles.from_arrays(x, 0.5 * x)
    for name in METHODS:
        model = method(name, units=1).fit(data, {"s": data}, Context())["s"]
        assert model.predict(data.landmarks).shape == (12, 1)


# Bad input


def test_a_last_rate_above_the_first_is_refused():
    with pytest.raises(UserError, match=r"lr_end=0\.1 is above lr=0\.01\. Lower lr_end"):
        method("taaf", lr=0.01, lr_end=0.1)


def test_a_checkerboard_of_two_towers_is_refused():
    with pytest.raises(UserError, match=r"checkerboard needs 3 towers or more \(now towers=2\)"):
        method("tower", architecture="checkerboard", towers=2)


def test_a_rate_beyond_stability_diverges_with_advice(parts, validation_sets):
    message = r"diverged at epoch \d+: lower lr \(now 1e\+20\)"
    made = method("mlp-ensemble", lr=1e20)
    with pytest.raises(DivergedError, match=message):
        made.fit(parts["train"], validation_sets, Context())


# Relevance


@pytest.mark.parametrize("name", ["mlp-ensemble", "taaf", "tower"])
def test_relevance_is_conserved_and_leaky_networks_have_that_of_gradients(name):
    network = shaken(learner_of(name).network).float()
    model = Trained(network, "cpu")
    x, weights = normal(20, 7).astype(np.float32), np.linspace(-1, 1, 11)
    found = {rule: model.relevance(x, weights, rule) for rule in model.relevance_rules}
    for rule in ("lrp-epsilon", "lrp-gamma", "gradient-input"):
        part = found[rule]
        scale = np.abs(part.output).mean()
        np.testing.assert_allclose(part.output, model.predict(x) @ weights, atol=1e-5 * scale)
        total = part.values.sum(1) + part.rest
        np.testing.assert_allclose(total, part.output, atol=1e-4 * scale)
    leaky = method(name).params["activation"] == "leaky"
    close = np.allclose(
        found["lrp-epsilon"].values, found["gradient-input"].values, atol=1e-3 * scale
    )
    assert close == leaky


def test_relevance_of_packed_networks_is_the_mean_of_the_plain_networks():
    network = packed()
    models = [
        plain_member(network, member).float().requires_grad_(False)
        for member in range(network.members)
    ]
    x, weights = normal(8, 7).astype(np.float32), np.linspace(-1, 1, 11).astype(np.float32)
    found = Trained(network.float(), "cpu").relevance(x, weights, "lrp-epsilon")
    each = [
        network_relevance(
            lambda inputs, model=model: model(inputs) @ torch.tensor(weights), x, "lrp-epsilon"
        )
        for model in models
    ]
    scale = np.abs(found.values).max()
    np.testing.assert_allclose(
        found.values, np.mean([part.values for part in each], axis=0), atol=1e-5 * scale
    )
    np.testing.assert_allclose(
        found.rest, np.mean([part.rest for part in each], axis=0), atol=1e-5 * scale
    )
