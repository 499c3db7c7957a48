"""GGAN against plain autograd and numpy; its masks, schedules, counts; what it ends up as."""

from __future__ import annotations

import math
import subprocess
import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from genebench import Context, Profiles, UserError
from genebench.datasets.library import open_dataset
from genebench.methods.training import loop
from genebench.plugins.discovery import load_code
from genebench.plugins.registry import registry
from genebench.protocols import GEO, GTEX
from genebench.training import DTYPES, DivergedError, bernoulli
from genebench_ggan import discriminator, genebench_methods, noise
from genebench_ggan.layers import Layer, shapes, views
from genebench_ggan.learner import GGANLearner
from genebench_ggan.losses import ADVERSARIAL_SCALE, ERRORS, GAMES, consistency
from genebench_ggan.method import folded
from genebench_ggan.network import Network
from genebench_ggan.noise import Dropout
from genebench_ggan.optimisers import OPTIMISERS

SPECS = {spec.name: spec for spec in genebench_methods()}
SMALL = {"units": 12, "layers": 2, "disc_units": 9, "epochs": 4, "batch": 64}
on_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
DEVICES = ("cpu", pytest.param("cuda", marks=on_cuda))


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Networks this small only wait for each other's threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def float64(monkeypatch):
    monkeypatch.setitem(DTYPES, "float32", torch.float64)


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


def method(name="ggan", preset="tiny", **changes):
    spec = SPECS[name]
    known = {param.name for param in spec.params}
    given = {key: value for key, value in changes.items() if key in known}
    return load_code(spec.code)(**spec.values(preset, {}) | given)


def quick(name="ggan", **changes):
    return method(name, **SMALL | changes)


def players(name="ggan", *, landmarks=7, targets=11, seed=0, **changes):
    return GGANLearner(landmarks, targets, quick(name, **changes).params, Context(seed=seed))


def batch(n=10, p=7, t=11, seed=0):
    random = np.random.default_rng(seed)
    return tuple(torch.from_numpy(random.normal(size=(n, m))) for m in (p, t))


def fitted(name, parts, validation_sets, *, context=None, **changes):
    return quick(name, **changes).fit(parts["train"], validation_sets, context or Context())


def same(model, other, landmarks):
    return np.array_equal(model.predict(landmarks), other.predict(landmarks))


# Weight normalisation


def normalised(seed=0):
    """Profiles, a layer of three units, and weights of a loss that curves."""
    random = torch.Generator().manual_seed(seed)
    x, v, g, b, weights = (
        torch.randn(size, generator=random, dtype=torch.float64)
        for size in ((5, 4), (3, 4), (3,), (3,), (5, 3))
    )
    layer = Layer(v, "weight", torch.float64)
    layer.learnt["gain"].master.copy_(g)
    layer.learnt["bias"].master.copy_(b)
    return x.requires_grad_(), layer, lambda y: (y.sin() * weights).sum()


def gradients(x, layer, loss):
    """Of x, then of what is learnt, by name."""
    passed = layer(x)
    dx, dy = torch.autograd.grad(loss(passed.y), (x, passed.y))
    found = zip(layer.learnt, layer.gradients(passed, dy), strict=True)
    # Two rows at a time, which three do not divide into.
    whole = {name: torch.cat([of(slice(0, 2)), of(slice(2, 4))]) for name, of in found}
    return {"x": dx} | whole


def test_gradients_under_weight_norm_are_numerically_right():
    x, layer, loss = normalised()
    values = {"x": x.detach()} | {name: w.master for name, w in layer.learnt.items()}
    for name, gradient in gradients(x, layer, loss).items():
        flat, step = values[name].view(-1), 1e-6
        for at, found in enumerate(gradient.view(-1).tolist()):
            start, ends = float(flat[at]), []
            for end in (start + step, start - step):
                flat[at] = end
                with torch.no_grad():
                    ends.append(float(loss(layer(values["x"]).y)))
            flat[at] = start
            assert found == pytest.approx((ends[0] - ends[1]) / (2 * step), abs=1e-8)


