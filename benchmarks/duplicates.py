"""Finding duplicate profiles against merely reading the same GCTX file once with h5py.

    python benchmarks/duplicates.py [--profiles 4000 ...] [--probes 22268] [--kmeans]

Claim: the exact rule costs little more than its two passes of the reader. Its peak memory does not
grow with the profiles (but for 0.5 kB each).
The file is generated: 50 directions of common variation plus noise. One profile in seven is a near
copy of an earlier one, as in the published data. Each row of the table is a separate process that
reads the file from the page cache. Its peak memory counts the interpreter and its libraries.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from genebench.formats.base import BLOCK
from genebench.formats.gctx import MATRIX, GctxReader
from genebench.preprocessing.duplicates import Rule, find_duplicates

FACTORS, NOISE, COPIES = 50, 0.3, 1 / 7
BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024


def profiles(n_profiles: int, n_probes: int) -> Iterator[NDArray[np.float32]]:
    """Yield blocks of log2 expression. Copies are at distance 0.5 from a profile of their block."""
    random = np.random.default_rng(0)
    loadings = random.normal(size=(FACTORS, n_probes)) * np.geomspace(0.5, 0.05, FACTORS)[:, None]
    mean = random.normal(8, 2, n_probes)
    for start in range(0, n_profiles, BLOCK):
        size = min(BLOCK, n_profiles - start)
        block = mean + random.normal(size=(size, FACTORS)) @ loadings
        block += NOISE * random.normal(size=block.shape)
        originals = np.arange(int(size * COPIES))
        step = random.normal(size=(len(originals), n_probes))
        step *= 0.5 / np.linalg.norm(step, axis=1, keepdims=True)
        block[size - len(originals) :] = block[originals] + step
        yield block.astype(np.float32)


def generate(path: Path, n_profiles: int, n_probes: int) -> int:
    """Write an uncompressed GCTX file, and return the number of planted copies."""
    planted = start = 0
    with h5py.File(path, "w") as file:
        file["0/META/ROW/id"] = [f"probe{i}" for i in range(n_probes)]
        file["0/META/COL/id"] = [f"profile{i}" for i in range(n_profiles)]
        matrix = file.create_dataset(MATRIX, (n_profiles, n_probes), np.float32)
        for block in profiles(n_profiles, n_probes):
            matrix[start : start + len(block)] = block
            start += len(block)
            planted += int(len(block) * COPIES)
    return planted


def merely_read(path: Path) -> int:
    """Read the file once, block by block, and return 0 duplicates."""
    with h5py.File(path) as file:
        matrix = file[MATRIX]
        for start in range(0, len(matrix), BLOCK):
            matrix[start : start + BLOCK]
    return 0


def read_as_genebench(path: Path) -> int:
    """Read the file once by genebench, which checks values too, and return 0 duplicates."""
    reader = GctxReader(path)
    for _ in reader.blocks(np.arange(len(reader.gene_ids))):
        pass
    return 0


def find(path: Path, rule: Rule) -> int:
    """Return the number of profiles that a rule removes."""
    return int(find_duplicates(GctxReader(path), rule, folder=path.parent).sum())


def measured(work: Callable[..., int], *arguments: object) -> tuple[float, float, int]:
    """Do some work in this process, and return its seconds, peak memory in MB, and result."""
    start = time.perf_counter()
    result = work(*arguments)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * BYTES_PER_UNIT
    return time.perf_counter() - start, peak / 1e6, result


def apart(work: Callable[..., int], *arguments: object) -> tuple[float, float, int]:
    """Do some work in a fresh process, and return the same as :func:`measured`."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measured, work, *arguments).result()


def compare(n_profiles: int, n_probes: int, rules: list[Rule]) -> pd.DataFrame:
    """Measure reading and each rule, on one generated file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "generated.gctx"
        planted = apart(generate, path, n_profiles, n_probes)[2]
        rows = {"h5py, read once": apart(merely_read, path)}
        rows["GctxReader, read once"] = apart(read_as_genebench, path)
        rows |= {f"find_duplicates, {rule}": apart(find, path, rule) for rule in rules}
    table = pd.DataFrame(rows, index=["seconds", "peak MB", "found"]).T
    table.insert(0, "profiles", n_profiles)
    table.insert(3, "× reading", table["seconds"] / table["seconds"].iloc[0])
    return table.assign(planted=planted)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time the search for duplicate profiles.")
    parser.add_argument("--profiles", type=int, nargs="+", default=[2048, 4096])
    parser.add_argument("--probes", type=int, default=22_268)
    parser.add_argument("--kmeans", action="store_true", help="the published rule, too")
    arguments = parser.parse_args()
    chosen: list[Rule] = ["exact", "kmeans"] if arguments.kmeans else ["exact"]
    tables = [compare(number, arguments.probes, chosen) for number in arguments.profiles]
    print(pd.concat(tables).to_string(float_format="{:.1f}".format))
