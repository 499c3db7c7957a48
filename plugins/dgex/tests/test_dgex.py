"""D-GEX: a step written in numpy, first weights, the falling rate, parameter counts, results."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch

from genebench import Context, Profiles
from genebench.datasets.library import open_dataset
from genebench.methods.training import loop
from genebench.plugins.registry import registry
from genebench.protocols import GEO, GTEX
from genebench.training import DivergedError, bernoulli
from genebench_dgex import genebench_methods
from genebench_dgex.method import DGEX, DGEXLearner
from genebench_dgex.network import Network

SPEC = genebench_methods()[0]
TINY = SPEC.values("tiny", {})
QUICK = TINY | {"layers": 2, "units": 16, "epochs": 6}
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ("cpu", pytest.param("cuda", marks=on_cuda))


def network(sizes, *, rate=3e-4, dropout=0.0, dtype=torch.float64, seed=0):
    random = torch.Generator().manual_seed(seed)
    made = Network(
        sizes, rate=rate, momentum=0.5, dropout=dropout, dtype=dtype, device="cpu", random=random
    )
    made.begin_epoch(torch.Generator().manual_seed(seed))
    return made


def batch(n, p, t, seed=0):
    random = np.random.default_rng(seed)
    return random.normal(size=(n, p)), random.normal(size=(n, t))


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


def count(sizes):
    """Weights and biases of a network of these sizes."""
    return sum((inputs + 1) * outputs for inputs, outputs in pairwise(sizes))


def test_the_published_networks_have_213_million_parameters_each():
    assert count([943, 9000, 9000, 9000, 4760]) == pytest.approx(213.3e6, rel=5e-4)
    # The formula agrees with the tensors of a small network.
    made = network([7, 5, 3, 2])
    assert count([7, 5, 3, 2]) == sum(value.numel() for value in made.parameters().values())


def test_the_paper_preset_is_the_published_setting():
    paper = SPEC.values("paper", {})
    published = {
        "layers": 3, "units": 9000, "dropout": 0.1, "momentum": 0.5, "halves": 2, "epochs": 200,
        "batch": 200, "patience": 0, "precision": "float32",
    }  # fmt: skip
    assert published.items() <= paper.items()
    rates = {1: 5e-4, 2: 3e-4, 3: 3e-4}
    for layers, rate in rates.items():
        learner = DGEXLearner(4, 6, paper | {"layers": layers, "units": 3}, Context())
        assert {float(value) for name, value in learner.state().items() if "rate" in name} == {rate}
    learner = DGEXLearner(4, 6, paper | {"units": 3, "lr": 0.01}, Context())
    assert float(learner.state()["1.rate"]) == 0.01


def test_first_weights_are_uniform_within_the_published_bounds():
    made = network([40, 30, 20, 50])
    bounds = [math.sqrt(6 / 70), math.sqrt(6 / 50), 1e-4]
    for weight, bound in zip(made.weights, bounds, strict=True):
        values = weight.master.numpy()
        assert np.abs(values).max() <= bound
        # The largest of n uniform values is near the bound; the deviation is bound/√3.
        assert np.abs(values).max() > 0.98 * bound
        assert values.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
        assert abs(values.mean()) < 0.05 * bound
    assert not any(bias.any() for bias in made.biases)


def numpy_steps(made, batches, *, masks, rate, momentum=0.5):
    """Steps straight from the definition: the loss, its gradient, classical momentum."""
    weights = [weight.master.numpy().copy() for weight in made.weights]
    biases = [bias.numpy().copy() for bias in made.biases]
    moving = [np.zeros_like(value) for value in (*weights, *biases)]
    losses = []
    for (x, y), kept in zip(batches, masks, strict=True):
        layers, tanhs = [x], []
        for w, b, mask in zip(weights[:-1], biases[:-1], kept, strict=True):
            tanhs.append(np.tanh(layers[-1] @ w.T + b))
            layers.append(tanhs[-1] * mask)
        out = layers[-1] @ weights[-1].T + biases[-1]
        losses.append(((out - y) ** 2).sum())
        grads_w, grads_b = [], []
        delta = 2 * (out - y) / len(x)
        for index in reversed(range(len(weights))):
            grads_w.insert(0, delta.T @ layers[index])
            grads_b.insert(0, delta.sum(axis=0))
            if index:
                delta = (delta @ weights[index]) * kept[index - 1] * (1 - tanhs[index - 1] ** 2)
        rates = [rate, *[3 * rate] * (len(weights) - 1), *[rate] * len(biases)]
        for index, gradient in enumerate([*grads_w, *grads_b]):
            moving[index] = momentum * moving[index] - rates[index] * gradient
        for value, move in zip([*weights, *biases], moving, strict=True):
            np.add(value, move, out=value)
    return losses, weights, biases


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_steps_are_those_written_in_numpy(layers):
    sizes = [6, *[5] * layers, 4]
    made = network(sizes)
    batches = [batch(n, 6, 4, seed) for seed, n in enumerate((8, 8, 3))]
    masks = [[1.0] * layers] * 3
    losses, weights, biases = numpy_steps(made, batches, masks=masks, rate=3e-4)
    steps = [float(made.step(*map(torch.from_numpy, each))) for each in batches]
    np.testing.assert_allclose(steps, losses, rtol=1e-12)
    for ours, theirs in zip(made.weights, weights, strict=True):
        np.testing.assert_allclose(ours.master, theirs, rtol=1e-9, atol=1e-15)
    for ours, theirs in zip(made.biases, biases, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-15)


def test_momentum_is_classical_when_the_rate_changes():
    """Torch's own SGD scales old velocity by the new rate; the classical form does not."""
    made = network([6, 5, 4])
    x, y = map(torch.from_numpy, batch(8, 6, 4))
    made.step(x, y)
    velocity = made.velocities[0].clone()
    made.rate.fill_(0.0)
    made.step(x, y)
    torch.testing.assert_close(made.velocities[0], 0.5 * velocity)


