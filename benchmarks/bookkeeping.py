"""Bookkeeping of 10,000 tiny jobs by each engine, on one core, with a scheduler that is a stub.

Everything else is real: the plan, orders, claims, records and the driver of each engine. A node
reads the order, checks it, claims the job, writes a copy of a real record under the key of the job,
and removes the order. Nodes execute 100 jobs at a time, in the process of the driver. Their time is
taken out of the driver's.

The table has the processor time of planning, of the driver and of the nodes, the peak memory of the
process, the most files that the results folder had, the files at the end, and the processor time of
``genebench status`` when half of the jobs are done and when all are. ``look`` is the time of one
look at the results folder (for Slurm: also at its queue), when half of the jobs are done.

The engines ``slurm`` and ``ray`` are left out unless their plugins are installed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass, fields
from itertools import count
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import patch

from status import copy_of, measured

from genebench import api
from genebench.engines import local, process
from genebench.engines.contained import Ending
from genebench.engines.monitor import Monitor
from genebench.engines.turns import left_of
from genebench.results.record import Record
from genebench.results.store import ResultsStore
from genebench.runs.claims import claimed
from genebench.runs.jobs import Job, Settings
from genebench.runs.orders import read_order, remove_order
from genebench.runs.resources import with_resources

AT_ONCE = 100
"""Jobs that run at the same time."""
ENGINES = ("local", "process", "slurm", "ray")
PLUGINS = {"slurm": "genebench_slurm", "ray": "genebench_ray"}
OPTIONS = {"slurm": {"chunk": "1", "poll": "0.1"}}
"""Options of engines: the most tasks, and short pauses."""


class Nodes:
    """The nodes of a cluster.

    Attributes:
        tools: folder for commands.
        spent: processor seconds that they took.
        files: the most files that the results folder had.
    """

    def __init__(self, results: Path, made: Record, vectors: dict[str, Any]) -> None:
        self.tools = results.with_name("tools")
        self.tools.mkdir()
        self.spent, self.files = 0.0, 0
        self._results, self._made, self._vectors = results, made, vectors
        self._waiting: deque[str] = deque()
        self._running: list[tuple[str, ExitStack]] = []

    def add(self, keys: Iterable[str]) -> None:
        """Let jobs wait for a node."""
        self._waiting.extend(keys)

    def advance(self) -> list[str]:
        """End the jobs that run, and start as many others. Return the keys of those that ended."""
        start = time.process_time()
        ended = [key for key, _ in self._running]
        for key, claim in self._running:
            order = read_order(self._results, key)
            if job := left_of(order.job, order.settings):
                self.record(job, order.settings)
            claim.close()
            remove_order(self._results, key)
        self._running = []
        while self._waiting and len(self._running) < AT_ONCE:
            key, stack = self._waiting.popleft(), ExitStack()
            order = read_order(self._results, key)
            order.check()
            claim = stack.enter_context(claimed(self._results, order.job))
            claim.report(1, 40, "epoch 1 of 40: validation MAE 0.5")
            self._running.append((key, stack))
        self.files = max(self.files, count_files(self._results))
        self.spent += time.process_time() - start
        return ended

    def execute(self, job: Job, settings: Settings) -> None:
        """Execute a job for an engine of one machine."""
        start = time.process_time()
        self.record(job, settings)
        self.spent += time.process_time() - start

    def record(self, job: Job, settings: Settings) -> None:
        """Write the records of a job."""
        store = ResultsStore(settings.results)
        for item in job.evaluations:
            store.write(copy_of(self._made, item.identity), self._vectors, replaces=item.replaces)


def count_files(folder: Path) -> int:
    """Return the number of files in a folder, and in folders below it."""
    return sum(len(names) for _, _, names in os.walk(folder))


def run_local(nodes: Nodes) -> tuple[ModuleType, Any]:
    """Return the local engine, and what it is to be given in place of the execution."""
    return local, patch.object(local, "execute", nodes.execute)


def run_process(nodes: Nodes) -> tuple[ModuleType, Any]:
    """Return the process engine, with a container that starts no process."""

    def execute(job: Job, settings: Settings, _: object, **__: object) -> Ending:
        nodes.execute(job, settings)
        return Ending("recorded", 0, "cpu")

    container = SimpleNamespace(run=execute, close=lambda: None)
    return process, patch.object(process, "Container", lambda: container)


def run_slurm(nodes: Nodes) -> tuple[ModuleType, Any]:
    """Return the engine of Slurm, with commands that need no cluster."""
    engine = importlib.import_module("genebench_slurm.engine")
    # For ``genebench status``, which is another process.
    listed = nodes.tools / "listed"
    listed.touch()
    squeue = nodes.tools / "squeue"
    squeue.write_text(f"#!/bin/sh\ncat {listed}\n")
    squeue.chmod(0o755)
    os.environ["PATH"] = f"{nodes.tools}{os.pathsep}{os.environ['PATH']}"
    numbers, arrays, ended = count(1), {}, set()

    def command(name: str, *arguments: str) -> str:
        if name == "sbatch":
            folder, number = Path(arguments[-1]).parent, next(numbers)
            arrays[number] = folder.name, (folder / "keys.txt").read_text().split()
            nodes.add(arrays[number][1])
            return f"{number}\n"
        if name != "squeue":
            return "MaxArraySize = 1001"
        ended.update(nodes.advance())
        start = time.process_time()
        listed.write_text(
            "".join(
                f"{number}|{index}|{'COMPLETED' if key in ended else 'PENDING'}|n{index % 100}"
                f"|genebench-{folder}|None\n"
                for number, (folder, keys) in arrays.items()
                for index, key in enumerate(keys, start=1)
            )
        )
        nodes.spent += time.process_time() - start
        return listed.read_text()

    return engine, patch.object(engine.commands, "_run", command)


def run_ray(nodes: Nodes) -> tuple[ModuleType, Any]:
    """Return the engine of Ray, with a stub of Ray's module."""
    stub: Any = ModuleType("ray")
    stub.exceptions = ModuleType("ray.exceptions")
    for name in (
        "LocalRayletDiedError", "NodeDiedError", "OutOfMemoryError", "RayError",
        "WorkerCrashedError",
    ):  # fmt: skip
        setattr(stub.exceptions, name, type(name, (Exception,), {}))

    def submit(_: str, key: str, *__: object) -> str:
        nodes.add([key])
        return key

    def wait(tasks: list[str], **_: object) -> tuple[list[str], list[str]]:
        ended = set(nodes.advance())
        return [task for task in tasks if task in ended], []

    stub.remote = lambda _: SimpleNamespace(options=lambda **_: SimpleNamespace(remote=submit))
    stub.wait, stub.get, stub.cancel = wait, lambda _: (0, "", []), lambda *_, **__: None
    sys.modules |= {"ray": stub, "ray.exceptions": stub.exceptions}
    engine = importlib.import_module("genebench_ray.engine")
    nothing = SimpleNamespace(connect=lambda _: None, check_resources=lambda *_, **__: None)
    return engine, patch.object(engine, "cluster", nothing)


