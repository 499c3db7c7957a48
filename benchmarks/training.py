"""Time of a training step, beside a plain PyTorch loop and beside the device's own limits.

Steps are of 943 landmarks, 9,520 targets and batches of 200: D-GEX (two networks of the size given)
and GGAN (a dense generator of that size, a discriminator of 3000 units). The table has the time of
a step in float32 and in bfloat16, its FLOP, and the bytes that it must move. The *floor* is the
time that FLOP or bytes take, whichever is longer, at the speed of this device in the same run (one
large product, one large copy). The table shows the step's share of it. ``plain`` is what most would
write: float32 autograd, torch's own optimiser, weight norm, two dropout passes one after the other,
and a ``DataLoader``, with the same networks and batches. Times are the least of several, by turns.

    python benchmarks/training.py 1x3000 3x3000
    python benchmarks/training.py --ladder 3x3000

``--ladder`` goes from the plain loop of GGAN to ours, one idea at a time: profiles on the device,
both passes as one batch, weight norm folded into products, gradients a few rows at a time into
fused Adam, bfloat16. All of these variants are in memory at once.

Three ideas were left out. Moments in bfloat16 would save a third of the bytes, but the second
moment would not decay, because 0.999 of it rounds to itself. CUDA graphs, or a compiler, for narrow
networks save the time of launching kernels. On a CPU, and with wide networks anywhere, that does
not limit a step. Several narrow networks in one batched product would serve sweeps. But they would
tie together jobs that are resumed, stopped early and kept one by one.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise, product, repeat

import torch
from torch.nn.functional import dropout, leaky_relu
from torch.nn.utils.parametrizations import weight_norm
from torch.utils.data import DataLoader, TensorDataset

from genebench import Context
from genebench.training import DTYPES, Weight
from genebench_dgex import genebench_methods as dgex_methods
from genebench_dgex.method import DGEXLearner
from genebench_ggan import genebench_methods as ggan_methods
from genebench_ggan.fast_linear import Gradient
from genebench_ggan.learner import GGANLearner
from genebench_ggan.method import DenseGGAN

LANDMARKS, TARGETS, BATCH, HALVES, DISCRIMINATOR_UNITS = 943, 9_520, 200, 2, 3000
SGD_BYTES = {"float32": 24, "bfloat16": 18}
"""Bytes per weight and step of D-GEX.

float32: forward 4, backward 4, velocity 8, weight 8. bfloat16: forward 2, backward 2, velocity 4,
float32 weight 8, its copy 2.
"""
ADAM_BYTES = {"float32": 32, "bfloat16": 30}
"""Bytes per weight and step of GGAN.