def test_dropout_takes_hidden_units_only_and_scales_those_it_keeps():
    made = network([6, 50, 40, 4], dropout=0.25)
    drawn = []
    original = made._mask
    made._mask = lambda hidden: drawn.append(original(hidden)) or drawn[-1]
    batches = [batch(64, 6, 4)]
    start = [weight.master.clone() for weight in made.weights]
    made.step(*map(torch.from_numpy, batches[0]))
    # One mask for the inputs of hidden layer 2, one for those of the output; none for landmarks.
    assert [tuple(mask.shape) for mask in drawn] == [(64, 50), (64, 40)]
    for mask in drawn:
        assert set(mask.unique().tolist()) == {0.0, 1 / 0.75}
        assert float((mask == 0).double().mean()) == pytest.approx(0.25, abs=0.03)
    again = network([6, 50, 40, 4])
    for weight, value in zip(again.weights, start, strict=True):
        weight.master.copy_(value)
    masks = [[mask.numpy() for mask in drawn]]
    _, weights, _ = numpy_steps(again, batches, masks=masks, rate=3e-4)
    for ours, theirs in zip(made.weights, weights, strict=True):
        np.testing.assert_allclose(ours.master, theirs, rtol=1e-9, atol=1e-15)


def test_prediction_has_no_dropout():
    made = network([6, 50, 4], dropout=0.5)
    x = torch.from_numpy(batch(9, 6, 4)[0])
    (w0, w1), (b0, b1) = [weight.master for weight in made.weights], made.biases
    expected = torch.tanh(x @ w0.T + b0) @ w1.T + b1
    torch.testing.assert_close(made.predict(x), expected.float())


