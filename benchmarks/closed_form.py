"""The closed-form methods at the published size, both protocols: time and memory of each.

Runs the command that a user would (``genebench run --dataset sim --preset paper``), in a separate
process for each method. The caller chooses the data folder. The first run there generates and
prepares the dataset. With fewer profiles (``--profiles``) of the same genes, the peaks show whether
memory grows with them.

Usage: ``GENEBENCH_HOME=DIR python benchmarks/closed_form.py [--profiles 111009] [METHOD ...]``
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from genebench import api
from genebench.data.store import DataStore
from genebench.datasets.sim import SIZES, build
from genebench.preprocessing.recipe import prepare

METHODS = ["lsr", "lsr-l2", "lsr-l1", "knn-ge", "knn"]
PHASES = ("fit", "predict", "score")


def prepared(preset: str, profiles: int) -> str:
    """Prepare the simulated dataset with this many profiles, unless it exists; return its name."""
    name = f"sim-{preset}-{profiles}"
    if DataStore().open(name) is None:
        prepare(build(preset, replace(SIZES[preset], geo=profiles)), name=name)
    return name


def command(*words: str) -> float:
    """Run a command, and return its seconds."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "genebench", *words], check=True, stdout=subprocess.DEVNULL
    )
    return time.perf_counter() - start


def measure(method: str, words: tuple[str, ...], results: Path) -> None:
    """Print a row: seconds by phase over both protocols, MAE, peak memory."""
    seconds = command("run", "--methods", method, "--protocol", "geo,gtex", *words)
    records = [r for r in api.records(results).records if r.identity.method == method]
    fit = max(record.seconds["fit"] for record in records)
    others = [sum(record.seconds[phase] for record in records) for phase in PHASES[1:]]
    maes = [f"{record.scores['mae']['all'].mean:.4f}" for record in records]
    peak = max(record.peak_memory for record in records) / 1e6
    cells = [f"`{method}`", *(f"{value:.0f}" for value in (fit, *others, seconds)), f"{peak:,.0f}"]
    print(f"| {' | '.join([*cells, *maes])} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("methods", nargs="*", default=METHODS)
    parser.add_argument("--preset", choices=SIZES, default="paper")
    parser.add_argument("--profiles", type=int)
    arguments = parser.parse_args()
    profiles = arguments.profiles or SIZES[arguments.preset].geo
    dataset = prepared(arguments.preset, profiles)
    print(f"{profiles:,} profiles before the split\n")
    with tempfile.TemporaryDirectory() as folder:
        words = ("--dataset", dataset, "--results", folder, "--quiet")
        command("run", "--methods", "train-mean", *words)  # both controls, for all methods
        print(
            "| method | fit s | predict s | score s | whole command s | peak MB | MAE geo | gtex |"
        )
        print("|---|---|---|---|---|---|---|---|")
        for name in arguments.methods:
            measure(name, words, Path(folder))