RUNS: dict[str, Callable[[Nodes], tuple[ModuleType, Any]]] = {
    "local": run_local,
    "process": run_process,
    "slurm": run_slurm,
    "ray": run_ray,
}


@dataclass(frozen=True)
class Row:
    """A line of the table. All times are of the processor, in seconds."""

    engine: str
    plan: float
    driver: float
    nodes: float
    wall: float
    look: float
    peak: float
    most: int
    left: int
    half: float
    status: float
    again: float


def timed(action: Callable[[], Any]) -> tuple[Any, float]:
    """Return the result of an action, and its processor seconds."""
    start = time.process_time()
    return action(), time.process_time() - start


def status(results: Path) -> float:
    """Return the processor seconds of ``genebench status``."""
    command = [sys.executable, "-m", "genebench", "status", "--results", str(results)]
    return measured(command)[1]


def options(name: str) -> dict[str, Any]:
    """Return the options of an engine."""
    if name not in PLUGINS:
        return {}
    [spec] = importlib.import_module(PLUGINS[name]).genebench_engines()
    return spec.values(OPTIONS.get(name, {}))


def bookkeeping(name: str, number: int, folder: Path) -> Row:
    """Pass jobs through an engine, and return what that takes."""
    made = ResultsStore(folder / "made")
    # In another process, because it needs torch, and the driver does not.
    command = [
        sys.executable, "-m", "genebench", "run", "--methods", "dgex", "--protocol", "geo",
        "--preset", "tiny", "--set", "dgex.epochs=1", "--quiet", "--results", str(made.root),
    ]  # fmt: skip
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    [record] = [item for item in made.records() if item.identity.method == "dgex"]
    vectors = made.vectors(record)
    settings = Settings(results=folder / "results", options=options(name))
    store = ResultsStore(settings.results)

    def planned() -> list[Job]:
        plan = api.plan_run(
            "dgex", "geo", "sim", preset="tiny", seeds=number, overrides={},
            results=settings.results,
        )  # fmt: skip
        store.prepare()
        jobs = plan.remaining()
        return with_resources(jobs, settings, store) if name in PLUGINS else jobs

    jobs, plan = timed(planned)
    nodes = Nodes(settings.results, record, vectors)
    engine, stubs = RUNS[name](nodes)
    half = look = paused = paused_wall = 0.0
    start, start_wall = time.process_time(), time.perf_counter()
    with stubs:
        for done, _ in enumerate(engine.run(jobs, settings), start=1):
            if done == len(jobs) // 2:
                paused, paused_wall = time.process_time(), time.perf_counter()
                half, look = status(settings.results), look_of(jobs, settings)
                paused = time.process_time() - paused
                paused_wall = time.perf_counter() - paused_wall
    driver = time.process_time() - start - paused - nodes.spent
    assert len(store.keys()) == len(jobs)
    return Row(
        engine=name, plan=plan, driver=driver, nodes=nodes.spent,
        wall=time.perf_counter() - start_wall - paused_wall, look=look,
        peak=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        most=max(nodes.files, count_files(settings.results)),
        left=count_files(settings.results), half=half, status=status(settings.results),
        again=timed(planned)[1],
    )  # fmt: skip


def look_of(jobs: list[Job], settings: Settings) -> float:
    """Return the processor seconds of a look at the results folder in which little has changed."""
    present = set(ResultsStore(settings.results).keys())
    monitor = Monitor([job for job in jobs if job.key not in present], settings)
    monitor.poll()
    return min(timed(monitor.poll)[1] for _ in range(3))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=10_000)
    parser.add_argument("--engine", choices=ENGINES, help="print a row as JSON, and end")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        if arguments.engine:
            row = bookkeeping(arguments.engine, arguments.jobs, Path(place))
            print(json.dumps(asdict(row)))
            raise SystemExit
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
    print(" | ".join(field.name for field in fields(Row)))
    for engine in ENGINES:
        if engine in PLUGINS and not importlib.util.find_spec(PLUGINS[engine]):
            print(f"{engine}: left out, {PLUGINS[engine]} is not installed")
            continue
        # In a process of its own: the peak of a process covers all that it did before.
        command = [sys.executable, __file__, "--jobs", str(arguments.jobs), "--engine", engine]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        values = json.loads(done.stdout.splitlines()[-1]).values()
        print(
            " | ".join(f"{item:.4g}" if isinstance(item, float) else str(item) for item in values)
        )
