"""Preparation at scale: time against merely reading the same file, and memory as profiles grow.

Claims, on generated GCTX files of the published width (22,268 probes, 943 + 9,520 genes, one to
eight probes each in the published numbers, one profile in seven a near copy of another):

- preparing takes at most three times as long as reading the matrix once with h5py;
- peak resident memory stays below 2 GB and does not grow with the number of profiles;
- mapping RNA-seq to quantiles is at least 100 times as fast as the published per-value search.

``warm`` means that the file is in the page cache, so that the speed of the disk does not count.
``cold`` means that it was dropped from the cache first. Times are the least of several rounds, both
sides in turn, each in a separate process. ``keep`` and ``exact`` are the rules for duplicates.

Usage: ``python benchmarks/prepare.py [PROFILES ...] [--files plain gzip] [--rules keep exact]``;
the published number is 129158.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from genebench.preprocessing.ranks import reference_ranks

PROBES, LANDMARKS = 22_268, 943
TARGETS = {1: 5766, 2: 2203, 3: 975, 4: 380, 5: 120, 6: 48, 7: 12, 8: 16}
"""Number of probes → number of target genes that have as many."""
GENES = LANDMARKS + sum(TARGETS.values())
FACTORS = 40
"""Directions of common variation, as in real compendia."""
SLAB = 1024
FILES = {
    "plain": {},
    "gzip": {"chunks": (64, 4096), "compression": "gzip", "shuffle": True},
}

PREPARE = """
import json, resource, sys, time
from pathlib import Path
from genebench.datasets.manifest import read_manifest
from genebench.preprocessing.recipe import prepare
from genebench.data.store import DataStore
start = time.perf_counter()
prepare(read_manifest(Path(sys.argv[1])), store=DataStore(Path(sys.argv[2])))
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak": peak}))
"""

READ = """
import json, sys, time, h5py
began = time.perf_counter()
with h5py.File(sys.argv[1]) as file:
    matrix = file["0/DATA/0/matrix"]
    for start in range(0, len(matrix), 1024):
        matrix[start : start + 1024]
print(json.dumps({"seconds": time.perf_counter() - began, "peak": 0}))
"""


def write_compendium(folder: Path, profiles: int, **options: object) -> None:
    """Write a GCTX file of the published width, its gene maps, and a manifest for each rule."""
    random = np.random.default_rng(0)
    path = folder / "arrays.gctx"
    with h5py.File(path, "w") as file:
        matrix = file.create_dataset("0/DATA/0/matrix", (profiles, PROBES), "f4", **options)
        level = random.normal(8, 2, PROBES).astype(np.float32)
        loadings = random.normal(0, 0.15, (FACTORS, PROBES)).astype(np.float32)
        for start in range(0, profiles, SLAB):
            rows = min(SLAB, profiles - start)
            block = level + random.standard_normal((rows, FACTORS), np.float32) @ loadings
            block += random.standard_normal((rows, PROBES), np.float32) / 2
            copies = len(block) // 7
            block[len(block) - copies :] = block[:copies] + np.float32(0.5 / PROBES**0.5)
            matrix[start : start + SLAB] = block
        file["0/META/ROW/id"] = [f"p{i}" for i in range(PROBES)]
        file["0/META/COL/id"] = [f"s{i}" for i in range(profiles)]
    probes = iter(random.permutation(PROBES))
    numbers = random.permutation(np.repeat(list(TARGETS), list(TARGETS.values())))
    _write_map(folder / "lm.txt", np.ones(LANDMARKS, int), 0, probes)
    _write_map(folder / "tg.txt", numbers, LANDMARKS, probes)
    for rule in ("keep", "exact"):
        (folder / f"{rule}.toml").write_text(
            f'name = "made"\nrecipe = "dgex"\nduplicates = "{rule}"\n'
            '[genes]\nlandmarks = "lm.txt"\ntargets = "tg.txt"\n'
            '[platforms.geo]\nmatrix = "arrays.gctx"\nids = "probe"\n'
        )


def _write_map(path: Path, numbers: np.ndarray, first: int, probes: Iterator[int]) -> None:
    lines = []
    for gene, number in enumerate(numbers, start=first):
        ids = ",".join(f"p{next(probes)}" for _ in range(number))
        lines.append(f"G{gene}\tENSG{gene:011d}\t{ids}\n")
    path.write_text("".join(lines))


def measured(code: str, *arguments: Path) -> dict[str, float]:
    """Run code in a separate process, and return the measurements that it prints."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def forget(path: Path) -> None:
    """Drop a file from the page cache."""
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def least(folder: Path, rules: list[str], rounds: int, *, cold: bool) -> dict[str, dict]:
    """Return the least seconds and the greatest peak of reading, and of preparing by each rule."""
    path = folder / "arrays.gctx"
    sides = {"read": (READ, path)}
    sides |= {rule: (PREPARE, folder / f"{rule}.toml", folder / "home") for rule in rules}
    runs: dict[str, list] = {side: [] for side in sides}
    for _ in range(rounds):
        for side, call in sides.items():
            shutil.rmtree(folder / "home", ignore_errors=True)
            if cold:
                forget(path)
            runs[side].append(measured(*call))
    return {
        side: {"seconds": min(r["seconds"] for r in of), "peak": max(r["peak"] for r in of)}
        for side, of in runs.items()
    }


