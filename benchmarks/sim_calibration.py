"""Print the calibration table of ``docs/explanation/simulation.md``: simple methods on ``sim``.

    python benchmarks/sim_calibration.py [preset]

Every number is the mean ± standard deviation over target genes. The simulation should resemble the
table published with GGAN (Wang et al. 2018).
"""

from __future__ import annotations

import copy
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from genebench.data.store import DataStore
from genebench.datasets import sim
from genebench.preprocessing.recipe import prepare
from genebench.specs import Part

Matrix = NDArray[np.floating]
Pair = tuple[Matrix, Matrix]
"""Landmarks and targets, profiles × genes, standardised."""
Predictor = Callable[[Matrix], Matrix]
Candidates = dict[float, Predictor]

PARTS = {
    "train": Part(platform="geo", split="train"),
    "geo validation": Part(platform="geo", split="validation"),
    "geo test": Part(platform="geo", split="test"),
    "gtex validation": Part(platform="1000g"),
    "gtex test": Part(platform="gtex"),
}
PROTOCOLS = ("geo", "gtex")
PUBLISHED = {
    "LSR": ("0.3763 ± 0.0844", "0.8227 ± 0.0956", "0.4704 ± 0.1235", "0.7184 ± 0.2072"),
    "LSR-L2": ("0.3758 ± 0.0842", "0.8223 ± 0.0959", "0.4682 ± 0.1233", "0.7181 ± 0.2076"),
    "KNN-GE": ("0.5866 ± 0.0698", "0.5721 ± 0.3415", "0.6520 ± 0.0982", "0.3941 ± 0.4124"),
    "neural net": ("0.3204 ± 0.0879", "0.8690 ± 0.0899", "0.4393 ± 0.1239", "0.7337 ± 0.2072"),
}  # fmt: skip
EPOCHS, UNITS, BATCH = 60, 500, 100


def read(size: sim.Size, name: str) -> dict[str, Pair]:
    """Prepare a simulation of ``size`` by the published recipe, and read its parts."""
    with tempfile.TemporaryDirectory() as folder:
        dataset = prepare(sim.build(name, size), store=DataStore(Path(folder)))
        parts = {key: dataset.profiles(part) for key, part in PARTS.items()}
        return {key: (part.landmarks, part.targets) for key, part in parts.items()}


def mae(truth: Matrix, prediction: Matrix) -> Matrix:
    """Return the mean absolute error of each gene."""
    return np.asarray(abs(truth - prediction).mean(axis=0))


def concordance(truth: Matrix, prediction: Matrix) -> Matrix:
    """Return Lin's concordance of each gene."""
    covariance = ((truth - truth.mean(0)) * (prediction - prediction.mean(0))).mean(0)
    spread = truth.var(0) + prediction.var(0) + (truth.mean(0) - prediction.mean(0)) ** 2
    return np.asarray(2 * covariance / spread)


def train_mean(train: Pair) -> Candidates:
    """Predict the mean of every gene."""
    mean = train[1].mean(0, keepdims=True)
    return {0: lambda landmarks: np.repeat(mean, len(landmarks), axis=0)}


def ridge(train: Pair, penalties: tuple[float, ...]) -> Candidates:
    """Fit linear models with an unpenalised bias, by penalty."""
    x, y = (part.astype(np.float64) for part in train)
    centre, mean = x.mean(0), y.mean(0)
    gram, cross = (x - centre).T @ (x - centre), (x - centre).T @ (y - mean)
    return {
        penalty: _linear(np.linalg.solve(gram + penalty * np.eye(len(gram)), cross), centre, mean)
        for penalty in penalties
    }


def _linear(weights: Matrix, centre: Matrix, mean: Matrix) -> Predictor:
    return lambda landmarks: (landmarks - centre) @ weights + mean


def knn_ge(train: Pair) -> Candidates:
    """Predict the mean of the k landmark genes nearest to the target over training profiles."""
    x, y = train
    distance = (x**2).sum(0)[:, None] + (y**2).sum(0) - 2 * x.T @ y
    nearest = distance.argsort(axis=0)
    return {k: _mean_of(nearest[:k]) for k in range(1, min(50, len(nearest)) + 1)}


def _mean_of(nearest: NDArray[np.intp]) -> Predictor:
    return lambda landmarks: landmarks[:, nearest].mean(axis=1)


def chosen(candidates: Candidates, validation: Pair) -> Predictor:
    """Return the candidate with the smallest error on the validation profiles."""
    best = min(
        candidates, key=lambda key: mae(validation[1], candidates[key](validation[0])).mean()
    )
    return candidates[best]


