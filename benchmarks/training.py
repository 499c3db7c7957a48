"""Time of a training step, beside a plain PyTorch loop and beside the device's own limits.

943 landmarks → 9,520 targets, batches of 200, two networks of the sizes given. For each: the time
of a step in float32 and in bfloat16; its FLOP and the bytes it cannot avoid moving; and the share
reached of the *floor*, the longer of the two at the speed that this device showed in the same run
(one large product, one large copy). ``plain`` is float32 autograd, ``torch.optim.SGD`` and a
``DataLoader``, the same networks and batches. Times are the least of several, taken by turns.

    python benchmarks/training.py 1x3000 3x3000
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch.utils.data import DataLoader, TensorDataset

from genebench import Context
from genebench.training.precision import DTYPES
from genebench_dgex import genebench_methods
from genebench_dgex.method import Networks

LANDMARKS, TARGETS, BATCH, HALVES = 943, 9_520, 200, 2
BYTES = {"float32": 24, "bfloat16": 18}
"""Per weight and step. float32: forward 4, backward 4, velocity 8, weight 8. bfloat16: forward 2,
backward 2, velocity 4, master 8, its copy 2."""
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


def weights_of(layers: int, units: int) -> list[int]:
    """Elements of every weight matrix of one network."""
    sizes = [LANDMARKS, *[units] * layers, TARGETS // HALVES]
    return [i * o for i, o in pairwise(sizes)]


def cost(layers: int, units: int, precision: str) -> tuple[float, float]:
    """FLOP and bytes of a step: three products for each weight, two for those of the landmarks."""
    weights = weights_of(layers, units)
    flop = HALVES * 2 * BATCH * (3 * sum(weights) - weights[0])
    return flop, HALVES * sum(weights) * BYTES[precision]


def dgex(layers: int, units: int, precision: str) -> Step:
    """A step of the plugin."""
    params = genebench_methods()[0].values("paper", {})
    params |= {"layers": layers, "units": units, "precision": precision, "lr": 1e-6}
    learner = Networks(LANDMARKS, TARGETS, params, Context(device=DEVICE))
    learner.begin_epoch(1)
    x, y = torch.randn(BATCH, LANDMARKS), torch.randn(BATCH, TARGETS)
    x, y = x.to(DEVICE), y.to(DEVICE)
    return lambda: learner.step(x, y)


def plain(layers: int, units: int) -> Step:
    """A step as most would write it."""
    networks = [_sequential(layers, units).to(DEVICE) for _ in range(HALVES)]
    every = [parameter for network in networks for parameter in network.parameters()]
    optimiser = torch.optim.SGD(every, lr=1e-6, momentum=0.5)
    batches = _loaded()

    def step() -> None:
        x, y = (values.to(DEVICE) for values in next(batches))
        optimiser.zero_grad()
        out = torch.cat([network(x) for network in networks], dim=1)
        loss = (out - y).square().sum(dim=1).mean()
        loss.backward()
        optimiser.step()

    return step


def _sequential(layers: int, units: int) -> torch.nn.Sequential:
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


def rows(layers: int, units: int, known: dict[str, Limits], repeats: int) -> Iterator[str]:
    """Lines of the table for one size."""
    works: dict[str, Step] = {precision: dgex(layers, units, precision) for precision in known}
    found = least({"plain": plain(layers, units), **works}, repeats)
    yield f"| D-GEX {layers} × {units} | plain | {1e3 * found['plain']:.1f} | | | | 1 |"
    for precision, device in known.items():
        flop, moved = cost(layers, units, precision)
        share = device.floor(flop, moved) / found[precision]
        yield (
            f"| D-GEX {layers} × {units} | {precision} | {1e3 * found[precision]:.1f} | "
            f"{flop / 1e9:,.0f} | {moved / 1e9:.2f} | {share:.0%} | "
            f"{found['plain'] / found[precision]:.1f} |"
        )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = ["1x3000", "3x3000"] + (["3x9000"] if DEVICE == "cuda" else [])
    parser.add_argument("sizes", nargs="*", default=default, help="layers x units, as 3x3000")
    parser.add_argument("--repeats", type=int, default=7)
    given = parser.parse_args()
    measured = {precision: limits(precision) for precision in BYTES}
    for precision, device in measured.items():
        speed = f"{device.flops / 1e12:.2f} TFLOP/s, {device.bytes / 1e9:.0f} GB/s"
        print(f"{DEVICE}, {precision}: {speed}")
    print("\n| networks | step | ms | GFLOP | GB | share of floor | × plain |")
    print("|---|---|---|---|---|---|---|")
    for size in given.sizes:
        number, width = map(int, size.split("x"))
        for line in rows(number, width, measured, given.repeats):
            print(line, flush=True)
