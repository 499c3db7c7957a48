"""Time to build a large leaderboard, and its size.

    python benchmarks/board.py                     500 runs of each of 10 methods
    python benchmarks/board.py --runs 50           500 runs in all

Goal: 5,000 runs in under 20 s on two cores, and under 15 MB besides the libraries. The records
are made up, but complete: 9,520 genes, 60 to 300 test profiles in groups, every vector that a run
writes, and curves of the methods that have some. There are five protocols, ten sets of
parameters for each method, and as many seeds as the number of runs needs.
"""

from __future__ import annotations

import argparse
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from genebench._util.hashing import key_of
from genebench.leaderboard.assembly import build
from genebench.results.panels import scores_of
from genebench.results.record import (
    RECORD_FORMAT,
    Code,
    Identity,
    PluginOrigin,
    Provenance,
    Record,
    Seal,
    Timing,
)
from genebench.results.store import ResultsStore

GENES, TWINS = 9_520, 445
PROTOCOLS = {"geo": 300, "gtex": 240, "geo-strict": 300, "gtex-strict": 240, "geo-series": 60}
METHODS = ("lsr", "lsr-l1", "lsr-l2", "knn", "knn-ge", "dgex", "ggan", "ggan-fc", "a.mlp", "a.gp")
SETS = 10
GOAL_SECONDS, GOAL_BYTES = 20, 15e6
GENE_METRICS = ("mae", "cc", "rmse", "pearson", "r2")
PROFILE_METRICS = ("profile-mae", "profile-cc", "profile-rmse", "profile-pearson", "profile-r2")


