"""LSR-L1's solver against one lasso for each target: scikit-learn, with and without Gram, celer.

Every side starts from zero weights, may use the same threads, and stops at a duality gap of 1e-4 of
``‖y‖²`` (the peers halve the objective, so their ``tol`` is half of it). The gap of what each one
returns is computed here from its own residual, in one way for all. Ours gets float32 profiles and
its time, the mean of three runs, includes the moments. The peers get centred float64 columns in
the order that they like best, need no intercept and copy nothing; they fit the first few targets,
and their time is scaled up to all (Gram matrix: once). λ is 2·n·alpha.

Usage: ``python benchmarks/lasso.py [--profiles 20000 --targets 100 --ratios 0.05 0.001]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import celer
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import Lasso as Peer

from genebench import Profiles
from genebench.moments import moments
from genebench_linear.lasso import Lasso, Products, relative_gap

GAP = 1e-4
MOST = 10_000
Array = NDArray[np.float64]


class Timed(NamedTuple):
    """Seconds for all targets, and weights (landmarks × targets) of those that were fitted."""

    name: str
    seconds: float
    weights: Array


def correlated(profiles: int, landmarks: int, targets: int) -> Profiles:
    """Sixty shared factors of falling strength, and noise: a condition number of some thousands."""
    random = np.random.default_rng(0)
    strength = np.geomspace(1, 0.05, 60)[:, None]
    loadings = strength * random.normal(size=(60, landmarks + targets)) / 2
    values = random.standard_normal((profiles, 60)) @ loadings
    values += 0.25 * random.standard_normal(values.shape)
    values /= values.std(0)
    return Profiles.from_arrays(values[:, :landmarks], values[:, landmarks:])


def clock(work: Callable[[], Array]) -> tuple[float, Array]:
    """Seconds and result."""
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def ours(train: Profiles, ratio: float) -> Timed:
    """Moments, then all targets at once."""

    def work() -> Array:
        lasso = Lasso(moments(train), gap=GAP)
        return lasso.solve(ratio * lasso.penalty_max, lasso.zero()).weights.double().numpy()

    runs = [clock(work) for _ in range(3)]
    return Timed("`lsr-l1`", sum(seconds for seconds, _ in runs) / 3, runs[0][1])


def peers(x: Array, y: Array, alpha: float, fitted: int) -> list[Timed]:
    """Each peer on a few targets, one by one."""
    options = {"alpha": alpha, "fit_intercept": False, "tol": GAP / 2, "max_iter": MOST}
    seconds, gram = clock(lambda: x.T @ x)
    sides = {
        "scikit-learn `Lasso`": (Peer(**options, copy_X=False), 0.0),
        "scikit-learn `Lasso(precompute=Gram)`": (
            Peer(**options, copy_X=False, precompute=gram), seconds,
        ),
        "celer `Lasso`": (celer.Lasso(**options), 0.0),
    }  # fmt: skip
    celer.Lasso(**options).fit(x[:50, :5].copy(order="F"), y[:50, 0])  # compiles nothing twice
    timed = []
    for name, (model, once) in sides.items():
        taken = [
            clock(lambda m=model, t=target: m.fit(x, y[:, t]).coef_.copy())
            for target in range(fitted)
        ]
        mean = sum(seconds for seconds, _ in taken) / fitted
        weights = np.stack([weights for _, weights in taken], axis=1)
        timed.append(Timed(name, once + mean * y.shape[1], weights))
    return timed


def worst_gap(products: Products, penalty: float, weights: Array) -> float:
    """The largest gap of the targets that were fitted (the first), by their own residuals."""
    given = torch.from_numpy(weights)
    fitted = products.only(torch.arange(given.shape[1]))
    return float(relative_gap(fitted, penalty, given, given).max())


def compare(train: Profiles, ratio: float, fitted: int) -> None:
    """Print the rows of one λ."""
    x, y = (part.astype(np.float64, order="F") for part in (train.landmarks, train.targets))
    x -= x.mean(0)
    y -= y.mean(0)
    products = Products(*(torch.from_numpy(part) for part in (x.T @ x, x.T @ y, (y**2).sum(0))))
    penalty = ratio * 2 * float(products.xy.abs().max())
    mine = ours(train, ratio)
    for side in (*peers(x, y, penalty / (2 * len(x)), fitted), mine):
        gap, used = worst_gap(products, penalty, side.weights), (side.weights != 0).mean()
        times = side.seconds / mine.seconds
        print(f"| {ratio:g} | {side.name} | {side.seconds:.2f} | {gap:.1e} | {used:.0%} | ", end="")
        print(f"{times:.0f} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--landmarks", type=int, default=943)
    parser.add_argument("--targets", type=int, default=100)
    parser.add_argument("--peer-targets", type=int, default=3, help="fitted by each peer")
    parser.add_argument("--ratios", type=float, nargs="+", default=[0.05, 0.001], help="λ / λ_max")
    given = parser.parse_args()
    data = correlated(given.profiles, given.landmarks, given.targets)
    print("| λ/λ_max | | s | worst gap | not zero | × ours |\n|---|---|---|---|---|---|")
    for share in given.ratios:
        compare(data, share, min(given.peer_targets, given.targets))