def neural_net(parts: dict[str, Pair]) -> dict[str, Predictor]:
    """Train a net of two hidden layers by L1 once, and return each protocol's best epoch."""
    torch.manual_seed(0)
    landmarks, targets = (torch.from_numpy(np.ascontiguousarray(p)) for p in parts["train"])
    net = _net(landmarks.shape[1], targets.shape[1])
    optimiser = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.LinearLR(optimiser, 1, 0.02, EPOCHS)
    best = dict.fromkeys(PROTOCOLS, (np.inf, _predictor(net)))
    for _ in range(EPOCHS):
        net.train()
        for rows in torch.split(torch.randperm(len(landmarks)), BATCH):
            optimiser.zero_grad()
            (net(landmarks[rows]) - targets[rows]).abs().mean().backward()
            optimiser.step()
        schedule.step()
        for protocol in PROTOCOLS:
            x, y = parts[f"{protocol} validation"]
            error = float(mae(y, _predictor(net)(x)).mean())
            if error < best[protocol][0]:
                best[protocol] = error, _predictor(copy.deepcopy(net))
    return {protocol: predictor for protocol, (_, predictor) in best.items()}


def _net(inputs: int, outputs: int) -> torch.nn.Sequential:
    return torch.nn.Sequential(
        torch.nn.Linear(inputs, UNITS), torch.nn.LeakyReLU(0.2), torch.nn.Dropout(0.1),
        torch.nn.Linear(UNITS, UNITS), torch.nn.LeakyReLU(0.2), torch.nn.Dropout(0.1),
        torch.nn.Linear(UNITS, outputs),
    )  # fmt: skip


def _predictor(net: torch.nn.Sequential) -> Predictor:
    def predict(landmarks: Matrix) -> Matrix:
        net.eval()
        with torch.no_grad():
            return np.asarray(net(torch.from_numpy(np.ascontiguousarray(landmarks))))

    return predict


def noise_floor(quiet: Matrix, truth: Matrix) -> Matrix:
    """Return each gene regressed on itself without noise: the best that a method could do."""
    shift = quiet - quiet.mean(0)
    slope = (shift * truth).mean(0) / (shift**2).mean(0)
    return np.asarray(shift * slope + truth.mean(0))


def row(name: str, truths: list[Matrix], predictions: list[Matrix]) -> str:
    """Return one line of the table."""
    cells = [
        f"{values.mean():.4f} ± {values.std():.4f}"
        for truth, prediction in zip(truths, predictions, strict=True)
        for values in (mae(truth, prediction), concordance(truth, prediction))
    ]
    return line(name, *cells)


def line(*cells: str) -> str:
    """Return cells between bars."""
    return f"| {' | '.join(cells)} |"


def main(preset: str = "small") -> None:
    """Print the table."""
    size = sim.SIZES[preset]
    parts = read(size, preset)
    quiet = read(replace(size, noise=0.0), preset)
    tests = [parts[f"{protocol} test"] for protocol in PROTOCOLS]
    truths = [targets for _, targets in tests]
    print(line("method", "GEO MAE", "GEO CC", "GTEx MAE", "GTEx CC"))
    print("|---|---|---|---|---|")
    methods = {
        "train mean": train_mean(parts["train"]),
        "KNN-GE": knn_ge(parts["train"]),
        "LSR": ridge(parts["train"], (0.0,)),
        "LSR-L2": ridge(parts["train"], tuple(10.0 ** np.arange(-1, 5.5, 0.5))),
    }
    for name, candidates in methods.items():
        best = [chosen(candidates, parts[f"{protocol} validation"]) for protocol in PROTOCOLS]
        print(row(name, truths, [f(x) for f, (x, _) in zip(best, tests, strict=True)]), flush=True)
        if name in PUBLISHED:
            print(line("*published*", *PUBLISHED[name]))
    start = time.perf_counter()
    nets = neural_net(parts)
    net = [nets[protocol](x) for protocol, (x, _) in zip(PROTOCOLS, tests, strict=True)]
    print(row("neural net", truths, net))
    print(line("*published* (D-GEX)", *PUBLISHED["neural net"]))
    floor = [
        noise_floor(quiet[f"{protocol} test"][1], truth)
        for protocol, truth in zip(PROTOCOLS, truths, strict=True)
    ]
    print(row("noise-free expression", truths, floor))
    print(f"\nneural net: 2 × {UNITS} units, {EPOCHS} epochs, {time.perf_counter() - start:.0f} s")
    linear = methods["LSR"][0.0]
    wins = [
        (mae(truth, prediction) < mae(truth, linear(x))).mean()
        for truth, prediction, (x, _) in zip(truths, net, tests, strict=True)
    ]
    print(f"it beats LSR on {wins[0]:.1%} of target genes on GEO, {wins[1]:.1%} on GTEx")


if __name__ == "__main__":
    main(*sys.argv[1:])