def identities(runs: int) -> Iterator[Identity]:
    """Yield the identity of each run: this many runs of each method."""
    points = product(PROTOCOLS, range(-(-runs // (len(PROTOCOLS) * SETS))), range(SETS))
    for (protocol, seed, number), _ in zip(points, range(runs), strict=False):
        for method in METHODS:
            yield Identity(
                method=method,
                params={
                    "layers": number % 3 + 1, "units": 1000 * (number + 1), "lr": 0.001, "cut": 99
                },
                seed=seed, protocol=protocol, protocol_version=1, train="geo/train",
                validation="geo/validation", test="geo/test", data="0123456789abcdef",
                code=Code(distribution="genebench-made-up", version="1.0", digest="ab" * 8),
                numerics=1,
            )  # fmt: skip


def write(identity: Identity, folder: Path) -> None:
    """Write a record, with vectors that give its scores."""
    key = key_of(identity.model_dump())
    place = METHODS.index(identity.method) + 0.3 * float(identity.params["units"]) / 10_000
    random = np.random.default_rng(int(key[:8], 16))
    vectors = made_up(identity, 0.3 + 0.01 * place, random)
    record = Record(
        format=RECORD_FORMAT, key=key, status="done", identity=identity,
        dataset="u133", preset="paper",
        published_data=False, profiles={"train": 88_807, "validation": 11_101,
        "test": PROTOCOLS[identity.protocol]}, genes={"landmark": 943, "target": GENES},
        choices={"epoch": 180}, notes=(), scores=scores_of(vectors), metrics={},
        constant_truth=0, constant_prediction=0, vectors="", predictions="",
        curves=curves(identity), model_parameters=9_000_000,
        seconds={"fit": 10 * place + random.random(), "predict": 0.5, "score": 0.2},
        timing=Timing(epoch=1), shared_fit=(identity.protocol,),
        peak_memory=3_000_000_000, peak_memory_scope="job",
        failure=None, seal=Seal(level="no", reason="made up"), provenance=provenance(),
    )  # fmt: skip
    ResultsStore(folder).write(record, vectors)


def made_up(identity: Identity, level: float, random: np.random.Generator) -> dict[str, np.ndarray]:
    """Make up vectors of the published size.

    A profile's share of a score is the mean of what its genes add.
    """
    n = PROTOCOLS[identity.protocol]
    truth = np.random.default_rng(0).gamma(8, 0.125, n)  # hard profiles are hard for all
    twin = np.arange(GENES) < TWINS
    vectors: dict[str, np.ndarray] = {
        "gene.id": np.array([f"ENSG{i:011d}" for i in range(GENES)]),
        "gene.twin": twin,
        "profile.id": np.array([f"GSM{i:07d}" for i in range(n)]),
        "profile.group": np.array([f"GSE{i // 4:05d}" for i in range(n)]),
    }
    for metric in GENE_METRICS:
        centre = level if metric in ("mae", "rmse") else 1 - level
        values = np.clip(random.normal(centre, 0.09, GENES), 0, None)
        vectors[f"gene-metric.{metric}"] = values
        if metric not in ("mae", "cc"):
            continue
        for panel, mask in {"all": slice(None), "strict": ~twin, "twin": twin}.items():
            shares = centre * truth * (1 + 0.02 * random.normal(size=n))
            shift = values[mask].mean() - shares.mean()
            vectors[f"profile-share.{metric}.{panel}"] = shares + shift
    return vectors | {f"profile-metric.{m}": random.normal(0.7, 0.05, n) for m in PROFILE_METRICS}


def curves(identity: Identity) -> dict[str, dict[str, tuple[float, ...]]]:
    """Make up a learning curve of 200 epochs, or a path of 30 penalties, or no curve."""
    if identity.method == "lsr":
        return {}
    if identity.method.startswith(("lsr", "knn")):
        path = np.logspace(-1, 4, 30)
        mae = 0.4 + 0.01 * np.log10(path) ** 2
        return {"path": {"lambda": tuple(path), "mae": tuple(mae)}}
    epochs = np.arange(1.0, 201)
    return {
        "learning": {
            "epoch": tuple(epochs),
            "loss": tuple(9 / epochs),
            "mae geo": tuple(0.3 + 0.5 / epochs),
        }
    }


def provenance() -> Provenance:
    """Return the provenance that all records share."""
    return Provenance(
        command="genebench run --dataset u133 --preset paper --methods all --protocol all",
        started="2026-01-01T00:00:00+00:00", host="node17", platform="Linux 6.8 x86_64",
        processor="made up", cpus=32,
        device="cuda", accelerator="NVIDIA H200", python="3.12.1", git={},
        versions=dict.fromkeys(("genebench", "genebench-made-up", "numpy", "torch"), "1.2.3"),
        plugins={"genebench-made-up": PluginOrigin(version="1.0", install="wheel")},
    )  # fmt: skip


def size_of(site: Path) -> int:
    """Return the bytes of all files, without the libraries that scripts share."""
    files = (path for path in site.rglob("*") if path.is_file() and path.parent.name != "vendor")
    return sum(path.stat().st_size for path in files)


def main() -> None:
    """Make up records, build the board, and print its time and size."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=500, help="runs of each of the ten methods")
    parser.add_argument("--folder", type=Path, help="keep the results and the site here")
    arguments = parser.parse_args()
    folder = arguments.folder or Path(tempfile.mkdtemp(prefix="genebench-board-"))
    results = folder / f"results-{arguments.runs}"
    try:
        if not results.exists():
            ResultsStore(results).prepare()
            with ProcessPoolExecutor(2, get_context("spawn")) as pool:
                work = partial(write, folder=results)
                for _ in pool.map(work, identities(arguments.runs), chunksize=20):
                    pass
        start, spent = time.perf_counter(), os.times()
        built = build([results], folder / "site")
        seconds, now = time.perf_counter() - start, os.times()
        cpu = sum(now[:4]) - sum(spent[:4])
        megabytes = size_of(folder / "site") / 1e6
        print(f"{built.runs:,} runs, {built.boards} boards, {len(built.problems)} problems")
        print(f"{seconds:.1f} s ({cpu:.1f} s of processors; goal for 5,000 runs: {GOAL_SECONDS} s)")
        print(f"{megabytes:.2f} MB besides the libraries (goal: {GOAL_BYTES / 1e6:.0f} MB)")
        parts = {
            path.name: size_of(path) / 1e6 for path in (folder / "site").iterdir() if path.is_dir()
        }
        print(", ".join(f"{name} {size:.2f} MB" for name, size in sorted(parts.items())))
    finally:
        if not arguments.folder:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