float32: forward 4, backward 4, weight 8, two moments 16. bfloat16: forward 2, backward 2, float32
weight 8, its copy 2, moments 16. Gradients need never leave the caches.
"""
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
PRODUCT_ROWS = 4096 if DEVICE == "cpu" else 16384
COPIED_NUMBERS = 1 << 27
"""Sizes of the product and of the copy that give the speed of the device."""
Step = Callable[[], object]


@dataclass(frozen=True)
class Limits:
    """Speed of the device: FLOP/s of products, bytes/s of copies."""

    flops: float
    bytes: float

    def floor(self, flop: float, moved: float) -> float:
        """Return the least seconds for this many FLOP and bytes."""
        return max(flop / self.flops, moved / self.bytes)


def seconds(work: Step) -> float:
    """Return the seconds of one call."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def least(works: dict[str, Step], repeats: int) -> dict[str, float]:
    """Return the least seconds of each, by turns, after one call each to warm up."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: min(spent) for name, spent in times.items()}


def limits(precision: str) -> Limits:
    """Measure the speed of the device."""
    n = PRODUCT_ROWS
    matrix = torch.randn(n, n, device=DEVICE).to(DTYPES[precision])
    out, whole = torch.empty_like(matrix), torch.empty(COPIED_NUMBERS, device=DEVICE)
    copied = torch.empty_like(whole)
    works: dict[str, Step] = {
        "product": lambda: torch.mm(matrix, matrix, out=out),
        "copy": lambda: copied.copy_(whole),
    }
    times = least(works, 5)
    return Limits(2 * n**3 / times["product"], 2 * whole.nbytes / times["copy"])


def halves_of(layers: int, units: int) -> list[int]:
    """Return the elements of each weight matrix of one of D-GEX's two networks."""
    sizes = [LANDMARKS, *[units] * layers, TARGETS // HALVES]
    return [i * o for i, o in pairwise(sizes)]


def dense_of(layers: int, units: int) -> list[int]:
    """Return the elements of each weight matrix of a densely connected generator."""
    seen = [LANDMARKS + units * layer for layer in range(layers + 1)]
    return [i * o for i, o in zip(seen, [*[units] * layers, TARGETS], strict=True)]


def dgex_cost(layers: int, units: int, precision: str) -> tuple[float, float]:
    """Return FLOP and bytes of a step.

    A step takes three products for each weight, and two for those of the landmarks.
    """
    weights = halves_of(layers, units)
    flop = HALVES * 2 * BATCH * (3 * sum(weights) - weights[0])
    return flop, HALVES * sum(weights) * SGD_BYTES[precision]


def ggan_cost(layers: int, units: int, precision: str) -> tuple[float, float]:
    """Return FLOP and bytes of the steps of generator and discriminator.

    The generator does two passes. The discriminator takes real and inferred profiles forward and
    back, and then, for the generator, inferred profiles forward and back to its inputs.
    """
    generator = sum(dense_of(layers, units))
    discriminator = DISCRIMINATOR_UNITS * (LANDMARKS + TARGETS + 1)
    flop = 2 * BATCH * (2 * 3 * generator + (2 * 3 + 2) * discriminator)
    return flop, (generator + discriminator) * ADAM_BYTES[precision]


def dgex(layers: int, units: int, precision: str) -> Step:
    """Return a step of D-GEX by the plugin."""
    params = dgex_methods()[0].values("paper", {})
    params |= {"layers": layers, "units": units, "precision": precision, "lr": 1e-6}
    learner = DGEXLearner(LANDMARKS, TARGETS, params, Context(device=DEVICE))
    learner.begin_epoch(1)
    x, y = torch.randn(BATCH, LANDMARKS), torch.randn(BATCH, TARGETS)
    x, y = x.to(DEVICE), y.to(DEVICE)
    return lambda: learner.step(x, y)


def ggan(layers: int, units: int, precision: str, *, whole: bool = False) -> Step:
    """Return a step of GGAN by the plugin, or with whole gradients and torch's Adam (``whole``)."""
    params = ggan_methods()[0].values("paper", {})
    params |= {
        "layers": layers,
        "units": units,
        "precision": precision,
        "disc_units": DISCRIMINATOR_UNITS,
    }
    learner = GGANLearner(LANDMARKS, TARGETS, DenseGGAN(**params).params, Context(device=DEVICE))
    if whole:
        # This row of the ladder swaps the optimisers, for which there is no public way.
        learner._optimiser = _WholeAdam(learner.network.trainable)  # noqa: SLF001
        discriminator = learner.discriminator
        discriminator._optimiser = _WholeAdam(discriminator.network.trainable)  # noqa: SLF001
    learner.begin_epoch(250)
    x, y = torch.randn(BATCH, LANDMARKS), torch.randn(BATCH, TARGETS)
    x, y = x.to(DEVICE), y.to(DEVICE)
    return lambda: learner.step(x, y)


def plain_dgex(layers: int, units: int) -> Step:
    """Return a step of D-GEX as most would write it."""
    networks = [_tanh(layers, units).to(DEVICE) for _ in range(HALVES)]
    parameters = [parameter for network in networks for parameter in network.parameters()]
    optimiser = torch.optim.SGD(parameters, lr=1e-6, momentum=0.5)
    batches = _loaded_batches()

    def step() -> None:
        x, y = (values.to(DEVICE) for values in next(batches))
        out = torch.cat([network(x) for network in networks], dim=1)
        _descend((out - y).square().sum(dim=1).mean(), optimiser)

    return step


class _WholeAdam:
    """Torch's own Adam, on gradients that are computed whole."""

    def __init__(self, weights: Sequence[Weight]) -> None:
        self._masters = [weight.master for weight in weights]
        self._adam = torch.optim.Adam(self._masters, 1e-6)

    def step(self, gradients: Sequence[Gradient], rate: float) -> None:  # noqa: ARG002  torch's Adam has its own
        """Update every weight along its gradient."""
        for master, gradient in zip(self._masters, gradients, strict=True):
            master.grad = gradient(slice(None))
        self._adam.step()


def plain_ggan(layers: int, units: int, *, resident: bool = False, stacked: bool = False) -> Step:
    """Return a step of GGAN as most would write it.

    Args:
        layers: hidden layers.
        units: units of each.
        resident: keep the profiles on the device.
        stacked: do both dropout passes as one batch.
    """
    generator, discriminator = _Dense(layers, units).to(DEVICE), _discriminator().to(DEVICE)
    generator_adam = torch.optim.Adam(generator.parameters(), 1e-6)
    discriminator_adam = torch.optim.Adam(discriminator.parameters(), 1e-6)
    batches = _resident_batches() if resident else _loaded_batches()

    def step() -> None:
        x, y = (values.to(DEVICE) for values in next(batches))
        passes = generator(x.repeat(2, 1)).chunk(2) if stacked else (generator(x), generator(x))
        first, second = passes
        mask = torch.bernoulli(torch.full_like(y, 0.5)) / 0.5
        real = discriminator(torch.cat([x, y * mask], dim=1))
        fake = discriminator(torch.cat([x, first.detach() * mask], dim=1))
        _descend(((real - 1).square() + fake.square()).mean() / 2, discriminator_adam)
        fake = discriminator(torch.cat([x, first * mask], dim=1))
        l1, consistency = (first - y).abs().mean(), (first - second).square().mean()
        _descend(l1 + 10 * consistency + 0.02 * (fake - 1).square().mean(), generator_adam)

    return step


def _descend(loss: torch.Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


class _Dense(torch.nn.Module):
    """A densely connected generator: every layer sees the landmarks and all layers before it."""

    def __init__(self, layers: int, units: int) -> None:
        super().__init__()
        seen = [LANDMARKS + units * layer for layer in range(layers + 1)]
        widths = [*[units] * layers, TARGETS]
        linear = [torch.nn.Linear(i, o) for i, o in zip(seen, widths, strict=True)]
        self.layers = torch.nn.ModuleList(map(weight_norm, linear))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return profiles × targets for profiles × landmarks."""
        seen = dropout(x, 0.1)
        *hidden, last = self.layers
        for layer in hidden:
            seen = torch.cat([seen, dropout(leaky_relu(layer(seen), 0.2), 0.1)], dim=1)
        return last(seen)


def _discriminator() -> torch.nn.Sequential:
    return torch.nn.Sequential(
        weight_norm(torch.nn.Linear(LANDMARKS + TARGETS, DISCRIMINATOR_UNITS)),
        torch.nn.LeakyReLU(0.2),
        weight_norm(torch.nn.Linear(DISCRIMINATOR_UNITS, 1)),
    )


def _tanh(layers: int, units: int) -> torch.nn.Sequential:
    sizes = [LANDMARKS, *[units] * layers]
    hidden = [
        module
        for i, o in pairwise(sizes)
        for module in (torch.nn.Linear(i, o), torch.nn.Tanh(), torch.nn.Dropout(0.1))
    ]
    return torch.nn.Sequential(*hidden, torch.nn.Linear(units, TARGETS // HALVES))


def _loaded_batches() -> Iterator[list[torch.Tensor]]:
    profiles = TensorDataset(torch.randn(4 * BATCH, LANDMARKS), torch.randn(4 * BATCH, TARGETS))
    while True:
        yield from DataLoader(profiles, batch_size=BATCH, shuffle=True)


def _resident_batches() -> Iterator[list[torch.Tensor]]:
    return repeat([torch.randn(BATCH, n).to(DEVICE) for n in (LANDMARKS, TARGETS)])


@dataclass(frozen=True)
class Subject:
    """A method whose steps are timed."""

    title: str
    plain: Callable[[int, int], Step]
    ours: Callable[[int, int, str], Step]
    cost: Callable[[int, int, str], tuple[float, float]]


SUBJECTS = {
    "dgex": Subject("D-GEX", plain_dgex, dgex, dgex_cost),
    "ggan": Subject("GGAN", plain_ggan, ggan, ggan_cost),
}


LADDER: dict[str, Callable[[int, int], Step]] = {
    "plain, two passes": plain_ggan,
    "+ profiles on the device": partial(plain_ggan, resident=True),
    "+ passes stacked": partial(plain_ggan, resident=True, stacked=True),
    "+ weight norm folded": partial(ggan, precision="float32", whole=True),
    "+ fused Adam, a few rows at a time": partial(ggan, precision="float32"),
    "+ bfloat16": partial(ggan, precision="bfloat16"),
}
"""Steps of GGAN. Each has the ideas of those above it."""


def ladder(layers: int, units: int, repeats: int) -> Iterator[str]:
    """Yield the lines of the table of ideas."""
    spent_by_step = least({name: make(layers, units) for name, make in LADDER.items()}, repeats)
    plain = before = next(iter(spent_by_step.values()))
    for name, spent in spent_by_step.items():
        times = f"{before / spent:.2f} | {plain / spent:.2f}"
        yield f"| {layers} × {units} | {name} | {1e3 * spent:.1f} | {times} |"
        before = spent


def rows(
    subject: Subject, layers: int, units: int, measured: dict[str, Limits], repeats: int
) -> Iterator[str]:
    """Yield the lines of the table for one size."""
    works = {precision: subject.ours(layers, units, precision) for precision in measured}
    spent = least({"plain": subject.plain(layers, units), **works}, repeats)
    name = f"{subject.title} {layers} × {units}"
    yield f"| {name} | plain | {1e3 * spent['plain']:.1f} | | | | 1 |"
    for precision, device in measured.items():
        flop, moved = subject.cost(layers, units, precision)
        share = device.floor(flop, moved) / spent[precision]
        yield (
            f"| {name} | {precision} | {1e3 * spent[precision]:.1f} | {flop / 1e9:,.0f} "
            f"| {moved / 1e9:.2f} | {share:.0%} | {spent['plain'] / spent[precision]:.1f} |"
        )


def compare(methods: Sequence[str], sizes: Sequence[str], repeats: int) -> None:
    """Print the speed of the device, and the table of methods."""
    measured = {precision: limits(precision) for precision in DTYPES}
    for precision, device in measured.items():
        speed = f"{device.flops / 1e12:.2f} TFLOP/s, {device.bytes / 1e9:.0f} GB/s"
        print(f"{DEVICE}, {precision}: {speed}")
    print("\n| networks | step | ms | GFLOP | GB | share of floor | × plain |")
    print("|---|---|---|---|---|---|---|")
    for method, size in product(methods, sizes):
        for line in rows(SUBJECTS[method], *shape(size), measured, repeats):
            print(line, flush=True)


def climb(sizes: Sequence[str], repeats: int) -> None:
    """Print the table of ideas."""
    print("| GGAN | step | ms | × the one above | × plain |\n|---|---|---|---|---|")
    for size in sizes:
        for line in ladder(*shape(size), repeats):
            print(line, flush=True)


def shape(size: str) -> tuple[int, int]:
    """Return layers and units of a size such as ``3x3000``."""
    layers, units = map(int, size.split("x"))
    return layers, units


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ["1x3000", "3x3000"] + (["3x9000"] if DEVICE == "cuda" else [])
    parser.add_argument("sizes", nargs="*", default=default, help="layers x units, as 3x3000")
    parser.add_argument("--methods", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--ladder", action="store_true", help="GGAN's step, one idea at a time")
    arguments = parser.parse_args()
    if arguments.ladder:
        climb(arguments.sizes, arguments.repeats)
    else:
        compare(arguments.methods, arguments.sizes, arguments.repeats)
