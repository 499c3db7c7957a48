"""Preparation at scale: time against merely reading the same file, and memory as profiles grow.

Claims, on generated GCTX files of the published width (22,268 probes, 943 + 9,520 genes):

- preparing takes less than three times as long as reading the matrix once with h5py;
- peak resident memory stays below 2 GB and does not grow with the number of profiles;
- mapping RNA-seq to quantiles is at least 100 times as fast as the published per-value search.

Usage: ``python benchmarks/prepare.py [PROFILES ...]``; the published number is 129158.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from genebench.data.normalise import reference_ranks

PROBES, LANDMARKS, TARGETS = 22_268, 943, 9_520
SLAB = 1024

PREPARE = """
import json, resource, sys, time
from pathlib import Path
from genebench.data.manifest import read_manifest
from genebench.data.prepare import prepare
from genebench.data.store import DataStore
start = time.perf_counter()
prepare(read_manifest(Path(sys.argv[1])), store=DataStore(Path(sys.argv[2])))
seconds = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(json.dumps({"seconds": seconds, "peak": peak}))
"""

READ = """
import json, sys, time, h5py
start = time.perf_counter()
with h5py.File(sys.argv[1]) as file:
    matrix = file["0/DATA/0/matrix"]
    for at in range(0, len(matrix), 1024):
        matrix[at : at + 1024]
print(json.dumps({"seconds": time.perf_counter() - start}))
"""


def write_compendium(folder: Path, profiles: int) -> Path:
    """A GCTX file of the published width, gene maps for it, and their manifest."""
    random = np.random.default_rng(0)
    with h5py.File(folder / "arrays.gctx", "w") as file:
        chunks = (64, 2048)
        matrix = file.create_dataset("0/DATA/0/matrix", (profiles, PROBES), "f4", chunks=chunks)
        level = random.normal(8, 2, PROBES).astype(np.float32)
        for at in range(0, profiles, SLAB):
            shape = (min(SLAB, profiles - at), PROBES)
            matrix[at : at + SLAB] = level + random.standard_normal(shape, np.float32)
        file["0/META/ROW/id"] = [f"p{i}" for i in range(PROBES)]
        file["0/META/COL/id"] = [f"s{i}" for i in range(profiles)]
    probes = iter(random.permutation(PROBES))
    _write_map(folder / "lm.txt", range(LANDMARKS), 1, probes)
    _write_map(folder / "tg.txt", range(LANDMARKS, LANDMARKS + TARGETS), 2, probes)
    manifest = folder / "made.toml"
    manifest.write_text(
        'name = "made"\nrecipe = "dgex"\nduplicates = "keep"\n'
        '[genes]\nlandmarks = "lm.txt"\ntargets = "tg.txt"\n'
        '[platforms.geo]\nmatrix = "arrays.gctx"\nids = "probe"\n'
    )
    return manifest


def _write_map(path: Path, genes: range, probes_each: int, probes: Iterator[int]) -> None:
    lines = []
    for gene in genes:
        own = ",".join(f"p{next(probes)}" for _ in range(probes_each))
        lines.append(f"G{gene}\tENSG{gene:011d}\t{own}\n")
    path.write_text("".join(lines))


def measured(code: str, *arguments: Path) -> dict[str, float]:
    """Run code in a process of its own; it prints what it measured."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def compare_preparation(profiles: int) -> None:
    """One row: preparing against reading."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = write_compendium(folder, profiles)
        measured(READ, folder / "arrays.gctx")  # so that both sides find the file in the cache
        read = measured(READ, folder / "arrays.gctx")["seconds"]
        ours = measured(PREPARE, manifest, folder / "home")
        print(
            f"| {profiles:,} | {read:.1f} | {ours['seconds']:.1f} | {ours['seconds'] / read:.1f} "
            f"| {ours['peak']:,.0f} |"
        )


def published_search(profile: np.ndarray, n_genes: int) -> list[int]:
    """The published way: look up each value in the list of the profile's distinct values."""
    distinct = sorted(set(profile.tolist()))
    return [int((distinct.index(v) + 1.0) / len(distinct) * n_genes) - 1 for v in profile.tolist()]


def compare_mapping() -> None:
    """RNA-seq mapping of a few profiles, ours against the published search."""
    profiles = np.random.default_rng(0).lognormal(2, 2, (4, LANDMARKS + TARGETS)).round(3)
    start = time.perf_counter()
    expected = [published_search(profile, profiles.shape[1]) for profile in profiles]
    theirs = time.perf_counter() - start
    start = time.perf_counter()
    for _ in range(10):
        found = reference_ranks(profiles)
    ours = (time.perf_counter() - start) / 10
    assert found.tolist() == expected
    print(f"\nRNA-seq mapping, {len(profiles)} profiles: {theirs / ours:,.0f} times as fast")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("profiles", nargs="*", type=int, default=[2_000, 8_000])
    print("| profiles | h5py read s | prepare s | ratio | peak MB |\n|---|---|---|---|---|")
    for number in parser.parse_args().profiles:
        compare_preparation(number)
    compare_mapping()
