"""A Ray cluster of two nodes with fake GPUs, and a method that does what a test asks for."""

from __future__ import annotations

import shutil
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from genebench.api import plan_run
from genebench.datasets.library import open_dataset
from genebench.plugins.discovery import installed, use_files
from genebench.plugins.files import FILES
from genebench.plugins.registry import registry
from genebench.results.store import ResultsStore
from genebench.runs.jobs import Job, Settings
from genebench.specs import Resources
from genebench_ray import genebench_engines

# Tests are not a package, and import their helpers by name.
sys.path.insert(0, str(Path(__file__).parent))

SPEC = genebench_engines()[0]
SMALL = Resources(memory=2**30)

ODD = r'''
import os, signal, sys, time
from pathlib import Path
from genebench import Method, Model, hookimpl
from genebench.specs import MethodSpec, Param
genebench_contract = 1

MARKS = Path(__file__).with_suffix(".marks")
"""A line for each attempt: the task, and the GPUs that it saw."""

@hookimpl
def genebench_methods():
    params = (Param(name="task", default="works", help="h"),)
    return [MethodSpec(
        name="odd", title="t", summary="s", code="odd:Odd", params=params, devices=("cpu", "cuda"),
    )]

class Zero(Model):
    n_parameters = 0
    def __init__(self, targets):
        self.targets = targets
    def predict(self, landmarks):
        return landmarks[:, :1].repeat(self.targets, axis=1) * 0

def parent(pid):
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])

class Odd(Method):
    def __init__(self, task):
        self.task = task
    def fit(self, train, validation_sets, context):
        with MARKS.open("a") as stream:
            stream.write(f"{self.task} {os.environ.get('CUDA_VISIBLE_DEVICES')}\n")
        attempts = MARKS.read_text().count(f"{self.task} ")
        context.progress(1, 2, "half way")
        if attempts == 1 or "always" in self.task:
            if "dies" in self.task:
                os.kill(os.getpid(), signal.SIGKILL)
            if "kills the worker" in self.task:  # the parent of the supervisor
                os.kill(parent(os.getppid()), signal.SIGKILL)
                time.sleep(60)
            if "sleeps" in self.task:
                time.sleep(600)
            if "takes memory" in self.task:
                held = b"x" * 2**30
                time.sleep(60)
        if "waits" in self.task:
            time.sleep(0.5)
        return dict.fromkeys(validation_sets, Zero(len(train.target_genes)))
'''


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Set a data folder with the tiny dataset, settings of Ray for tests, and a plugin file."""
    folder = tmp_path_factory.mktemp("home")
    # Short, for the sockets.
    temporary = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GENEBENCH_HOME", str(folder))
        patch.setenv("GENEBENCH_SEALED", "off")
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.setenv("RAY_TMPDIR", temporary)
        # A node that died is noticed after a second.
        patch.setenv("RAY_health_check_initial_delay_ms", "500")
        patch.setenv("RAY_health_check_period_ms", "500")
        patch.setenv("RAY_health_check_timeout_ms", "500")
        patch.setenv("RAY_health_check_failure_threshold", "2")
        patch.setenv(FILES, "")
        plugin = folder / "odd.py"
        plugin.write_text(textwrap.dedent(ODD))
        use_files([plugin])
        registry.cache_clear()
        open_dataset("sim", registry().datasets, "tiny")
        yield folder
    sys.modules.pop("odd", None)
    installed.cache_clear()
    registry.cache_clear()
    shutil.rmtree(temporary, ignore_errors=True)


@pytest.fixture
def marks(home: Path) -> Iterator[Path]:
    """Return the file of the attempts of the odd method."""
    path = home / "odd.marks"
    yield path
    path.unlink(missing_ok=True)


@pytest.fixture(scope="module")
def nodes(home: Path) -> Iterator[Any]:
    """Start a Ray cluster of two nodes with two cores and one fake GPU each."""
    pytest.importorskip("ray", reason="Ray is not installed")
    from ray.cluster_utils import Cluster

    from genebench_ray import cluster

    cluster._import_ray()
    started = Cluster()
    for _ in range(2):
        started.add_node(num_cpus=2, num_gpus=1, object_store_memory=80 << 20)
    yield started
    cluster._connection.end()
    started.shutdown()


@pytest.fixture
def settings(nodes: Any, tmp_path: Path) -> Callable[..., Settings]:
    """settings(**options): settings of a run on the cluster."""

    def settings(**options: object) -> Settings:
        ResultsStore(tmp_path / "results").prepare()
        texts = {"address": nodes.address} | {name: str(value) for name, value in options.items()}
        return Settings(
            results=tmp_path / "results", options=SPEC.values(texts), device="cpu", sealed="off"
        )

    return settings


@pytest.fixture
def planned(tmp_path: Path) -> Callable[..., list[Job]]:
    """planned(*tasks): a job of the odd method for each task."""

    def planned(*tasks: str, resources: Resources = SMALL) -> list[Job]:
        plan = plan_run(
            "odd", "geo", "sim", preset="tiny", seeds=1, overrides={},
            grid={"odd": {"task": tasks}}, results=tmp_path / "results",
        )  # fmt: skip
        jobs = [job for job in plan.remaining() if job.method.name == "odd"]
        return [replace(job, resources=resources) for job in jobs]

    return planned