def test_weight_norm_is_that_of_torch():
    x, layer, loss = normalised(1)
    peer = weight_norm(nn.Linear(4, 3).double(), dim=0)
    norm, learnt = peer.parametrizations.weight, layer.learnt
    with torch.no_grad():
        norm.original0.copy_(learnt["gain"].master[:, None])
        norm.original1.copy_(learnt["weight"].master)
        peer.bias.copy_(learnt["bias"].master)
    torch.testing.assert_close(layer(x).y, peer(x))
    leaves = {"x": x, "weight": norm.original1, "gain": norm.original0, "bias": peer.bias}
    expected = torch.autograd.grad(loss(peer(x)), list(leaves.values()))
    found = gradients(x, layer, loss)
    for name, gradient in zip(leaves, expected, strict=True):
        torch.testing.assert_close(found[name], gradient.view_as(found[name]))


def test_a_network_without_a_tape_is_a_constant_that_passes_gradients_through():
    network = players().network
    x = torch.randn(4, 7, requires_grad=True)
    tape = []
    free, noted = network(x), network(x, tape)
    torch.testing.assert_close(free, noted)
    assert len(tape) == len(network.layers)
    through, again = (torch.autograd.grad(y.square().sum(), x)[0] for y in (free, noted))
    torch.testing.assert_close(through, again)
    assert through.any()


# Losses


def test_losses_are_those_printed_divided_by_the_number_of_genes():
    random = np.random.default_rng(0)
    truth, one, other = random.normal(size=(3, 200, 9520))
    verdicts = random.normal(size=200)
    l1 = np.abs(truth - one).sum(axis=1).mean()
    cons = ((one - other) ** 2).sum(axis=1).mean()
    tensors = map(torch.from_numpy, (truth, one, other, verdicts))
    y, first, second, fake = tensors
    found_l1, found_cons = ERRORS["l1"](first, y), consistency(first, second)
    assert float(found_l1) == pytest.approx(l1 / 9520)
    assert float(found_cons) == pytest.approx(cons / 9520)
    adversarial = float(GAMES["ls"].generator(fake))
    for scale, printed in (
        ("paper", ((verdicts - 1) ** 2).sum() / 9520),
        ("batchmean", ((verdicts - 1) ** 2).mean() / 9520),
        ("mean", ((verdicts - 1) ** 2).mean()),
    ):
        assert ADVERSARIAL_SCALE[scale] * adversarial == pytest.approx(printed)
    squares = float(ERRORS["mse"](first, y))
    assert squares == pytest.approx(((truth - one) ** 2).mean())


def test_adversarial_losses_follow_their_formulas():
    real, fake = np.random.default_rng(0).normal(size=(2, 50))

    def log_sigmoid(x):
        return -np.log(1 + np.exp(-x))

    expected = {
        "ls": (
            0.5 * ((real - 1) ** 2).mean() + 0.5 * (fake**2).mean(),
            ((fake - 1) ** 2).mean(),
        ),
        "bce": (
            -log_sigmoid(real).mean() - np.log(1 - 1 / (1 + np.exp(-fake))).mean(),
            -log_sigmoid(fake).mean(),
        ),
    }
    verdicts = [torch.from_numpy(values) for values in (real, fake)]
    for name, (of_discriminator, of_generator) in expected.items():
        assert float(GAMES[name].discriminator(*verdicts)) == pytest.approx(of_discriminator)
        assert float(GAMES[name].generator(verdicts[1])) == pytest.approx(of_generator)


@pytest.mark.parametrize("name", ["ggan", "ggan-fc", "mlp-mse", "mlp-l1-cons"])
def test_the_loss_is_the_weighted_sum_of_its_terms(name):
    learner = players(name, cons=3.0, adv=5.0, loss_scale="batchmean")
    learner.begin_epoch(1)
    found = {
        key: float(value) for key, value in learner.step(*map(torch.Tensor.float, batch())).items()
    }
    weights = {"l1": 1, "mse": 1, "cons": 3.0, "adv": 5.0 / 9520, "disc": 0}
    whole = sum(weights[key] * value for key, value in found.items() if key != "loss")
    assert found["loss"] == pytest.approx(whole, rel=1e-5)


