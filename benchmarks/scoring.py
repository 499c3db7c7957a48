"""Scoring MAE and CC in blocks against straightforward numpy and scipy, at the published size.

    python benchmarks/scoring.py [--profiles 11101] [--targets 9520] [--repeats 1] [--all]

Claim: MAE and CC of 11,101 profiles × 9,520 targets, with what each profile adds to them, at least
five times as fast as a loop over genes with numpy and ``scipy.stats``, in less than 1 GB.
Truth and prediction are generated as float32 ``.npy`` files (423 MB each) in TMPDIR. Every side is
a separate process that reads the files from the page cache. It loads them (the loop and
whole-matrix numpy) or maps them (genebench). Sides take turns, and the table has the least of their
times, without imports. Processor time is disturbed less by other work. Peak memory counts the
interpreter and its libraries. All sides must give the same scores.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from tabulate import tabulate

BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024
ROWS = 512
TOLERANCE = 1e-5
"""Largest difference of scores computed in float32."""

Scores = dict[str, float]


class Measured(NamedTuple):
    """Time, memory and scores of one side."""

    seconds: float
    processor: float
    peak: float
    scores: Scores


def generate(folder: Path, n_profiles: int, n_targets: int) -> Scores:
    """Write truth, and a prediction that explains most of it."""
    random = np.random.default_rng(0)
    shape = (n_profiles, n_targets)
    files = [
        np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.float32, shape)
        for name in ("truth", "prediction")
    ]
    for start in range(0, n_profiles, ROWS):
        noise = random.standard_normal(
            (2, min(ROWS, n_profiles - start), n_targets), dtype=np.float32
        )
        files[0][start : start + ROWS] = noise[0]
        files[1][start : start + ROWS] = np.float32(0.8) * noise[0] + np.float32(0.3) * noise[1]
    return {}


def loop(folder: Path) -> Scores:
    """Score one gene after the other, as it is usually written."""
    from scipy.stats import pearsonr

    truth, prediction = np.load(folder / "truth.npy"), np.load(folder / "prediction.npy")
    mae, cc = [], []
    for gene in range(truth.shape[1]):
        y, guess = truth[:, gene], prediction[:, gene]
        mae.append(np.mean(np.abs(guess - y)))
        rho = pearsonr(y, guess).statistic
        spread = np.var(y) + np.var(guess) + (np.mean(y) - np.mean(guess)) ** 2
        cc.append(2 * rho * np.std(y) * np.std(guess) / spread)
    return {"mae": float(np.mean(mae)), "cc": float(np.mean(cc))}


def matrices(folder: Path) -> Scores:
    """Score whole matrices at once, in numpy."""
    y, guess = np.load(folder / "truth.npy"), np.load(folder / "prediction.npy")
    mae = np.abs(guess - y).mean(axis=0)
    a, b = y - y.mean(axis=0), guess - guess.mean(axis=0)
    spread = y.var(axis=0) + guess.var(axis=0) + (y.mean(axis=0) - guess.mean(axis=0)) ** 2
    cc = 2 * (a * b).mean(axis=0) / spread
    return {"mae": float(mae.mean()), "cc": float(cc.mean())}


def blocks(folder: Path, *names: str) -> Scores:
    """Score as a job of genebench does."""
    from genebench.data.profiles import Profiles
    from genebench.data.standardisation import Standardiser
    from genebench.metrics.scoring import score
    from genebench.plugins.registry import registry
    from genebench.runs.plan import wanted_metrics

    truth, prediction = (
        np.load(folder / f"{name}.npy", mmap_mode="r") for name in ("truth", "prediction")
    )
    n_profiles, n_targets = truth.shape
    test = Profiles(
        expression=truth,
        rows=np.arange(n_profiles),
        standardiser=Standardiser.identity(n_targets),
        profiles=pd.DataFrame(index=_names("P", n_profiles)),
        landmark_genes=_genes([]),
        target_genes=_genes(_names("T", n_targets)),
    )
    offered = registry()
    chosen = offered.metrics.choose(names) if names else wanted_metrics(offered)
    scored = score(test, prediction, chosen)
    assert not scored.faults, scored.faults
    return {name: panels["all"].mean for name, panels in scored.scores().items()}


def _names(letter: str, number: int) -> list[str]:
    return [f"{letter}{i}" for i in range(number)]


def _genes(ids: list[str]) -> pd.DataFrame:
    twin = np.arange(len(ids)) % 21 == 0
    return pd.DataFrame({"symbol": ids, "probes": "", "twin": twin}, index=ids)


def measured(work: Callable[..., Scores], *arguments: object) -> Measured:
    """Do some work in this process, and measure it."""
    import scipy.stats  # noqa: F401  no side's imports are timed

    from genebench.metrics import scoring  # noqa: F401
    from genebench.plugins.registry import registry

    registry()
    start, processor = time.perf_counter(), time.process_time()
    scores = work(*arguments)
    seconds, processor = time.perf_counter() - start, time.process_time() - processor
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT
    return Measured(seconds, processor, peak / 1e6, scores)


def apart(work: Callable[..., Scores], *arguments: object) -> Measured:
    """Do some work in a fresh process, and measure it there."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, work, *arguments).result()


def compare(folder: Path, repeats: int, *, everything: bool) -> str:
    """Run every side by turns, and return a table in Markdown."""
    sides: dict[str, tuple[object, ...]] = {
        "genebench, MAE and CC with shares": (blocks, folder, "mae", "cc"),
        "whole matrices, numpy": (matrices, folder),
        "loop over genes, numpy and scipy": (loop, folder),
    }
    if everything:
        costly = ("spearman", "recall", "profile-spearman", "profile-recall")
        sides["genebench, whatever is not costly"] = (blocks, folder)
        sides |= {f"genebench, {name} alone": (blocks, folder, name) for name in costly}
    runs: dict[str, list[Measured]] = {name: [] for name in sides}
    for _ in range(repeats):
        for name, (work, *arguments) in sides.items():
            runs[name].append(apart(work, *arguments))  # type: ignore[arg-type]
    for name, (first, *_) in runs.items():
        if {"mae", "cc"} <= first.scores.keys():
            for metric, value in runs["loop over genes, numpy and scipy"][0].scores.items():
                assert abs(first.scores[metric] - value) < TOLERANCE, (name, metric)
    return _table(runs)


def _table(runs: dict[str, list[Measured]]) -> str:
    seconds = {name: min(run.seconds for run in side) for name, side in runs.items()}
    processor = {name: min(run.processor for run in side) for name, side in runs.items()}
    first = next(iter(runs))
    rows = [
        (
            name,
            f"{seconds[name]:.1f}",
            f"{seconds[name] / seconds[first]:.1f} ×",
            f"{processor[name]:.1f}",
            f"{processor[name] / processor[first]:.1f} ×",
            f"{max(run.peak for run in side):,.0f}",
        )
        for name, side in runs.items()
    ]
    return tabulate(rows, ("side", "s", "", "processor s", "", "peak MB"), "pipe")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time scoring against numpy and scipy.")
    parser.add_argument("--profiles", type=int, default=11_101)
    parser.add_argument("--targets", type=int, default=9_520)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--all", action="store_true", help="other metrics of genebench, too")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        # In a separate process too: a process starts with the peak memory of its parent.
        apart(generate, Path(scratch), arguments.profiles, arguments.targets)
        print(compare(Path(scratch), arguments.repeats, everything=arguments.all))
