"""Estimates of the time and memory that jobs will take here, and the timings that they rest on.

Every job that ends on this machine leaves its timing in the data folder, so that a new results
folder has estimates too. A method with a formula of its work (:attr:`MethodSpec.work`) can also be
estimated before its first run, by the speed of a matrix product that is timed here.
"""

from __future__ import annotations

import functools
import json
import math
import socket
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np

from genebench._util.files import atomic_write
from genebench._util.formulas import evaluate
from genebench._util.text import encodable
from genebench.data.home import home
from genebench.data.store import Dataset, DataStore
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Job
from genebench.specs import PRESETS, DeviceChoice, MethodSpec, Value

Basis = Literal["measured", "scaled", "declared", "unknown"]

_MOST_OF_A_METHOD = 50
"""Timings of a method on a device that estimates look at."""
_MOST_TIMINGS = 1_000
"""Lines of the file of timings. The older half is dropped beyond it."""
_NEAR = 30.0
"""Ratio of work up to which a timing is scaled, if the method has a formula. Beyond it, what a job
costs in any case would be scaled with its work."""
_SAME = 1.02
"""Ratio of work up to which a timing is that of the same job."""
_JOB_SECONDS = 0.3
"""Time of a job besides its work: opening, recording."""
_SCORE_SECONDS = 5e-8
"""Time to score one value with all usual metrics, where none was measured."""
_PRODUCT_SIZE = 1024
"""Rows and columns of the matrices whose product is timed. The threads of smaller products wait for
each other most of the time on a busy machine: of 384 rows, they look eight times too slow."""
_PRODUCT_CPU_SECONDS = 0.1
_PRODUCT_WALL_SECONDS = 0.4
"""Times that the speed of matrix products is measured for, at most."""
_BUSY_SHARE = 0.7
"""Share of a processor below which others keep the machine busy."""
_FLOAT32_BYTES = 4
_NVIDIA = Path("/proc/driver/nvidia/version")
"""The file exists where the driver of a GPU is loaded."""


@dataclass(frozen=True)
class Estimate:
    """The time and memory of one job on this machine, as far as they are known.

    Attributes:
        seconds: wall time, or None if it is unknown. A declared one is at the present load.
        memory: peak memory in bytes.
        basis: ``measured`` (such a job ran here), ``scaled`` (from another job of the method that
            ran here), ``declared`` (the method's formula and the speed of this machine) or
            ``unknown``.
        is_upper: whether the memory is an upper bound, which the method declares.
    """

    seconds: float | None
    memory: int
    basis: Basis
    is_upper: bool = True


@dataclass(frozen=True, kw_only=True)
class _Timing:
    """A job that ended here. Equal to one line of the file."""

    method: str
    distribution: str
    preset: str
    host: str
    device: str
    accelerator: str
    params: Mapping[str, Value]
    sizes: Mapping[str, int]
    work: float
    """Seconds of fit and predictions."""
    score: float
    """Seconds of scoring."""
    values: int
    """Values that were scored."""
    memory: int
    """Peak memory in bytes, 0 if it is not known for the job alone."""


