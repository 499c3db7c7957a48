"""LSR-L1's solver against one lasso for each target: scikit-learn, with and without Gram, celer.

There are two questions. The first is the time for single λ, from zero weights. The second is the
time for the method's path, warm-started from λ_max to where its patience ends on other profiles.
Every side may use the same threads. It stops at a duality gap of 1e-4 of ``‖y‖²`` by its own dual
point (the peers halve the objective, so their ``tol`` is half of it). All results are compared in
one way: by how far the objective is above the best lower bound from the dual points of all sides.

Ours gets float32 profiles. Its time, the least of three runs, includes the moments. "Products
given" compares solving alone. It leaves out our moments and the peers' Gram matrix, but counts the
products of landmarks and a target, which the peers form for each target. The peers get centred
float64 columns in the order that suits them best, need no intercept and copy nothing. They fit the
first few targets, and their time is scaled up to all (Gram matrix: once). λ is 2·n·alpha. Processor
time, best with ``--threads 1``, is disturbed least by other work.

Usage: ``python benchmarks/lasso.py [--profiles 20000 --targets 100 --ratios 0.05 0.001]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import celer
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import lasso_path
from threadpoolctl import threadpool_limits

from genebench import Context, Profiles
from genebench._util.threads import cpu_count
from genebench.moments import Moments, moments
from genebench_linear import genebench_methods
from genebench_linear.l1 import LSRL1
from genebench_linear.lasso import Lasso, Products, Solution, relative_gap

GAP = 1e-4
MAX_ITERATIONS = 10_000
VALIDATION_PROFILES = 2_000
Array = NDArray[np.float64]
Seconds = NDArray[np.float64]
"""Seconds of the clock, and of processors."""


class Side(NamedTuple):
    """One side of the comparison.

    Attributes:
        name: as printed.
        seconds: its time for all targets.
        weights: λ × landmarks × targets, of the targets that it fitted.
        products: the part of ``seconds`` for the Gram matrix, or for all moments.
        gaps: its own duality gaps, λ × targets. None: they are computed from its residuals.
    """

    name: str
    seconds: Seconds
    weights: Array
    products: Seconds
    gaps: Array | None = None


def correlated(profiles: int, landmarks: int, targets: int) -> tuple[Profiles, Profiles]:
    """Generate profiles of 60 shared factors and noise, with a condition number of some thousands.

    Returns:
        Training and validation profiles.
    """
    random = np.random.default_rng(0)
    strength = np.geomspace(1, 0.05, 60)[:, None]
    loadings = strength * random.normal(size=(60, landmarks + targets)) / 2
    values = random.standard_normal((profiles + VALIDATION_PROFILES, 60)) @ loadings
    values += 0.25 * random.standard_normal(values.shape)
    values /= values.std(0)
    parts = values[:profiles], values[profiles:]
    return tuple(Profiles.from_arrays(v[:, :landmarks], v[:, landmarks:]) for v in parts)


def clock(work: Callable[[], Any]) -> tuple[Seconds, Any]:
    """Do some work, and return its seconds and its result."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work()
    return np.array([time.perf_counter(), time.process_time()]) - start, result


def ours(train: Profiles, ratios: list[float]) -> Side:
    """Compute the moments, then solve for all targets at once, from one λ to the next."""

    def solve(train_moments: Moments) -> list[Solution]:
        lasso = Lasso(train_moments, gap=GAP)
        solutions = [lasso.zero()]
        for ratio in ratios:
            solutions.append(lasso.solve(ratio * lasso.penalty_max, solutions[-1]))
        return solutions[1:]

    before, train_moments = min((clock(lambda: moments(train)) for _ in range(3)), key=by_processor)
    after, solutions = min(
        (clock(lambda: solve(train_moments)) for _ in range(3)), key=by_processor
    )
    weights = np.stack([solution.weights.double().numpy() for solution in solutions])
    gaps = np.stack([solution.gap.numpy() for solution in solutions])
    return Side("`lsr-l1`", before + after, weights, before, gaps)


def by_processor(run: tuple[Seconds, Any]) -> float:
    """Return the processor seconds of a run."""
    return float(run[0][1])


def by_scikit_learn(x: Array, y: Array, alphas: Array, gram: Array | bool) -> Array:
    """Call the function that ``Lasso.fit`` calls, and return landmarks × λ for one target."""
    options = {"copy_X": False, "tol": GAP / 2, "max_iter": MAX_ITERATIONS}
    return lasso_path(x, y, alphas=alphas, precompute=gram, **options)[1]


def by_celer(x: Array, y: Array, alphas: Array) -> Array:
    """Return the same by celer."""
    return celer.celer_path(x, y, "lasso", alphas=alphas, tol=GAP / 2, max_iter=MAX_ITERATIONS)[1]