# Randomness


def test_dropout_is_unbiased_and_none_at_zero():
    random = torch.Generator().manual_seed(0)
    values = torch.ones(1000, 100)
    dropped = Dropout(0.25, random)(values)
    assert dropped.unique().tolist() == [0.0, pytest.approx(1 / 0.75)]
    assert float((dropped == 0).float().mean()) == pytest.approx(0.25, abs=0.01)
    assert Dropout(0.0, random)(values) is values


def test_real_and_fake_are_shown_under_the_same_mask_which_is_fresh_in_each_step(monkeypatch):
    learner = players(mask_start=0.3, mask_end=0.3, mask_as_input=True)
    seen = []
    network = learner.discriminator.network
    original = Network.__call__

    def record(self, inputs, *args):
        if self is network:
            seen.append(inputs.detach().clone())
        return original(self, inputs, *args)

    monkeypatch.setattr(Network, "__call__", record)
    learner.begin_epoch(1)
    x, y = (value.float() for value in batch(200))
    for _ in range(2):
        learner.step(x, y)
    masks = []
    for both, fooled in (seen[:2], seen[2:]):
        real, fake = both.chunk(2)
        torch.testing.assert_close(real[:, :7], x)
        mask = real[:, 18:]
        assert float(mask.mean()) == pytest.approx(0.3, abs=0.04)
        torch.testing.assert_close(real[:, 7:18], y * mask / 0.3, rtol=1e-4, atol=1e-6)
        for other in (fake, fooled):
            assert torch.equal(other[:, 18:], mask)
            assert torch.equal(other[:, 7:18] != 0, mask > 0)
        torch.testing.assert_close(fake, fooled)
        masks.append(mask)
    assert not torch.equal(*masks)


def test_rate_and_mask_go_from_end_to_end_in_straight_lines():
    learner = players(epochs=500, lr=5e-4, lr_end=1e-5, mask_start=0.1, mask_end=1.0)
    found = []
    for epoch in (1, 2, 250, 500):
        learner.begin_epoch(epoch)
        found.append((learner.rate, learner.discriminator.shown))
    rates, shares = zip(*found, strict=True)
    share = [0, 1 / 499, 249 / 499, 1]
    assert rates == pytest.approx([5e-4 - 4.9e-4 * at for at in share])
    assert shares == pytest.approx([0.1 + 0.9 * at for at in share])
    learner = players(epochs=1)
    learner.begin_epoch(1)
    assert learner.rate == learner._params["lr"]


# Architecture


def test_the_published_generator_has_534_5_million_parameters():
    paper = method(preset="paper").params
    widths = [943, *[paper["units"]] * paper["layers"], 9520]
    made = shapes(widths, views(paper))
    assert made == [(9000, 943), (9000, 9943), (9000, 18943), (9520, 27943)]
    assert sum(o * (i + 1) for o, i in made) == pytest.approx(534.5e6, rel=1e-4)
    connected = method("ggan-fc", preset="paper").params
    assert shapes(widths, views(connected)) == [
        (9000, 943),
        (9000, 9000),
        (9000, 9000),
        (9520, 9000),
    ]
    # A real one, made the same way, has these shapes.
    small = players(layers=3, units=5, landmarks=4, targets=6)
    names = [f"weight.{at}" for at in range(4)]
    tensors = small.weights(0)
    expected = shapes([4, 5, 5, 5, 6], [True] * 4)
    assert [tuple(tensors[name].shape) for name in names] == expected


def test_the_output_may_see_the_last_layer_alone():
    shape = players(output_sees="last", layers=3, units=5).weights(0)["weight.3"].shape
    assert tuple(shape) == (11, 5)