def test_the_rate_drops_when_the_training_error_rose_and_has_a_floor():
    made = network([2, 2, 2], rate=3e-4)
    rates = []
    for error in (0.5, 0.4, 0.41, 0.41, 0.4, 0.6):
        made.end_epoch(error)
        rates.append(float(made.rate))
    assert rates == pytest.approx([3e-4, 3e-4, 2.7e-4, 2.7e-4, 2.7e-4, 2.43e-4])
    for epoch in range(60):
        made.end_epoch(1.0 + epoch)
    assert float(made.rate) == pytest.approx(1e-5)
    slow = network([2, 2, 2], rate=2e-6)
    slow.end_epoch(0.1)
    slow.end_epoch(0.2)
    assert float(slow.rate) == pytest.approx(2e-6)


def test_every_network_drops_its_own_rate():
    learner = DGEXLearner(3, 4, QUICK | {"lr": 3e-4}, Context())
    learner.end_epoch([0.5, 0.5])
    learner.end_epoch([0.4, 0.6])
    rates = [float(learner.state()[f"{index}.rate"]) for index in range(2)]
    assert rates == pytest.approx([3e-4, 2.7e-4])


@pytest.mark.parametrize(("targets", "widths"), [(160, [80, 80]), (7, [3, 4]), (1, [1])])
def test_networks_share_out_the_targets(targets, widths):
    learner = DGEXLearner(3, targets, QUICK, Context())
    assert [part.stop - part.start for part in learner.parts] == widths
    assert np.r_[learner.parts].tolist() == list(range(targets))
    assert learner.predict(torch.zeros(2, 3)).shape == (2, targets)


def test_halves_train_as_they_would_alone():
    both = DGEXLearner(3, 8, QUICK, Context())
    x, y = (torch.from_numpy(each).float() for each in batch(8, 3, 8))
    both.begin_epoch(1)
    both.step(x, y)
    spoilt = DGEXLearner(3, 8, QUICK, Context())
    spoilt.begin_epoch(1)
    y[:, 4:] = 7.0
    spoilt.step(x, y)
    for name, value in both.weights(0).items():
        assert torch.equal(value, spoilt.weights(0)[name])
    assert not torch.equal(both.weights(1)["bias.2"], spoilt.weights(1)["bias.2"])


def test_better_than_the_mean_and_than_ridge(parts, validation_sets):
    # By the seed, and at the preset, of `make demo`.
    models = DGEX(**TINY).fit(parts["train"], validation_sets, Context(seed=0))
    test = parts["test"]
    x, y = parts["train"].landmarks.astype(float), parts["train"].targets.astype(float)

    def ridge(penalty):
        return np.linalg.solve(x.T @ x + penalty * np.eye(x.shape[1]), x.T @ y)

    def error(predicted, profiles):
        return np.abs(predicted - profiles.targets).mean()

    best = min(
        map(ridge, np.geomspace(0.1, 1e4, 30)),
        key=lambda weights: error(parts["geo"].landmarks @ weights, parts["geo"]),
    )
    linear = error(test.landmarks @ best, test)
    dgex = error(models["geo"].predict(test.landmarks), test)
    assert dgex < 0.6 * error(0.0, test)
    assert dgex < linear


def test_what_a_model_says_of_its_choice(parts, validation_sets):
    model = DGEX(**QUICK).fit(parts["train"], validation_sets, Context())["geo"]
    validation = parts["geo"]
    error = np.abs(model.predict(validation.landmarks) - validation.targets).mean()
    assert model.choices["validation_mae"] == pytest.approx(error, rel=1e-5)
    assert {"epoch_1", "epoch_2"} < set(model.choices)
    assert set(model.curves["learning"]) == {"epoch", "loss", "mae train", "mae geo"}
    assert DGEX(**QUICK | {"halves": 1}).fit(parts["train"], validation_sets, Context())[
        "geo"
    ].choices.keys() == {"epoch", "validation_mae"}


def same(model, other, landmarks):
    return np.array_equal(model.predict(landmarks), other.predict(landmarks))


