"""The sample lasso against scikit-learn's ``Lasso`` for each profile, at an equal duality gap.

The first case has few training profiles, which share one Gram matrix. The second has as many as
are published, and each new profile uses the 2,000 nearest. Times are processor seconds with one
thread. "Solving" is the time from the landmarks of neighbours to weights. "In all" includes the
search for neighbours, copies of their landmarks, and the Gram matrix. The peer gets its neighbours
as float64 in the order that suits it, copies nothing, and fits a few of the profiles. Its time is
that of solving. Both sides solve each problem three times, and the least time counts. So caches
are warm for solving, and not for the time in all. Where queries share a Gram matrix, the peer is
fitted again with the matrix given, as our side is. Fewer queries than the published 11,101 are
measured, because the time is proportional to their number. The last column is the product.

All sides have no intercept, and stop at a gap of 1e-4 of ``‖x‖²`` (the peer halves the objective,
so its ``tol`` is half of it). The gap in the table is computed from the residual in one way for
both sides. Data are generated: 60 factors of falling strength and noise.

Usage: ``python benchmarks/samplewise.py [--profiles 88807 --queries 200 --peer-queries 20]``
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import clone
from sklearn.linear_model import Lasso
from threadpoolctl import threadpool_limits

from genebench_samplewise.method import Solver
from genebench_samplewise.solver import Stop, solve, solve_by_gram
from genebench_samplewise.training import TrainingSet

GAP, ROUNDS, MAX_ITERATIONS = 1e-4, 100, 100_000
FACTORS = 60
Array = NDArray[np.float64]
Matrix = NDArray[np.float32]


class Case(NamedTuple):
    """One row of the table.

    Attributes:
        training: number of training profiles.
        queries: number of queries that are measured.
        published: number of queries at the published size.
        landmarks: number of landmarks.
    """

    training: int
    queries: int
    published: int
    landmarks: int


def expression(profiles: int, genes: int, seed: int) -> Matrix:
    """Generate expression of unit variance: profiles × genes."""
    strength = np.geomspace(1, 0.05, FACTORS, dtype=np.float32)[:, None]
    loadings = np.random.default_rng(99).standard_normal((FACTORS, genes), np.float32) * strength
    random = np.random.default_rng(seed)
    values = random.standard_normal((profiles, FACTORS), np.float32) @ loadings
    values += random.standard_normal((profiles, genes), np.float32)
    return np.asarray(values / np.sqrt((loadings**2).sum(0) + 1), np.float32)


def relative_gap(profile: Array, rows: Array, penalty: float, weights: Array) -> float:
    """Return the duality gap of weights by its definition, relative to ``‖x‖²``."""
    residual = profile - weights @ rows
    along, square = profile @ residual, residual @ residual
    scale = max(min(along / square, penalty / (2 * np.abs(rows @ residual).max())), 0.0)
    primal = square + penalty * np.abs(weights).sum()
    return float((primal - 2 * scale * along + scale**2 * square) / (profile @ profile))


def least(function: Callable[..., object], *arguments: object) -> float:
    """Return the least processor seconds of three calls, when caches are warm."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        function(*arguments)
        seconds.append(time.process_time() - start)
    return min(seconds)


def compare(case: Case, penalty: float, neighbours: int, peer_queries: int) -> None:
    """Print the row of a case."""
    landmarks = expression(case.training, case.landmarks, seed=0)
    queries = expression(case.queries, case.landmarks, seed=1)
    few = min(peer_queries, case.queries)

    warm = Solver(TrainingSet(landmarks[:100], landmarks.__getitem__, 0), 50, Stop(GAP, ROUNDS))
    list(warm.paths(queries[:2], [penalty], False))  # so that compiling is not timed
    start = time.process_time()
    solver = Solver(TrainingSet(landmarks, landmarks.__getitem__, 0), neighbours, Stop(GAP, ROUNDS))
    mixtures = [path[0] for path in solver.paths(queries, [penalty], False)]
    in_all = (time.process_time() - start) / case.queries

    absolute, stop = penalty * case.landmarks, Stop(GAP, ROUNDS)
    gram = None
    if case.training <= neighbours:
        wide = landmarks.astype(np.float64)
        gram = wide @ wide.T
    near = [search() for search in solver.training.searches(queries[:few], neighbours)]
    problems = [(x.astype(np.float64), landmarks[at]) for x, at in zip(queries, near, strict=False)]

    ours, peer, peer_by_gram, gaps, used = 0.0, 0.0, 0.0, [], []
    for profile, rows in problems:
        if gram is None:
            ours += least(solve, profile, rows, np.array([absolute]), stop) / few
        else:
            ours += least(solve_by_gram, profile, rows, np.array([absolute]), stop, gram) / few
    for (profile, rows), positions, mixture in zip(problems, near, mixtures, strict=False):
        wide = rows.astype(np.float64)
        columns = np.asfortranarray(wide.T)
        model = Lasso(
            alpha=absolute / (2 * len(profile)), fit_intercept=False, copy_X=False,
            tol=GAP / 2, max_iter=MAX_ITERATIONS,
        )  # fmt: skip
        peer += least(model.fit, columns, profile) / few
        if gram is not None:
            by_gram = clone(model).set_params(precompute=gram)
            peer_by_gram += least(by_gram.fit, columns, profile) / few
        weights = np.zeros(len(rows))
        weights[np.searchsorted(positions, mixture.donors)] = mixture.weights
        gaps.append([relative_gap(profile, wide, absolute, w) for w in (weights, model.coef_)])
        used.append(len(mixture.donors))
    worst = np.max(gaps, axis=0)
    cells = (
        f"{case.published:,} against {case.training:,}", f"{penalty:g}", f"{np.mean(used):.0f}",
        f"{1e3 * ours:.2f}", f"{1e3 * in_all:.2f}", f"{worst[0]:.0e}", f"{1e3 * peer:.1f}",
        f"{peer_by_gram * 1e3:.1f}" if gram is not None else "–", f"{worst[1]:.0e}",
        f"**{peer / ours:.0f}**", f"{peer_by_gram / ours:.0f}" if gram is not None else "–",
        f"{peer / in_all:.0f}", f"{in_all * case.published:.1f}",
    )  # fmt: skip
    print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--profiles", type=int, default=88_807)
    parser.add_argument("--neighbours", type=int, default=2_000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--peer-queries", type=int, default=20, help="fitted by the peer")
    parser.add_argument("--penalties", type=float, nargs="*", default=[0.06, 0.03])
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    cases = [Case(473, 280, 280, 877), Case(arguments.profiles, arguments.queries, 11_101, 943)]
    print(
        "| queries | penalty | donors | solving, ms | in all, ms | gap | `Lasso`, ms "
        "| with Gram, ms | gap | × solving | × with Gram | × in all | in all, s for all queries |"
    )
    print(f"|{'---|' * 13}")
    with threadpool_limits(1):
        for penalty in arguments.penalties:
            for case in cases:
                compare(case, penalty, arguments.neighbours, arguments.peer_queries)