def test_the_paper_preset_is_what_the_paper_and_its_gaps_were_filled_with():
    published = {
        "layers": 3, "units": 9000, "dropout": 0.1, "drop_input": True, "activation": "leaky",
        "slope": 0.2, "norm": "weight", "output_sees": "all", "cons": 10.0, "adv": 1.0,
        "gan": "ls", "loss_scale": "paper", "disc_units": 3000, "disc_rate": 1.0,
        "mask_start": 0.1, "mask_end": 1.0,
        "mask_as_input": False, "optimiser": "adam", "lr": 5e-4, "lr_end": 1e-5,
        "epochs": 500, "batch": 200, "patience": 0, "precision": "float32",
    }  # fmt: skip
    assert published.items() <= SPECS["ggan"].values("paper", {}).items()
    for spec in SPECS.values():
        values = spec.values("paper", {})
        assert {
            name: published[name] for name in values if name in published
        }.items() <= values.items()


def test_first_weights_are_xavier_uniform_with_gains_of_their_length():
    made = players(units=60, landmarks=40, targets=50, layers=1)
    for network in (made.network, made.discriminator.network):
        tensors = network.parameters()
        for at in range(2):
            weight = tensors[f"weight.{at}"].numpy()
            bound = math.sqrt(6 / sum(weight.shape))
            assert np.abs(weight).max() <= bound
            if weight.size > 1000:
                assert weight.std() == pytest.approx(bound / math.sqrt(3), rel=0.05)
            length = np.sqrt((weight.astype(float) ** 2).sum(axis=1))
            np.testing.assert_allclose(tensors[f"gain.{at}"], length, rtol=1e-6)
            assert not tensors[f"bias.{at}"].any()


# Steps


class Plain(nn.Module):
    """The same networks from torch's own layers, weight norm materialised."""

    def __init__(self, tensors, sees_all, slope, norm):
        super().__init__()
        self.sees_all, self.slope = sees_all, slope
        self.layers = nn.ModuleList()
        for at in range(len(sees_all)):
            weight = tensors[f"weight.{at}"].clone()
            layer = nn.Linear(weight.shape[1], weight.shape[0]).double()
            with torch.no_grad():
                layer.weight.copy_(weight)
                layer.bias.zero_()
            self.layers.append(weight_norm(layer, dim=0) if norm == "weight" else layer)

    def forward(self, x, masks):
        masks = iter(masks)
        seen = [x * next(masks)]
        for at, layer in enumerate(self.layers):
            value = layer(torch.cat(seen, dim=1) if self.sees_all[at] else seen[-1])
            if at == len(self.layers) - 1:
                return value
            seen.append(torch.where(value > 0, value, self.slope * value) * next(masks))
        return None


class Reference:
    """GGAN's steps as the formulas have them, with the masks that ours drew."""

    def __init__(self, learner):
        self.params = learner._params
        norm, slope = self.params["norm"], self.params["slope"]
        self.g = Plain(learner.weights(0), views(self.params), slope, norm)
        network = learner.discriminator.network
        self.d = Plain(network.parameters(), [False, False], slope, norm)
        self.of_g, self.of_d = (
            torch.optim.Adam(net.parameters(), lr=0.0) for net in (self.g, self.d)
        )

    def judge(self, x, y, m):
        extra = [(m > 0).double()] if self.params["mask_as_input"] else []
        return self.d(torch.cat([x, y * m, *extra], dim=1), [1.0, 1.0])

    def d_loss(self, real, fake):
        if self.params["gan"] == "ls":
            return 0.5 * ((real - 1) ** 2 + fake**2).mean()
        return -(torch.sigmoid(real).log() + (1 - torch.sigmoid(fake)).log()).mean()

    def g_loss(self, fake):
        if self.params["gan"] == "ls":
            return ((fake - 1) ** 2).mean()
        return -torch.sigmoid(fake).log().mean()

    def step(self, x, y, drawn, rate):
        *dropped, m = drawn
        n = len(x)
        halves = [[mask[:n] for mask in dropped], [mask[n:] for mask in dropped]]
        self.of_g.param_groups[0]["lr"] = rate
        self.of_d.param_groups[0]["lr"] = rate * self.params["disc_rate"]
        one, two = (self.g(x, masks) for masks in halves)
        self.of_d.zero_grad()
        self.d_loss(self.judge(x, y, m), self.judge(x, one.detach(), m)).backward()
        self.of_d.step()
        self.of_g.zero_grad()
        adversarial = self.g_loss(self.judge(x, one, m)) * 200 / 9520
        l1, cons = (one - y).abs().mean(), ((one - two) ** 2).mean()
        (l1 + self.params["cons"] * cons + self.params["adv"] * adversarial).backward()
        self.of_g.step()


