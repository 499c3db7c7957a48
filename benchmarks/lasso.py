"""LSR-L1's solver against one lasso for each target: scikit-learn, with and without Gram, celer.

Two questions: single λ, sought from zero weights; and the path that the method goes down,
warm-started from λ_max to where its patience ends on other profiles. Every side may use the same
threads and stops at a duality gap of 1e-4 of ``‖y‖²`` by its own dual point (the peers halve the
objective, so their ``tol`` is half of it). What each one returns is judged here in one way for all:
by how far its objective is above the best lower bound that the dual points of all sides give.

Ours gets float32 profiles and its time, the least of three runs, includes the moments. "Products
given" compares solving alone: without our moments and the peers' Gram matrix, but with the products
of landmarks and a target, which the peers form themselves for each. The peers get centred float64
columns in the order that they like best, need no intercept and copy nothing; they fit the first few
targets, and their time is scaled up to all (Gram matrix: once). λ is 2·n·alpha. Processor time,
best with ``--threads 1``, is what other work disturbs least.

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
MOST = 10_000
SELECTION = 2_000
Array = NDArray[np.float64]
Seconds = NDArray[np.float64]
"""Of the clock and of processors."""


class Side(NamedTuple):
    """What one side took for all targets and gave for those that it fitted.

    Attributes:
        weights: λ × landmarks × targets.
        products: of the seconds, those that the Gram matrix took, or all moments.
        gaps: what it certifies itself, λ × targets; None where its residuals tell.
    """

    name: str
    seconds: Seconds
    weights: Array
    products: Seconds
    gaps: Array | None = None


def correlated(profiles: int, landmarks: int, targets: int) -> tuple[Profiles, Profiles]:
    """Sixty shared factors of falling strength, and noise: a condition number of some thousands.

    Returns:
        Training and validation profiles.
    """
    random = np.random.default_rng(0)
    strength = np.geomspace(1, 0.05, 60)[:, None]
    loadings = strength * random.normal(size=(60, landmarks + targets)) / 2
    values = random.standard_normal((profiles + SELECTION, 60)) @ loadings
    values += 0.25 * random.standard_normal(values.shape)
    values /= values.std(0)
    parts = values[:profiles], values[profiles:]
    return tuple(Profiles.from_arrays(v[:, :landmarks], v[:, landmarks:]) for v in parts)


def clock(work: Callable[[], Any]) -> tuple[Seconds, Any]:
    """Seconds and result."""
    start = np.array([time.perf_counter(), time.process_time()])
    result = work()
    return np.array([time.perf_counter(), time.process_time()]) - start, result


def ours(train: Profiles, ratios: list[float]) -> Side:
    """Moments, then all targets at once, from one λ to the next."""

    def solve(found: Moments) -> list[Solution]:
        lasso = Lasso(found, gap=GAP)
        solutions = [lasso.zero()]
        for ratio in ratios:
            solutions.append(lasso.solve(ratio * lasso.penalty_max, solutions[-1]))
        return solutions[1:]

    before, found = min((clock(lambda: moments(train)) for _ in range(3)), key=by_processor)
    after, solutions = min((clock(lambda: solve(found)) for _ in range(3)), key=by_processor)
    weights = np.stack([solution.weights.double().numpy() for solution in solutions])
    gaps = np.stack([solution.gap.numpy() for solution in solutions])
    return Side("`lsr-l1`", before + after, weights, before, gaps)


def by_processor(run: tuple[Seconds, Any]) -> float:
    """Processor seconds of what was clocked."""
    return float(run[0][1])


def by_scikit_learn(x: Array, y: Array, alphas: Array, gram: Array | bool) -> Array:
    """What ``Lasso.fit`` runs: landmarks × λ for one target."""
    options = {"copy_X": False, "tol": GAP / 2, "max_iter": MOST}
    return lasso_path(x, y, alphas=alphas, precompute=gram, **options)[1]


def by_celer(x: Array, y: Array, alphas: Array) -> Array:
    """The same by celer."""
    return celer.celer_path(x, y, "lasso", alphas=alphas, tol=GAP / 2, max_iter=MOST)[1]


def peers(x: Array, y: Array, alphas: Array, fitted: int, names: list[str]) -> list[Side]:
    """Each peer on a few targets, one by one."""
    nothing = np.zeros(2)
    once, gram = clock(lambda: x.T @ x)
    sides = {
        "Lasso": ("scikit-learn `Lasso`", partial(by_scikit_learn, gram=False), nothing),
        "Gram": ("the same with `precompute=Gram`", partial(by_scikit_learn, gram=gram), once),
        "celer": ("celer", by_celer, nothing),
    }
    by_celer(x[:50, :5].copy(order="F"), y[:50, 0], alphas)  # compiles nothing twice
    given = []
    for name, path, before in (sides[name] for name in names):
        runs = [clock(lambda p=path, t=t: p(x, y[:, t], alphas=alphas)) for t in range(fitted)]
        mean = np.mean([seconds for seconds, _ in runs], axis=0)
        weights = np.stack([weights.T for _, weights in runs], axis=2)
        given.append(Side(name, before + mean * y.shape[1], weights, before))
    return given


def above_the_best_bound(products: Products, penalties: Array, sides: list[Side]) -> Array:
    """How far each side's objective is above its minimum at most: sides × λ × targets, of ‖y‖²."""
    fitted = min(side.weights.shape[2] for side in sides)
    few = products.only(torch.arange(fitted))
    objectives, bounds = [], []
    for side in sides:
        for at, penalty in enumerate(penalties):
            weights = torch.from_numpy(side.weights[at, :, :fitted])
            square = few.yy + (weights * (few.xx @ weights - 2 * few.xy)).sum(0)
            objectives.append(((square + penalty * weights.abs().sum(0)) / few.yy).numpy())
            if side.gaps is None:
                gap = relative_gap(few, float(penalty), weights, weights).numpy()
            else:
                gap = side.gaps[at, :fitted]
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
    """λ / λ_max of the path that the method goes down with the parameters that it has."""
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
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    parts = correlated(given.profiles, given.landmarks, given.targets)
    number = min(given.peer_targets, given.targets)
    print(
        "| λ/λ_max | | s | processor s | worst gap | not zero | × ours | in processor s "
        "| products given |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    with threadpool_limits(given.threads):
        for ratio in given.ratios:
            compare(parts[0], [ratio], number, given.peers)
        if given.path_peers:
            compare(parts[0], way_down(*parts), number, given.path_peers)
