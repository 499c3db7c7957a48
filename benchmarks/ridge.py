"""LSR-L2's whole λ path against scikit-learn's Ridge fitted once for each λ.

Both sides fit all targets, compare every λ by MAE on the same validation profiles, and must choose
the same λ. They run in one process, with the same threads and float32 input in memory, by turns.
The least of a few runs counts. Processor time, best with ``--threads 1``, is disturbed least by
other work.

Usage: ``python benchmarks/ridge.py [--profiles 20000 --landmarks 943 --targets 2000 --lambdas 20]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from genebench import Context, Profiles
from genebench._util.threads import cpu_count
from genebench_linear.method import LSRL2

VALIDATION_PROFILES = 2_000


def correlated(profiles: int, landmarks: int, targets: int) -> tuple[Profiles, Profiles]:
    """Generate training and validation profiles of forty shared factors and noise."""
    random = np.random.default_rng(0)
    loadings = random.normal(size=(40, landmarks + targets)) / 6
    factors = random.standard_normal((profiles + VALIDATION_PROFILES, 40))
    values = factors @ loadings + 0.6 * random.standard_normal((len(factors), loadings.shape[1]))
    parts = values[:profiles], values[profiles:]
    return tuple(Profiles.from_arrays(v[:, :landmarks], v[:, landmarks:]) for v in parts)


def timed(works: list[Callable[[], float]], repeats: int) -> list[tuple[np.ndarray, float]]:
    """Return for each its least seconds, of the clock and of processors, and its chosen λ."""
    results = [(np.full(2, np.inf), 0.0)] * len(works)
    for _ in range(repeats):
        for index, work in enumerate(works):
            start = np.array([time.perf_counter(), time.process_time()])
            chosen = work()
            spent = np.array([time.perf_counter(), time.process_time()]) - start
            results[index] = np.minimum(results[index][0], spent), chosen
    return results


def ours(train: Profiles, validation: Profiles, grid: np.ndarray) -> float:
    """Return the λ that the plugin chooses, moments included."""
    method = LSRL2(lambda_min=grid[0], lambda_max=grid[-1], lambdas=len(grid), per_gene=False)
    return method.fit(train, {"validation": validation}, Context())["validation"].choices["lambda"]


def theirs(train: Profiles, validation: Profiles, grid: np.ndarray) -> float:
    """Return the λ that is best with one ``Ridge`` for each."""
    errors = [
        np.abs(
            Ridge(alpha=penalty).fit(train.landmarks, train.targets).predict(validation.landmarks)
            - validation.targets
        ).mean()
        for penalty in grid
    ]
    return float(grid[np.argmin(errors)])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", type=int, default=20_000)
    parser.add_argument("--landmarks", type=int, default=943)
    parser.add_argument("--targets", type=int, default=2_000)
    parser.add_argument("--lambdas", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--threads", type=int, default=cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    sets = correlated(arguments.profiles, arguments.landmarks, arguments.targets)
    for part in sets:
        part.landmarks, part.targets  # noqa: B018  in memory for both sides
    grid = np.geomspace(1, 1e6, arguments.lambdas)
    with threadpool_limits(arguments.threads):
        sides = timed([lambda: ours(*sets, grid), lambda: theirs(*sets, grid)], arguments.repeats)
    (mine, chosen), (_, peer_chosen) = sides
    assert np.isclose(chosen, peer_chosen), (chosen, peer_chosen)
    names = "`lsr-l2`", f"`Ridge` once per λ, {arguments.lambdas} λ"
    print("| | s | processor s | λ | × ours | in processor s |\n|---|---|---|---|---|---|")
    for name, (spent, penalty) in zip(names, sides, strict=True):
        cells = *(f"{part:.1f}" for part in spent), f"{penalty:.3g}"
        print(f"| {' | '.join((name, *cells, *(f'{part:.1f}' for part in spent / mine)))} |")