@pytest.fixture
def drawn(monkeypatch):
    masks = []

    def record(*args):
        masks.append(bernoulli(*args))
        return masks[-1]

    monkeypatch.setattr(noise, "bernoulli", record)
    monkeypatch.setattr(discriminator, "bernoulli", record)
    return masks


# So that every term of the loss is felt.
STRONG = {"adv": 20.0, "loss_scale": "paper", "cons": 0.5, "dropout": 0.2}


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("ggan", {}),
        ("ggan", {"layers": 3, "gan": "bce", "mask_as_input": True}),
        ("ggan", {"output_sees": "last", "norm": "none"}),
        ("ggan-fc", {"cons": 2.0, "adv": 7.0, "slope": 0.1, "disc_rate": 0.3}),
    ],
)
def test_steps_are_those_of_plain_autograd(name, changes, float64, drawn):
    learner = players(name, **STRONG | changes)
    peer = Reference(learner)
    for epoch in (1, 2):
        learner.begin_epoch(epoch)
        for at in range(2):
            x, y = batch(10 - 3 * at, seed=10 * epoch + at)
            learner.step(x, y)
            peer.step(x, y, drawn, learner.rate)
            drawn.clear()
    pairs = ((learner.network, peer.g), (learner.discriminator.network, peer.d))
    for ours, theirs in pairs:
        plain = folded(ours.parameters())
        for at, layer in enumerate(theirs.layers):
            torch.testing.assert_close(
                plain[f"weight.{at}"], layer.weight.detach(), rtol=1e-7, atol=1e-9
            )
            torch.testing.assert_close(
                plain[f"bias.{at}"], layer.bias.detach(), rtol=1e-7, atol=1e-9
            )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [("adam", torch.optim.Adam), ("sgd", partial(torch.optim.SGD, momentum=0.5))],
)
def test_optimisers_are_those_of_torch_however_they_are_cut(name, theirs, dtype, monkeypatch):
    monkeypatch.setattr("genebench_ggan.optimisers._PIECE", {"cpu": 7})
    network = Network(
        [6, 5, 4], sees_all=[False, False], activate=torch.tanh, norm="weight", dtype=dtype,
        device="cpu", random=torch.Generator().manual_seed(0),
    )  # fmt: skip
    ours = OPTIMISERS[name](network.learnt)
    peers = [nn.Parameter(weight.master.clone()) for weight in network.learnt]
    peer = theirs(peers, lr=0.01)
    random = torch.Generator().manual_seed(1)
    for _ in range(5):
        grads = [
            torch.randn(weight.master.shape, generator=random).to(weight.fast.dtype)
            for weight in network.learnt
        ]
        ours.step([grad.__getitem__ for grad in grads], 0.01)
        for parameter, grad in zip(peers, grads, strict=True):
            parameter.grad = grad.float()
        peer.step()
    for weight, expected in zip(network.learnt, peers, strict=True):
        torch.testing.assert_close(weight.master, expected.detach())
        assert torch.equal(weight.fast, weight.master.to(weight.fast.dtype))