def peers(x: Array, y: Array, alphas: Array, fitted: int, names: list[str]) -> list[Side]:
    """Run each peer on a few targets, one by one."""
    nothing = np.zeros(2)
    once, gram = clock(lambda: x.T @ x)
    sides = {
        "Lasso": ("scikit-learn `Lasso`", partial(by_scikit_learn, gram=False), nothing),
        "Gram": ("the same with `precompute=Gram`", partial(by_scikit_learn, gram=gram), once),
        "celer": ("celer", by_celer, nothing),
    }
    by_celer(x[:50, :5].copy(order="F"), y[:50, 0], alphas)  # so that compiling is not timed
    results = []
    for name, path, before in (sides[name] for name in names):
        runs = [clock(lambda p=path, t=t: p(x, y[:, t], alphas=alphas)) for t in range(fitted)]
        mean = np.mean([seconds for seconds, _ in runs], axis=0)
        weights = np.stack([weights.T for _, weights in runs], axis=2)
        results.append(Side(name, before + mean * y.shape[1], weights, before))
    return results


def above_the_best_bound(products: Products, penalties: Array, sides: list[Side]) -> Array:
    """Return how far each objective is above its minimum at most: sides × λ × targets, of ‖y‖²."""
    fitted = min(side.weights.shape[2] for side in sides)
    few = products.only(torch.arange(fitted))
    objectives, bounds = [], []
    for side in sides:
        for step, penalty in enumerate(penalties):
            weights = torch.from_numpy(side.weights[step, :, :fitted])
            square = few.yy + (weights * (few.xx @ weights - 2 * few.xy)).sum(0)
            objectives.append(((square + penalty * weights.abs().sum(0)) / few.yy).numpy())
            if side.gaps is None:
                gap = relative_gap(few, float(penalty), weights, weights).numpy()
            else:
                gap = side.gaps[step, :fitted]
            bounds.append(objectives[-1] - gap)
    shape = len(sides), len(penalties), fitted
    return np.reshape(objectives, shape) - np.reshape(bounds, shape).max(axis=0)


def compare(train: Profiles, ratios: list[float], fitted: int, names: list[str]) -> None:
    """Print the rows of one path, or of one λ."""
    x, y = (part.astype(np.float64, order="F") for part in (train.landmarks, train.targets))
    x -= x.mean(0)
    y -= y.mean(0)
    products = Products(*(torch.from_numpy(part) for part in (x.T @ x, x.T @ y, (y**2).sum(0))))
    penalties = np.array(ratios) * 2 * float(products.xy.abs().max())
    mine = ours(train, ratios)
    sides = [*peers(x, y, penalties / (2 * len(x)), fitted, names), mine]
    what = f"{ratios[-1]:.2g}" if len(ratios) == 1 else f"{len(ratios)} λ to {ratios[-1]:.2g}"
    for side, gaps in zip(sides, above_the_best_bound(products, penalties, sides), strict=True):
        cells = (what, side.name, *(f"{part:.2f}" for part in side.seconds))
        solving = (side.seconds - side.products) / (mine.seconds - mine.products)
        ratios_to_ours = *(side.seconds / mine.seconds), solving[1]
        times = (f"{part:.1f}" for part in ratios_to_ours)
        used = f"{(side.weights[-1] != 0).mean():.0%}"
        print(f"| {' | '.join((*cells, f'{gaps.max():.1e}', used, *times))} |", flush=True)


def way_down(train: Profiles, validation: Profiles) -> list[float]:
    """Return λ / λ_max of the method's path with its default parameters."""
    spec = next(spec for spec in genebench_methods() if spec.name == "lsr-l1")
    method = LSRL1(**{param.name: param.default for param in spec.params})
    path = method.fit(train, {"validation": validation}, Context())["validation"].curves["path"][
        "lambda"
    ]
    return [penalty / path[0] for penalty in path]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--landmarks", type=int, default=943)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--peer-targets", type=int, default=3, help="fitted by each peer")
    parser.add_argument("--ratios", type=float, nargs="*", default=[0.05, 0.001], help="λ / λ_max")
    parser.add_argument("--path-peers", nargs="*", default=["Gram"], help="also: Lasso, celer")
    parser.add_argument("--peers", nargs="*", default=["Lasso", "Gram", "celer"])
    parser.add_argument("--threads", type=int, default=cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    parts = correlated(arguments.profiles, arguments.landmarks, arguments.targets)
    number = min(arguments.peer_targets, arguments.targets)
    print(
        "| λ/λ_max | | s | processor s | worst gap | not zero | × ours | in processor s "
        "| products given |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with threadpool_limits(arguments.threads):
        for ratio in arguments.ratios:
            compare(parts[0], [ratio], number, arguments.peers)
        if arguments.path_peers:
            compare(parts[0], way_down(*parts), number, arguments.path_peers)
