"""Time of a training step, beside a plain PyTorch loop and beside the device's own limits.

943 landmarks → 9,520 targets, batches of 200: D-GEX (two networks of the sizes given) and GGAN (a
dense generator of that size, a discriminator of 3000 units). For each: the time of a step in
float32 and in bfloat16; its FLOP and the bytes it cannot avoid moving; and the share reached of the
*floor*, the longer of the two at the speed that this device showed in the same run (one large
product, one large copy). ``plain`` is what most would write: float32 autograd, torch's own
optimiser, weight norm, two dropout passes one after the other, and a ``DataLoader``; the same
networks and batches. Times are the least of several, taken by turns.

    python benchmarks/training.py 1x3000 3x3000
    python benchmarks/training.py --ladder 3x3000

``--ladder`` goes from the plain loop of GGAN to ours one idea at a time, in the order of what they
save on a large network: profiles on the device, both passes as one batch, weight norm folded into
products, gradients a few rows at a time into fused Adam, bfloat16. All of them are in memory at
once. Three ideas were left out. Moments in bfloat16 would save a third of the bytes, but the second
one would stand still: 0.999 of it rounds to itself. CUDA graphs, or a compiler, for narrow networks
save the time of launching kernels; on a CPU, and with wide networks anywhere, that is not what
limits a step. Several narrow networks in one batched product would serve sweeps, but tie together
jobs that are each resumed, stopped early and kept by themselves.
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
from genebench_dgex.method import Networks
from genebench_ggan import genebench_methods as ggan_methods
from genebench_ggan.layers import Gradient
from genebench_ggan.learner import Players
from genebench_ggan.method import DenseGGAN

LANDMARKS, TARGETS, BATCH, HALVES, CRITICS = 943, 9_520, 200, 2, 3000
SGD_BYTES = {"float32": 24, "bfloat16": 18}
"""Per weight and step. float32: forward 4, backward 4, velocity 8, weight 8. bfloat16: forward 2,
backward 2, velocity 4, master 8, its copy 2."""
ADAM_BYTES = {"float32": 32, "bfloat16": 30}
"""Per weight and step. float32: forward 4, backward 4, weight 8, two moments 16. bfloat16: forward
2, backward 2, master 8, its copy 2, moments 16. Gradients need never leave the caches."""
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
Step = Callable[[], object]


@dataclass(frozen=True)
class Limits:
    """What the device can do: FLOP/s of products, bytes/s of copies."""

    flops: float
    bytes: float

    def floor(self, flop: float, moved: float) -> float:
        """Least seconds for so much work."""
        return max(flop / self.flops, moved / self.bytes)


def seconds(work: Step) -> float:
    """Time of one call."""
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if DEVICE == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - start


def least(works: dict[str, Step], repeats: int) -> dict[str, float]:
    """Least time of each, by turns, after one call each to warm up."""
    for work in works.values():
        work()
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(repeats):
        for name, work in works.items():
            times[name].append(seconds(work))
    return {name: min(found) for name, found in times.items()}


def limits(precision: str) -> Limits:
    """Measure the device."""
    n = 4096 if DEVICE == "cpu" else 16384
    matrix = torch.randn(n, n, device=DEVICE).to(DTYPES[precision])
    out, whole = torch.empty_like(matrix), torch.empty(1 << 27, device=DEVICE)
    copied = torch.empty_like(whole)
    works: dict[str, Step] = {
        "product": lambda: torch.mm(matrix, matrix, out=out),
        "copy": lambda: copied.copy_(whole),
    }
    found = least(works, 5)
    return Limits(2 * n**3 / found["product"], 2 * whole.nbytes / found["copy"])


def halves_of(layers: int, units: int) -> list[int]:
    """Elements of every weight matrix of one of D-GEX's two networks."""
    sizes = [LANDMARKS, *[units] * layers, TARGETS // HALVES]
    return [i * o for i, o in pairwise(sizes)]


def dense_of(layers: int, units: int) -> list[int]:
    """Elements of every weight matrix of a generator whose layers see all before them."""
    seen = [LANDMARKS + units * layer for layer in range(layers + 1)]
    return [i * o for i, o in zip(seen, [*[units] * layers, TARGETS], strict=True)]


def dgex_cost(layers: int, units: int, precision: str) -> tuple[float, float]:
    """FLOP and bytes of a step: three products for each weight, two for those of the landmarks."""
    weights = halves_of(layers, units)
    flop = HALVES * 2 * BATCH * (3 * sum(weights) - weights[0])
    return flop, HALVES * sum(weights) * SGD_BYTES[precision]


def ggan_cost(layers: int, units: int, precision: str) -> tuple[float, float]:
    """FLOP and bytes of both players' steps.

    The generator sees two passes; the discriminator real and inferred profiles, forward and back,
    and then inferred ones for the generator, forward and back to its inputs.
    """
    generator = sum(dense_of(layers, units))
    critic = CRITICS * (LANDMARKS + TARGETS + 1)
    flop = 2 * BATCH * (2 * 3 * generator + (2 * 3 + 2) * critic)
    return flop, (generator + critic) * ADAM_BYTES[precision]


def dgex(layers: int, units: int, precision: str) -> Step:
    """A step of D-GEX."""
    params = dgex_methods()[0].values("paper", {})
    params |= {"layers": layers, "units": units, "precision": precision, "lr": 1e-6}
    learner = Networks(LANDMARKS, TARGETS, params, Context(device=DEVICE))
    learner.begin_epoch(1)
    x, y = torch.randn(BATCH, LANDMARKS), torch.randn(BATCH, TARGETS)
    x, y = x.to(DEVICE), y.to(DEVICE)
    return lambda: learner.step(x, y)


def ggan(layers: int, units: int, precision: str, *, whole: bool = False) -> Step:
    """A step of both of GGAN's players; by whole gradients and torch's Adam, or by our own."""
    params = ggan_methods()[0].values("paper", {})
    params |= {"layers": layers, "units": units, "precision": precision, "disc_units": CRITICS}
    learner = Players(LANDMARKS, TARGETS, DenseGGAN(**params).params, Context(device=DEVICE))
    if whole:
        learner._optimiser = _Whole(learner.network.learnt)  # noqa: SLF001  for this row alone
        critic = learner.discriminator
        critic._adam = _Whole(critic.network.learnt)  # noqa: SLF001
    learner.begin_epoch(250)
    x, y = torch.randn(BATCH, LANDMARKS), torch.randn(BATCH, TARGETS)
    x, y = x.to(DEVICE), y.to(DEVICE)
    return lambda: learner.step(x, y)


def plain_dgex(layers: int, units: int) -> Step:
    """A step of D-GEX as most would write it."""
    networks = [_tanh(layers, units).to(DEVICE) for _ in range(HALVES)]
    every = [parameter for network in networks for parameter in network.parameters()]
    optimiser = torch.optim.SGD(every, lr=1e-6, momentum=0.5)
    batches = _loaded()

    def step() -> None:
        x, y = (values.to(DEVICE) for values in next(batches))
        out = torch.cat([network(x) for network in networks], dim=1)
        _descend((out - y).square().sum(dim=1).mean(), optimiser)

    return step


class _Whole:
    """Adam as torch has it, of gradients that are worked out whole."""

    def __init__(self, weights: Sequence[Weight]) -> None:
        self._masters = [weight.master for weight in weights]
        self._adam = torch.optim.Adam(self._masters, 1e-6)

    def step(self, gradients: Sequence[Gradient], rate: float) -> None:  # noqa: ARG002  its own
        """Descend along gradients, one for each weight."""
        for master, gradient in zip(self._masters, gradients, strict=True):
            master.grad = gradient(slice(None))
        self._adam.step()


def plain_ggan(layers: int, units: int, *, resident: bool = False, stacked: bool = False) -> Step:
    """A step of GGAN as most would write it; with profiles on the device, both passes as one."""
    made, critic = _Dense(layers, units).to(DEVICE), _critic().to(DEVICE)
    creating = torch.optim.Adam(made.parameters(), 1e-6)
    judging = torch.optim.Adam(critic.parameters(), 1e-6)
    batches = _held() if resident else _loaded()

    def step() -> None:
        x, y = (values.to(DEVICE) for values in next(batches))
        one, two = made(x.repeat(2, 1)).chunk(2) if stacked else (made(x), made(x))
        mask = torch.bernoulli(torch.full_like(y, 0.5)) / 0.5
        real = critic(torch.cat([x, y * mask], dim=1))
        fake = critic(torch.cat([x, one.detach() * mask], dim=1))
        _descend(((real - 1).square() + fake.square()).mean() / 2, judging)
        verdict = critic(torch.cat([x, one * mask], dim=1))
        error, apart = (one - y).abs().mean(), (one - two).square().mean()
        _descend(error + 10 * apart + 0.02 * (verdict - 1).square().mean(), creating)

    return step


def _descend(loss: torch.Tensor, optimiser: torch.optim.Optimizer) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


class _Dense(torch.nn.Module):
    """A generator whose layers see all before them."""

    def __init__(self, layers: int, units: int) -> None:
        super().__init__()
        seen = [LANDMARKS + units * layer for layer in range(layers + 1)]
        widths = [*[units] * layers, TARGETS]
        linear = [torch.nn.Linear(i, o) for i, o in zip(seen, widths, strict=True)]
        self.layers = torch.nn.ModuleList(map(weight_norm, linear))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Landmarks to targets."""
        seen = dropout(x, 0.1)
        *hidden, last = self.layers
        for layer in hidden:
            seen = torch.cat([seen, dropout(leaky_relu(layer(seen), 0.2), 0.1)], dim=1)
        return last(seen)


def _critic() -> torch.nn.Sequential:
    return torch.nn.Sequential(
        weight_norm(torch.nn.Linear(LANDMARKS + TARGETS, CRITICS)),
        torch.nn.LeakyReLU(0.2),
        weight_norm(torch.nn.Linear(CRITICS, 1)),
    )


def _tanh(layers: int, units: int) -> torch.nn.Sequential:
    sizes = [LANDMARKS, *[units] * layers]
    hidden = [
        module
        for i, o in pairwise(sizes)
        for module in (torch.nn.Linear(i, o), torch.nn.Tanh(), torch.nn.Dropout(0.1))
    ]
    return torch.nn.Sequential(*hidden, torch.nn.Linear(units, TARGETS // HALVES))


def _loaded() -> Iterator[list[torch.Tensor]]:
    profiles = TensorDataset(torch.randn(4 * BATCH, LANDMARKS), torch.randn(4 * BATCH, TARGETS))
    while True:
        yield from DataLoader(profiles, batch_size=BATCH, shuffle=True)


def _held() -> Iterator[list[torch.Tensor]]:
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
"""GGAN's step; each has what those above it have."""


def ladder(layers: int, units: int, repeats: int) -> Iterator[str]:
    """Lines of the table of one idea after the other."""
    found = least({name: make(layers, units) for name, make in LADDER.items()}, repeats)
    plain = before = next(iter(found.values()))
    for name, spent in found.items():
        times = f"{before / spent:.2f} | {plain / spent:.2f}"
        yield f"| {layers} × {units} | {name} | {1e3 * spent:.1f} | {times} |"
        before = spent


def rows(
    subject: Subject, layers: int, units: int, known: dict[str, Limits], repeats: int
) -> Iterator[str]:
    """Lines of the table for one size."""
    works = {precision: subject.ours(layers, units, precision) for precision in known}
    found = least({"plain": subject.plain(layers, units), **works}, repeats)
    name = f"{subject.title} {layers} × {units}"
    yield f"| {name} | plain | {1e3 * found['plain']:.1f} | | | | 1 |"
    for precision, device in known.items():
        flop, moved = subject.cost(layers, units, precision)
        share = device.floor(flop, moved) / found[precision]
        yield (
            f"| {name} | {precision} | {1e3 * found[precision]:.1f} | {flop / 1e9:,.0f} "
            f"| {moved / 1e9:.2f} | {share:.0%} | {found['plain'] / found[precision]:.1f} |"
        )


def compare(methods: Sequence[str], sizes: Sequence[str], repeats: int) -> None:
    """Print what the device can do, and the table of methods."""
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
    """ProbeMeans and units."""
    layers, units = map(int, size.split("x"))
    return layers, units


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ["1x3000", "3x3000"] + (["3x9000"] if DEVICE == "cuda" else [])
    parser.add_argument("sizes", nargs="*", default=default, help="layers x units, as 3x3000")
    parser.add_argument("--methods", nargs="+", choices=SUBJECTS, default=list(SUBJECTS))
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--ladder", action="store_true", help="GGAN's step, one idea at a time")
    given = parser.parse_args()
    if given.ladder:
        climb(given.sizes, given.repeats)
    else:
        compare(given.methods, given.sizes, given.repeats)