def test_the_seed_decides(parts, validation_sets):
    landmarks = parts["test"].landmarks
    fitted = [
        DGEX(**QUICK).fit(parts["train"], validation_sets, Context(seed=s)) for s in (3, 3, 4)
    ]
    for name in validation_sets:
        assert same(fitted[0][name], fitted[1][name], landmarks)
        assert not same(fitted[0][name], fitted[2][name], landmarks)
    alone = DGEX(**QUICK).fit(parts["train"], {"geo": parts["geo"]}, Context(seed=3))
    assert same(alone["geo"], fitted[0]["geo"], landmarks)


def stopped_in_epoch_3(monkeypatch, parts, validation_sets, context, **changes):
    """A run that ends before its third epoch is in the checkpoint."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_RATIO", 0.0)

    def stop(done, total, message):
        if message.startswith("epoch 3") and done * 2 == total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        DGEX(**QUICK | changes).fit(
            parts["train"], validation_sets, replace(context, progress=stop)
        )


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_stopped_run_continues_to_the_same_bits(
    parts, validation_sets, tmp_path, monkeypatch, precision
):
    params = QUICK | {"precision": precision}
    before = Context(scratch=tmp_path)
    stopped_in_epoch_3(monkeypatch, parts, validation_sets, before, precision=precision)
    steps = []
    context = Context(scratch=tmp_path, progress=lambda done, *_: steps.append(done))
    continued = DGEX(**params).fit(parts["train"], validation_sets, context)
    expected = DGEX(**params).fit(parts["train"], validation_sets, Context())
    assert len(steps) == 4
    for name, model in continued.items():
        assert model.choices == expected[name].choices
        assert model.curves == expected[name].curves
        assert same(model, expected[name], parts["test"].landmarks)


@pytest.mark.parametrize("device", DEVICES)
def test_bfloat16_ends_near_float32(parts, validation_sets, device):
    errors = {}
    for precision in ("float32", "bfloat16"):
        params = TINY | {"epochs": 15, "precision": precision}
        model = DGEX(**params).fit(parts["train"], validation_sets, Context(device=device))["geo"]
        errors[precision] = np.abs(
            model.predict(parts["test"].landmarks) - parts["test"].targets
        ).mean()
    assert errors["bfloat16"] != errors["float32"]
    assert errors["bfloat16"] == pytest.approx(errors["float32"], rel=0.003)


# CUDA


@pytest.fixture
def same_masks(monkeypatch):
    """Masks drawn on the CPU whatever the device, so that devices can be compared."""

    def drawn(shape, share, random, dtype):
        host = torch.Generator().manual_seed(random.initial_seed())
        return bernoulli(shape, share, host, dtype).to(random.device)

    monkeypatch.setattr("genebench_dgex.network.bernoulli", drawn)


def near(models, expected, landmarks):
    for name, model in models.items():
        ours, theirs = (fit.predict(landmarks) for fit in (model, expected[name]))
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


@on_cuda
def test_a_few_epochs_on_cuda_end_as_on_the_cpu(parts, validation_sets, same_masks):
    models, expected = (
        DGEX(**QUICK).fit(parts["train"], validation_sets, Context(device=device))
        for device in ("cuda", "cpu")
    )
    near(models, expected, parts["test"].landmarks)


@on_cuda
@pytest.mark.usefixtures("same_masks")
@pytest.mark.parametrize("devices", [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_stopped_on_one_device_continues_on_the_other(
    parts, validation_sets, tmp_path, monkeypatch, devices
):
    first, second = devices
    stopped_in_epoch_3(monkeypatch, parts, validation_sets, Context(device=first, scratch=tmp_path))
    steps = []
    context = Context(device=second, scratch=tmp_path, progress=lambda done, *_: steps.append(done))
    models = DGEX(**QUICK).fit(parts["train"], validation_sets, context)
    assert len(steps) == 4
    expected = DGEX(**QUICK).fit(parts["train"], validation_sets, Context())
    near(models, expected, parts["test"].landmarks)


@on_cuda
@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_model_saved_on_one_device_predicts_on_the_other(parts, validation_sets, first, second):
    model = DGEX(**QUICK).fit(parts["train"], validation_sets, Context(device=first))["geo"]
    restored = DGEX(**QUICK).restore(model.tensors(), Context(device=second))
    near({"geo": restored}, {"geo": model}, parts["test"].landmarks)


def test_a_saved_model_predicts_the_same(parts, validation_sets):
    model = DGEX(**QUICK).fit(parts["train"], validation_sets, Context())["gtex"]
    restored = DGEX(**QUICK).restore(model.tensors(), Context())
    assert same(model, restored, parts["test"].landmarks)
    assert restored.tensors().keys() == model.tensors().keys()


def test_a_rate_beyond_stability_diverges_with_advice(parts, validation_sets):
    message = r"diverged at epoch \d+: lower lr \(now 10\)"
    with pytest.raises(DivergedError, match=message):
        DGEX(**QUICK | {"lr": 10.0}).fit(parts["train"], validation_sets, Context())


def test_one_landmark_one_target_one_unit():
    x = np.linspace(-1, 1, 12)[:, None]
    data = Profiles.from_arrays(x, 0.5 * x)
    params = QUICK | {"units": 1, "layers": 1}
    model = DGEX(**params).fit(data, {"s": data}, Context())["s"]
    assert model.predict(data.landmarks).shape == (12, 1)


# Relevance


def perceptrons(seed=0):
    """Two networks of 7 landmarks, two hidden layers, and 4 and 5 targets."""
    random = np.random.default_rng(seed)
    return {
        f"{network}.{kind}.{layer}": random.normal(size=shape).astype(np.float32)
        for network, targets in enumerate((4, 5))
        for layer, (inputs, outputs) in enumerate(((7, 6), (6, 5), (5, targets)))
        for kind, shape in (("weight", (outputs, inputs)), ("bias", (outputs,)))
    }


def propagated(tensors, network, profile, weights):
    """LRP-ε by its definition: relevance of each target, passed back layer by layer."""
    active, inputs = profile, []
    for layer in range(3):
        weight, bias = (tensors[f"{network}.{kind}.{layer}"] for kind in ("weight", "bias"))
        z = weight @ active + bias
        inputs.append((active, weight, z))
        active = np.tanh(z) if layer < 2 else z
    relevance = weights * active
    for active, weight, z in reversed(inputs):
        relevance = active * (weight.T @ (relevance / (z + 1e-7 * np.sign(z))))
    return relevance


def test_relevance_is_lrp_epsilon_by_its_definition():
    tensors = perceptrons()
    model = DGEX(**TINY).restore(tensors, Context())
    x = np.random.default_rng(1).normal(size=(6, 7)).astype(np.float32)
    weights = np.random.default_rng(2).normal(size=9)
    found = model.relevance(x, weights, "lrp-epsilon")
    wide = {name: value.astype(float) for name, value in tensors.items()}
    for row, profile in zip(found.values, x.astype(float), strict=True):
        expected = propagated(wide, 0, profile, weights[:4]) + propagated(
            wide, 1, profile, weights[4:]
        )
        np.testing.assert_allclose(row, expected, atol=1e-4)
    np.testing.assert_allclose(found.output, model.predict(x) @ weights, atol=1e-5)


def test_relevance_of_a_trained_network_is_conserved(parts, validation_sets):
    model = DGEX(**QUICK).fit(parts["train"], validation_sets, Context())["geo"]
    x, weights = parts["test"].landmarks, np.full(160, 1 / 160)
    for rule in model.relevance_rules:
        found = model.relevance(x, weights, rule)
        missed = np.abs(found.values.sum(1) + found.rest - found.output).max()
        assert missed < 1e-4 * np.abs(found.output).mean()