def test_sgd_descends_on_the_sum_over_targets_with_classical_momentum(float64):
    """``v ← v / 2 - rate · gradient``, ``w ← w + v``, for a tanh network under squared error."""
    learner = players(
        "mlp-mse", layers=1, activation="tanh", optimiser="sgd", norm="none", dropout=0.0
    )
    w, b, u, c = (learner.weights(0)[f"{kind}.{at}"].numpy().copy()
                  for at in (0, 1) for kind in ("weight", "bias"))  # fmt: skip
    velocities = [np.zeros_like(value) for value in (w, b, u, c)]
    for epoch in (1, 2, 3):
        learner.begin_epoch(epoch)
        x, y = batch(seed=epoch)
        learner.step(x, y)
        x, y = x.numpy(), y.numpy()
        hidden = np.tanh(x @ w.T + b)
        gap = 2 * (hidden @ u.T + c - y) / len(y)
        back = gap @ u * (1 - hidden**2)
        slopes = back.T @ x, back.sum(axis=0), gap.T @ hidden, gap.sum(axis=0)
        for value, velocity, slope in zip((w, b, u, c), velocities, slopes, strict=True):
            velocity[...] = velocity / 2 - learner.rate * slope
            value[...] = value + velocity
    for name, expected in {"weight.0": w, "bias.0": b, "weight.1": u, "bias.1": c}.items():
        np.testing.assert_allclose(learner.weights(0)[name], expected, rtol=1e-10)


# The family


@pytest.mark.parametrize(
    ("name", "off"),
    [
        ("mlp-l1-cons-adv", {"mask_start": 1.0, "mask_end": 1.0}),
        ("mlp-l1-adv", {"mask_start": 1.0, "mask_end": 1.0, "cons": 0.0}),
        ("mlp-l1-cons", {"adv": 0.0}),
        ("mlp-l1", {"adv": 0.0, "cons": 0.0}),
    ],
)
def test_an_ablation_is_ggan_fc_with_something_off(name, off, parts, validation_sets):
    full = fitted("ggan-fc", parts, validation_sets, **off)
    ablated = fitted(name, parts, validation_sets)
    undeclared = set(SPECS["ggan-fc"].values("tiny", {})) - set(SPECS[name].values("tiny", {}))
    assert undeclared >= set(off)
    for key in validation_sets:
        assert same(full[key], ablated[key], parts["test"].landmarks)
        assert full[key].curves == ablated[key].curves


def test_what_has_no_weight_is_not_done(drawn):
    x, y = (value.float() for value in batch())
    learner = players("ggan", adv=0.0, cons=0.0)
    learner.begin_epoch(1)
    assert set(learner.step(x, y)) == {"loss", "l1"}
    assert learner.discriminator is None
    assert [len(mask) for mask in drawn] == [10] * 3
    learner = players("ggan", adv=0.0, dropout=0.0)
    learner.begin_epoch(1)
    assert set(learner.step(x, y)) == {"loss", "l1"}
    squares = players("mlp-mse")
    squares.begin_epoch(1)
    assert set(squares.step(x, y)) == {"loss", "mse"}


def test_landmarks_may_be_spared_from_dropout(drawn):
    learner = players("mlp-l1", drop_input=False)
    learner.begin_epoch(1)
    learner.step(*(value.float() for value in batch()))
    assert [tuple(mask.shape) for mask in drawn] == [(10, 12), (10, 12)]


