"""Killed at random moments: does everything come out as if nothing had happened?

Each chain starts commands (prepare, run sealed, merge, leaderboard), kills them with SIGKILL at a
random moment, and starts them again, until each was killed a few times. Then they run to the end.
The tables must be those of a chain that nobody killed. No process, lock or half-written file may be
left.

Usage: ``python benchmarks/crash.py [--kills 100] [--seed 0]``
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from genebench._util.locks import try_lock

MARK = "TORCH_GENEBENCH_CHAIN"
"""Variable that tells a chain's processes. A sealed process inherits only some beginnings."""
PLUGIN = """
from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec
import numpy as np
genebench_contract = 1

@hookimpl
def genebench_methods():
    return [MethodSpec(name="line", title="t", summary="s", code="line:Ridge")]

class Line(Model):
    def __init__(self, weights):
        self.weights = weights
    def predict(self, landmarks):
        return landmarks @ self.weights
    def tensors(self):
        return {"weights": self.weights}

class Ridge(Method):
    def fit(self, train, validation_sets, context):
        x, y = train.landmarks, train.targets
        for step in range(10):
            context.progress(step, 10, "solving")
            weights = np.linalg.solve(x.T @ x + 10 * np.eye(x.shape[1]), x.T @ y)
        return dict.fromkeys(validation_sets, Line(weights.astype(np.float32)))
"""
TEMPORARY = (".*.tmp", ".staging-*", ".*.work", "tmp/genebench-*")
SIZE = ("--dataset", "sim", "--preset", "tiny")


class Chain:
    """One chain of commands, in folders of its own."""

    def __init__(self, root: Path, name: str) -> None:
        self.folder = root / name
        (self.folder / "tmp").mkdir(parents=True)
        self.plugin = self.folder / "line.py"
        self.plugin.write_text(PLUGIN)
        self.environment = os.environ | {
            MARK: name, "OMP_NUM_THREADS": "1", "TMPDIR": str(self.folder / "tmp"),
            "GENEBENCH_HOME": str(self.folder / "home"),
        }  # fmt: skip

    def commands(self) -> dict[str, list[str]]:
        """Return the commands of the chain, in order."""
        results, merged, board = (
            str(self.folder / name) for name in ("results", "merged", "board")
        )
        return {
            "prepare": ["data", "prepare", "sim", "--preset", "tiny"],
            "run": [
                "run", "--methods", "lsr-l2,line", *SIZE, "--plugin", str(self.plugin),
                "--sealed", "require", "--keep-models", "--keep-predictions", "-q",
                "--results", results,
            ],
            "merge": ["results", "merge", results, "--results", merged],
            "leaderboard": ["leaderboard", merged, "--out", board],
        }  # fmt: skip

    def start(self, words: list[str]) -> subprocess.Popen[bytes]:
        """Start a command."""
        return subprocess.Popen(
            [sys.executable, "-m", "genebench", *words],
            env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def finish(self, words: list[str]) -> float:
        """Run a command to its end, and return its seconds."""
        start = time.perf_counter()
        process = self.start(words)
        out, err = process.communicate(timeout=600)
        if process.returncode:
            raise SystemExit(f"{' '.join(words)}\n{out.decode()}\n{err.decode()}")
        return time.perf_counter() - start

    def table(self) -> str:
        """Return the scores of the chain."""
        words = ["report", "--format", "csv", "--results", str(self.folder / "merged")]
        process = self.start(words)
        out, err = process.communicate(timeout=600)
        if process.returncode:
            raise SystemExit(err.decode())
        # Times differ from chain to chain.
        return out.decode().partition("cost")[0]

    def living(self) -> Iterator[int]:
        """Yield the processes of the chain that are alive."""
        mark = f"{MARK}={self.environment[MARK]}\0".encode()
        for process in Path("/proc").glob("[0-9]*"):
            try:
                stat = (process / "stat").read_text("utf-8", "replace")
                marked = mark in (process / "environ").read_bytes()
            except OSError:
                continue
            if marked and stat.rpartition(")")[2].split()[0] not in "ZX":
                yield int(process.name)

    def litter(self) -> list[Path]:
        """Return temporary files and folders that are left, and locks that are still held."""
        left = [path for pattern in TEMPORARY for path in self.folder.rglob(pattern)]
        # The files of locks stay. A lock that nobody holds can be taken.
        locks = self.folder.rglob("*.lock")
        return left + [path for path in locks if try_lock(path) is None]


def main() -> None:
    """Kill, finish, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory(prefix="genebench-crash-") as folder:
        quiet = Chain(Path(folder), "quiet")
        usual = {name: quiet.finish(words) for name, words in quiet.commands().items()}
        expected = quiet.table()
        kills, orphans, wrong, litter, chains = 0, 0, 0, 0, 0
        while kills < options.kills:
            chains += 1
            chain = Chain(Path(folder), f"chain-{chains}")
            for name, words in chain.commands().items():
                for _ in range(rng.randrange(1, 4)):
                    process = chain.start(words)
                    time.sleep(rng.uniform(0.1, usual[name]))
                    process.send_signal(signal.SIGKILL)
                    process.communicate()
                    kills += 1
                    deadline = time.monotonic() + 10
                    while (left := list(chain.living())) and time.monotonic() < deadline:
                        time.sleep(0.1)
                    orphans += len(left)
                chain.finish(words)
            wrong += chain.table() != expected
            left_over = chain.litter()
            litter += len(left_over)
            print(f"{kills} kills: {orphans} orphans, {wrong} other tables, {litter} left files",
                  *left_over[:3], flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