def remember(job: Job, store: ResultsStore) -> None:
    """Add the timing of a job that ended well on this machine. Without a writable folder, none is.

    Args:
        job: the job, whose records are in the store.
        store: the results.
    """
    records = [record for item in job.evaluations if (record := store.read(item.key))]
    host = encodable(socket.gethostname())
    if not records or any(
        record.status != "done" or record.provenance.host != host for record in records
    ):
        return
    first = records[0]
    fit = max(record.seconds.get("fit", 0.0) for record in records)
    rest = sum(
        spent
        for record in records
        for phase, spent in record.seconds.items()
        if phase not in ("fit", "members", "score")
    )
    timing = _Timing(
        method=job.method.name, distribution=first.identity.code.distribution, preset=job.preset,
        host=host, device=first.provenance.device.partition(":")[0],
        accelerator=first.provenance.accelerator,
        params=dict(job.params), sizes=_sizes(records), work=fit + rest,
        score=sum(record.seconds.get("score", 0.0) for record in records),
        values=sum(record.profiles["test"] * record.genes["target"] for record in records),
        memory=first.peak_memory if first.peak_memory_scope == "job" else 0,
    )  # fmt: skip
    line = json.dumps(asdict(timing)) + "\n"
    try:
        path = _file()
        path.parent.mkdir(parents=True, exist_ok=True)
        # One write to the end of the file: processes that add lines at once do not mix them.
        with path.open("ab", buffering=0) as stream:
            stream.write(line.encode())
        if path.stat().st_size > _MOST_TIMINGS * 1_000:
            kept = path.read_bytes().splitlines(keepends=True)[-_MOST_TIMINGS // 2 :]
            with atomic_write(path) as stream:
                stream.writelines(kept)
    except OSError:
        return


def estimates(jobs: Sequence[Job], device: DeviceChoice) -> list[Estimate]:
    """Return an estimate for each job.

    Args:
        jobs: the jobs.
        device: the device that the user asks for.

    Raises:
        UserError: a dataset is gone or damaged.
    """
    if not jobs:
        return []
    known = _known(jobs)
    sizes = _JobSizes()
    found = []
    for job in jobs:
        used = _device(job.method, device)
        found.append(_estimate(job, sizes.of(job), used, known.get((job.method.name, used), [])))
    return found


def _known(jobs: Sequence[Job]) -> dict[tuple[str, str], list[tuple[_Timing, float]]]:
    """Return method and device → the latest timings with their work, the latest first."""
    methods = {job.method.name: job.method for job in jobs}
    known: dict[tuple[str, str], list[tuple[_Timing, float]]] = {}
    for timing in reversed(_timings(methods)):
        latest = known.setdefault((timing.method, timing.device), [])
        # A sweep of thousands of jobs is not to look at thousands of timings for each.
        if len(latest) < _MOST_OF_A_METHOD:
            work = _work(methods[timing.method], timing.params, timing.sizes)
            if work > 0:
                latest.append((timing, work))
    return known


def _estimate(
    job: Job, sizes: Mapping[str, int], device: str, known: Sequence[tuple[_Timing, float]]
) -> Estimate:
    """Return the estimate of a job of these sizes, from timings of its method on its device."""
    work = _work(job.method, job.params, sizes)
    values = sizes["test"] * sizes["targets"]
    declared = job.method.needs_for(job.preset).of(_bytes(sizes), "cpu").memory
    # Without a formula, other parameters may mean any amount of work.
    near = [
        (abs(math.log(work / there)), dict(timing.params) != dict(job.params), timing)
        for timing, there in known
        if work > 0 and (job.method.work or dict(timing.params) == dict(job.params))
    ]
    # The nearest in work, and of several the latest.
    nearest = min(near, key=lambda item: item[:2], default=None)
    if nearest and (not job.method.work or nearest[0] <= math.log(_NEAR)):
        distance, is_other, timing = nearest
        score = timing.score / timing.values if timing.values else _SCORE_SECONDS
        ratio = work / _work(job.method, timing.params, timing.sizes)
        memory = declared
        if timing.memory:
            there = job.method.needs_for(timing.preset).of(_bytes(timing.sizes), "cpu").memory
            memory = int(timing.memory * max(1.0, declared / max(there, 1)))
        is_same = not is_other and distance <= math.log(_SAME)
        return Estimate(
            timing.work * ratio + score * values + _JOB_SECONDS, memory,
            "measured" if is_same else "scaled", is_upper=not timing.memory,
        )  # fmt: skip
    if job.method.work and device == "cpu":
        seconds = work / product_speed().operations + _SCORE_SECONDS * values + _JOB_SECONDS
        return Estimate(seconds, declared, "declared")
    return Estimate(None, declared, "unknown")


def _work(method: MethodSpec, params: Mapping[str, Value], sizes: Mapping[str, int]) -> float:
    """Return operations of a job by the method's formula, or the bytes of its training data.

    The result is 0 for a formula without a value, such as that of an earlier version.
    """
    if not method.work:
        return float(_bytes(sizes))
    numbers = {
        name: float(value) for name, value in params.items() if isinstance(value, int | float)
    }
    try:
        return max(evaluate(method.work, numbers | {**sizes}), 0.0)
    except ValueError:
        return 0.0


def _bytes(sizes: Mapping[str, int]) -> int:
    return _FLOAT32_BYTES * sizes["train"] * (sizes["landmarks"] + sizes["targets"])


def _sizes(records: Sequence[Record]) -> dict[str, int]:
    first = records[0]
    return {
        "train": first.profiles["train"],
        "validation": sum(record.profiles["validation"] for record in records),
        "test": sum(record.profiles["test"] for record in records),
        "landmarks": first.genes["landmark"],
        "targets": first.genes["target"],
    }


class _JobSizes:
    """Sizes of jobs, by the name that formulas use. Each dataset is opened once."""

    def __init__(self) -> None:
        self._datasets: dict[tuple[str, str], Dataset] = {}
        self._counts: dict[tuple[str, str, str], int] = {}

    def of(self, job: Job) -> dict[str, int]:
        """Return the sizes of a job. Validation and test profiles are those of all protocols."""
        key = job.store, job.data
        if key not in self._datasets:
            self._datasets[key] = DataStore().open_planned(*key)
        dataset = self._datasets[key]
        sizes = dict.fromkeys(("train", "validation", "test"), 0)
        for item in job.evaluations:
            for name, part in zip(sizes, item.protocol.parts, strict=True):
                at = (*key, str(part))
                if at not in self._counts:
                    self._counts[at] = len(dataset.profiles(part))
                count = self._counts[at]
                # One fit serves all protocols of a job.
                sizes[name] = count if name == "train" else sizes[name] + count
        return sizes | {
            "landmarks": len(dataset.landmark_genes), "targets": len(dataset.target_genes)
        }  # fmt: skip


def _device(method: MethodSpec, wanted: DeviceChoice) -> str:
    """Return the device that a job will use. torch is not asked, which takes seconds to import."""
    has_gpu = wanted == "cuda" or (wanted == "auto" and _NVIDIA.exists())
    return "cuda" if has_gpu and "cuda" in method.devices else "cpu"


def _file() -> Path:
    return home() / "timings.jsonl"


def _timings(methods: Iterable[str]) -> list[_Timing]:
    """Return the timings of methods on this machine, oldest first. Damaged lines are left out."""
    host, names = encodable(socket.gethostname()), set(methods)
    try:
        lines = _file().read_bytes().splitlines()[-_MOST_TIMINGS:]
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            timing = _Timing(**json.loads(line))
            if timing.host == host and timing.method in names and timing.preset in PRESETS:
                _bytes(timing.sizes)
                found.append(timing)
        except (ValueError, TypeError, KeyError):
            continue
    return found


class Speed(NamedTuple):
    """The speed of this machine at its load of now."""

    operations: float
    """Operations of float32 matrix products in a second of wall time."""
    is_busy: bool
    """Whether other processes took much of that second."""


@functools.cache
def product_speed() -> Speed:
    """Return the speed of matrix products here and now. It takes up to half a second."""
    left = np.ones((_PRODUCT_SIZE, _PRODUCT_SIZE), dtype=np.float32)
    left @ left  # The first product starts the threads of the library.
    products, start, start_cpu = 0, time.perf_counter(), time.process_time()
    while True:
        left @ left
        products += 1
        wall, cpu = time.perf_counter() - start, time.process_time() - start_cpu
        # On a busy machine, a short look may fall between two turns of this process.
        if cpu >= _PRODUCT_CPU_SECONDS or wall >= _PRODUCT_WALL_SECONDS:
            break
    return Speed(2 * _PRODUCT_SIZE**3 * products / wall, cpu < _BUSY_SHARE * wall)


def total(found: Iterable[Estimate]) -> tuple[float, int]:
    """Return the sum of known times, and how many are unknown."""
    times = [estimate.seconds for estimate in found]
    known = [seconds for seconds in times if seconds is not None]
    return sum(known), len(times) - len(known)