def test_listing_needs_no_torch():
    code = (
        "import sys, genebench_ggan as g; g.genebench_methods(); sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# Fits


def test_better_than_the_mean_and_than_ridge(parts, validation_sets):
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
    # By the seed, and at the preset, of `make demo`.
    model = method("ggan").fit(parts["train"], validation_sets, Context(seed=0))["geo"]
    found = error(model.predict(test.landmarks), test)
    assert found < 0.6 * error(0.0, test)
    assert found < linear


def test_what_a_model_says_of_its_choice(parts, validation_sets):
    model = fitted("ggan", parts, validation_sets)["geo"]
    validation = parts["geo"]
    # Dropout and mask are off here; were they on in the loop, this would not be its error.
    error = np.abs(model.predict(validation.landmarks) - validation.targets).mean()
    assert model.choices["validation_mae"] == pytest.approx(error, rel=1e-5)
    assert set(model.curves["learning"]) == {
        "epoch", "loss", "l1", "cons", "adv", "disc", "mae geo",
    }  # fmt: skip


def test_the_seed_decides_and_no_set_touches_another(parts, validation_sets):
    landmarks = parts["test"].landmarks
    again = [fitted("ggan", parts, validation_sets, context=Context(seed=s)) for s in (3, 3, 4)]
    for name in validation_sets:
        assert same(again[0][name], again[1][name], landmarks)
        assert not same(again[0][name], again[2][name], landmarks)
        alone = fitted("ggan", parts, {name: parts[name]}, context=Context(seed=3))
        assert same(alone[name], again[0][name], landmarks)


def stopped_in_epoch_3(monkeypatch, parts, validation_sets, context, **changes):
    """A run that ends before its third epoch is in the checkpoint."""
    monkeypatch.setattr(loop, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr(loop, "CHECKPOINT_RATIO", 0.0)

    def stop(done, total, message):
        if message.startswith("epoch 3") and 4 * done == 3 * total:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fitted("ggan", parts, validation_sets, **changes, context=replace(context, progress=stop))


@pytest.mark.parametrize(
    "changes", [{}, {"precision": "bfloat16"}, {"optimiser": "sgd", "lr": 1e-2}]
)
def test_a_stopped_run_continues_to_the_same_bits(
    parts, validation_sets, tmp_path, monkeypatch, changes
):
    before = Context(scratch=tmp_path)
    stopped_in_epoch_3(monkeypatch, parts, validation_sets, before, **changes)
    epochs = []
    context = Context(scratch=tmp_path, progress=lambda *told: epochs.append(told[2]))
    found = fitted("ggan", parts, validation_sets, **changes, context=context)
    expected = fitted("ggan", parts, validation_sets, **changes)
    assert not any(told.startswith(("epoch 1", "epoch 2")) for told in epochs)
    for name, model in found.items():
        assert model.choices == expected[name].choices
        assert model.curves == expected[name].curves
        assert same(model, expected[name], parts["test"].landmarks)


@pytest.mark.parametrize("device", DEVICES)
def test_bfloat16_ends_near_float32(parts, validation_sets, device):
    test, errors = parts["test"], {}
    for precision in ("float32", "bfloat16"):
        model = quick("ggan", epochs=30, units=32, precision=precision).fit(
            parts["train"], validation_sets, Context(device=device)
        )["geo"]
        errors[precision] = np.abs(model.predict(test.landmarks) - test.targets).mean()
    assert errors["bfloat16"] != errors["float32"]
    assert errors["bfloat16"] == pytest.approx(errors["float32"], rel=0.01)


# CUDA


@pytest.fixture
def same_masks(monkeypatch):
    """Masks drawn on the CPU whatever the device, so that devices can be compared."""

    def draw(shape, share, random, dtype):
        host = torch.Generator().manual_seed(random.initial_seed())
        return bernoulli(shape, share, host, dtype).to(random.device)

    monkeypatch.setattr(noise, "bernoulli", draw)
    monkeypatch.setattr(discriminator, "bernoulli", draw)


def near(found, expected, landmarks):
    for name, model in found.items():
        ours, theirs = (each.predict(landmarks) for each in (model, expected[name]))
        np.testing.assert_allclose(ours, theirs, rtol=1e-2, atol=1e-2)


@on_cuda
@pytest.mark.parametrize("changes", [{}, {"optimiser": "sgd", "lr": 1e-2, "norm": "none"}])
def test_a_few_epochs_on_cuda_end_as_on_the_cpu(parts, validation_sets, same_masks, changes):
    found, expected = (
        fitted("ggan", parts, validation_sets, context=Context(device=device), **changes)
        for device in ("cuda", "cpu")
    )
    near(found, expected, parts["test"].landmarks)


@on_cuda
@pytest.mark.usefixtures("same_masks")
@pytest.mark.parametrize("devices", [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_run_stopped_on_one_device_continues_on_the_other(
    parts, validation_sets, tmp_path, monkeypatch, devices
):
    first, second = devices
    stopped_in_epoch_3(monkeypatch, parts, validation_sets, Context(device=first, scratch=tmp_path))
    told = []
    context = Context(device=second, scratch=tmp_path, progress=lambda *each: told.append(each[2]))
    found = fitted("ggan", parts, validation_sets, context=context)
    assert not any(each.startswith(("epoch 1", "epoch 2")) for each in told)
    near(found, fitted("ggan", parts, validation_sets), parts["test"].landmarks)


@on_cuda
@pytest.mark.parametrize(("first", "second"), [("cpu", "cuda"), ("cuda", "cpu")])
def test_a_model_saved_on_one_device_predicts_on_the_other(parts, validation_sets, first, second):
    model = fitted("ggan", parts, validation_sets, context=Context(device=first))["geo"]
    restored = quick("ggan").restore(model.tensors(), Context(device=second))
    near({"geo": restored}, {"geo": model}, parts["test"].landmarks)


@pytest.mark.parametrize("norm", ["weight", "none"])
@pytest.mark.parametrize("name", ["ggan", "ggan-fc"])
def test_a_model_predicts_as_its_network_did_and_the_same_when_restored(
    parts, validation_sets, name, norm
):
    learner = players(name, norm=norm, seed=5)
    learner.begin_epoch(1)
    x, y = (value.float() for value in batch())
    for _ in range(3):
        learner.step(x, y)
    plain = {key: value.numpy() for key, value in folded(learner.weights(0)).items()}
    restored = quick(name, norm=norm).restore(plain, Context())
    np.testing.assert_allclose(
        restored.predict(x.numpy()), learner.predict(x), rtol=1e-5, atol=1e-6
    )
    model = fitted(name, parts, validation_sets, norm=norm)["geo"]
    again = quick(name, norm=norm).restore(model.tensors(), Context())
    assert same(model, again, parts["test"].landmarks)
    assert {key.split(".")[0] for key in model.tensors()} == {"weight", "bias"}


def test_divergence_says_what_to_turn(parts, validation_sets):
    with pytest.raises(
        DivergedError, match=r"diverged at epoch \d+: lower lr \(now 1e\+36\) or adv"
    ):
        fitted("ggan", parts, validation_sets, lr=1e36)
    with pytest.raises(DivergedError, match=r"lower lr \(now 1e\+36\)$"):
        fitted("mlp-l1", parts, validation_sets, lr=1e36)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mask_start": 0.9, "mask_end": 0.2}, r"ggan: mask_start=0.9 is above mask_end=0.2"),
        ({"lr": 1e-6}, r"ggan: lr_end=1e-05 is above lr=1e-06"),
    ],
)
def test_schedules_that_go_the_wrong_way_are_refused(changes, message):
    with pytest.raises(UserError, match=message):
        method("ggan", **changes)


@pytest.mark.parametrize(
    "text", ["units=0", "dropout=1", "gan=wasserstein", "mask_start=0", "adv=-1", "norm=batch"]
)
def test_values_out_of_bounds_are_refused(text):
    name, value = text.split("=")
    with pytest.raises(UserError, match=rf"ggan\.{name}"):
        SPECS["ggan"].values("tiny", {name: value})


def test_without_an_adversary_its_settings_do_not_matter(parts, validation_sets):
    settings = {"adv": 0.0, "gan": "bce", "mask_as_input": True, "loss_scale": "mean"}
    found = fitted("ggan", parts, validation_sets, **settings)["geo"]
    assert same(
        found, fitted("ggan", parts, validation_sets, adv=0.0)["geo"], parts["test"].landmarks
    )


def test_one_landmark_one_target_one_unit():
    x = np.linspace(-1, 1, 12)[:, None]
    data = Profiles.from_arrays(x, 0.5 * x)
    model = quick("ggan", units=1, disc_units=1).fit(data, {"s": data}, Context())["s"]
    assert model.predict(data.landmarks).shape == (12, 1)
