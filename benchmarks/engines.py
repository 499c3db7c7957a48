"""Tiny jobs on each engine: wall time per job, and processor time of everything together.

Each engine runs the same jobs in a results folder of its own: knn on the tiny simulated dataset,
once for each limit of k. The scores must be equal. Slurm needs a cluster (``SLURM_CONF``), or root
and Slurm's programs, and Ray its package. Engines that are missing here are left out, with a line.

Usage: ``python benchmarks/engines.py [--jobs 50] [--engines local,process,ray,slurm]``
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from genebench import api
from genebench.results.store import ResultsStore

CONFTEST = Path(__file__).resolve().parents[1] / "plugins" / "slurm" / "tests" / "conftest.py"


@contextmanager
def cluster(folder: Path) -> Iterator[bool]:
    """Provide a Slurm cluster: the one of the environment, or three nodes on this machine."""
    if "SLURM_CONF" in os.environ or not (shutil.which("slurmctld") and os.geteuid() == 0):
        yield shutil.which("sbatch") is not None
        return
    spec = importlib.util.spec_from_file_location("slurm_on_one_machine", CONFTEST)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.Cluster(folder)
    os.environ["SLURM_CONF"] = str(made.configuration)
    try:
        made.start()
        yield True
    finally:
        made.stop()
        del os.environ["SLURM_CONF"]


def command(engine: str, results: Path, jobs: int, options: list[str]) -> list[str]:
    """Return the command of a run."""
    limits = ",".join(map(str, range(1, jobs + 1)))
    return [
        sys.executable, "-m", "genebench", "run", "--methods", "knn", "--protocol", "geo",
        "--dataset", "sim", "--preset", "tiny", "--grid", f"k_max={limits}", "--quiet",
        "--engine", engine, "--results", str(results), *options,
    ]  # fmt: skip


def measured(words: list[str]) -> tuple[float, float]:
    """Run a command, and return the seconds of wall time and of processor time below it."""
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - start, processor


def scores(results: Path) -> dict[str, float]:
    """Return key → MAE."""
    return {
        record.key: record.scores["mae"]["all"].mean for record in ResultsStore(results).records()
    }


def main() -> None:
    """Run, compare and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=50)
    parser.add_argument("--engines", default="local,process,ray,slurm")
    options = parser.parse_args()
    api.load("sim", "geo", preset="tiny")  # prepared before the clock starts
    more = {"slurm": ["--engine-set", "slurm.poll=1"]}
    with tempfile.TemporaryDirectory(prefix="genebench-engines-") as temporary:
        folder = Path(temporary)
        (folder / "slurm").mkdir()
        with cluster(folder / "slurm") as has_slurm:
            missing = {
                "slurm": not has_slurm, "ray": importlib.util.find_spec("ray") is None
            }  # fmt: skip
            expected: dict[str, float] = {}
            print("| engine | s wall | s per job | processor s below the command |")
            print("|---|---|---|---|")
            for engine in options.engines.split(","):
                if missing.get(engine):
                    print(f"{engine} is missing here", file=sys.stderr)
                    continue
                results = folder / f"results-{engine}"
                words = command(engine, results, options.jobs, more.get(engine, []))
                wall, processor = measured(words)
                found = scores(results)
                expected = expected or found
                if found != expected:
                    raise SystemExit(f"{engine} gives other scores")
                jobs = len(found)
                print(
                    f"| {engine} | {wall:.1f} | {wall / jobs:.2f} | {processor:.1f} |", flush=True
                )


if __name__ == "__main__":
    main()
