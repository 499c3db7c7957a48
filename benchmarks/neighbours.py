"""KNN against scikit-learn and faiss, KNN-GE against a loop over genes; a markdown table.

    python benchmarks/neighbours.py [--profiles 40000] [--queries 4000] [--targets 100] [--k 50]
                                    [--ge-profiles 20000] [--ge-targets 2000] [--loop-targets 100]

Claims: KNN is at least twice as fast as scikit-learn's brute force and about as fast as the exact
index of faiss, which it also agrees with; KNN-GE tries every k at least fifty times as fast as a
loop over genes does. All sides run in this process with the same number of threads, in turns; the
smallest of their times counts. Data are generated: 40 directions of common variation and noise.

KNN is timed from queries to predictions for one k; what is searched was built before. KNN-GE is
timed from profiles to the error of every k in 1 … 50 on a validation set a tenth of the size; the
loop takes each gene by itself, so it is timed on some genes and multiplied.
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
    """Generated expression, profiles × genes, of about unit variance."""
    loadings = np.random.default_rng(99).normal(size=(FACTORS, n_genes)).astype(np.float32)
    loadings *= np.geomspace(3, 0.3, FACTORS, dtype=np.float32)[:, None] / FACTORS**0.5
    random = np.random.default_rng(seed)
    factors = random.standard_normal((n_profiles, FACTORS), np.float32)
    noise = random.standard_normal((n_profiles, n_genes), np.float32)
    return factors @ loadings + np.float32(NOISE) * noise


def profiles(values: Matrix) -> Profiles:
    """Profiles around an array, taken as it is."""
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
    """KNN for a given k."""
    training = TrainingSet(train, Context())
    return NearestProfiles(training, len(train.target_genes), Choice(k, (), {})).predict


def by_scikit_learn(train: Profiles, k: int) -> Predict:
    """The same by scikit-learn."""
    peer = KNeighborsRegressor(k, algorithm="brute").fit(train.landmarks, train.targets)
    return peer.predict  # type: ignore[no-any-return]


def by_faiss(train: Profiles, k: int) -> Predict:
    """Neighbours by faiss, then their average."""
    index = faiss.IndexFlatL2(LANDMARKS)
    index.add(train.landmarks)

    def predict(queries: Matrix) -> Matrix:
        total = np.zeros((len(queries), train.targets.shape[1]), np.float32)
        for neighbour in index.search(queries, k)[1].T:
            total += train.targets[neighbour]
        return total / np.float32(k)

    return predict


def loop_over_genes(train: Profiles, validation: Profiles) -> NDArray[np.float64]:
    """MAE of KNN-GE for k = 1 … 50, each gene by itself."""
    tried = np.arange(1, K_MAX + 1)
    errors = np.zeros(K_MAX)
    for target, truth in zip(train.targets.T, validation.targets.T, strict=True):
        distance = ((train.landmarks - target[:, None]) ** 2).sum(axis=0)
        nearest = np.argsort(distance)[:K_MAX]
        means = validation.landmarks[:, nearest].cumsum(axis=1) / tried
        errors += np.abs(means - truth[:, None]).mean(axis=0)
    return errors / len(train.target_genes)


def path_of_genebench(train: Profiles, validation: Profiles) -> NDArray[np.float64]:
    """The same by KNN-GE."""
    model = KNNGE(k_max=K_MAX).fit(train, {"validation": validation}, Context())["validation"]
    return np.array(model.curves["path"]["mae"])


def fastest(
    sides: Mapping[str, Callable[[], NDArray[Any]]], repeats: int
) -> tuple[dict[str, float], dict[str, NDArray[Any]]]:
    """The smallest seconds of each side, taken in turns, and what it gave."""
    seconds, gave = dict.fromkeys(sides, np.inf), {}
    for _ in range(repeats):
        for name, work in sides.items():
            start = time.perf_counter()
            gave[name] = work()
            seconds[name] = min(seconds[name], time.perf_counter() - start)
    return seconds, gave


def compare_knn(given: argparse.Namespace) -> list[list[object]]:
    """KNN, scikit-learn and faiss."""
    train = profiles(expression(given.profiles, LANDMARKS + given.targets, 0))
    _ = train.landmarks, train.targets
    queries = expression(given.queries, LANDMARKS, 1)
    works = {"`knn`": by_genebench, "scikit-learn": by_scikit_learn, "faiss": by_faiss}
    sides = {name: partial(build(train, given.k), queries) for name, build in works.items()}
    seconds, predicted = fastest(sides, given.repeats)
    what = f"n = {given.profiles:,}, {given.queries:,} queries, k = {given.k}"
    return _rows(what, seconds, predicted)


def compare_knn_ge(given: argparse.Namespace) -> list[list[object]]:
    """KNN-GE and the loop over genes, on as many genes as the loop takes and on all."""
    values = expression(given.ge_profiles * 11 // 10, LANDMARKS + given.ge_targets, 2)
    some = values[:, : LANDMARKS + given.loop_targets]
    n = given.ge_profiles
    few = [profiles(part) for part in (some[:n], some[n:])]
    _ = [(part.landmarks, part.targets) for part in few]
    loop, path = fastest(
        {"`knn-ge`": lambda: path_of_genebench(*few), "loop": lambda: loop_over_genes(*few)}, 1
    )
    parts = profiles(values[:n]), profiles(values[n:])
    seconds, _ = fastest({"`knn-ge`": lambda: path_of_genebench(*parts)}, given.repeats)
    seconds["loop over genes"] = loop["loop"] * given.ge_targets / given.loop_targets
    path["loop over genes"] = path.pop("loop")
    return _rows(f"n = {n:,}, t = {given.ge_targets:,}, k to {K_MAX}", seconds, path)


def _rows(
    what: str, seconds: Mapping[str, float], gave: Mapping[str, NDArray[Any]]
) -> list[list[object]]:
    ours, *_ = seconds
    return [
        [what, name, spent, spent / seconds[ours], np.abs(gave[name] - gave[ours]).max()]
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
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    faiss.omp_set_num_threads(given.threads)
    with threadpool_limits(given.threads):
        rows = [*compare_knn(given), *compare_knn_ge(given)]
    columns = ["at", "side", "s", "× genebench", "largest difference"]
    print(
        pd.DataFrame(rows, columns=columns).to_markdown(
            index=False, floatfmt=("", "", ".2f", ".2f", ".1e")
        )
    )
