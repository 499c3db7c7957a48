"""The cost of the seal: the same methods sealed and not, by turns, in time and memory.

Prints for each kind of run the wall time of the whole command, the seconds of each phase, and the
peak memory, and compares the vectors of both byte by byte. Before that, it measures what a sealed
process costs by itself: to start the first one and the next, and how fast arrays reach it.

Usage: ``python benchmarks/sealing.py [--dataset sim] [--preset tiny] [--methods ...] [--rounds 3]``
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from genebench import api
from genebench.data.store import Dataset
from genebench.plugins.registry import registry
from genebench.results.store import ResultsStore
from genebench.sealing.client import SealedJob, close_launchers, sealed

METHODS = "lsr,lsr-l1,lsr-l2,knn-ge,knn"
PHASES = ("fit", "predict", "score")
PROFILES, LANDMARKS, TARGETS = 1024, 943, 9520
"""A block of published size."""


def starts(method: str, dataset: Dataset, times: int) -> list[float]:
    """Return the seconds to start a sealed process, from the first to the last in a row."""
    spec = registry().methods.get(method)
    protocol = registry().protocols.get("geo")
    parts = {"train": dataset.profiles(protocol.train)}
    job = SealedJob(
        method=spec, params=spec.values("tiny", {}), seed=0, device="cpu",
        n_targets=len(dataset.target_genes), parts=parts,
    )  # fmt: skip
    seconds = []
    for _ in range(times):
        start = time.perf_counter()
        with sealed(job) as created:
            seconds.append(time.perf_counter() - start)
            # The libraries of a fit are loaded before the next process starts.
            created.process.libraries = ("torch",)
    close_launchers()
    return seconds


def throughput(repeats: int) -> float:
    """Return GB/s of blocks of published size: landmarks there, predictions back."""
    code = (
        "import socket, sys, numpy as np\n"
        "from genebench.sealing.wire import Channel\n"
        "channel = Channel(socket.socket(fileno=int(sys.argv[1])))\n"
        f"block = np.zeros(({PROFILES}, {TARGETS}), np.float32)\n"
        f"for _ in range({repeats}): channel.receive(); channel.send({{}}, {{'block': block}})\n"
    )
    import socket

    from genebench.sealing.wire import Channel

    ours, theirs = socket.socketpair()
    fd = theirs.fileno()
    process = subprocess.Popen([sys.executable, "-c", code, str(fd)], pass_fds=(fd,))
    theirs.close()
    channel = Channel(ours)
    landmarks = np.zeros((PROFILES, LANDMARKS), np.float32)
    channel.send({}, {"landmarks": landmarks})
    channel.receive()  # the process is there
    start = time.perf_counter()
    for _ in range(repeats - 1):
        channel.send({}, {"landmarks": landmarks})
        channel.receive()
    seconds = time.perf_counter() - start
    channel.close()
    process.wait()
    return (repeats - 1) * PROFILES * (LANDMARKS + TARGETS) * 4 / seconds / 1e9


def command(seal: str, words: list[str], results: Path) -> float:
    """Run a command with or without the seal, and return its seconds."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "genebench", "run", *words, "--sealed", seal, "-q"]
        + ["--results", str(results)],
        check=True, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    return time.perf_counter() - start


def same_vectors(first: Path, second: Path) -> tuple[int, int]:
    """Return how many records have equal vectors in both folders, and how many there are."""
    here, there = ResultsStore(first), ResultsStore(second)
    equal = 0
    records = list(here.records())
    for record in records:
        other = there.read(record.key)
        assert other is not None
        vectors = here.vectors(record), there.vectors(other)
        equal += vectors[0].keys() == vectors[1].keys() and all(
            np.array_equal(vectors[0][name], vectors[1][name]) for name in vectors[0]
        )
    return equal, len(records)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--dataset", default="sim")
    parser.add_argument("--preset")
    parser.add_argument("--methods", default=METHODS)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    words = ["--methods", options.methods, "--protocol", "geo,gtex", "--dataset", options.dataset]
    words += ["--preset", options.preset] if options.preset else []
    rows: dict[str, list[tuple[float, ...]]] = {"off": [], "require": []}
    with tempfile.TemporaryDirectory() as folder:
        # Also prepares the dataset and fills its cache, which all rounds then share.
        command("off", words, Path(folder, "first"))
        command("require", words, Path(folder, "second"))
        for number in range(options.rounds):
            for seal, row in rows.items():
                results = Path(folder, f"{seal}-{number}")
                seconds = command(seal, words, results)
                records = api.records(results).records
                phases = [sum(r.seconds[phase] for r in records) for phase in PHASES]
                peak = max(record.peak_memory for record in records) / 1e6
                row.append((seconds, *phases, peak))
        equal, number = same_vectors(Path(folder, "off-0"), Path(folder, "require-0"))
    from genebench.datasets.library import open_dataset

    dataset = open_dataset(options.dataset, registry().datasets, options.preset)
    first, *others = starts("lsr-l2", dataset, 6)
    print(f"start of a sealed process: {first:.2f} s cold, {statistics.median(others):.2f} s warm")
    print(f"blocks of {PROFILES} published profiles, there and back: {throughput(12):.1f} GB/s")
    print("| sealed | wall s | fit s | predict s | score s | peak MB |\n|---|---|---|---|---|---|")
    for seal, row in rows.items():
        cells = [statistics.median(values) for values in zip(*row, strict=True)]
        print(f"| {seal} | {' | '.join(f'{cell:.2f}' for cell in cells)} |")
    print(f"records with equal vectors: {equal} of {number}")


if __name__ == "__main__":
    main()
