"""KNN against scikit-learn and faiss, KNN-GE against a loop over genes; a markdown table.

    python benchmarks/neighbours.py [--profiles 40000] [--queries 4000] [--targets 100] [--k 50]
                                    [--ge-profiles 20000] [--ge-targets 2000] [--loop-targets 100]

Claims: KNN is at least twice as fast as scikit-learn's brute force and about as fast as the exact
index of faiss, and it agrees with both. KNN-GE tries every k at least fifty times as fast as a loop
over genes. All sides run in this process with the same number of threads, in turns, and the least
of their times counts. Data are generated: 40 directions of common variation and noise.

KNN is timed from queries to predictions for one k, with the index built before. KNN-GE is timed
from profiles to the error of every k in 1 … 50, on a validation set a tenth of the size. The loop
takes one gene after the other, so it is timed on some genes and multiplied.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import faiss
import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.neighbors import KNeighborsRegressor
from threadpoolctl import threadpool_limits

from genebench import Context, Profiles
from genebench._util.threads import cpu_count
from genebench.data.standardisation import Standardiser
from genebench_knn.averages import Choice
from genebench_knn.genes import KNNGE
from genebench_knn.profiles import NearestProfiles, TrainingSet

LANDMARKS, K_MAX, FACTORS, NOISE = 943, 50, 40, 0.6
Matrix = NDArray[np.float32]
Predict = Callable[[Matrix], NDArray[Any]]


def expression(n_profiles: int, n_genes: int, seed: int) -> Matrix:
    """Generate expression of about unit variance: profiles × genes."""
    loadings = np.random.default_rng(99).normal(size=(FACTORS, n_genes)).astype(np.float32)
    loadings *= np.geomspace(3, 0.3, FACTORS, dtype=np.float32)[:, None] / FACTORS**0.5
    random = np.random.default_rng(seed)
    factors = random.standard_normal((n_profiles, FACTORS), np.float32)
    noise = random.standard_normal((n_profiles, n_genes), np.float32)
    return factors @ loadings + np.float32(NOISE) * noise


def profiles(values: Matrix) -> Profiles:
    """Return profiles around an array, whose values are taken as they are."""
    genes = pd.DataFrame({"twin": False}, index=range(values.shape[1]))
    return Profiles(
        expression=values,
        rows=np.arange(len(values)),
        standardiser=Standardiser(np.zeros(values.shape[1]), np.full(values.shape[1], 1 - 1e-3)),
        profiles=pd.DataFrame(index=range(len(values))),
        landmark_genes=genes[:LANDMARKS],
        target_genes=genes[LANDMARKS:],
    )


def by_genebench(train: Profiles, k: int) -> Predict:
    """Return the predictions of KNN for one k."""
    training = TrainingSet(train, Context())
    return NearestProfiles(training, len(train.target_genes), Choice(k, (), {})).predict


def by_scikit_learn(train: Profiles, k: int) -> Predict:
    """Return the same by scikit-learn."""
    peer = KNeighborsRegressor(k, algorithm="brute").fit(train.landmarks, train.targets)
    return peer.predict  # type: ignore[no-any-return]


def by_faiss(train: Profiles, k: int) -> Predict:
    """Return the same by faiss, which gives the neighbours, and numpy."""
    index = faiss.IndexFlatL2(LANDMARKS)
    index.add(train.landmarks)

    def predict(queries: Matrix) -> Matrix:
        total = np.zeros((len(queries), train.targets.shape[1]), np.float32)
        for neighbour in index.search(queries, k)[1].T:
            total += train.targets[neighbour]
        return total / np.float32(k)

    return predict


def loop_over_genes(train: Profiles, validation: Profiles) -> NDArray[np.float64]:
    """Return the MAE of KNN-GE for k = 1 … 50, one gene after the other."""
    tried = np.arange(1, K_MAX + 1)
    errors = np.zeros(K_MAX)
    for target, truth in zip(train.targets.T, validation.targets.T, strict=True):
        distance = ((train.landmarks - target[:, None]) ** 2).sum(axis=0)
        nearest = np.argsort(distance)[:K_MAX]
        means = validation.landmarks[:, nearest].cumsum(axis=1) / tried
        errors += np.abs(means - truth[:, None]).mean(axis=0)
    return errors / len(train.target_genes)


def path_of_genebench(train: Profiles, validation: Profiles) -> NDArray[np.float64]:
    """Return the same by the plugin."""
    model = KNNGE(k_max=K_MAX).fit(train, {"validation": validation}, Context())["validation"]
    return np.array(model.curves["path"]["mae"])


def fastest(
    sides: Mapping[str, Callable[[], NDArray[Any]]], repeats: int
) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
    """Return the least seconds of each side, taken in turns, and its result."""
    seconds, results = dict.fromkeys(sides, np.inf), {}
    for _ in range(repeats):
        for name, work in sides.items():
            start = time.perf_counter()
            results[name] = work()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds, results


def compare_knn(arguments: argparse.Namespace) -> list[list[object]]:
    """Return the rows of KNN, scikit-learn and faiss."""
    train = profiles(expression(arguments.profiles, LANDMARKS + arguments.targets, 0))
    _ = train.landmarks, train.targets
    queries = expression(arguments.queries, LANDMARKS, 1)
    works = {"`knn`": by_genebench, "scikit-learn": by_scikit_learn, "faiss": by_faiss}
    sides = {name: partial(build(train, arguments.k), queries) for name, build in works.items()}
    seconds, predicted = fastest(sides, arguments.repeats)
    what = f"n = {arguments.profiles:,}, {arguments.queries:,} queries, k = {arguments.k}"
    return _rows(what, seconds, predicted)


def compare_knn_ge(arguments: argparse.Namespace) -> list[list[object]]:
    """Return the rows of KNN-GE and of the loop over genes, its time scaled up to all genes."""
    values = expression(arguments.ge_profiles * 11 // 10, LANDMARKS + arguments.ge_targets, 2)
    some = values[:, : LANDMARKS + arguments.loop_targets]
    n = arguments.ge_profiles
    few = [profiles(part) for part in (some[:n], some[n:])]
    _ = [(part.landmarks, part.targets) for part in few]
    loop, path = fastest(
        {"`knn-ge`": lambda: path_of_genebench(*few), "loop": lambda: loop_over_genes(*few)}, 1
    )
    parts = profiles(values[:n]), profiles(values[n:])
    seconds, _ = fastest({"`knn-ge`": lambda: path_of_genebench(*parts)}, arguments.repeats)
    seconds["loop over genes"] = loop["loop"] * arguments.ge_targets / arguments.loop_targets
    path["loop over genes"] = path.pop("loop")
    return _rows(f"n = {n:,}, t = {arguments.ge_targets:,}, k to {K_MAX}", seconds, path)


def _rows(
    what: str, seconds: Mapping[str, float], results: Mapping[str, NDArray[Any]]
) -> list[list[object]]:
    ours, *_ = seconds
    return [
        [what, name, spent, spent / seconds[ours], np.abs(results[name] - results[ours]).max()]
        for name, spent in seconds.items()
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time searches for nearest neighbours.")
    parser.add_argument("--profiles", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--targets", type=int, default=100, help="targets that KNN averages")
    parser.add_argument("--k", type=int, default=50)
    parser.add_argument("--ge-profiles", type=int, default=4000)
    parser.add_argument("--ge-targets", type=int, default=2000)
    parser.add_argument("--loop-targets", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=cpu_count())
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    faiss.omp_set_num_threads(arguments.threads)
    with threadpool_limits(arguments.threads):
        rows = [*compare_knn(arguments), *compare_knn_ge(arguments)]
    columns = ["size", "side", "s", "× genebench", "largest difference"]
    print(
        pd.DataFrame(rows, columns=columns).to_markdown(
            index=False, floatfmt=("", "", ".2f", ".2f", ".1e")
        )
    )