def compare_preparation(profiles: int, file: str, rules: list[str], rounds: int) -> None:
    """Print one row for each rule: preparing against reading."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_compendium(folder, profiles, **FILES[file])
        measured(READ, folder / "arrays.gctx")  # so that both sides find the file in the cache
        warm = least(folder, rules, rounds, cold=False)
        cold = least(folder, rules, rounds, cold=True) if hasattr(os, "posix_fadvise") else None
    for rule in rules:
        row = [f"{profiles:,}", file, rule]
        for times in (warm, cold):
            row += _cells(times["read"]["seconds"], times[rule]["seconds"]) if times else [""] * 3
        print(f"| {' | '.join(row)} | {warm[rule]['peak']:,.0f} |", flush=True)


def _cells(read: float, ours: float) -> list[str]:
    return [f"{read:.2f}", f"{ours:.1f}", f"{ours / read:.1f}"]


def published_search(profile: np.ndarray, n_genes: int) -> list[int]:
    """Rank the published way: search each value in the list of the profile's distinct values."""
    distinct = sorted(set(profile.tolist()))
    return [int((distinct.index(v) + 1.0) / len(distinct) * n_genes) - 1 for v in profile.tolist()]


def compare_mapping() -> None:
    """Time the RNA-seq mapping of a few profiles, ours against the published search."""
    profiles = np.random.default_rng(0).lognormal(2, 2, (4, GENES)).round(3)
    start = time.perf_counter()
    expected = [published_search(profile, profiles.shape[1]) for profile in profiles]
    theirs = time.perf_counter() - start
    ranked = reference_ranks(profiles)  # compiles the loops, so that compiling is not timed
    start = time.perf_counter()
    for _ in range(10):
        reference_ranks(profiles)
    ours = (time.perf_counter() - start) / 10
    assert ranked.ranks.tolist() == expected
    print(f"\nRNA-seq mapping, {len(profiles)} profiles: {theirs / ours:,.0f} times as fast")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profiles", nargs="*", type=int, default=[2_000, 8_000])
    parser.add_argument("--files", nargs="+", choices=FILES, default=list(FILES))
    parser.add_argument("--rules", nargs="+", choices=("keep", "exact"), default=["keep", "exact"])
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(
        "| profiles | file | duplicates | warm: h5py s | prepare s | ratio "
        "| cold: h5py s | prepare s | ratio | peak MB |\n|---|---|---|---|---|---|---|---|---|---|"
    )
    for number in arguments.profiles:
        for kind in arguments.files:
            compare_preparation(number, kind, arguments.rules, arguments.rounds)
    compare_mapping()
